"""Another service, on the loopback, which answers what a test wants."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NAME = "data.example.org"


def at_home(host: str, port: int) -> list[str]:
    """A name server for which everything is here."""
    return ["127.0.0.1"]


def digest(data: bytes) -> str:
    return "md5=" + base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


class Elsewhere(ThreadingHTTPServer):
    """Another service, on the loopback. What it answers at a path is up to the test."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages: dict[str, Callable[[Handler], None]] = {}
        self.asked: list[str] = []
        self.received: dict[str, bytes] = {}
        self.headers: dict[str, str] = {}

    def url(self, path: str) -> str:
        return f"http://{NAME}:{self.server_port}{path}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are part of the test."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Elsewhere

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.headers = dict(self.headers.items())
        self.server.pages.get(self.path, lambda handler: handler.say(404))(self)

    def do_PUT(self) -> None:
        length = int(self.headers["Content-Length"])
        self.server.received[self.path] = self.rfile.read(length)
        self.do_GET()

    def say(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content_Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def page(status: int, body: bytes = b"", **headers: str) -> Callable[[Handler], None]:
    return lambda handler: handler.say(status, body, **headers)
