"""A visitor of the portal in tests, and what it types."""

from __future__ import annotations

import re

from fastapi.testclient import TestClient

from armillary.accounts.model import Allocation
from armillary.base.units import GiB, MiB

PASSWORD = "correct horse battery"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5TTPRkbTzdUL6UOPSOtsCEjtnjJMgkM9pO4ChMvd1p ada@laptop"
ALLOCATION = Allocation(cores=4, ram=MiB(8192), disk=GiB(50), storage=GiB(10), batch_cores=4)
APPLICATION = {
    "project_name": "galaxies",
    "cores": "4",
    "ram": "8",
    "disk": "50",
    "storage": "100",
    "batch_cores": "16",
    "reason": "To count galaxies.",
}
TRIES = 3
"""that one network address has"""
REGISTRATION = {
    "user_name": "ada",
    "full_name": "Ada Lovelace",
    "email": "ada@example.org",
    "institute": "Analytical Engines",
    "password": PASSWORD,
    "password_again": PASSWORD,
    **APPLICATION,
}


class Browser:
    """A test client that fills in forms as a browser does: it takes the token from the page that it is on."""

    def __init__(self, client: TestClient, *, language: str = "en") -> None:
        self.client = client
        self.language = language

    def get(self, path: str, *, status: int = 200) -> str:
        reply = self.client.get(path, headers={"accept-language": self.language})
        assert reply.status_code == status, reply.text
        return reply.text

    def token(self) -> str:
        match = re.search(r'name="csrf" value="([0-9a-f]{64})"', self.get("/sign-in"))
        assert match
        return match.group(1)

    def post(
        self,
        path: str,
        fields: dict[str, str] | None = None,
        *,
        files: list[tuple[str, tuple[str, bytes]]] | None = None,
        status: int = 200,
    ) -> str:
        data = {"csrf": self.token(), **(fields or {})}
        reply = self.client.post(path, data=data, files=files, headers={"accept-language": self.language})
        assert reply.status_code == status, reply.text
        return reply.text

    def sign_in(self, user_name: str) -> Browser:
        self.post("/sign-in", {"user_name": user_name, "password": PASSWORD})
        return self
