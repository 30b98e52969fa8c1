"""Clauses about the service as a whole: where it is, whom it knows, which operations it has, and its faults."""

from __future__ import annotations

from typing import NoReturn

import pytest
from clauses import clause
from lxml import etree
from space_talk import CADC, CORE, VOS, XML, Talk, node_document, seen, transfer_document, uri
from starlette.testclient import TestClient
from uws_talk import run

from armillary.vospace.service import VOSpaceService

STD = "ivo://ivoa.net/std/VOSpace"


def capabilities(http: TestClient) -> dict[str, etree._Element]:
    root = etree.fromstring(http.get("/vault/capabilities").content)
    return {item.get("standardID"): item for item in root.iterfind("capability")}


@clause(36, "4", "The service has the REST bindings properties, views, protocols, nodes and transfers.")
def test_the_rest_bindings_are_there(ada: Talk) -> None:
    found = capabilities(ada.http)
    bindings = {"properties": VOS, "views": VOS, "protocols": VOS, "nodes": VOS, "transfers": None}
    for name, space in bindings.items():
        where = found[f"{STD}/v2.0#{name}"].findtext("interface/accessURL")
        answer = ada.http.get(where)
        assert answer.status_code == 200
        assert space is None or etree.fromstring(answer.content).tag.startswith(f"{{{space}}}")
    assert found[f"{STD}#sync-2.1"].findtext("interface/accessURL") == "https://space:8443/vault/synctrans"


@clause(37, "5", "The policy of access is declared where the service is registered.")
def test_the_policy_of_access_is_declared(ada: Talk) -> None:
    text = capabilities(ada.http)[f"{STD}/v2.0#nodes"].findtext("description") or ""
    for word in ("owner", "groups", "public"):
        assert word in text


@clause(38, "5", "Who asks is recognised by methods of the IVOA's single sign-on.")
def test_the_ways_to_sign_in_are_the_ivoas(ada: Talk, stranger: TestClient) -> None:
    methods = [
        item.get("standardID") for item in capabilities(ada.http)[f"{STD}/v2.0#nodes"].iter("securityMethod")
    ]
    assert {"ivo://ivoa.net/sso#tls-with-certificate", "ivo://ivoa.net/sso#BasicAA"} <= set(methods)
    assert stranger.get("/vault/nodes/home/ada").status_code == 401


@clause(39, "6", "All operations are there, those of the standard's options too.")
def test_all_operations_are_there(ada: Talk) -> None:
    for name in ("protocols", "views", "properties"):
        assert ada.http.get(f"/vault/{name}").status_code == 200
    ada.make("/home/ada/n")
    ada.look("/home/ada/n")
    assert ada.set("/home/ada/n", {"urn:one": "1"}).status_code == 200
    get, put = CORE + "httpsget", CORE + "httpsput"
    jobs = [
        ("pullFromVoSpace", get),
        ("pushToVoSpace", put),
        ("pullToVoSpace", get),
        ("pushFromVoSpace", put),
    ]
    jobs += [(uri("/home/ada/m"), "")]
    for direction, protocol in jobs:
        document = transfer_document("/home/ada/n", direction, *([protocol] if protocol else []))
        assert ada.ask(document, "transfers").status_code == 303
    assert ada.delete("/home/ada/n").status_code == 204


@clause(40, "6.1", "`accepts` and `provides` tell what the service supports.")
def test_accepts_and_provides_are_told(ada: Talk) -> None:
    for name, parts in {
        "protocols": ["accepts", "provides"],
        "views": ["accepts", "provides"],
        "properties": ["accepts", "provides", "contains"],
    }.items():
        root = etree.fromstring(ada.http.get(f"/vault/{name}").content)
        assert [etree.QName(part).localname for part in root] == parts
        assert all(len(part) for part in root)


@clause(
    52, "6.1, 6.2, 6.3", "What is done is answered with 200 (201 for what was made, 204 for what is gone)."
)
def test_what_is_done_is_answered_with_200(ada: Talk) -> None:
    assert [ada.http.get(f"/vault/{name}").status_code for name in ("protocols", "views", "properties")] == [
        200
    ] * 3
    assert ada.put("/home/ada/n", node_document("/home/ada/n")).status_code == 201
    assert ada.get("/home/ada/n").status_code == 200
    assert ada.set("/home/ada/n", {}).status_code == 200
    assert ada.delete("/home/ada/n").status_code == 204


