"""Clauses about transfers, the jobs that do them, and moving and copying."""

from __future__ import annotations

import pytest
from clauses import clause
from elsewhere import Elsewhere
from lxml import etree
from space_talk import CORE, VOS, XML, Talk, endpoints, transfer_document, uri
from uws_talk import UWS, fault, over, phase_of, results, run

PULL, PUSH = "pullFromVoSpace", "pushToVoSpace"
GETS, PUTS = (CORE + "httpget", CORE + "httpsget"), (CORE + "httpput", CORE + "httpsput")
PACKAGE = "vos://cadc.nrc.ca~vospace/CADC/std/Pkg-1.0"
TRANSFERS = "/vault/transfers"


def negotiated(ada: Talk, document: str) -> bytes:
    """Negotiate at once; return the transfer with its endpoints."""
    answer = ada.ask(document)
    assert answer.status_code == 303, answer.text
    return ada.http.get(answer.headers["location"]).content


def at(elsewhere: Elsewhere, *paths: str) -> str:
    """Protocols that fetch from there, one after the other."""
    return "".join(
        f'<vos:protocol uri="{CORE}httpget"><vos:endpoint>{elsewhere.url(path)}</vos:endpoint></vos:protocol>'
        for path in paths
    )


def third(target: str, direction: str, protocols: str) -> str:
    return transfer_document(target, direction).replace("</vos:direction>", f"</vos:direction>{protocols}")


def words(job: etree._Element, part: str) -> str:
    return job.findtext(f".//{{{VOS}}}{part}") or ""


@clause(23, "3.4.4", "What comes in the default view for imports is kept as it is.")
def test_what_comes_in_the_binary_view_is_kept(ada: Talk) -> None:
    data = b"\x00\xff<xml>\r\n" * 9
    asked = transfer_document("/home/ada/f", PUSH, PUTS[1], view=CORE + "binaryview")
    ((_, where),) = endpoints(negotiated(ada, asked))
    assert ada.http.put(where, content=data).status_code == 201
    assert ada.read("/home/ada/f") == data


@clause(24, "3.4.4", "What goes out in the default view is in the form that suits it: the one it came in.")
def test_what_goes_out_in_the_default_view_is_what_came(ada: Talk) -> None:
    ada.http.put("/vault/files/home/ada/f", content=b"SIMPLE", headers={"Content-Type": "application/fits"})
    asked = transfer_document("/home/ada/f", PULL, GETS[1], view=CORE + "defaultview")
    ((_, where),) = endpoints(negotiated(ada, asked))
    answer = ada.http.get(where)
    assert (answer.content, answer.headers["content-type"]) == (b"SIMPLE", "application/fits")


@clause(
    25,
    "3.4.5",
    "An archive that a container accepts is seen as its children.",
    refused="optional; containers accept no archives, and an upload in that view is refused",
)
def test_containers_accept_no_archives(ada: Talk) -> None:
    ada.make("/home/ada/c")
    assert ada.look("/home/ada/c").accepts == []
    answer = ada.ask(transfer_document("/home/ada/c", PUSH, PUTS[1], view=PACKAGE))
    assert (answer.status_code, answer.text.split()[0]) == (400, "ViewNotSupported")


@clause(27, "3.5", "A protocol has a URI and an endpoint.")
@clause(28, "3.5.3", "The standard's protocols have the standard's URIs.")
@pytest.mark.parametrize(("direction", "protocols"), [(PULL, GETS), (PUSH, PUTS)])
def test_protocols_have_uris_and_endpoints(ada: Talk, direction: str, protocols: tuple[str, ...]) -> None:
    ada.write("/home/ada/f", b"abc")
    found = endpoints(negotiated(ada, transfer_document("/home/ada/f", direction, *protocols)))
    assert {name for name, _ in found} == set(protocols)
    assert all(where.startswith("https://space:8443/") for _, where in found)


