"""Transfers with another service: bytes come and go whole, and never where they must not."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator

import pytest
from another_service import NAME, Elsewhere, Handler, at_home, digest, page
from starlette.testclient import TestClient
from uws_talk import CORE, fault, made, over, phase_of, protocol, results, run, transfer

from armillary.accounts.model import Principal
from armillary.base.errors import Unavailable
from armillary.base.units import GiB
from armillary.vospace.build import build_jobs
from armillary.vospace.courier import HttpCourier, Limits
from armillary.vospace.service import JobService, VOSpaceService
from armillary.vospace.store import SqlJobRecords

DATA = bytes(range(256)) * 20_000


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    with Elsewhere() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def courier(elsewhere: Elsewhere) -> HttpCourier:
    """One who may go to that service, by its name, and whose name server answers loopback for everything."""
    return HttpCourier(
        allowed=[f"{NAME}:{elsewhere.server_port}"],
        resolver=at_home,
        limits=Limits(idle_seconds=10, redirects=3, octets=50_000_000),
    )


@pytest.fixture
def jobs(space: VOSpaceService, job_records: SqlJobRecords, courier: HttpCourier) -> Iterator[JobService]:
    jobs = build_jobs(records=job_records, space=space, courier=courier)
    yield jobs
    jobs.close()


def pull(*urls: str, to: str = "/home/ada/x") -> str:
    return transfer(to, "pullToVoSpace", inner="".join(protocol("httpget", url) for url in urls))


def push(*urls: str, of: str = "/home/ada/x") -> str:
    return transfer(of, "pushFromVoSpace", inner="".join(protocol("httpput", url) for url in urls))


def content(space: VOSpaceService, who: Principal, path: str = "/home/ada/x") -> bytes:
    return b"".join(space.open_bytes(who, path).chunks)


def nothing(http: TestClient, path: str = "/home/ada/x") -> bool:
    return http.get(f"/vault/nodes{path}").status_code == 404


def test_the_service_fetches_bytes_into_a_node(
    http: TestClient, elsewhere: Elsewhere, space: VOSpaceService, ada: Principal
) -> None:
    elsewhere.pages["/d?a=1&b=2"] = page(200, DATA, Content_Type="image/fits", Digest=digest(DATA))
    job = run(http, "/vault/transfers", pull(elsewhere.url("/d?a=1&amp;b=2")))
    assert (phase_of(job), fault(job)) == ("COMPLETED", "")
    assert content(space, ada) == DATA
    assert space.node(ada, "/home/ada/x").content_type == "image/fits"
    assert results(job)["dataNode"] == "vos://armillary.example~vault/home/ada/x"
    details = http.get(results(job)["transferDetails"]).text
    assert "pullToVoSpace" in details
    assert elsewhere.url("/d?a=1&amp;b=2") in details
    assert elsewhere.headers["Host"] == f"{NAME}:{elsewhere.server_port}"
    assert {"Authorization", "Cookie"}.isdisjoint(elsewhere.headers)


def test_bytes_that_come_in_pieces_of_unknown_number_are_fetched(
    http: TestClient, elsewhere: Elsewhere, space: VOSpaceService, ada: Principal
) -> None:
    def chunked(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")

    elsewhere.pages["/c"] = chunked
    assert phase_of(run(http, "/vault/transfers", pull(elsewhere.url("/c")))) == "COMPLETED"
    assert content(space, ada) == b"hello world"


def cut(handler: Handler) -> None:
    handler.say(200, b"x" * 1000, Content_Length="5000", Connection="close")
    handler.close_connection = True


def cut_chunk(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"5\r\nhello\r\n6\r\n wo")
    handler.close_connection = True


def endless(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(b"who knows")
    handler.close_connection = True


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (cut, "Transfer Failed"),
        (cut_chunk, "Transfer Failed"),
        (endless, "Transfer Failed"),
        (page(200, b"data", Digest=digest(b"other")), "Transfer Failed"),
        (page(200, b"data", Digest="md5=?"), "Transfer Failed"),
        (page(200, b"data", Content_Encoding="gzip"), "Transfer Failed"),
        (page(404), "Transfer Failed"),
        (page(500, b"oh"), "Transfer Failed"),
        (page(302), "Transfer Failed"),
        (page(200, b"", Content_Length=str(2**40)), "Invalid Argument"),
    ],
)
def test_what_does_not_arrive_whole_leaves_nothing(
    http: TestClient, elsewhere: Elsewhere, answer: Callable[[Handler], None], name: str
) -> None:
    elsewhere.pages["/d"] = answer
    job = run(http, "/vault/transfers", pull(elsewhere.url("/d")))
    assert phase_of(job) == "ERROR"
    assert fault(job).partition(":")[0] == name
    assert nothing(http)


def test_more_than_the_quota_is_not_fetched(
    http: TestClient, elsewhere: Elsewhere, space: VOSpaceService, ada: Principal
) -> None:
    elsewhere.pages["/d"] = page(200, b"", Content_Length="49000000")
    space.ensure_home(ada.person, GiB(0))
    job = run(http, "/vault/transfers", pull(elsewhere.url("/d")))
    assert fault(job).startswith("Quota Exceeded: ")
    assert nothing(http)


def test_the_endpoints_are_tried_in_turn_and_each_once(
    http: TestClient, elsewhere: Elsewhere, space: VOSpaceService, ada: Principal
) -> None:
    elsewhere.pages |= {"/b": page(503), "/c": page(200, b"data"), "/d": page(200, b"more")}
    urls = [elsewhere.url(path) for path in ("/a", "/b", "/a", "/c", "/d")]
    assert phase_of(run(http, "/vault/transfers", pull(*urls))) == "COMPLETED"
    assert elsewhere.asked == ["/a", "/b", "/c"]
    assert content(space, ada) == b"data"
    job = run(http, "/vault/transfers", pull(*urls[:3]))
    assert "answers 404" in fault(job)
    assert "answers 503" in fault(job)
    assert content(space, ada) == b"data"


def test_redirects_are_followed_and_judged(
    http: TestClient, elsewhere: Elsewhere, space: VOSpaceService, ada: Principal
) -> None:
    elsewhere.pages |= {
        "/a": page(303, Location="/b"),
        "/b": page(301, Location=elsewhere.url("/c")),
        "/c": page(200, b"data"),
        "/round": page(302, Location="/round"),
        "/in": page(302, Location=f"http://127.0.0.1:{elsewhere.server_port}/c"),
        "/name": page(302, Location=f"http://other.example.org:{elsewhere.server_port}/c"),
        "/file": page(302, Location="file:///etc/passwd"),
    }
    assert phase_of(run(http, "/vault/transfers", pull(elsewhere.url("/a")))) == "COMPLETED"
    assert content(space, ada) == b"data"
    for path, said in (
        ("/round", "on and on"),
        ("/in", "does not go to 127.0.0.1"),
        ("/name", "does not go to other.example.org"),
        ("/file", "An endpoint is the address"),
    ):
        elsewhere.asked.clear()
        job = run(http, "/vault/transfers", pull(elsewhere.url(path), to="/home/ada/y"))
        assert said in fault(job)
        assert "/c" not in elsewhere.asked
        assert nothing(http, "/home/ada/y")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "http://localhost:{port}/",
        "http://[::1]:{port}/",
        "http://elsewhere.example.org:{port}/",
        f"http://{NAME}:1/",
    ],
)
def test_the_service_goes_nowhere_that_only_it_can_reach(
    http: TestClient, elsewhere: Elsewhere, url: str
) -> None:
    elsewhere.pages["/"] = page(200, b"secret")
    address = url.format(port=elsewhere.server_port)
    for body in (pull(address), pull(address, to="/home/ada/y")):
        job = run(http, "/vault/transfers", body)
        assert fault(job).startswith("Permission Denied: The service does not go to ")
    assert elsewhere.asked == []


def test_a_name_is_looked_up_once_and_the_judged_address_is_used(elsewhere: Elsewhere) -> None:
    answers = iter([["127.0.0.1"], ["203.0.113.7"]])
    courier = HttpCourier(allowed=["127.0.0.0/8"], resolver=lambda host, port: next(answers))
    elsewhere.pages["/d"] = page(200, b"data")
    with courier.fetch(elsewhere.url("/d")) as arrival:
        assert b"".join(arrival.chunks) == b"data"
    assert next(answers) == ["203.0.113.7"]


def test_of_many_addresses_only_the_open_ones_are_tried(elsewhere: Elsewhere) -> None:
    courier = HttpCourier(
        allowed=[f"127.0.0.1:{elsewhere.server_port}"], resolver=lambda host, port: ["127.0.0.2", "127.0.0.1"]
    )
    elsewhere.pages["/d"] = page(200, b"data")
    with courier.fetch(elsewhere.url("/d")) as arrival:
        assert b"".join(arrival.chunks) == b"data"


def test_who_sends_too_slowly_is_left(elsewhere: Elsewhere) -> None:
    seconds = itertools.count(0, 100)
    courier = HttpCourier(
        allowed=["127.0.0.0/8"], resolver=at_home, limits=Limits(slowest=10), now=lambda: next(seconds)
    )
    elsewhere.pages["/fast"] = page(200, DATA)
    elsewhere.pages["/slow"] = page(200, b"x" * 500)
    with courier.fetch(elsewhere.url("/fast")) as arrival:
        assert b"".join(arrival.chunks) == DATA
    with (
        pytest.raises(Unavailable, match="sends too slowly"),
        courier.fetch(elsewhere.url("/slow")) as arrival,
    ):
        b"".join(arrival.chunks)


def test_who_never_ends_the_head_of_an_answer_is_left(elsewhere: Elsewhere) -> None:
    gone = threading.Event()

    def trickle(handler: Handler) -> None:
        handler.send_response(200)
        try:
            for number in range(1000):
                handler.send_header(f"X-{number}", "y")
                handler.flush_headers()
                gone.wait(0.01)
        except OSError:
            gone.set()

    elsewhere.pages["/d"] = trickle
    limits = Limits(idle_seconds=5, answer_seconds=0.1)
    courier = HttpCourier(allowed=["127.0.0.0/8"], resolver=at_home, limits=limits)
    with pytest.raises(Unavailable), courier.fetch(elsewhere.url("/d")):
        pass
    assert gone.wait(20)


def test_the_service_sends_a_nodes_bytes(
    http: TestClient, elsewhere: Elsewhere, space: VOSpaceService, ada: Principal
) -> None:
    space.put_bytes(ada, "/home/ada/x", [DATA], content_type="image/fits")
    elsewhere.pages |= {"/bad": page(500), "/on": page(307, Location="/in"), "/in": page(201)}
    job = run(http, "/vault/transfers", push(elsewhere.url("/bad"), elsewhere.url("/on")))
    assert (phase_of(job), fault(job)) == ("COMPLETED", "")
    assert elsewhere.received["/in"] == DATA
    assert elsewhere.headers["Digest"] == digest(DATA)
    assert elsewhere.headers["Content-Type"] == "image/fits"


def test_bytes_that_do_not_get_there_end_the_job_in_error(
    http: TestClient, elsewhere: Elsewhere, space: VOSpaceService, ada: Principal
) -> None:
    space.put_bytes(ada, "/home/ada/x", [b"data"])
    elsewhere.pages |= {"/full": page(507), "/other": page(201, Digest=digest(b"other"))}
    assert "Transfer Failed" in fault(run(http, "/vault/transfers", push(elsewhere.url("/full"))))
    assert "other bytes" in fault(run(http, "/vault/transfers", push(elsewhere.url("/other"))))
    absent = run(http, "/vault/transfers", push(elsewhere.url("/full"), of="/home/ada/absent"))
    assert fault(absent).startswith("Node Not Found: ")
    secret = run(http, "/vault/transfers", push(elsewhere.url("/full"), of="/home/bob/x"))
    assert fault(secret).startswith("Permission Denied: ")
    assert list(elsewhere.received) == ["/full", "/other"]


def test_a_transfer_without_an_endpoint_is_a_fault(http: TestClient) -> None:
    body = transfer("/home/ada/x", "pullToVoSpace", inner=protocol("httpget"))
    assert fault(run(http, "/vault/transfers", body)).startswith("Protocol Not Supported: ")
    body = transfer("/home/ada/x", "pullToVoSpace", inner='<vos:protocol uri="ivo://x#ftp"/>')
    assert fault(run(http, "/vault/transfers", body)).startswith("Protocol Not Supported: ")


def test_a_fetch_that_is_aborted_leaves_nothing(
    http: TestClient, elsewhere: Elsewhere, jobs: JobService
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(handler: Handler) -> None:
        handler.say(200, b"x" * (2 << 20), Content_Length=str(4 << 20))
        handler.wfile.flush()
        begun.set()
        go_on.wait(20)
        handler.wfile.write(b"x" * (2 << 20))

    elsewhere.pages["/d"] = slow
    job = made(http, "/vault/transfers?PHASE=RUN", pull(elsewhere.url("/d")))
    assert begun.wait(20)
    assert http.post(job + "/phase", data={"PHASE": "ABORT"}).status_code == 303
    go_on.set()
    assert phase_of(over(http, job)) == "ABORTED"
    jobs.close()
    assert nothing(http)


def test_bytes_for_a_container_get_a_name_of_their_own(
    http: TestClient, elsewhere: Elsewhere, space: VOSpaceService, ada: Principal
) -> None:
    space.make_container(ada, "/home/ada/c")
    elsewhere.pages["/d"] = page(200, b"data")
    for target in ("/home/ada/c", "/home/ada/c/.auto"):
        job = run(http, "/vault/transfers", pull(elsewhere.url("/d"), to=target))
        path = results(job)["target"].removeprefix("vos://armillary.example~vault")
        assert path.startswith("/home/ada/c/")
        assert content(space, ada, path) == b"data"
    assert (
        phase_of(run(http, "/vault/transfers", pull(elsewhere.url("/d"), to="/home/ada/.null")))
        == "COMPLETED"
    )
    assert [node.name for node in space.children(ada, "/home/ada")] == ["c"]


def test_transfers_with_another_service_are_jobs(http: TestClient, elsewhere: Elsewhere) -> None:
    answer = http.post(
        "/vault/synctrans", content=pull(elsewhere.url("/d")), headers={"Content-Type": "text/xml"}
    )
    assert answer.status_code == 501
    assert "transfers" in answer.text
    assert CORE + "httpget" in http.get("/vault/protocols").text
