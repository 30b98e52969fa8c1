"""JupyterLab in a machine: begun over ssh, reached at an origin of its own, and no way from there to the portal."""

from __future__ import annotations

import json
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from a_server import a_server
from fastapi.testclient import TestClient
from portal_visitor import Browser
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.websockets import WebSocketDisconnect

from armillary.accounts.model import Project
from armillary.fleet.fake import FakeCloud
from armillary.fleet.model import FleetServer
from armillary.fleet.service import FleetService
from armillary.portal.inside.proxy import COOKIE, MOST_SOCKETS, InsideProxy
from armillary.portal.inside.service import Inside

PROGRAM = Path(__file__).with_name("notebooks_in_process.py")

pytestmark = pytest.mark.usefixtures("machine")


@pytest.fixture
def notebooks(home: Path) -> None:
    """The machine has a `jupyter-lab` already."""
    folder = home / ".local" / "bin"
    folder.mkdir(parents=True)
    program = folder / "jupyter-lab"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {PROGRAM} "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def elsewhere(inside: Inside) -> Iterator[TestClient]:
    """A browser at the machines' own origins."""
    # the proxy alone has no beginning and end, which the test client asks for
    proxy = Starlette(routes=[Mount("", InsideProxy(inside=inside, pattern="http://*.localhost:8090"))])
    with TestClient(proxy, base_url="http://nobody.localhost:8090", follow_redirects=False) as client:
        yield client
        assert client.portal
        client.portal.call(inside.tunnels.close)
        assert inside.tunnels.count == 0


def begun(visitor: Browser, server: FleetServer) -> str:
    """Start it as a person does, and return the address, good once, where the portal sends the browser."""
    path = f"/machines/east/{server.id}/inside/jupyter"
    visitor.post(f"{path}/start")
    end = time.monotonic() + 60
    while " data-go>" not in (reply := visitor.client.get(f"{path}/standing")).text:
        assert "Try again" not in reply.text, reply.text
        assert time.monotonic() < end, reply.text
        time.sleep(0.05)
    assert "hx-trigger" not in reply.text  # who asks on would begin the way in anew each second
    reply = visitor.client.get(f"{path}/open", follow_redirects=False)
    assert reply.status_code == 303
    return reply.headers["location"]


@pytest.fixture
def origin(
    ada: Browser, server: FleetServer, notebooks: None, elsewhere: TestClient, home: Path
) -> Iterator[str]:
    """Where ada's machine is, after she went there with a ticket; her browser has the cookie."""
    address = begun(ada, server)
    reply = elsewhere.get(address)
    assert (reply.status_code, reply.headers["location"]) == (303, "/lab")
    parts = urlsplit(address)
    origin = f"{parts.scheme}://{parts.netloc}"
    yield origin
    there = httpx2.HTTPTransport(uds=str(home / ".local/share/armillary/run/jupyter.sock"))
    with httpx2.Client(transport=there) as machine, suppress(httpx2.HTTPError):  # it may have ended already
        machine.get("http://localhost/end")


def told(reply: Any) -> dict[str, Any]:
    assert reply.status_code == 200, reply.text
    return json.loads(reply.text)


def test_a_notebooks_page_comes_through_with_what_was_asked_for(elsewhere: TestClient, origin: str) -> None:
    asked = told(elsewhere.get(f"{origin}/api/contents/a%20b%2Fc?x=1&y=%2F"))
    assert (asked["method"], asked["target"]) == ("GET", "/api/contents/a%20b%2Fc?x=1&y=%2F")
    saved = told(
        elsewhere.put(f"{origin}/api/contents/n", content=b"x" * 3_000_000, headers={"origin": origin})
    )
    assert (saved["method"], len(saved["body"])) == ("PUT", 3_000_000)


def test_a_machine_sees_neither_our_cookie_nor_whence_the_browser_comes(
    elsewhere: TestClient, origin: str
) -> None:
    headers = {
        "cookie": f'{COOKIE}={elsewhere.cookies[COOKIE]}; _xsrf="2|a=b"',
        "referer": "http://localhost:8080/files/secret",
    }
    elsewhere.cookies.clear()
    asked = dict(told(elsewhere.get(f"{origin}/lab", headers=headers))["headers"])
    assert asked["cookie"] == '_xsrf="2|a=b"'
    assert asked["host"] == "localhost"
    assert "referer" not in asked