@clause(29, "3.6.1", "The job of a transfer holds target, direction, view, protocols and keepBytes.")
def test_a_job_holds_its_transfer(ada: Talk) -> None:
    asked = transfer_document("/home/ada/f", PULL, *GETS, view=CORE + "defaultview", keep=True)
    where = ada.ask(asked, "transfers").headers["location"]
    job = etree.fromstring(ada.http.get(where).content)
    held = job.find(f"{{{UWS}}}jobInfo/{{{VOS}}}transfer")
    assert held is not None
    assert (words(job, "target"), words(job, "direction")) == (uri("/home/ada/f"), PULL)
    assert held.find(f"{{{VOS}}}view").get("uri") == CORE + "defaultview"
    assert [item.get("uri") for item in held.iterfind(f"{{{VOS}}}protocol")] == list(GETS)
    assert words(job, "keepBytes") == "true"


@clause(30, "3.6.1", "The result of a transfer holds target, direction, view and protocols.")
def test_the_result_holds_the_transfer(ada: Talk) -> None:
    ada.write("/home/ada/f", b"abc")
    asked = transfer_document("/home/ada/f", PULL, *GETS, view=CORE + "defaultview")
    job = run(ada.http, TRANSFERS, asked)
    details = ada.http.get(results(job)["transferDetails"]).content
    root = etree.fromstring(details)
    assert root.findtext(f"{{{VOS}}}target").endswith("/home/ada/f")
    assert root.findtext(f"{{{VOS}}}direction") == PULL
    assert root.find(f"{{{VOS}}}view").get("uri") == CORE + "defaultview"
    assert all(where for _, where in endpoints(details))
    assert root.get("version") == "2.1"


@clause(31, "3.6.3, 3.6.4", "With none of the protocols known, the answer is a fault.")
def test_no_known_protocol_is_a_fault(ada: Talk, elsewhere: Elsewhere) -> None:
    ada.write("/home/ada/f", b"abc")
    answer = ada.ask(transfer_document("/home/ada/f", PULL, CORE + "ftpget", CORE + "httpput"))
    assert (answer.status_code, answer.text.split()[0]) == (400, "ProtocolNotSupported")
    job = run(ada.http, TRANSFERS, transfer_document("/home/ada/f", PULL, CORE + "ftpget"))
    assert (phase_of(job), fault(job).split(":")[0]) == ("ERROR", "Protocol Not Supported")
    asked = third("/home/ada/f", "pullToVoSpace", at(elsewhere, "/f").replace("httpget", "ftpget"))
    job = run(ada.http, TRANSFERS, asked)
    assert (phase_of(job), fault(job).split(":")[0]) == ("ERROR", "Protocol Not Supported")


@clause(32, "3.6.3, 3.6.4", "The service uses each protocol once.")
@clause(33, "3.6.3, 3.6.4", "A transfer is over once a protocol has done it.")
def test_each_endpoint_is_used_once_and_none_after_success(ada: Talk, elsewhere: Elsewhere) -> None:
    elsewhere.files = {"/good": b"abc", "/spare": b"other"}
    asked = third("/home/ada/f", "pullToVoSpace", at(elsewhere, "/none", "/none", "/good", "/spare"))
    job = run(ada.http, TRANSFERS, asked)
    assert phase_of(job) == "COMPLETED", fault(job)
    assert elsewhere.asked == ["GET /none", "GET /good"]
    assert ada.read("/home/ada/f") == b"abc"


@clause(34, "3.6.3, 3.6.4", "A transfer has failed when no protocol has done it.")
def test_a_transfer_has_failed_when_none_did_it(ada: Talk, elsewhere: Elsewhere) -> None:
    job = run(ada.http, TRANSFERS, third("/home/ada/f", "pullToVoSpace", at(elsewhere, "/a", "/b")))
    assert phase_of(job) == "ERROR"
    assert elsewhere.asked == ["GET /a", "GET /b"]
    assert ada.get("/home/ada/f").status_code == 404


@clause(35, "3.6.3, 3.6.4", "The phase of the job says how far the transfer is.")
def test_the_phase_follows_the_transfer(ada: Talk, elsewhere: Elsewhere) -> None:
    elsewhere.files = {"/f": b"abc"}
    asked = third("/home/ada/f", "pullToVoSpace", at(elsewhere, "/f"))
    job = ada.ask(asked, "transfers").headers["location"]
    assert ada.http.get(job + "/phase").text == "PENDING"
    assert ada.http.post(job + "/phase", data={"PHASE": "RUN"}).status_code == 303
    assert phase_of(over(ada.http, job)) == "COMPLETED"
    second = ada.ask(asked, "transfers").headers["location"]
    ada.http.post(second + "/phase", data={"PHASE": "ABORT"})
    assert ada.http.get(second + "/phase").text == "ABORTED"


