"""A cloud in memory on which things go wrong."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from typing import Any

from armillary.accounts.model import Project
from armillary.base.clock import Clock
from armillary.base.errors import QuotaExceeded, Unavailable
from armillary.base.ids import ServerId
from armillary.fleet.fake import FakeCloud
from armillary.fleet.model import FleetServer, ServerRequest


class StormyCloud(FakeCloud):
    """The fake cloud with the faults of real ones, one at a time, each for the next call that it fits.

    Attributes:
        next_create: what becomes of the next create: `lost` (made, but the reply is lost), `refused` (by a quota that
            the limits did not show), `error`, `stuck` (in BUILD for ever), `mute` (its agent never reports).
        late: the list of servers is the one of the last look, as with an eventually consistent cloud.
        mute: servers that run and never report.
    """

    def __init__(self, *, name: str, clock: Clock, cores: int, number: int) -> None:
        super().__init__(name=name, clock=clock, cores=cores, number=number)
        self.next_create: str | None = None
        self.late = False
        self.mute: set[ServerId] = set()
        self._seen: dict[str, list[FleetServer]] = {}
        self._configs: dict[ServerId, Mapping[str, Any]] = {}
        self._stuck: set[ServerId] = set()

    def create(self, project: Project, request: ServerRequest) -> FleetServer:
        fault, self.next_create = self.next_create, None
        if fault == "refused":
            raise QuotaExceeded("Quota exceeded for cores: Requested 2, but already used 7 of 8 cores")
        server = super().create(project, request)
        self._configs[server.id] = _agent_config(request.user_data or "")
        match fault:
            case "lost":
                raise Unavailable(f"Cloud {self.name} broke off.", code="cloud_unreachable")
            case "error":
                self.set_status(server.id, "ERROR", fault="No valid host was found.")
            case "stuck":
                self._stuck.add(server.id)
            case "mute":
                self.mute.add(server.id)
            case _:
                pass
        return server

    def server(self, project: Project, server_id: ServerId) -> FleetServer:
        self.boots = server_id not in self._stuck
        return super().server(project, server_id)

    def servers(self, project: Project) -> list[FleetServer]:
        now = super().servers(project)
        shown = self._seen.get(project.id, now) if self.late else now
        self._seen[project.id] = now
        return shown

    def running(self, project: Project) -> list[FleetServer]:
        """What is there in truth, whatever the cloud's API says of it."""
        silent, self.silent = self.silent, False
        found = super().servers(project)
        self.silent = silent
        return found

    def vanish(self, server_id: ServerId) -> None:
        """Lose a machine without a trace."""
        del self._servers[server_id]

    def config_of(self, server_id: ServerId) -> Mapping[str, Any]:
        """What the server's agent reads at its start."""
        return self._configs[server_id]


def _agent_config(user_data: str) -> Mapping[str, Any]:
    for file in json.loads(user_data.removeprefix("#cloud-config\n"))["write_files"]:
        if file["path"] == "/etc/armillary/agent.json":
            return json.loads(gzip.decompress(base64.b64decode(file["content"])))
    raise AssertionError("the user data has no settings for the agent")