def test_a_machine_can_neither_replace_our_cookie_nor_set_one_elsewhere_nor_open_itself_to_others(
    elsewhere: TestClient, origin: str
) -> None:
    reply = elsewhere.get(f"{origin}/hostile")
    assert reply.headers.get_list("set-cookie") == ["own=1; Path=/"]
    for dropped in ("access-control-allow-origin", "strict-transport-security", "clear-site-data"):
        assert dropped not in reply.headers
    assert reply.headers["x-frame-options"] == "SAMEORIGIN"
    assert reply.headers["cross-origin-opener-policy"] == "same-origin"
    assert reply.headers["referrer-policy"] == "no-referrer"


def test_where_a_machine_sends_the_browser_stays_at_its_origin(elsewhere: TestClient, origin: str) -> None:
    assert elsewhere.get(f"{origin}/moved").headers["location"] == "/lab/tree?a=b"
    assert elsewhere.get(f"{origin}/nowhere").status_code == 302


def test_cookies_of_a_machine_are_kept_by_the_browser_alone(elsewhere: TestClient, origin: str) -> None:
    elsewhere.get(f"{origin}/hostile")
    only_ours = {"cookie": f"{COOKIE}={elsewhere.cookies[COOKIE]}"}
    elsewhere.cookies.clear()
    assert "cookie" not in dict(told(elsewhere.get(f"{origin}/lab", headers=only_ours))["headers"])


def test_who_comes_again_comes_by_the_same_way(
    ada: Browser, server: FleetServer, origin: str, elsewhere: TestClient, inside: Inside
) -> None:
    cookie = elsewhere.cookies[COOKIE]
    assert elsewhere.get(begun(ada, server)).status_code == 303
    assert (inside.tunnels.count, elsewhere.cookies[COOKIE]) == (1, cookie)
    ada.sign_in("ada")  # another session, which ends by itself
    assert elsewhere.get(begun(ada, server)).status_code == 303
    assert inside.tunnels.count == 2


def test_the_cookie_is_for_no_script_and_for_this_host_alone(
    ada: Browser, server: FleetServer, origin: str, elsewhere: TestClient
) -> None:
    reply = elsewhere.get(begun(ada, server))
    cookie = reply.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "domain" not in cookie
    assert ada.client.cookies["armillary_session"] not in reply.headers["set-cookie"]


def test_a_ticket_leads_there_once(
    ada: Browser, server: FleetServer, origin: str, elsewhere: TestClient
) -> None:
    address = begun(ada, server)
    assert elsewhere.get(address).status_code == 303
    assert elsewhere.get(address).status_code == 403


def test_a_ticket_or_a_cookie_of_one_machine_opens_no_other(
    ada: Browser, server: FleetServer, origin: str, elsewhere: TestClient
) -> None:
    other = f"http://m-{'0' * 24}.localhost:8090"
    address = begun(ada, server)
    assert elsewhere.get(address.replace(origin, other)).status_code == 403
    cookie = {"cookie": f"{COOKIE}={elsewhere.cookies[COOKIE]}"}
    assert elsewhere.get(f"{other}/lab", headers=cookie).status_code == 401
    assert elsewhere.get(f"{origin}/lab", headers=cookie).status_code == 200


def test_without_a_cookie_there_is_nothing(elsewhere: TestClient, origin: str) -> None:
    elsewhere.cookies.clear()
    assert elsewhere.get(f"{origin}/lab").status_code == 401
    for host in ("localhost:8090", "127.0.0.1:8090", "m-a.b.localhost:8090", "evil.example"):
        assert elsewhere.get("http://x.localhost:8090/lab", headers={"host": host}).status_code == 404


@pytest.mark.parametrize("foreign", ["http://localhost:8080", "http://evil.example", "null"])
def test_pages_of_other_origins_change_nothing_there(
    elsewhere: TestClient, origin: str, foreign: str
) -> None:
    reply = elsewhere.post(f"{origin}/api/kernels", json={}, headers={"origin": foreign})
    assert reply.status_code == 403
    with pytest.raises(WebSocketDisconnect):
        socket_to(elsewhere, origin, foreign).__enter__()


