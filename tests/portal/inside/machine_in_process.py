"""A machine of which only the ssh and the consoles are real: asyncssh's and websockets' servers in this process."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import asyncssh
from websockets.asyncio.server import Server, ServerConnection, serve


class MachineInProcess:
    """Listens on the loopback; its coroutines run on the loop of whoever calls `start`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self.users: list[str] = []
        self.said = bytearray()
        self.shells = 0
        self._ssh: asyncssh.SSHAcceptor | None = None
        self._consoles: Server | None = None
        self._connections: list[asyncssh.SSHServerConnection] = []

    async def start(self, authorized_keys: str) -> int:
        """Have ssh answer, to whoever those lines let in; return its port."""
        machine = self

        class Door(asyncssh.SSHServer):
            def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
                machine._connections.append(conn)

            def begin_auth(self, username: str) -> bool:
                machine.users.append(username)
                return True

            def unix_connection_requested(self, dest_path: str) -> bool:
                return True

        self._ssh = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=Door,
            server_host_keys=[self.key],
            authorized_client_keys=asyncssh.import_authorized_keys(authorized_keys),
            process_factory=self._process,
            encoding=None,
        )
        return self._ssh.get_port()

    async def start_consoles(self) -> str:
        """Have a console answer, which repeats in capitals what it hears; return its WebSocket's address."""
        self._consoles = await serve(self._console, "127.0.0.1", 0, max_size=None)
        port = next(iter(self._consoles.sockets)).getsockname()[1]
        return f"ws://127.0.0.1:{port}/serial?token=secret"

    async def _console(self, connection: ServerConnection) -> None:
        await connection.send(b"login: ")
        async for message in connection:
            said = message.encode() if isinstance(message, str) else message
            self.said += said
            await connection.send(said.upper() if len(said) < 1000 else b"%d" % len(said))

    async def _process(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        if process.command is not None:
            await self._run(process)
            return
        self.shells += 1
        try:
            await self._shell(process)
        finally:
            self.shells -= 1

    async def _shell(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        process.stdout.write(b"welcome\r\n")
        while True:
            try:
                said = await process.stdin.read(65536)
            except asyncssh.TerminalSizeChanged as size:
                process.stdout.write(b"%d columns, %d rows\r\n" % (size.width, size.height))
                continue
            except asyncssh.Error:
                return
            self.said += said
            if not said or b"exit\r" in said:
                process.exit(0)
                return
            process.stdout.write(said.upper() if len(said) < 1000 else b"")

    async def _run(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Run a command for real, with a home in the machine's folder."""
        child = await asyncio.create_subprocess_exec(
            "sh", "-c", str(process.command),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={"HOME": str(self.folder), "PATH": f"{self.folder}:/usr/bin:/bin"},
        )  # fmt: skip
        assert child.stdout
        while piece := await child.stdout.read(4096):
            process.stdout.write(piece)
        process.exit(await child.wait())

    async def hang_up(self) -> None:
        """Break every connection, as a machine does that loses its power."""
        for connection in self._connections:
            connection.abort()

    async def stop(self) -> None:
        listeners: list[Any] = [one for one in (self._ssh, self._consoles) if one is not None]
        await self.hang_up()
        for listener in listeners:
            listener.close()
            await listener.wait_closed()
