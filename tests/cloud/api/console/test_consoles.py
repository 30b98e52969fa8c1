"""Consoles of machines of the fake engine: the addresses that Nova's API gives, and what answers there."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.websockets import WebSocketDisconnect

from armillary.cloud.consoles.service import LIFETIME, MOST_TICKETS
from armillary.cloud.engines.fake.consoles import HEIGHT, WIDTH

ORIGIN = "http://cloud.test:9101"


@pytest.fixture(scope="module")
def stage(common_stage):
    return common_stage


@pytest.fixture(scope="module")
def ada(common_member_of):
    return common_member_of("m51", "ada")


@pytest.fixture(scope="module")
def bob(common_member_of):
    return common_member_of("ngc253", "bob")


@pytest.fixture(scope="module")
def root(common_root):
    return common_root


@pytest.fixture(scope="module")
def server_id(ada):
    return ada.up("vm1")


def console(user, server_id, protocol="vnc", kind="novnc"):
    body = {"remote_console": {"protocol": protocol, "type": kind}}
    return user.call("POST", f"/compute/v2.1/servers/{server_id}/remote-consoles", body)


def url_of(user, server_id, protocol="vnc", kind="novnc"):
    answer = console(user, server_id, protocol, kind)
    assert answer.status_code == 200, answer.text
    assert answer.json()["remote_console"].keys() == {"protocol", "type", "url"}
    return answer.json()["remote_console"]["url"]


def line_of(url):
    """The path of the WebSocket that a console's address leads to."""
    query = parse_qs(urlsplit(url).query)
    if "path" in query:
        return "/" + query["path"][0]
    return url.removeprefix(ORIGIN.replace("http", "ws"))


def hears(websocket, count):
    heard = b""
    while len(heard) < count:
        heard += websocket.receive_bytes()
    return heard