def test_pages_of_other_machines_embed_nothing_of_this_one_and_may_link_to_it(
    elsewhere: TestClient, origin: str
) -> None:
    picture = {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors"}
    assert elsewhere.get(f"{origin}/api/contents/x", headers=picture).status_code == 403
    assert elsewhere.get(f"{origin}/lab", headers=picture | {"sec-fetch-mode": "navigate"}).status_code == 200
    own = picture | {"sec-fetch-site": "same-origin"}
    assert elsewhere.get(f"{origin}/api/contents/x", headers=own).status_code == 200


def test_a_machine_leads_no_connection_of_ours_elsewhere(elsewhere: TestClient, origin: str) -> None:
    headers = {"origin": origin, "cookie": f"{COOKIE}={elsewhere.cookies[COOKIE]}"}
    with pytest.raises(WebSocketDisconnect):
        elsewhere.websocket_connect(
            origin.replace("http", "ws", 1) + "/led-away", headers=headers
        ).__enter__()


def test_no_more_than_so_many_websockets_are_open_to_one_machine(elsewhere: TestClient, origin: str) -> None:
    with ExitStack() as all_of_them:
        for _ in range(MOST_SOCKETS):
            assert all_of_them.enter_context(socket_to(elsewhere, origin)).receive_text()
        with pytest.raises(WebSocketDisconnect):
            socket_to(elsewhere, origin).__enter__()
    with socket_to(elsewhere, origin) as kernel:
        assert kernel.receive_text()


def test_a_post_that_does_not_say_whence_it_comes_is_refused(elsewhere: TestClient, origin: str) -> None:
    assert elsewhere.post(f"{origin}/api/kernels", json={}).status_code == 403


def socket_to(elsewhere: TestClient, origin: str, page: str | None = None) -> Any:
    address = f"{origin.replace('http', 'ws', 1)}/api/kernels/k/channels?session_id=1"
    headers = {"origin": page or origin, "cookie": f"{COOKIE}={elsewhere.cookies[COOKIE]}; _xsrf=2"}
    return elsewhere.websocket_connect(
        address, headers=headers, subprotocols=["v1.kernel.websocket.jupyter.org"]
    )


def test_kernels_talk_over_websockets(elsewhere: TestClient, origin: str) -> None:
    with socket_to(elsewhere, origin) as kernel:
        assert kernel.accepted_subprotocol == "v1.kernel.websocket.jupyter.org"
        assert kernel.receive_text() == "_xsrf=2"
        kernel.send_text('{"code": "6*7"}')
        assert kernel.receive_text() == '{"code": "6*7"}'
        kernel.send_bytes(bytes(2_000_000))
        assert kernel.receive_bytes() == bytes(2_000_000)


def test_signing_out_of_the_portal_ends_what_is_open_there(
    ada: Browser, elsewhere: TestClient, origin: str, inside: Inside
) -> None:
    with socket_to(elsewhere, origin) as kernel:
        assert kernel.receive_text()
        ada.post("/sign-out")
        message = kernel.receive()
        assert (message["type"], message["code"]) == ("websocket.close", 4401)
    assert elsewhere.get(f"{origin}/lab").status_code == 401
    assert inside.tunnels.count == 0


def test_what_has_ended_in_the_machine_is_said_so(elsewhere: TestClient, origin: str) -> None:
    elsewhere.get(f"{origin}/end")
    end = time.monotonic() + 30
    while (reply := elsewhere.get(f"{origin}/lab")).status_code == 200:
        assert time.monotonic() < end
    assert reply.status_code == 502


def test_a_machine_without_a_way_in_says_why_it_has_no_notebook(
    ada: Browser, clouds: list[FakeCloud], fleet: FleetService, project: Project
) -> None:
    other = a_server(fleet, clouds, project)  # its certificate does not open the machine that answers
    path = f"/machines/east/{other.id}/inside/jupyter"
    ada.post(f"{path}/start")
    end = time.monotonic() + 30
    while "Try again" not in (text := ada.get(f"{path}/standing")):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert "does not let the portal in" in text
    assert f"/machines/east/{other.id}/inside/serial" in text


def test_nobody_is_led_to_what_was_never_started(ada: Browser, server: FleetServer) -> None:
    path = f"/machines/east/{server.id}/inside/jupyter"
    reply = ada.client.get(f"{path}/open", follow_redirects=False)
    assert reply.headers["location"] == f"{path}/start"
    assert "Open" in ada.get(f"{path}/start")
