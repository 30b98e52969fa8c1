"""Connections over ssh to machines, as the platform makes them for a person."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool

from armillary.accounts.model import Project
from armillary.base.errors import ArmillaryError, Conflict, NotFound, Unavailable
from armillary.fleet.model import FleetServer, SshAddress
from armillary.fleet.service import FleetService
from armillary.portal.inside.authority import ShellAuthority
from armillary.portal.inside.doorman import need_own
from armillary.portal.inside.host_keys import HostKeys, told_on_console
from armillary.portal.inside.tickets import Pass, Place

if TYPE_CHECKING:
    from asyncssh import SSHClient, SSHClientConnection, SSHKey

CONNECT_SECONDS, LOGIN_SECONDS = 20, 60
"""An emulated machine takes its time to sign in."""
KEEPALIVE_SECONDS = 15
_CONSOLE_LINES = 2000
_DEFAULT_LOGIN = "debian"


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where a machine's ssh answers, and as whom one signs in."""

    address: SshAddress
    login: str
    trusted: Sequence[str]
    """host keys that we know to be its own; none before the first time"""


class Reaching:
    """Connects to machines."""

    def __init__(self, *, fleet: FleetService, authority: ShellAuthority, host_keys: HostKeys) -> None:
        self._fleet = fleet
        self._authority = authority
        self._host_keys = host_keys

    async def connect(self, what: Pass) -> SSHClientConnection:
        """Return a connection to a machine; whoever asks for it closes it.

        Raises:
            Conflict: the machine does not run, is a worker, or another answers under its address.
            Unavailable: it does not answer, or does not let us in. The code says which.
        """
        import asyncssh

        machine = await run_in_threadpool(self._machine, what.place)
        shown: list[SSHKey] = []
        key, certificate = self._authority.credential(what.place.server_id, who=what.user_name)
        try:
            connection = await asyncssh.connect(
                machine.address.host,
                machine.address.port,
                username=machine.login,
                client_keys=[(key, certificate)],
                client_factory=lambda: _watching(machine.trusted, shown),
                known_hosts=([], [], []),  # so that each key is shown to the client
                config=[],
                agent_path=None,
                agent_forwarding=False,
                preferred_auth="publickey",
                connect_timeout=CONNECT_SECONDS,
                login_timeout=LOGIN_SECONDS,
                keepalive_interval=KEEPALIVE_SECONDS,
            )
        except asyncssh.PermissionDenied as error:
            raise Unavailable(
                "The machine's ssh does not let the portal in.",
                code="ssh_refused",
                facts={"login": machine.login},
                remedy="Use the serial terminal, and put the portal's line back into ~/.ssh/authorized_keys.",
            ) from error
        except asyncssh.HostKeyNotVerifiable as error:
            raise Conflict(
                "Something else than this machine answers under its address: its host key has changed.",
                code="host_key_changed",
                remedy="Use the serial terminal, and look there at /etc/ssh.",
            ) from error
        except (OSError, asyncssh.Error, TimeoutError) as error:
            raise Unavailable(
                "The machine's ssh does not answer.",
                code="ssh_unreachable",
                facts={"address": machine.address.host, "port": machine.address.port},
                remedy="Use the serial terminal: the machine still boots, or its sshd or a firewall says no.",
            ) from error
        async with AsyncExitStack() as undo:
            undo.push_async_callback(let_go, connection)
            if shown:
                line = _line(shown[0])
                await run_in_threadpool(
                    self._host_keys.keep, what.place.cloud, what.place.server_id, line, source="first use"
                )
            undo.pop_all()
        return connection

    def _machine(self, place: Place) -> Machine:
        server = self._fleet.server(place.cloud, place.project, place.server_id)
        need_own(server)
        if server.status != "ACTIVE":
            raise Conflict(
                "The machine does not run.",
                code="machine_not_running",
                facts={"status": server.status},
                remedy="Start it first.",
            )
        if server.ssh is None:
            raise Unavailable(
                "The machine has no address at which its ssh could answer.",
                code="no_ssh_address",
                remedy="Give it a floating IP, or use the serial terminal.",
            )
        return Machine(
            address=server.ssh,
            login=login_of(self._fleet, place.project, server),
            trusted=self._trusted(place),
        )

    def _trusted(self, place: Place) -> list[str]:
        """Keys that the machine has written on its console count above one that was kept: it may have been rebuilt."""
        kept = self._host_keys.of(place.cloud, place.server_id)
        told = self._told(place)
        if told and kept not in told:
            self._host_keys.keep(place.cloud, place.server_id, told[0], source="console")
        return told or ([kept] if kept else [])

    def _told(self, place: Place) -> list[str]:
        try:
            log = self._fleet.console_log(place.cloud, place.project, place.server_id, lines=_CONSOLE_LINES)
        except ArmillaryError:
            return []  # not every cloud gives the log away; the key that was kept counts
        return told_on_console(log)


def login_of(fleet: FleetService, project: Project, server: FleetServer) -> str:
    """Return the user to sign in as: what the image says."""
    if server.image_id is None:
        return _DEFAULT_LOGIN
    try:
        return fleet.image(server.cloud, project, server.image_id).login
    except NotFound:
        return _DEFAULT_LOGIN  # the image was deleted since; ours have this user


def _line(key: SSHKey) -> str:
    return " ".join(key.export_public_key("openssh").decode("ascii").split()[:2])


def _watching(trusted: Sequence[str], shown: list[SSHKey]) -> SSHClient:
    import asyncssh

    class Watching(asyncssh.SSHClient):
        def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
            if trusted:
                return _line(key) in trusted
            shown.append(key)
            return True

    return Watching()


async def let_go(connection: Any) -> None:
    """Close a connection and wait until it is closed, yet not for a machine that has fallen silent."""
    connection.close()
    try:
        await asyncio.wait_for(connection.wait_closed(), CONNECT_SECONDS)
    except TimeoutError:
        connection.abort()
