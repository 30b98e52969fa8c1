"""Clauses about nodes, their parts and their identifiers."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from clauses import clause
from lxml import etree
from space_talk import CORE, VOS, XML, XSI, Talk, endpoints, node_document, seen, transfer_document, uri
from uws_talk import results, run

TYPES = ["ContainerNode", "DataNode", "UnstructuredDataNode", "StructuredDataNode", "LinkNode"]
OURS = "vos://armillary.example~vault"


def made(ada: Talk, kind: str, path: str = "/home/ada/n"):
    return ada.make(path, kind, target=uri("/home/ada/x") if kind == "LinkNode" else "")


@clause(1, "2", "Nodes are identified by URIs with the scheme vos.")
@pytest.mark.parametrize("kind", TYPES)
def test_nodes_are_identified_by_vos_uris(ada: Talk, kind: str) -> None:
    assert made(ada, kind).uri == f"{OURS}/home/ada/n"
    assert ada.look("/home/ada").children[0].uri == f"{OURS}/home/ada/n"


@clause(2, "2", "The naming authority is the service where the node was created.")
@pytest.mark.parametrize("service", ["vault", "arc"])
def test_the_authority_of_a_uri_is_the_service(ada: Talk, service: str) -> None:
    ada.make("/home/ada/n")
    document = ada.http.get(f"/{service}/nodes/home/ada/n").content
    assert seen(document).uri == f"vos://armillary.example~{service}/home/ada/n"
    registry = ada.http.get("/reg/resource-caps").text
    assert f"ivo://armillary.example/{service} = " in registry


@clause(3, "2", "The service writes its separator, ! or ~, always alike.")
def test_the_separator_in_answers_is_always_the_same(ada: Talk) -> None:
    ada.make("/home/ada/n", authority="opencadc.org!vault")
    ada.make("/home/ada/m", authority="opencadc.org~vault")
    ada.write("/home/ada/f", b"abc")
    asked = transfer_document("/home/ada/f", "pullFromVoSpace", CORE + "httpsget")
    transfer = ada.http.get(ada.ask(asked).headers["location"]).text
    for text in (ada.get("/home/ada").text, ada.get("/home/ada/n").text, transfer):
        assert f"{OURS}/home/ada" in text
        assert "!vault" not in text


@clause(4, "2", "Requests may write either separator.")
@pytest.mark.parametrize("separator", ["!", "~"])
def test_both_separators_are_understood(ada: Talk, separator: str) -> None:
    authority = f"armillary.example{separator}vault"
    ada.make("/home/ada/n", authority=authority)
    assert ada.set("/home/ada/n", {CORE + "title": "t"}, authority=authority).status_code == 200
    start = uri("/home/ada/n", authority)
    assert ada.look("/home/ada", uri=start).names == ["n"]


@clause(5, "2", "All ancestors of a node can be resolved, as containers.")
def test_all_ancestors_are_containers(ada: Talk) -> None:
    path = "/home/ada"
    for name in "abc":
        path += f"/{name}"
        ada.make(path)
    ancestors = ["", "/home", "/home/ada", "/home/ada/a", "/home/ada/a/b"]
    assert {ada.look(ancestor, limit=0).kind for ancestor in ancestors} == {"ContainerNode"}


@clause(6, "3.1", "What is read from an UnstructuredDataNode is what was written, bit by bit.")
def test_unstructured_data_comes_back_bit_by_bit(ada: Talk) -> None:
    data = bytes(range(256)) * 41
    ada.make("/home/ada/n", "UnstructuredDataNode")
    ada.write("/home/ada/n", data)
    assert ada.read("/home/ada/n") == data
    assert ada.look("/home/ada/n").kind == "UnstructuredDataNode"


@clause(7, "3.1", "A node has a URI, properties and capabilities.")
@pytest.mark.parametrize("kind", TYPES[:-1])
def test_a_node_has_uri_properties_and_capabilities(ada: Talk, kind: str) -> None:
    node = made(ada, kind)
    assert node.uri
    assert node.properties
    assert "capabilities" in node.parts


@clause(8, "3.1", "A data node also has the views that it accepts and provides.")
@pytest.mark.parametrize("kind", TYPES[1:-1])
def test_a_data_node_has_views(ada: Talk, kind: str) -> None:
    node = made(ada, kind)
    assert node.parts == ["properties", "accepts", "provides", "capabilities"]
    assert node.accepts
    assert node.provides


@clause(
    9, "3.1", "A link has a URI, properties, capabilities and a target. (The schema of appendix A has no place "
    "for the capabilities of a link; they are left out.)"
)  # fmt: skip
def test_a_link_has_a_target(ada: Talk) -> None:
    node = made(ada, "LinkNode")
    assert node.parts == ["properties", "target"]
    assert (node.uri, node.target) == (f"{OURS}/home/ada/n", uri("/home/ada/x"))


@clause(10, "3.1", "Containers and links have no bytes.")
def test_containers_and_links_have_no_bytes(ada: Talk) -> None:
    ada.make("/home/ada/c")
    ada.make("/home/ada/l", "LinkNode", target="https://example.org/")
    for path in ("/home/ada/c", "/home/ada/l"):
        assert ada.http.put(f"/vault/files{path}", content=b"abc").status_code == 409
        assert ada.http.get(f"/arc/files{path}").status_code == 400
        assert ada.look(path).properties[CORE + "length"] == "0"


@clause(11, "3.1", "The service reads the XML of all types of nodes.")
@pytest.mark.parametrize("kind", [*TYPES, "Node"])
def test_all_types_are_read(ada: Talk, kind: str) -> None:
    target = "https://example.org/" if kind == "LinkNode" else ""
    answer = ada.put("/home/ada/n", node_document("/home/ada/n", kind, target=target))
    assert (answer.status_code, seen(answer.content).kind) == (201, kind if kind != "Node" else "DataNode")


@clause(12, "3.1", "A type that is not supported is no XML error.")
def test_an_unknown_type_is_no_xml_error(ada: Talk) -> None:
    answer = ada.put("/home/ada/n", node_document("/home/ada/n", "TableNode"))
    assert answer.text.startswith("TypeNotSupported ")


@clause(13, "3.2", "A property has a URI, a value, and a flag when it is read-only.")
def test_a_property_has_uri_value_and_flag(ada: Talk) -> None:
    ada.make("/home/ada/n", properties={CORE + "title": "a title"})
    root = etree.fromstring(ada.get("/home/ada/n").content)
    items = {item.get("uri"): item for item in root.iter(f"{{{VOS}}}property")}
    assert items[CORE + "title"].text == "a title"
    assert items[CORE + "title"].get("readOnly") == "false"
    assert items[CORE + "length"].get("readOnly") == "true"


@clause(14, "3.2.2", "URIs must be valid, and mean one thing.")
@pytest.mark.parametrize(
    "bad", ["", "home/ada/n", "vos:/home/ada/n", "http://x/n", "vos://opencadc.org!vault/../n"]
)
def test_uris_must_be_valid(ada: Talk, bad: str) -> None:
    document = f'<vos:node xmlns:vos="{VOS}" xmlns:xsi="{XSI}" xsi:type="vos:DataNode" uri="{bad}"/>'
    answer = ada.put("/home/ada/n", document)
    assert (answer.status_code, answer.text.split()[0]) == (400, "InvalidURI")
    assert ada.put("/home/ada/n", node_document("/home/ada/n", properties={"a b": "1"})).status_code == 400


@clause(15, "3.3", "A capability has a URI, an endpoint and parameters.")
def test_a_capability_has_uri_and_endpoint(ada: Talk) -> None:
    ada.make("/home/ada/a b", "DataNode")
    (endpoint,) = ada.look("/home/ada/a b").capabilities.values()
    assert endpoint == "https://space:8443/vault/nodes/home/ada/a%20b"
    assert seen(ada.http.get(endpoint).content).kind == "DataNode"


@clause(16, "3.3.5", "The standard's capabilities have the standard's URIs.")
def test_the_capability_of_a_node_is_the_standards(ada: Talk) -> None:
    assert list(made(ada, "ContainerNode").capabilities) == ["ivo://ivoa.net/vospace/core#vospace-2.1"]


@clause(17, "3.2.2", "Each property has a URI of its own.")
def test_properties_have_uris_of_their_own(ada: Talk) -> None:
    tags = {"urn:one": "1", "ivo://example.org/two#a": "2", "http://example.org/three": "3"}
    ada.make("/home/ada/n", properties=tags)
    root = etree.fromstring(ada.get("/home/ada/n").content)
    uris = [item.get("uri") for item in root.iter(f"{{{VOS}}}property")]
    assert len(uris) == len(set(uris))
    assert set(tags) < set(uris)


def listed(ada: Talk, what: str, item: str, part: str) -> list[str]:
    root = etree.fromstring(ada.http.get(f"/vault/{what}").content)
    assert root.tag == f"{{{VOS}}}{what}"
    return [found.get("uri") for found in root.iterfind(f"{{{VOS}}}{part}/{{{VOS}}}{item}")]


@clause(18, "3.3.2", "Each capability has a URI of its own.")
@clause(19, "3.4.2", "Each view has a URI of its own.")
@clause(20, "3.5.1", "Each protocol has a URI of its own.")
def test_capabilities_views_and_protocols_have_uris_of_their_own(ada: Talk) -> None:
    node = made(ada, "DataNode")
    for uris in (
        list(node.capabilities),
        node.accepts,
        node.provides,
        *(listed(ada, "views", "view", part) for part in ("accepts", "provides")),
        *(listed(ada, "protocols", "protocol", part) for part in ("accepts", "provides")),
    ):
        assert uris
        assert len(uris) == len(set(uris))
        assert all(urlsplit(name).scheme for name in uris)


@clause(21, "3.4.4", "The standard's views have the standard's URIs.")
def test_the_views_are_the_standards(ada: Talk) -> None:
    node = made(ada, "DataNode")
    assert set(node.accepts) == {CORE + "anyview", CORE + "binaryview"}
    assert set(node.provides) == {CORE + "defaultview", CORE + "binaryview"}
    assert set(node.accepts) <= set(listed(ada, "views", "view", "accepts"))
    assert set(node.provides) <= set(listed(ada, "views", "view", "provides"))


STANDARD = [
    "availableSpace",
    "btime",
    "contributor",
    "coverage",
    "creator",
    "ctime",
    "date",
    "description",
    "format",
    "groupread",
    "groupwrite",
    "identifier",
    "language",
    "length",
    "mtime",
    "publicread",
    "publisher",
    "quota",
    "relation",
    "rights",
    "source",
    "subject",
    "title",
    "type",
]


@clause(22, "3.2.4", "The standard's properties are known by the standard's URIs.")
def test_the_properties_of_the_standard_are_known(ada: Talk) -> None:
    told = {
        *listed(ada, "properties", "property", "accepts"),
        *listed(ada, "properties", "property", "provides"),
    }
    assert {CORE + name for name in STANDARD} <= told
    free = "contributor coverage description format identifier language publisher relation rights source subject title"
    tags = {CORE + name: name for name in free.split()}
    assert ada.make("/home/ada/n", properties=tags).properties.items() >= tags.items()
    ada.write("/home/ada/f", b"abc")
    shown = ada.look("/home/ada/f").properties.keys() | ada.look("/home/ada").properties.keys()
    assert {
        CORE + name for name in ("availableSpace", "btime", "creator", "ctime", "date", "length")
    } <= shown
    assert {CORE + name for name in ("mtime", "publicread", "quota")} <= shown


@clause(
    41, "6.2.1, 6.2.2, 6.2.3", "A name that the service chose for .auto is told, by jobs in their results."
)
@pytest.mark.parametrize("keep", [False, True])
def test_the_name_for_auto_is_told(ada: Talk, keep: bool) -> None:
    made_here = ada.make("/home/ada/.auto", "DataNode")
    assert made_here.uri.rpartition("/")[2] in ada.look("/home/ada").names
    ada.make("/home/ada/goal")
    source = made_here.uri.removeprefix(OURS)
    direction = uri("/home/ada/goal/.auto")
    job = run(ada.http, "/vault/transfers", transfer_document(source, direction, keep=keep))
    (name,) = ada.look("/home/ada/goal").names
    assert results(job)["destination"].endswith(f"/home/ada/goal/{name}")
    assert name != ".auto"


@clause(42, "3.1", "What is written to .null is gone.")
def test_what_is_written_to_null_is_gone(ada: Talk) -> None:
    push = transfer_document("/home/ada/.null", "pushToVoSpace", CORE + "httpsput")
    ((_, where),) = endpoints(ada.http.get(ada.ask(push).headers["location"]).content)
    assert ada.http.put(where, content=b"abc").status_code == 201
    assert ada.write("/home/ada/.null", b"abc") == 201
    assert (ada.look("/home/ada").names, ada.read("/home/ada/.null")) == ([], b"")
    ada.make("/home/ada/n")
    job = run(
        ada.http, "/vault/transfers", transfer_document("/home/ada/n", uri("/home/ada/.null"), keep=False)
    )
    assert job.findtext("{*}phase") == "COMPLETED"
    assert ada.look("/home/ada").names == []


@clause(43, "6.2.1", "A new node says which views it accepts.")
def test_a_new_node_says_what_it_accepts(ada: Talk) -> None:
    asked = node_document("/home/ada/n", "DataNode").replace(
        "</vos:properties>", '</vos:properties><vos:accepts><vos:view uri="urn:mine"/></vos:accepts>'
    )
    assert seen(ada.put("/home/ada/n", asked).content).accepts == [CORE + "anyview", CORE + "binaryview"]


@clause(44, "6.2.4", "With a container its children are deleted.")
def test_children_go_with_their_container(ada: Talk) -> None:
    ada.make("/home/ada/c")
    ada.make("/home/ada/c/d")
    ada.write("/home/ada/c/d/f", b"abc")
    assert ada.delete("/home/ada/c").status_code == 204
    assert ada.get("/home/ada/c/d/f").status_code == 404
    ada.make("/home/ada/c")
    assert ada.look("/home/ada/c").names == []


@clause(45, "6.3.1", "A listing shows direct children only.")
def test_a_listing_shows_direct_children_only(ada: Talk) -> None:
    ada.make("/home/ada/c")
    ada.make("/home/ada/c/d")
    listing = ada.look("/home/ada")
    assert listing.names == ["c"]
    assert listing.children[0].children == []


@clause(46, "6.3.1", "All pages of a listing come from one order.")
@pytest.mark.parametrize("sort", [{}, {"sort": CORE + "length", "order": "desc"}])
def test_pages_come_from_one_order(ada: Talk, sort: dict[str, str]) -> None:
    for number in range(7):
        ada.write(f"/home/ada/f{number}", b"x" * (number % 3))
    whole = ada.look("/home/ada", **sort).names
    pages, start = whole[:1], whole[0]
    while len(page := ada.look("/home/ada", uri=uri(f"/home/ada/{start}"), limit=3, **sort).names) > 1:
        pages, start = pages + page[1:], page[-1]
    assert pages == whole


@clause(
    0, "6.3.1", "`detail=min` leaves the type and the URI; `properties` adds the properties; `max` is all."
)
def test_detail_chooses_how_much_is_told(ada: Talk) -> None:
    made(ada, "DataNode")
    assert ada.look("/home/ada/n", detail="min").parts == []
    assert ada.look("/home/ada/n", detail="properties").parts == ["properties"]
    assert ada.get("/home/ada/n", detail="max").content == ada.get("/home/ada/n").content


@clause(
    0, "6.3.2", "Setting properties adds, blanks and (by `xsi:nil`) removes, and answers with the whole node."
)
def test_set_adds_blanks_and_removes(ada: Talk) -> None:
    ada.make("/home/ada/n", properties={"urn:one": "1", "urn:two": "2"})
    answer = ada.set("/home/ada/n", {"urn:one": None, "urn:two": "", "urn:three": "3"})
    shown = seen(answer.content)
    assert shown.parts == ["properties", "accepts", "provides", "capabilities", "nodes"]
    assert {name: value for name, value in shown.properties.items() if name.startswith("urn:")} == {
        "urn:two": "",
        "urn:three": "3",
    }


@clause(0, "6.3.2", "Setting properties changes neither the type nor the views, and makes no children.")
def test_set_changes_no_types_and_makes_no_children(ada: Talk) -> None:
    ada.make("/home/ada/n")
    inner = node_document("/home/ada/n/child", "DataNode")
    document = node_document("/home/ada/n", "DataNode").replace(
        "</vos:node>", f"<vos:nodes>{inner}</vos:nodes></vos:node>"
    )
    ada.http.post("/vault/nodes/home/ada/n", content=document, headers=XML)
    node = ada.look("/home/ada/n")
    assert (node.kind, node.names) == ("ContainerNode", [])
