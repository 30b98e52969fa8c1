"""Transfers within the tree and to the client, at once and as jobs."""

from __future__ import annotations

import pytest
from lxml import etree
from starlette.testclient import TestClient
from uws_talk import CORE, VOS, XML, fault, made, over, phase_of, protocol, results, run, transfer, uri

from armillary.accounts.model import Principal
from armillary.vospace.model import Change
from armillary.vospace.service import VOSpaceService

CERTIFICATE = "ivo://ivoa.net/sso#tls-with-certificate"


@pytest.fixture(autouse=True)
def tree(space: VOSpaceService, ada: Principal) -> None:
    space.make_container(ada, "/home/ada/c")
    space.put_bytes(ada, "/home/ada/c/x", [b"data"])
    space.make_container(ada, "/home/ada/goal")


def names(space: VOSpaceService, who: Principal, path: str) -> list[str]:
    return [node.name for node in space.children(who, path)]


def inside(source: str, goal: str, *, keep: bool) -> str:
    return transfer(source, uri(goal), keep="true" if keep else "false")


def protocols(details: bytes) -> list[tuple[str, str, list[str]]]:
    root = etree.fromstring(details)
    return [
        (
            element.get("uri").removeprefix(CORE),
            element.findtext(f"{{{VOS}}}endpoint"),
            [method.get("uri") for method in element.iterfind(f"{{{VOS}}}securityMethod")],
        )
        for element in root.iterfind(f"{{{VOS}}}protocol")
    ]


@pytest.mark.parametrize("keep", [True, False])
def test_a_branch_is_copied_or_moved_into_a_container(
    http: TestClient, space: VOSpaceService, ada: Principal, keep: bool
) -> None:
    job = run(http, "/vault/transfers", inside("/home/ada/c", "/home/ada/goal", keep=keep))
    assert phase_of(job) == "COMPLETED"
    assert results(job)["destination"] == "vos://armillary.example~vault/home/ada/goal/c"
    assert names(space, ada, "/home/ada/goal/c") == ["x"]
    assert names(space, ada, "/home/ada") == (["c", "goal"] if keep else ["goal"])
    details = http.get(results(job)["transferDetails"])
    assert protocols(details.content) == []
    assert f"<vos:keepBytes>{str(keep).lower()}</vos:keepBytes>" in details.text


@pytest.mark.parametrize("keep", [True, False])
def test_auto_makes_up_a_name_and_null_keeps_nothing(
    http: TestClient, space: VOSpaceService, ada: Principal, keep: bool
) -> None:
    job = run(http, "/vault/transfers", inside("/home/ada/c/x", "/home/ada/goal/.auto", keep=keep))
    (made_up,) = names(space, ada, "/home/ada/goal")
    assert results(job)["destination"].endswith(f"/home/ada/goal/{made_up}")
    job = run(http, "/vault/transfers", inside(f"/home/ada/goal/{made_up}", "/home/ada/.null", keep=keep))
    assert phase_of(job) == "COMPLETED"
    assert names(space, ada, "/home/ada/goal") == ([made_up] if keep else [])


@pytest.mark.parametrize(
    ("source", "direction", "said"),
    [
        ("/home/ada/absent", uri("/home/ada/y"), "Node Not Found"),
        ("/home/bob/x", uri("/home/ada/y"), "Permission Denied"),
        ("/home/ada/c", uri("/home/bob/y"), "Permission Denied"),
        ("/home/ada/c", uri("/home/ada/goal/x"), "Duplicate Node"),
        ("/home/ada/c", "vos://elsewhere~vault/x", "Invalid URI"),
        ("/home/ada/c", "vos:x", "Invalid URI"),
        ("/home/ada/../c", uri("/home/ada/y"), "Invalid URI"),
        ("/home/ada/c", uri("/home/ada/c/d"), "Invalid Argument"),
        ("/home/ada/c", "sideways", "Invalid Argument"),
        ("/home/ada/locked", uri("/home/ada/y"), "Node Locked"),
        ("/home/ada/c", "pullFromVoSpace", "Protocol Not Supported"),
    ],
)
def test_faults_end_the_job_and_stand_in_its_document(
    http: TestClient, space: VOSpaceService, ada: Principal, source: str, direction: str, said: str
) -> None:
    space.make_file(ada, "/home/ada/goal/x")
    space.make_file(ada, "/home/ada/locked")
    space.set_properties(ada, "/home/ada/locked", Change(is_locked=True))
    where = made(http, "/vault/transfers?PHASE=RUN", transfer(source, direction, keep="false"))
    job = over(http, where)
    assert (phase_of(job), fault(job).partition(":")[0]) == ("ERROR", said)
    assert http.get(where + "/error").text.startswith(said.replace(" ", "") + " - ")


@pytest.mark.parametrize("way", ["synctrans", "transfers"])
def test_bytes_go_up_and_down_by_negotiation(http: TestClient, stranger: TestClient, way: str) -> None:
    def endpoint(direction: str, name: str, target: str) -> str:
        body = transfer(target, direction, inner=protocol(name))
        if way == "synctrans":
            where = http.post("/vault/synctrans", content=body, headers=XML).headers["location"]
        else:
            where = results(run(http, "/vault/transfers", body))["transferDetails"]
        ((_, address, security),) = protocols(http.get(where).content)
        assert security == []
        return address

    put = stranger.put(endpoint("pushToVoSpace", "httpsput", "/home/ada/new"), content=b"bytes")
    assert put.status_code == 201
    assert stranger.get(endpoint("pullFromVoSpace", "httpsget", "/home/ada/new")).content == b"bytes"


