"""`canfar data`, of the stock client of CANFAR's science platform, on both faces of the tree."""

import json
import subprocess
import time
from pathlib import Path

import pytest
from space_clients import Space, Terminal
from warm_client import WarmClient

pytestmark = pytest.mark.interop


class CanfarData:
    """Runs `canfar data` with the platform as its only server."""

    def __init__(self, *, terminal: Terminal, client: WarmClient) -> None:
        self.home = terminal.home
        self._client = client
        url = f"https://{terminal.space.host}"
        storage = {
            face: {"uri": f"ivo://armillary.example/{face}", "url": f"{url}/{face}"}
            for face in ("vault", "arc")
        }
        pem = self.home / ".ssl" / "cadcproxy.pem"
        settings = {
            "version": 2,
            "active": {"authentication": "cadc", "server": "ours"},
            "authentication": {"cadc": {"mode": "x509", "path": str(pem), "expiry": time.time() + 3600}},
            "servers": {
                "ours": {
                    "idp": "cadc", "uri": "ivo://armillary.example/skaha", "url": f"{url}/skaha",
                    "version": "v1", "auths": ["x509"], "storage": storage,
                }
            },
        }  # fmt: skip
        terminal.file(".canfar/config.yaml", json.dumps(settings).encode())  # which is YAML too
        authority = terminal.file("ca.pem", terminal.space.authority.ca_pem)
        self._environment = {**terminal.environment, "SSL_CERT_FILE": str(authority), "NO_COLOR": "1"}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self._client.run("canfar", "data", *words, env=self._environment, cwd=self.home)

    def __call__(self, *words: str) -> str:
        """What a command prints, which must succeed."""
        done = self.run(*words)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def local(self, name: str) -> str:
        """A file of this computer, as the command writes it."""
        return f"local:{self.home / name}"


@pytest.fixture
def data(ada: Terminal, canfar_client: WarmClient) -> CanfarData:
    return CanfarData(terminal=ada, client=canfar_client)


@pytest.fixture
def at(face: str, folder: str) -> str:
    """The test's container, as the command writes it."""
    return f"{'vault' if face == 'vos' else face}:{folder}"


def test_canfar_data_lists_and_shows(data: CanfarData, at: str, space: Space, folder: str) -> None:
    space.put(f"{folder}/b (1).txt", b"hello, sky")
    space.mkdir(f"{folder}/night")
    assert "b (1).txt" in data("ls", at)
    long = data("ls", "-l", at)
    assert "ada" in long
    assert "10" in long
    del space.requests[:]
    assert data("head", "-c", "5", f"{at}/b (1).txt") == "hello"
    assert (
        len([request for request in space.requests if "synctrans" in request]) == 1
    )  # it is sent on at once
    assert data("tail", "-c", "3", f"{at}/b (1).txt") == "sky"
    assert data("cat", f"{at}/b (1).txt") == "hello, sky"
    assert data("size", f"{at}/b (1).txt").split()[0] == "10"
    assert "night" in data("tree", at)


def test_canfar_data_copies_up_and_down(data: CanfarData, at: str, space: Space, folder: str) -> None:
    here = data.home / "here" / "deep"
    here.mkdir(parents=True)
    (here / "one.txt").write_bytes(b"1" * 100_000)
    (here.parent / "two.txt").write_bytes(b"2")
    data("cp", data.local("here/two.txt"), f"{at}/two.txt")
    data("cp", f"{at}/two.txt", data.local("back.txt"))
    assert (data.home / "back.txt").read_bytes() == b"2"
    data("cp", "-R", data.local("here"), f"{at}/here")
    assert space.read(f"{folder}/here/deep/one.txt") == b"1" * 100_000
    data("cp", "-R", f"{at}/here", data.local("again"))
    assert Path(data.home, "again", "deep", "one.txt").stat().st_size == 100_000


def test_canfar_data_makes_moves_and_removes(data: CanfarData, at: str, space: Space, folder: str) -> None:
    data("mkdir", "-p", f"{at}/a/b")
    space.put(f"{folder}/first.txt", b"1")
    data("mv", f"{at}/first.txt", f"{at}/a/second.txt")
    assert space.names(f"{folder}/a") == ["b", "second.txt"]
    data("rm", f"{at}/a/second.txt")
    data("rmdir", f"{at}/a/b")
    assert space.names(f"{folder}/a") == []


def test_canfar_data_says_what_is_not_there_or_not_allowed(data: CanfarData, at: str) -> None:
    missing = data.run("cat", f"{at}/nothing")
    assert (missing.returncode, "not found" in missing.stderr) == (1, True)
    face = at.partition(":")[0]
    closed = data.run("ls", f"{face}:/home/bob")
    assert (closed.returncode, "permission denied" in closed.stderr) == (1, True)