@clause(47, "6.2.2", "With a container its children move.")
@clause(49, "6.2.2, 6.2.3", "Moving and copying change no types.")
@clause(50, "6.2.3", "With a container its children are copied.")
@pytest.mark.parametrize("keep", [False, True])
def test_children_go_along_in_their_types(ada: Talk, keep: bool) -> None:
    kinds = ["ContainerNode", "DataNode", "LinkNode", "StructuredDataNode", "UnstructuredDataNode"]
    ada.make("/home/ada/c")
    for kind in kinds:
        ada.make(f"/home/ada/c/{kind}", kind, target="https://example.org/" if kind == "LinkNode" else "")
    ada.write("/home/ada/c/DataNode", b"abc")
    ada.make("/home/ada/goal")
    # The goal is a container that exists: the source goes into it.
    job = run(ada.http, TRANSFERS, transfer_document("/home/ada/c", uri("/home/ada/goal"), keep=keep))
    assert phase_of(job) == "COMPLETED", fault(job)
    assert [child.kind for child in ada.look("/home/ada/goal/c").children] == kinds
    assert ada.read("/home/ada/goal/c/DataNode") == b"abc"
    assert ada.get("/home/ada/c").status_code == (200 if keep else 404)


@clause(48, "6.4.1", "What is imported into a container is put inside it.")
def test_what_is_imported_into_a_container_is_put_inside(ada: Talk) -> None:
    ada.make("/home/ada/c")
    asked = transfer_document("/home/ada/c", PUSH, PUTS[1])
    ((_, where),) = endpoints(negotiated(ada, asked))
    assert ada.http.put(where, content=b"abc").status_code == 201
    (name,) = ada.look("/home/ada/c").names
    assert ada.read(f"/home/ada/c/{name}") == b"abc"


@clause(51, "6.4.1, 6.4.2", "What is imported into a node replaces what it held.")
def test_what_is_imported_replaces_what_was_there(ada: Talk, elsewhere: Elsewhere) -> None:
    ada.write("/home/ada/f", b"old and long")
    ((_, where),) = endpoints(negotiated(ada, transfer_document("/home/ada/f", PUSH, PUTS[1])))
    ada.http.put(where, content=b"new")
    assert ada.read("/home/ada/f") == b"new"
    elsewhere.files = {"/f": b"newer"}
    run(ada.http, TRANSFERS, third("/home/ada/f", "pullToVoSpace", at(elsewhere, "/f")))
    assert ada.read("/home/ada/f") == b"newer"


@clause(53, "6.2.2, 6.2.3, 6.4", "Jobs are made with 303, which leads to the job.")
@pytest.mark.parametrize("direction", [PULL, PUSH, "pullToVoSpace", "pushFromVoSpace", uri("/home/ada/g")])
def test_jobs_are_made_with_303(ada: Talk, direction: str) -> None:
    protocols = '<vos:protocol uri="urn:x"><vos:endpoint>https://example.org/</vos:endpoint></vos:protocol>'
    answer = ada.ask(third("/home/ada/f", direction, protocols), "transfers")
    assert answer.status_code == 303
    job = etree.fromstring(ada.http.get(answer.headers["location"]).content)
    assert (job.tag, phase_of(job)) == (f"{{{UWS}}}job", "PENDING")


FAILURES = [
    ("/home/ada/none", uri("/home/ada/g"), "NodeNotFound", "Node Not Found"),
    ("/home/ada/f", uri("/home/ada/f2"), "DuplicateNode", "Duplicate Node"),
    ("/home/ada/f", uri("/home/bob/f"), "PermissionDenied", "Permission Denied"),
    ("/home/bob/f", PULL, "PermissionDenied", "Permission Denied"),
    ("/home/ada/none", PULL, "NodeNotFound", "Node Not Found"),
    ("/home/bob/f", PUSH, "PermissionDenied", "Permission Denied"),
    ("/home/ada/c", PULL + "?view", "ViewNotSupported", "View Not Supported"),
]


