"""A machine that joins a pool and a job that begins in it wait for the platform alike: for what passes, and no longer."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from armillary.guest.agent import beside
from armillary.guest.agent.basics import Fault

BEGUN = {"job": "7.0", "attempt": 1, "cpus": 1, "given": [], "fetch": [], "credential": None}
Act = Callable[[float], None]


class Platform:
    """Says no as often and in the way that it is told to, and then yes."""

    def __init__(self) -> None:
        self.refusals: list[tuple[int, str]] = []
        self.asked: list[str] = []
        platform = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                name = self.path.removeprefix("/agent/v1/")
                if name == "probe":
                    self._say(200, {"questions": None})
                    return
                platform.asked.append(name)
                if platform.refusals:
                    status, code = platform.refusals.pop(0)
                    self._say(status, {"error": {"code": code, "message": "no"}})
                else:
                    self._say(200, BEGUN if name.endswith("start") else {"token": "a.b.c"})

            def _say(self, status: int, body: dict[str, Any]) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    monkeypatch.setattr(beside, "PULSE", 0.0)
    made = Platform()
    yield made
    made.close()


@pytest.fixture(params=["join", "prepare"])
def act(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: Platform
) -> Act:
    """What is done with so much patience, in seconds.."""
    config = {"url": platform.url, "bootstrap_token": "t"}
    if request.param == "join":
        return lambda patience: beside.join(config, tmp_path / "token", patience=patience)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (scratch / beside.KEY).write_text("key\n")
    (tmp_path / "ad").write_text("JobCurrentStartDate = 17\n")
    monkeypatch.setenv("_CONDOR_JOB_AD", str(tmp_path / "ad"))
    return lambda patience: beside.prepare(scratch, config, patience=patience)


@pytest.fixture
def passing(request: pytest.FixtureRequest, act: Act) -> str:
    """The refusal that time mends."""
    name = request.node.callspec.params["act"]
    return beside.NOT_MEASURED if name == "join" else beside.NOT_YET


def test_it_waits_for_what_passes(platform: Platform, act: Act, passing: str, tmp_path: Path) -> None:
    platform.refusals = [(412, passing), (503, ""), (409, passing)]
    act(60)
    assert len(platform.asked) == 4
    left = [tmp_path / "token", tmp_path / "scratch" / beside.OWN / "begun"]
    assert [file.exists() for file in left].count(True) == 1


def test_another_refusal_ends_it_at_once(platform: Platform, act: Act) -> None:
    platform.refusals = [(403, "forbidden"), (403, "forbidden")]
    with pytest.raises(Fault, match="refused: 403 forbidden") as caught:
        act(60)
    assert (len(platform.asked), caught.value.record["retry"]) == (1, False)


def test_the_refusal_that_the_other_waits_for_ends_it_too(platform: Platform, act: Act, passing: str) -> None:
    (other,) = {beside.NOT_MEASURED, beside.NOT_YET} - {passing}
    platform.refusals = [(409, other)]
    with pytest.raises(Fault, match=other):
        act(60)


def test_patience_ends_and_another_machine_may_try(platform: Platform, act: Act) -> None:
    platform.refusals = [(503, "")] * 3
    with pytest.raises(Fault, match=r"has not let (this machine join|the job begin): .*503") as caught:
        act(-1)
    assert (len(platform.asked), caught.value.record["retry"]) == (1, True)
