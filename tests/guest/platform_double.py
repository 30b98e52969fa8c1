"""A platform in one object that speaks the agent protocol over real HTTP, scripted and observed by tests."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import select
import socket
import ssl
import sys
import threading
import urllib.parse
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PATIENCE = 30.0
IMAGE = "ab" * 64


class PlatformDouble:
    """Hands out the jobs that a test puts in, and keeps all that an agent sends."""

    def __init__(self, *, certificate: tuple[Path, Path] | None = None, lease_seconds: float = 60) -> None:
        self.lease_seconds = lease_seconds
        self.changed = threading.Condition()
        self.waiting: list[dict[str, Any]] = []
        self.blobs: dict[str, bytes] = {}
        self.registrations: list[dict[str, Any]] = []
        self.claims: list[dict[str, Any]] = []
        self.renewals: list[dict[str, Any]] = []
        self.finished: list[dict[str, Any]] = []
        self.outputs: dict[tuple[str, int, str], bytes] = {}
        self.logs: dict[tuple[str, str], bytearray] = {}
        self.lost: list[str] = []
        self.remove: list[str] = []
        self.credentials: dict[str, dict[str, Any]] = {}
        self.epoch = 0
        self.retire = False
        self.calls: list[dict[str, Any]] = []
        self.renew = False
        self.closed = False
        self.checkpoints: list[dict[str, Any]] = []
        self.claim_with_finish = False
        self.byes = 0
        self.ended_after: list[int] = []
        """of each end how many claims had come by then"""
        self.failures: dict[str, list[int]] = {}
        """status codes to answer, one per call, before a call of this name works again"""
        self.stale: set[str] = set()
        self.session_keys = {"key-1"}
        double = self

        class Handler(_Handler):
            platform = double

        self._server = _Listener(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://localhost:{self._server.server_port}".replace("localhost", "127.0.0.1")
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()

    def close(self) -> None:
        with self.changed:
            self.closed = True
            self.changed.notify_all()
        self._server.shutdown()
        self._server.server_close()

    def wait_for(self, happened: Callable[[], Any]) -> Any:
        """Block until `happened()` is true; fail after half a minute."""
        with self.changed:
            assert self.changed.wait_for(happened, PATIENCE), "it did not happen in time"
            return happened()

    def put_job(
        self,
        script: str,
        *,
        job: str = "1.0",
        attempt: int = 1,
        inputs: dict[str, bytes] | None = None,
        credential: dict[str, Any] | None = None,
        **spec: Any,
    ) -> None:
        """Queue a shell script as a job; `spec` overrides the fields of the job spec."""
        files = {"run.sh": f"#!/bin/sh\n{script}\n".encode(), **(inputs or {})}
        listed = []
        for path, content in files.items():
            digest = hashlib.sha256(content).hexdigest()
            self.blobs[digest] = content
            mode = 0o755 if path == "run.sh" else 0o644
            listed.append({"path": path, "sha256": digest, "size": len(content), "mode": mode})
        made = {
            "proc": 0,
            "executable": "run.sh",
            "transfer_executable": True,
            "arguments": [],
            "environment": {},
        }
        made |= {"transfer_input_files": list(inputs or {}), "transfer_output_files": None, "request_cpus": 1}
        made |= {"request_memory_mib": 16, "request_disk_kib": 1024, **spec}
        item = {"job": job, "attempt": attempt, "lease_secret": f"secret-{job}-{attempt}", "spec": made}
        item |= {"lease_seconds": self.lease_seconds, "inputs": listed, "credential": credential}
        with self.changed:
            self.waiting.append(item)
            self.changed.notify_all()

    def hang_up(self) -> None:
        """Let the claims that wait go away with nothing, as a server does that sees its caller gone."""
        with self.changed:
            self.epoch += 1
            self.changed.notify_all()

    def end_of(self, job: str) -> dict[str, Any]:
        """Wait for the finish of a job and return it."""
        return self.wait_for(lambda: next((f for f in self.finished if f["job"] == job), None))

    def output(self, job: str, name: str, attempt: int = 1) -> bytes:
        return self.outputs[job, attempt, name]

    # --- what the handler asks

    def answer(
        self, name: str, body: dict[str, Any], there: Callable[[], bool]
    ) -> tuple[int, dict[str, Any]]:
        if self.failures.get(name):
            return self.failures[name].pop(0), {}
        if body.get("job") in self.stale:
            return 409, {"error": {"code": "stale_attempt", "message": "not yours any more"}}
        return 200, self._claim(body, there) if name == "claim" else getattr(self, f"_{name}")(body)

    def _probe(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"questions": None}

    def _register(self, body: dict[str, Any]) -> dict[str, Any]:
        self.registrations.append(body)
        key = f"key-{len(self.registrations)}"
        self.session_keys = {key}
        facts = {"worker": "w1", "lease_seconds": 60, "poll_seconds": 1}
        return {"session_key": key, **facts, "claim_with_finish": self.claim_with_finish}

    def _claim(self, body: dict[str, Any], there: Callable[[], bool]) -> dict[str, Any]:
        self.claims.append(body)
        self.changed.notify_all()
        epoch = self.epoch
        self.changed.wait_for(lambda: self.waiting or self.retire or self.epoch != epoch, 1.0)
        if self.epoch != epoch or not there():  # an agent that was killed takes nothing with it
            return {"jobs": []}
        return {"jobs": (taken := self._taken(body)), "retire": self.retire and not taken}

    def _taken(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        room = body["free"]["cpus"]
        taken: list[dict[str, Any]] = []
        while self.waiting and self.waiting[0]["spec"]["request_cpus"] <= room:
            taken.append(self.waiting.pop(0))
            room -= taken[-1]["spec"]["request_cpus"]
        return taken

    def _renew(self, body: dict[str, Any]) -> dict[str, Any]:
        self.renewals.append(body)
        return {"lost": self.lost, "remove": self.remove, "credential": self.credentials}

    def _logs(self, body: dict[str, Any]) -> dict[str, Any]:
        kept = self.logs.setdefault((body["job"], body["stream"]), bytearray())
        kept[body["offset"] :] = base64.b64decode(body["data"])
        return {"size": len(kept)}

    def _calls(self, body: dict[str, Any]) -> dict[str, Any]:
        self.changed.wait_for(lambda: self.calls or self.renew or self.closed, 1.0)
        answer = {"calls": self.calls, "renew": self.renew}
        self.calls, self.renew = [], False
        return answer

    def _checkpoint(self, body: dict[str, Any]) -> dict[str, Any]:
        self.checkpoints.append(body)
        return {"ok": True}

    def _finish(self, body: dict[str, Any]) -> dict[str, Any]:
        self.finished.append(body)
        self.ended_after.append(len(self.claims))
        more = {"jobs": self._taken(body), "retire": self.retire} if "free" in body else {}
        return {"ok": True, "state": "completed", **more}

    def _bye(self, body: dict[str, Any]) -> dict[str, Any]:
        self.byes += 1
        return {"ok": True}


class _Listener(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Agents are killed in these tests, and then do not hang up properly."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    platform: PlatformDouble
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Tests are quiet."""

    def _reply(self, status: int, payload: bytes) -> None:
        with contextlib.suppress(ConnectionError):  # an agent that was killed does not wait for answers
            self.send_response(status)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _there(self) -> bool:
        """Whether the caller has not hung up; over TLS nobody looks."""
        if isinstance(self.connection, ssl.SSLSocket) or not select.select([self.connection], [], [], 0)[0]:
            return True
        with contextlib.suppress(ConnectionError):
            return bool(self.connection.recv(1, socket.MSG_PEEK))
        return False

    def _name(self) -> str:
        return urllib.parse.urlsplit(self.path).path.removeprefix("/agent/v1/")

    def _known(self) -> bool:
        if self.headers.get("Authorization", "").removeprefix("Bearer ") in self.platform.session_keys:
            return True
        self._reply(401, b'{"error": {"code": "bad_session", "message": "who are you?"}}')
        return False

    def do_POST(self) -> None:
        body = json.loads(self._body())
        if self._name() not in ("probe", "register") and not self._known():
            return
        with self.platform.changed:
            status, answer = self.platform.answer(self._name(), body, self._there)
            self.platform.changed.notify_all()
        self._reply(status, json.dumps(answer).encode())

    def do_GET(self) -> None:
        if self._known():
            self._reply(200, self.platform.blobs[self._name().removeprefix("blobs/")])

    def do_PUT(self) -> None:
        content = self._body()
        if not self._known():
            return
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        with self.platform.changed:
            status, answer = 200, {}
            if self.platform.failures.get("outputs"):
                status = self.platform.failures["outputs"].pop(0)
            elif query["job"] in self.platform.stale:
                status, answer = 409, {"error": {"code": "stale_attempt", "message": "not yours"}}
            else:
                assert hashlib.sha256(content).hexdigest() == self.headers["X-SHA256"]
                self.platform.outputs[query["job"], int(query["attempt"]), query["name"]] = content
            self.platform.changed.notify_all()
        self._reply(status, json.dumps(answer).encode())