@clause(63, "6.2.2, 6.2.3, 6.4", "A fault puts the job's phase to ERROR.")
@clause(64, "6.2.2, 6.2.3, 6.4", "The job's error summary names the fault.")
@clause(65, "6.2.2, 6.2.3, 6.4", "The fault is told at the job's error URI.")
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize(("source", "direction", "name", "summary"), FAILURES)
def test_a_fault_ends_the_job(
    ada: Talk, source: str, direction: str, name: str, summary: str, keep: bool
) -> None:
    ada.write("/home/ada/f", b"abc")
    ada.write("/home/ada/f2", b"abc")
    ada.write("/home/ada/c", b"abc")
    direction, _, view = direction.partition("?")
    protocols = PUTS if direction == PUSH else GETS if direction == PULL else ()
    document = transfer_document(source, direction, *protocols, keep=keep, view="urn:odd" if view else "")
    where = ada.ask(document, "transfers").headers["location"]
    ada.http.post(where + "/phase", data={"PHASE": "RUN"})
    job = over(ada.http, where)
    assert phase_of(job) == "ERROR"
    assert fault(job).startswith(summary)
    assert ada.http.get(where + "/error").text.startswith(name)


@clause(0, "6.4.2", "pullToVoSpace makes the node, of the default type.")
def test_the_service_fetches(ada: Talk, elsewhere: Elsewhere) -> None:
    elsewhere.files = {"/f": b"abc" * 1000}
    job = run(ada.http, TRANSFERS, third("/home/ada/f", "pullToVoSpace", at(elsewhere, "/f")))
    assert phase_of(job) == "COMPLETED", fault(job)
    assert (ada.look("/home/ada/f").kind, ada.read("/home/ada/f")) == ("DataNode", b"abc" * 1000)


@clause(0, "6.4.4", "pushFromVoSpace sends the bytes of a node to another service.")
def test_the_service_sends(ada: Talk, elsewhere: Elsewhere) -> None:
    ada.write("/home/ada/f", b"abc" * 1000)
    protocols = at(elsewhere, "/f").replace("httpget", "httpput")
    job = run(ada.http, TRANSFERS, third("/home/ada/f", "pushFromVoSpace", protocols))
    assert phase_of(job) == "COMPLETED", fault(job)
    assert elsewhere.files == {"/f": b"abc" * 1000}


@clause(0, "3.6.2", "A transfer may be asked for by parameters, and answered by a redirect to the bytes.")
def test_parameters_ask_for_a_transfer(ada: Talk) -> None:
    ada.write("/home/ada/f", b"abc")
    fields = {"TARGET": uri("/home/ada/f"), "DIRECTION": PULL, "PROTOCOL": GETS[1]}
    answer = ada.http.get("/vault/synctrans", params=fields)
    assert answer.status_code == 200
    ((_, where),) = endpoints(answer.content)
    assert ada.http.get(where).content == b"abc"
    answer = ada.http.get("/vault/synctrans", params={**fields, "REQUEST": "redirect"})
    assert answer.status_code == 303
    assert ada.http.get(answer.headers["location"]).content == b"abc"


@clause(0, "5", "A protocol in the answer has a security method if, and only if, it was asked for.")
def test_security_methods_are_told_where_they_were_asked_for(ada: Talk) -> None:
    ada.write("/home/ada/f", b"abc")
    method = "ivo://ivoa.net/sso#tls-with-certificate"
    asked = transfer_document("/home/ada/f", PULL, GETS[1], ends=f'<vos:securityMethod uri="{method}"/>')
    assert method in negotiated(ada, asked).decode()
    assert b"securityMethod" not in negotiated(ada, transfer_document("/home/ada/f", PULL, GETS[1]))


@clause(0, "6.4", "PHASE=RUN with the first request runs the job at once.")
def test_a_job_runs_at_once_when_told(ada: Talk) -> None:
    ada.write("/home/ada/f", b"abc")
    document = transfer_document("/home/ada/f", PULL, GETS[1])
    answer = ada.http.post(f"{TRANSFERS}?PHASE=RUN", content=document, headers=XML)
    assert phase_of(over(ada.http, answer.headers["location"])) == "COMPLETED"
