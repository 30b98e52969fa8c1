"""Consoles of machines that only pretend: a serial line with somebody at its end, and a small screen."""

from __future__ import annotations

import shutil
import socket
import struct
import tempfile
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

from armillary.base.ids import ServerId
from armillary.cloud.model import ConsoleSockets

WIDTH, HEIGHT = 64, 48
_LOOK_SECONDS = 0.1
"""How soon a console notices that its machine has ended."""
_PROMPT = b"\r\nfake login: "
_COLOURS = (0xC03020, 0x20A040, 0x2040C0, 0xE0E0E0)
"""Of the screen's four stripes, from left to right, each 0xRRGGBB."""
_PIXEL_FORMAT = struct.pack(">BBBBHHHBBBxxx", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)
_SKIPPED = {4: 7, 5: 5}
"""Lengths of the client's messages that change nothing here, without their first byte: key, pointer."""

Talk = Callable[[socket.socket], None]


class FakeConsoles:
    """Listens for each machine that is asked after; `lives` tells whether a machine still runs."""

    def __init__(self, *, lives: Callable[[ServerId], bool]) -> None:
        self._lives = lives
        self._lock = threading.Lock()
        self._folder: Path | None = None

    def sockets(self, server_id: ServerId) -> ConsoleSockets:
        """Return where a running machine's consoles are."""
        with self._lock:
            serial = self._listening(server_id, "serial", self._serial)
            display = self._listening(server_id, "display", self._display)
        return ConsoleSockets(serial=serial, display=display)

    def _listening(self, server_id: ServerId, kind: str, talk: Callable[[ServerId], Talk]) -> Path:
        path = self._place() / f"{server_id[:13]}.{kind}"
        if not path.exists():
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(path))
            listener.listen(8)
            work = threading.Thread(
                target=self._serve, args=(listener, path, server_id, talk(server_id)), daemon=True
            )
            work.start()
        return path

    def _place(self) -> Path:
        if self._folder is None:  # short, since the name of a socket has at most 107 bytes
            self._folder = Path(tempfile.mkdtemp(prefix="armillary-fake-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return self._folder

    def _serve(self, listener: socket.socket, path: Path, server_id: ServerId, talk: Talk) -> None:
        with listener:
            listener.settimeout(_LOOK_SECONDS)
            while self._lives(server_id):
                try:
                    caller, _ = listener.accept()
                except TimeoutError:
                    continue
                threading.Thread(target=_converse, args=(caller, talk), daemon=True).start()
        path.unlink(missing_ok=True)

    def _serial(self, server_id: ServerId) -> Talk:
        """Say what one types, and ask who is there after each line."""

        def talk(caller: socket.socket) -> None:
            caller.sendall(_PROMPT)
            while self._lives(server_id):
                typed = _hear(caller)
                if typed == b"":
                    return
                if typed is not None:
                    caller.sendall(typed.replace(b"\r", b"\r\n") + (_PROMPT if b"\r" in typed else b""))

        return talk

    def _display(self, server_id: ServerId) -> Talk:
        """Speak RFB 3.8 (RFC 6143) without a password, and show four stripes."""

        def talk(caller: socket.socket) -> None:
            reader = _Reader(caller, lambda: self._lives(server_id))
            caller.sendall(b"RFB 003.008\n")
            reader.take(12)
            caller.sendall(b"\x01\x01")  # one way to sign in: none
            reader.take(1)
            caller.sendall(bytes(4))
            reader.take(1)
            name = f"fake {server_id}".encode()
            size = struct.pack(">HH", WIDTH, HEIGHT)
            caller.sendall(size + _PIXEL_FORMAT + struct.pack(">I", len(name)) + name)
            shifts = (16, 8, 0)
            while True:
                kind = reader.take(1)[0]
                if kind == 0:  # where in its 32 bits the client wants red, green and blue
                    shifts = struct.unpack(">BBB", reader.take(19)[13:16])
                elif kind == 2:
                    (count,) = struct.unpack(">xH", reader.take(3))
                    reader.take(4 * count)
                elif kind == 6:
                    (length,) = struct.unpack(">xxxI", reader.take(7))
                    reader.take(length)
                elif kind == 3:
                    if not reader.take(9)[0]:  # what changes is asked for too, and nothing ever does
                        caller.sendall(_screen(shifts))
                elif kind in _SKIPPED:
                    reader.take(_SKIPPED[kind])
                else:
                    return

        return talk


class _Reader:
    """Takes exactly so many bytes from a caller, as long as the machine lives."""

    def __init__(self, caller: socket.socket, lives: Callable[[], bool]) -> None:
        self._caller, self._lives = caller, lives
        self._kept = b""

    def take(self, count: int) -> bytes:
        while len(self._kept) < count:
            heard = _hear(self._caller)
            if heard == b"" or not self._lives():
                raise ConnectionError("the caller or the machine is gone")
            self._kept += heard or b""
        taken, self._kept = self._kept[:count], self._kept[count:]
        return taken


def _hear(caller: socket.socket) -> bytes | None:
    """Return what the caller says, nothing if it hung up, None if it is silent for a moment."""
    try:
        return caller.recv(4096)
    except TimeoutError:
        return None


def _converse(caller: socket.socket, talk: Talk) -> None:
    with caller:
        caller.settimeout(_LOOK_SECONDS)
        try:
            talk(caller)
        except OSError:
            return  # the caller hung up in the middle of a word


def _screen(shifts: tuple[int, ...]) -> bytes:
    """Return the whole screen as one raw rectangle of 32-bit pixels."""
    stripe = WIDTH // len(_COLOURS)
    row = b""
    for colour in _COLOURS:
        parts = (colour >> 16 & 255, colour >> 8 & 255, colour & 255)
        row += (
            struct.pack("<I", sum(part << shift for part, shift in zip(parts, shifts, strict=True))) * stripe
        )
    return struct.pack(">BxHHHHHi", 0, 1, 0, 0, WIDTH, HEIGHT, 0) + row * HEIGHT