def test_a_screens_address_is_a_page_with_novnc(stage, ada, server_id):
    url = url_of(ada, server_id)
    assert url.startswith(f"{ORIGIN}/console/vnc_lite.html?path=console/websockify%3Ftoken%3D")
    page = stage.http.get(url)
    assert (page.status_code, "noVNC" in page.text, "<script" in page.text) == (200, True, True)
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "no-referrer"
    script = stage.http.get("/console/novnc/core/rfb.js")
    assert (script.status_code, script.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert stage.http.get("/console/serial.html?token=x").status_code == 200
    assert stage.http.get("/console/../app.py").status_code == 404
    assert stage.http.get("/console/nothing").status_code == 404


def test_behind_a_screens_address_a_screen_is_sent(stage, ada, server_id):
    path = line_of(url_of(ada, server_id))
    with stage.http.websocket_connect(path, subprotocols=["binary"]) as screen:
        assert screen.accepted_subprotocol == "binary"
        assert hears(screen, 12) == b"RFB 003.008\n"
        screen.send_bytes(b"RFB 003.008\n")
        assert hears(screen, 2) == b"\x01\x01"
        screen.send_bytes(b"\x01")
        assert hears(screen, 4) == bytes(4)
        screen.send_bytes(b"\x01")
        assert hears(screen, 24)[:4] == WIDTH.to_bytes(2, "big") + HEIGHT.to_bytes(2, "big")
        screen.send_bytes(b"\x03\x00" + bytes(4) + WIDTH.to_bytes(2, "big") + HEIGHT.to_bytes(2, "big"))
        assert len(hears(screen, 16 + 4 * WIDTH * HEIGHT)) >= 4 * WIDTH * HEIGHT


def test_behind_a_serial_lines_address_somebody_answers(stage, ada, server_id):
    url = url_of(ada, server_id, "serial", "serial")
    assert url.startswith("ws://cloud.test:9101/console/serial?token=")
    with stage.http.websocket_connect(line_of(url), subprotocols=["binary"]) as line:
        assert hears(line, 14) == b"\r\nfake login: "
        line.send_bytes(b"ada\r")
        assert hears(line, 5) == b"ada\r\n\r\nfake login: "
        line.send_text("bob\r")
        assert hears(line, 5).startswith(b"bob\r\n")


def test_a_serial_line_goes_to_whoever_comes_last(stage, ada, server_id):
    path = line_of(url_of(ada, server_id, "serial", "serial"))
    with stage.http.websocket_connect(path) as first:
        hears(first, 14)
        with stage.http.websocket_connect(path) as second:
            assert hears(second, 14) == b"\r\nfake login: "
            with pytest.raises(WebSocketDisconnect):
                first.receive_bytes()


def test_a_console_ends_with_its_machine(stage, ada):
    server_id = ada.up("vm2")
    path = line_of(url_of(ada, server_id))
    with stage.http.websocket_connect(path) as screen:
        hears(screen, 12)
        stage.machines.stop(server_id)
        with pytest.raises(WebSocketDisconnect):
            screen.receive_bytes()


def opens(stage, path, **headers):
    try:
        with stage.http.websocket_connect(path, headers=headers):
            return True
    except WebSocketDisconnect:
        return False


def test_an_address_opens_nothing_but_its_own_console(stage, ada, server_id):
    screen, line = line_of(url_of(ada, server_id)), line_of(url_of(ada, server_id, "serial", "serial"))
    assert not opens(stage, screen.replace("websockify", "serial"))
    assert not opens(stage, line.replace("/serial", "/websockify"))
    assert not opens(stage, screen.replace("token=", "token=bad"))
    assert not opens(stage, "/console/websockify")


def test_an_address_ends_after_ten_minutes(stage, ada, server_id):
    path = line_of(url_of(ada, server_id))
    stage.clock.advance(LIFETIME - timedelta(seconds=1))
    assert opens(stage, path)
    stage.clock.advance(timedelta(seconds=1))
    assert not opens(stage, path)


def test_so_many_addresses_of_one_server_are_good_at_once(stage, ada, server_id):
    paths: list[str] = []
    for _ in range(MOST_TICKETS + 1):
        paths.append(line_of(url_of(ada, server_id)))
        stage.clock.advance(timedelta(seconds=1))
    assert [opens(stage, path) for path in (paths[0], paths[1], paths[-1])] == [False, True, True]


def test_an_address_ends_with_its_server(stage, ada):
    server_id = ada.up("vm3")
    path = line_of(url_of(ada, server_id))
    ada.call("DELETE", f"/compute/v2.1/servers/{server_id}")
    stage.settle()
    assert not opens(stage, path)


def test_pages_from_elsewhere_open_nothing(stage, ada, server_id):
    path = line_of(url_of(ada, server_id))
    assert not opens(stage, path, origin="https://evil.example")
    assert not opens(stage, path, origin="null")
    assert opens(stage, path, origin="http://testserver", host="testserver")


def test_no_other_room_opens_websockets(stage):
    for path in ("/", "/compute/v2.1/servers", "/identity/v3", "/metadata/latest"):
        with pytest.raises(WebSocketDisconnect), stage.http.websocket_connect(path):
            pass


@pytest.mark.parametrize(
    ("protocol", "kind", "words"),
    [
        ("spice", "spice-html5", "Unavailable console type spice-html5."),
        ("rdp", "rdp-html5", "Unavailable console type rdp-html5."),
        ("mks", "webmks", "Unavailable console type webmks."),
        ("vnc", "xvpvnc", "Invalid console type xvpvnc"),
        ("serial", "novnc", "Invalid console type novnc"),
        ("vnc", "telnet", "Invalid input for field/attribute"),
    ],
)
def test_consoles_that_there_are_not_are_refused_in_novas_words(ada, server_id, protocol, kind, words):
    answer = console(ada, server_id, protocol, kind)
    assert (answer.status_code, answer.json()["badRequest"]["message"].startswith(words)) == (400, True)


def test_a_machine_that_does_not_run_has_no_console(stage, ada):
    server_id = ada.up("vm4")
    ada.act(server_id, "os-stop")
    stage.settle()
    answer = console(ada, server_id)
    assert answer.status_code == 409
    assert answer.json()["conflictingRequest"]["message"].startswith(f"Instance {server_id} is not ready")


def test_somebody_elses_machine_has_no_console_for_us(bob, server_id):
    assert console(bob, server_id).status_code == 404


@pytest.mark.parametrize(
    ("action", "kind"), [("os-getVNCConsole", "novnc"), ("os-getSerialConsole", "serial")]
)
def test_old_clients_ask_by_an_action(ada, server_id, action, kind):
    answer = ada.at("2.1").act(server_id, action, {"type": kind})
    assert answer.status_code == 200
    assert answer.json()["console"].keys() == {"type", "url"}
    assert ada.at("2.6").act(server_id, action, {"type": kind}).status_code == 404
    assert console(ada.at("2.5"), server_id).status_code == 404


def test_old_clients_are_refused_in_the_same_words(ada, server_id):
    old = ada.at("2.1")
    answer = old.act(server_id, "os-getSPICEConsole", {"type": "spice-html5"})
    assert answer.json()["badRequest"]["message"] == "Unavailable console type spice-html5."
    assert old.act(server_id, "os-getVNCConsole", {"type": "nothing"}).status_code == 400
    assert old.act(server_id, "os-getVNCConsole", None).status_code == 400


def test_administrators_see_what_an_address_opens(ada, root, server_id):
    token = line_of(url_of(ada, server_id)).split("token=")[1]
    path = f"/compute/v2.1/os-console-auth-tokens/{token}"
    found = root.ok("GET", path)["console"]
    assert (found["instance_uuid"], found["host"], found["port"]) == (server_id, "cloud.test", 9101)
    assert root.call("GET", path + "x").status_code == 404
    assert root.at("2.30").call("GET", path).status_code == 401
    assert ada.call("GET", path).status_code == 403