def test_a_container_as_the_goal_of_bytes_means_inside_it(
    http: TestClient, stranger: TestClient, space: VOSpaceService, ada: Principal
) -> None:
    for target in ("/home/ada/goal", "/home/ada/goal/.auto"):
        job = run(http, "/vault/transfers", transfer(target, "pushToVoSpace", inner=protocol("httpsput")))
        ((_, address, _),) = protocols(http.get(results(job)["transferDetails"]).content)
        assert stranger.put(address, content=b"bytes").status_code == 201
        made_up = results(job)["target"].rpartition("/")[2]
        assert made_up in names(space, ada, "/home/ada/goal")
    assert len(names(space, ada, "/home/ada/goal")) == 2


def test_ways_to_sign_in_are_answered_as_far_as_we_know_them(http: TestClient) -> None:
    methods = "".join(f'<vos:securityMethod uri="{uri}"/>' for uri in (CERTIFICATE, "ivo://x#smoke-signals"))
    inner = (
        f'<vos:protocol uri="{CORE}httpsget">{methods}</vos:protocol>'
        f'<vos:protocol uri="{CORE}httpsget"><vos:securityMethod uri="ivo://x#smoke-signals"/></vos:protocol>'
        '<vos:protocol uri="ivo://x#ftp"/>' + protocol("httpsget") + protocol("httpsput")
    )
    posted = http.post(
        "/vault/synctrans", content=transfer("/home/ada/c/x", "pullFromVoSpace", inner=inner), headers=XML
    )
    anonymous, signed = protocols(http.get(posted.headers["location"]).content)
    assert anonymous[2] == []
    assert "grant:" in anonymous[1]
    assert signed == ("httpsget", "https://space:8443/vault/files/home/ada/c/x", [CERTIFICATE])


QUERY = {"TARGET": uri("/home/ada/c/x"), "DIRECTION": "pullFromVoSpace", "PROTOCOL": CORE + "httpsget"}


@pytest.mark.parametrize("how", ["GET", "POST", "form"])
def test_a_transfer_may_be_asked_for_by_parameters(http: TestClient, stranger: TestClient, how: str) -> None:
    def ask(**more: str) -> tuple[int, str, bytes]:
        if how == "form":
            answer = http.post("/vault/synctrans", data=QUERY | more)
        else:
            answer = http.request(how, "/vault/synctrans", params=QUERY | more)
        return answer.status_code, answer.headers.get("location", ""), answer.content

    status, _, details = ask()
    ((name, address, _),) = protocols(details)
    assert (status, name, stranger.get(address).content) == (200, "httpsget", b"data")
    status, location, _ = ask(REQUEST="redirect")
    assert (status, stranger.get(location).content) == (303, b"data")
    _, _, details = ask(SECURITYMETHOD=CERTIFICATE)
    assert protocols(details)[0][2] == [CERTIFICATE]
    assert ask(VIEW="ivo://x#unknown")[0] == 400
    assert ask(TARGET=uri("/home/ada/absent"))[0] == 404


@pytest.mark.parametrize(
    ("view", "status"),
    [
        (CORE + "defaultview", 303),
        (CORE + "anyview", 303),
        (CORE + "binaryview", 303),
        (CORE + "rss", 400),
        ("ivo://x#y", 400),
    ],
)
def test_views_of_a_file(http: TestClient, view: str, status: int) -> None:
    inner = f'<vos:view uri="{view}"><vos:param uri="ivo://x#y">1 &lt; 2</vos:param></vos:view>'
    body = transfer("/home/ada/c/x", "pullFromVoSpace", inner=inner + protocol("httpsget"))
    answer = http.post("/vault/synctrans", content=body, headers=XML)
    assert answer.status_code == status
    if status == 303:
        details = http.get(answer.headers["location"]).text
        assert f'<vos:view uri="{view}"><vos:param uri="ivo://x#y">1 &lt; 2</vos:param></vos:view>' in details
    else:
        assert answer.text.startswith("ViewNotSupported - ")


def test_what_synctrans_made_is_a_job_that_is_over(http: TestClient) -> None:
    body = transfer("/home/ada/c/x", "pullFromVoSpace", inner=protocol("httpsget"))
    details = http.post("/vault/synctrans", content=body, headers=XML).headers["location"]
    where = details.removesuffix("/results/transferDetails")
    job = etree.fromstring(http.get(where).content)
    assert (phase_of(job), results(job)) == ("COMPLETED", {"transferDetails": details})
    assert http.get(where + "/phase").text == "COMPLETED"
    assert http.get(where + "/error").text == ""


def test_a_form_with_too_many_fields_is_refused(http: TestClient) -> None:
    form = "&".join(f"a{number}=1" for number in range(2000))
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert http.post("/vault/synctrans", content=form, headers=headers).status_code == 400
    assert http.post("/vault/async-delete", content=form, headers=headers).status_code == 400