class _Broken:
    """Records that have failed."""

    def reading(self) -> NoReturn:
        raise RuntimeError("the disk is gone")

    writing = reading


@pytest.fixture
def broken(ada: Talk, space: VOSpaceService) -> Talk:
    """Ada, at a service that has lost its records."""
    space.records = _Broken()  # pyright: ignore[reportAttributeAccessIssue]
    return ada


@clause(54, "6.1, 6.2, 6.3, 6.4.3", "What fails inside is answered with 500 and InternalFault.")
def test_what_fails_inside_is_an_internal_fault(broken: Talk) -> None:
    node = node_document("/home/ada/n")
    pull = transfer_document("/home/ada/n", "pullFromVoSpace", CORE + "httpsget")
    for answer in (
        broken.http.get("/vault/properties"),
        broken.put("/home/ada/n", node),
        broken.get("/home/ada/n"),
        broken.set("/home/ada/n", {}),
        broken.delete("/home/ada/n"),
        broken.ask(pull),
    ):
        assert (answer.status_code, answer.text.split()[0]) == (500, "InternalFault")
        assert "disk" not in answer.text


@clause(55, "6.3.2", "A value that is not valid is 400, InvalidArgument.")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        (CORE + "ispublic", "perhaps"),
        (CORE + "groupread", "not a group!"),
        (CADC + "islocked", "2"),
        (CORE + "type", "image"),
        (CORE + "nonsense", "1"),
        ("not a uri", "1"),
        ("urn:long", "x" * 20_000),
    ],
)
def test_invalid_values_are_400(ada: Talk, name: str, value: str) -> None:
    ada.make("/home/ada/n")
    answer = ada.set("/home/ada/n", {name: value})
    assert (answer.status_code, answer.text.split()[0]) == (400, "InvalidArgument")


@clause(56, "6.2.1", "A URI that is not valid, or is not that of the request, is 400, InvalidURI.")
@pytest.mark.parametrize(
    "other", ["/home/ada/m", "/home/ada/n/n", "/home/ada/../n", "/home/ada/" + "x" * 256]
)
def test_invalid_uris_are_400(ada: Talk, other: str) -> None:
    document = node_document(other)
    posted = ada.http.post("/vault/nodes/home/ada/n", content=document, headers=XML)
    for answer in (ada.put("/home/ada/n", document), posted):
        assert (answer.status_code, answer.text.split()[0]) == (400, "InvalidURI")


@clause(57, "6.2.1", "A type that is not supported is 400, TypeNotSupported, with its name.")
def test_unknown_types_are_400(ada: Talk) -> None:
    answer = ada.put("/home/ada/n", node_document("/home/ada/n", "TableNode"))
    assert (answer.status_code, answer.text.split()[0]) == (400, "TypeNotSupported")
    assert "vos:TableNode" in answer.text


@clause(58, "6.2.1, 6.2.4, 6.3, 6.4.3", "Who may not is told 403, PermissionDenied.")
def test_who_may_not_is_told_403(ada: Talk) -> None:
    pull = transfer_document("/home/bob/n", "pullFromVoSpace", CORE + "httpsget")
    for answer in (
        ada.put("/home/bob/n", node_document("/home/bob/n")),
        ada.delete("/home/bob"),
        ada.get("/home/bob"),
        ada.set("/home/bob", {}),
        ada.ask(pull),
    ):
        assert (answer.status_code, answer.text.split()[0]) == (403, "PermissionDenied")


@clause(59, "6.2.4, 6.3, 6.4.3", "A node that is not there is 404, NodeNotFound, with its path.")
def test_missing_nodes_are_404(ada: Talk) -> None:
    pull = transfer_document("/home/ada/n", "pullFromVoSpace", CORE + "httpsget")
    for answer in (
        ada.get("/home/ada/n"),
        ada.delete("/home/ada/n"),
        ada.set("/home/ada/n", {}),
        ada.ask(pull),
    ):
        assert (answer.status_code, answer.text.split()[0]) == (404, "NodeNotFound")
        assert "/home/ada/n" in answer.text


