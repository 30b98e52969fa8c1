"""Signing in, the settings that stay, and the ways it fails."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest
from terminal import Terminal
from whole_platform import PASSWORD, WholePlatform

from armillary.accounts.certificates import Authority
from armillary.base.clock import SystemClock
from armillary.client.errors import Unreachable
from armillary.client.http import Armillary, trust


def settings(terminal: Terminal) -> Path:
    return terminal.home / "armillary" / "config.toml"


def test_login_keeps_a_token_for_its_owner_alone(vera: Terminal, platform: WholePlatform):
    kept = tomllib.loads(settings(vera).read_text())
    assert (kept["url"], kept["user"], kept["project"]) == (platform.url, "vera", "rotation")
    assert settings(vera).stat().st_mode & 0o777 == 0o600
    assert vera.json("project", "list")[0]["name"] == "rotation"


def test_logout_revokes_the_token(vera: Terminal, platform: WholePlatform):
    token = tomllib.loads(settings(vera).read_text())["token"]
    vera("logout")
    assert "token" not in tomllib.loads(settings(vera).read_text())
    assert "armillary login" in vera("jobs", status=4).stderr
    os.environ["ARMILLARY_TOKEN"] = token
    try:
        assert vera("jobs", status=4).stderr.startswith("error:")
    finally:
        del os.environ["ARMILLARY_TOKEN"]


def test_a_wrong_password_is_refused_with_status_4(terminal: Terminal, platform: WholePlatform):
    result = terminal("login", "vera", "--url", platform.url, "--password-stdin", stdin="wrong\n", status=4)
    assert result.stderr.startswith("error:")
    assert not settings(terminal).exists()


def test_no_answer_is_status_3_with_a_remedy(terminal: Terminal):
    result = terminal(
        "login", "vera", "--url", "http://127.0.0.1:1", "--password-stdin", stdin="x\n", status=3
    )
    assert "no answer from http://127.0.0.1:1" in result.stderr
    assert "armillary status" in result.stderr


def test_refusals_are_json_too_when_asked_for(terminal: Terminal):
    error = terminal.json("jobs", status=4)["error"]
    assert (error["code"], error["status"]) == ("not_signed_in", 401)


def test_the_environment_stands_above_the_file(terminal: Terminal, platform: WholePlatform, monkeypatch):
    made = platform.accounts.authenticate("vera", PASSWORD)
    from datetime import timedelta

    from armillary.accounts.model import TokenKind

    token = platform.accounts.issue_token(made.id, kind=TokenKind.API, lifetime=timedelta(days=1)).secret
    monkeypatch.setenv("ARMILLARY_URL", platform.url)
    monkeypatch.setenv("ARMILLARY_TOKEN", token)
    assert terminal.json("project", "show", "rotation")["name"] == "rotation"


def test_a_platform_on_this_machine_is_found_by_its_note(
    terminal: Terminal, platform: WholePlatform, monkeypatch
):
    home = terminal.home / "platform"
    home.mkdir(parents=True)
    (home / "run.json").write_text(f'{{"url": "{platform.url}", "ca_file": "{home}/ca.pem"}}')
    monkeypatch.setenv("ARMILLARY_HOME", str(home))
    terminal("login", "vera", "--password-stdin", stdin=PASSWORD + "\n")


class TlsServer:
    """A server with a certificate of our own authority that answers nothing but handshakes."""

    def __init__(self, folder: Path) -> None:
        import socket
        import ssl
        import threading

        self.authority = Authority(directory=folder, clock=SystemClock())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.authority.server_certificate(["127.0.0.1"]))
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"

        def serve() -> None:
            while True:
                connection, _ = listener.accept()
                try:
                    with context.wrap_socket(connection, server_side=True) as secured:
                        if secured.recv(4096):
                            secured.sendall(answer)
                except OSError:
                    continue

        threading.Thread(target=serve, daemon=True).start()


def test_an_unknown_certificate_is_refused_with_a_remedy(terminal: Terminal, tmp_path: Path):
    server = TlsServer(tmp_path / "ca")
    result = terminal("login", "vera", "--url", server.url, "--password-stdin", stdin="x\n", status=3)
    assert "--trust" in result.stderr
    assert ":" in result.stderr.split("fingerprint is")[1]


def test_trust_on_first_use_pins_the_certificate_that_was_shown(tmp_path: Path):
    from armillary.client.trusting import certificate_of

    server, impostor = TlsServer(tmp_path / "ca"), TlsServer(tmp_path / "other")
    pem, fingerprint = certificate_of(server.url)
    assert len(fingerprint.split(":")) == 32
    (tmp_path / "pinned.pem").write_text(pem)
    with Armillary(url=server.url, ca_file=str(tmp_path / "pinned.pem")) as http:
        assert http.get("/") == {}
    with (
        Armillary(url=impostor.url, ca_file=str(tmp_path / "pinned.pem")) as http,
        pytest.raises(Unreachable) as caught,
    ):
        http.get("/")
    assert caught.value.code == "untrusted_certificate"
    assert trust(None).verify_mode.name == "CERT_REQUIRED"


def test_a_new_password_replaces_the_old_one(terminal: Terminal, platform: WholePlatform) -> None:
    # somebody of this test alone: the others go on signing in as vera
    platform.accounts.create_person(user_name="nancy", password=PASSWORD)
    new = "a different river 9"
    sign_in = ("login", "nancy", "--url", platform.url, "--password-stdin")
    terminal(*sign_in, stdin=f"{PASSWORD}\n")
    terminal("password", "--stdin", stdin=f"{PASSWORD}\n{new}\n")
    assert "wrong" in terminal(*sign_in, stdin=f"{PASSWORD}\n", status=4).stderr.lower()
    terminal(*sign_in, stdin=f"{new}\n")
