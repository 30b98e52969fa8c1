"""What a `Line` is over ssh: a login shell with a terminal, or a socket inside of the machine."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from armillary.base.errors import Unavailable
from armillary.portal.inside.reaching import let_go

if TYPE_CHECKING:
    from asyncssh import SSHClientConnection, SSHClientProcess, SSHReader, SSHWriter

_PIECE = 65536


class ShellLine:
    """A login shell with a terminal. It ends with the connection, which is its own."""

    def __init__(self, connection: SSHClientConnection, process: SSHClientProcess[bytes]) -> None:
        self._connection = connection
        self._process = process

    @classmethod
    async def reach(cls, connection: SSHClientConnection) -> ShellLine:
        """Start it.

        Raises:
            Unavailable: the machine gives no terminal.
        """
        import asyncssh

        async with AsyncExitStack() as undo:
            undo.push_async_callback(let_go, connection)
            try:
                process = await connection.create_process(
                    request_pty="force",
                    term_type="xterm-256color",
                    term_size=(80, 24),
                    encoding=None,
                    stderr=asyncssh.STDOUT,
                )
            except (asyncssh.Error, OSError) as error:
                raise Unavailable(
                    "The machine's ssh gives no terminal.",
                    code="ssh_refused",
                    remedy="Use the serial terminal.",
                ) from error
            undo.pop_all()
        return cls(connection, process)

    async def read(self) -> bytes:
        import asyncssh

        try:
            return await self._process.stdout.read(_PIECE)
        except asyncssh.Error as error:
            raise EOFError from error

    async def write(self, data: bytes) -> None:
        import asyncssh

        try:
            self._process.stdin.write(data)
            await self._process.stdin.drain()
        except asyncssh.Error as error:
            raise EOFError from error

    def resize(self, rows: int, cols: int) -> None:
        self._process.change_terminal_size(cols, rows)

    async def close(self) -> None:
        self._process.close()
        await let_go(self._connection)


class SocketLine:
    """A UNIX socket inside of the machine. The connection is its own."""

    def __init__(
        self, connection: SSHClientConnection, reader: SSHReader[bytes], writer: SSHWriter[bytes]
    ) -> None:
        self._connection = connection
        self._reader = reader
        self._writer = writer

    @classmethod
    async def reach(cls, connection: SSHClientConnection, path: str) -> SocketLine:
        """Open it.

        Raises:
            Unavailable: nobody listens there.
        """
        import asyncssh

        anyhow: Any = connection  # its types do not say what encoding does
        async with AsyncExitStack() as undo:
            undo.push_async_callback(let_go, connection)
            try:
                reader, writer = await anyhow.open_unix_connection(path, encoding=None)
            except (asyncssh.Error, OSError) as error:
                raise Unavailable(
                    "It does not run in the machine any more.",
                    code="workspace_gone",
                    remedy="Open it again from the machine's page.",
                ) from error
            undo.pop_all()
        return cls(connection, reader, writer)

    async def read(self) -> bytes:
        import asyncssh

        try:
            return await self._reader.read(_PIECE)
        except asyncssh.Error as error:
            raise EOFError from error

    async def write(self, data: bytes) -> None:
        import asyncssh

        try:
            self._writer.write(data)
            await self._writer.drain()
        except asyncssh.Error as error:
            raise EOFError from error

    def resize(self, rows: int, cols: int) -> None:
        """A screen says so in its own protocol."""

    async def close(self) -> None:
        self._writer.close()
        await let_go(self._connection)