@clause(60, "6.2.1", "A node that is there already is 409, DuplicateNode, with its path.")
@pytest.mark.parametrize("kind", ["ContainerNode", "DataNode"])
def test_duplicates_are_409(ada: Talk, kind: str) -> None:
    ada.make("/home/ada/n")
    answer = ada.put("/home/ada/n", node_document("/home/ada/n", kind))
    assert (answer.status_code, answer.text.split()[0]) == (409, "DuplicateNode")
    assert "/home/ada/n" in answer.text


@clause(61, "6.2.1, 6.2.4, 6.3.2", "A container that is not there is 404, ContainerNotFound.")
@pytest.mark.parametrize("path", ["/home/ada/a/n", "/home/ada/a/b/n"])
def test_missing_containers_are_404(ada: Talk, path: str) -> None:
    for answer in (ada.put(path, node_document(path)), ada.delete(path), ada.set(path, {})):
        assert (answer.status_code, answer.text.split()[0]) == (404, "ContainerNotFound")


@clause(62, "6.2.1, 6.2.4", "A link on the way is 400, LinkFound, with the link.")
@pytest.mark.parametrize("path", ["/home/ada/l/n", "/home/ada/l/b/n"])
def test_links_on_the_way_are_400(ada: Talk, path: str) -> None:
    ada.make("/home/ada/c")
    ada.make("/home/ada/l", "LinkNode", target=uri("/home/ada/c"))
    for answer in (ada.put(path, node_document(path)), ada.delete(path)):
        assert (answer.status_code, answer.text.split()[0]) == (400, "LinkFound")
        assert "/home/ada/l" in answer.text
        assert uri("/home/ada/c") in answer.text


@clause(0, "6.2.1, 6.3.2", "A property that is read-only is not set: 403, PermissionDenied.")
def test_read_only_properties_are_not_set(ada: Talk) -> None:
    ada.make("/home/ada/n")
    for answer in (
        ada.put("/home/ada/m", node_document("/home/ada/m", properties={CORE + "length": "1"})),
        ada.set("/home/ada/n", {CORE + "creator": "CN=eve"}),
    ):
        assert (answer.status_code, answer.text.split()[0]) == (403, "PermissionDenied")


@clause(
    0,
    "6",
    "A fault is told by its exact name, with white space behind it.",
)
def test_faults_begin_with_their_names(ada: Talk) -> None:
    assert ada.get("/home/ada/none").text.split()[0] == "NodeNotFound"
    job = run(
        ada.http, "/vault/transfers", transfer_document("/home/ada/none", uri("/home/ada/n"), keep=True)
    )
    assert job.findtext("{*}errorSummary/{*}message").startswith("Node Not Found: ")


@clause(0, "6.3.1", "A node told as a whole can be set as a whole: it changes nothing.")
def test_a_node_told_can_be_set(ada: Talk) -> None:
    told = ada.make("/home/ada/n", properties={CORE + "title": "t"})
    document = ada.get("/home/ada/n").content
    answer = ada.http.post("/vault/nodes/home/ada/n", content=document, headers=XML)
    assert seen(answer.content) == told


@clause(
    0,
    "6 (1.x)",
    "findNodes: searching for nodes.",
    refused="left out of VOSpace 2.1 (its text is commented out), so there is no such binding",
)
def test_there_is_no_search(ada: Talk) -> None:
    assert not [name for name in capabilities(ada.http) if "search" in name]
    assert ada.http.post("/vault/searches").status_code == 404


@clause(
    0,
    "3.1.1",
    "Immutable nodes.",
    refused="optional; `core#immutable` is refused, so that nobody relies on it. The lock of the stock clients is there",
)
def test_immutable_nodes_are_refused(ada: Talk) -> None:
    ada.make("/home/ada/n")
    answer = ada.set("/home/ada/n", {CORE + "immutable": "true"})
    assert (answer.status_code, answer.text.split()[0]) == (400, "InvalidArgument")
