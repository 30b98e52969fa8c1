"""The switch: a small daemon of the standard library that carries frames between machines and their ways out.

One runs for each embedded cloud, beside the platform and not inside it, so that machines stay connected while the
platform is down. It reads its plan from a JSON file, and again when told to on its control socket; it holds its
pidfile locked while it lives, and ends by itself when that file is taken away.

    python -m armillary.cloud.engines.qemu.switch STATE PIDFILE CONTROL
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import json
import os
import resource
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from armillary.cloud.engines.qemu import ipv6_router
from armillary.cloud.engines.qemu.flows import Advertised, Exit, Port
from armillary.cloud.engines.qemu.forwarding import Forwarder
from armillary.cloud.engines.qemu.frames import IPV6
from armillary.cloud.engines.qemu.metadata import TICK_SECONDS, MetadataProxy, read_plan
from armillary.cloud.engines.qemu.plan_reading import read_port

STATE_VERSION = 3
_BURST = 64
"""Frames taken from one wire before the others have their turn."""
_QUEUE = 512
"""Frames kept for a receiver that is slow; later ones are lost, as on any wire."""
_RETRY_SECONDS = 0.2
_HOUSEKEEPING_SECONDS = 2.0
_MAX_FRAME = 16384
_GONE = (ConnectionRefusedError, FileNotFoundError, ConnectionResetError, PermissionError)


class Wire:
    """One end of a cable to QEMU: a bound socket to receive on, a connected one to send with.

    Two sockets, because a connected datagram socket tells when its receiver has room again, and a bound one that
    is not connected goes on receiving from a QEMU that was started anew.
    """

    def __init__(self, *, here: Path, there: Path, epoll: select.epoll) -> None:
        self.here, self.there = here, there
        self._epoll = epoll
        self.receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._sender: socket.socket | None = None
        self._queue: deque[bytes] = deque()
        self._retry_at = 0.0
        self.lost = 0
        self.octets_in = self.frames_in = self.octets_out = self.frames_out = 0
        """what came from QEMU, and what went there"""
        here.parent.mkdir(mode=0o700, exist_ok=True)
        here.unlink(missing_ok=True)
        self.receiver.bind(str(here))
        epoll.register(self.receiver, select.EPOLLIN)

    def send(self, frame: bytes, now: float) -> None:
        """Send a frame, or keep it until the receiver has room, or lose it."""
        if self._queue:
            if len(self._queue) < _QUEUE:
                self._queue.append(frame)
            else:
                self.lost += 1
            return
        sender = self._sender or self._connect(now)
        if sender is None:
            self.lost += 1
            return
        try:
            sender.send(frame)
            self.octets_out += len(frame)
            self.frames_out += 1
        except BlockingIOError:
            self._queue.append(frame)
            self._epoll.register(sender, select.EPOLLOUT)
        except _GONE:
            self._hang_up(now)
        except OSError:
            self.lost += 1  # too long for the receiver, or the system is short of buffers

    @property
    def waiting_fd(self) -> int:
        """Return the descriptor that tells of room, or -1 when nothing waits."""
        return self._sender.fileno() if self._sender is not None and self._queue else -1

    def drain(self, now: float) -> None:
        """Send what waits, as far as there is room."""
        sender = self._sender
        if sender is None:
            return
        try:
            while self._queue:
                sender.send(self._queue[0])
                self.octets_out += len(self._queue.popleft())
                self.frames_out += 1
        except BlockingIOError:
            return
        except OSError:
            self._hang_up(now)
            return
        self._epoll.unregister(sender)

    def close(self) -> None:
        """Take the cable away."""
        self._hang_up(0)
        self.receiver.close()
        self.here.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.here.parent.rmdir()  # the last one closes the door

    @property
    def is_cut(self) -> bool:
        """Return whether the machine's folder is there, made anew, and our end in it is not."""
        return not self.here.exists() and self.here.parent.exists()

    def _connect(self, now: float) -> socket.socket | None:
        if now < self._retry_at:
            return None
        sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            sender.connect(str(self.there))
        except OSError:
            sender.close()
            self._retry_at = now + _RETRY_SECONDS
            return None
        self._sender = sender
        return sender

    def _hang_up(self, now: float) -> None:
        if self._sender is not None:
            self._sender.close()  # epoll forgets it with its last descriptor
        self._sender = None
        self.lost += len(self._queue)
        self._queue.clear()
        self._retry_at = now


class Switch:
    """Wires, and the forwarder that says which frame goes on which."""

    def __init__(self, *, state: Path, control: Path) -> None:
        self._state_path = state
        self._control_path = control
        self._epoll = select.epoll()
        self._forwarder = Forwarder()
        self._wires: dict[Exit, Wire] = {}
        self._metadata = MetadataProxy(epoll=self._epoll, send=self._to_card)
        self._sources: dict[int, tuple[Port, bool, Wire]] = {}
        """By descriptor: the port, whether the frames are its card's, the wire that they come on."""
        self._carried = self._refused = 0
        self._stopping = False
        control.unlink(missing_ok=True)
        self._control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._control.bind(str(control))
        self._control.listen(8)
        self._epoll.register(self._control, select.EPOLLIN)
        self.reload()

    def reload(self) -> None:
        """Read the plan again and be as it says."""
        state: dict[str, Any] = json.loads(self._state_path.read_text(encoding="utf-8"))
        sockets: dict[Exit, tuple[Path, Path]] = {}
        ports: list[Port] = []
        for entry in state["ports"]:
            port, ends = read_port(entry), entry["sockets"]
            ports.append(port)
            sockets[port.card] = (Path(ends["nic_switch"]), Path(ends["nic"]))
            sockets[port.out] = (Path(ends["slirp_switch"]), Path(ends["slirp"]))
        own = own_addresses()
        before = {key: port.advertised for key, port in self._forwarder.ports.items()}
        self._forwarder.configure(ports, host_ports=frozenset(state["host_ports"]), own_addresses=own)
        self._rewire(sockets)
        self._metadata.configure(*read_plan(state))
        self._advertise(before)

    def _rewire(self, sockets: dict[Exit, tuple[Path, Path]]) -> None:
        for leaves, wire in list(self._wires.items()):
            if sockets.get(leaves) != (wire.here, wire.there) or wire.is_cut:
                wire.close()
                del self._wires[leaves]
        for leaves, (here, there) in sockets.items():
            if leaves not in self._wires:
                self._wires[leaves] = Wire(here=here, there=there, epoll=self._epoll)
        self._sources = {
            wire.receiver.fileno(): (self._forwarder.ports[key], side == "card", wire)
            for (key, side), wire in self._wires.items()
        }

    def serve(self, *, wanted: Callable[[], bool]) -> None:
        """Carry frames until told to stop, or until `wanted` (asked every two seconds) says no."""
        look_at = time.monotonic() + _HOUSEKEEPING_SECONDS
        while not self._stopping:
            busy = self._metadata.is_busy
            ready = self._epoll.poll(TICK_SECONDS if busy else _HOUSEKEEPING_SECONDS)
            now = time.monotonic()
            for fd, _ in ready:
                source = self._sources.get(fd)
                if source is not None:
                    self._carry(*source, now)
                elif fd == self._control.fileno():
                    self._obey()
                elif not self._metadata.ready(fd, now):
                    self._drain(fd, now)
            if busy:
                self._metadata.tick(now)
            if now >= look_at:
                look_at = now + _HOUSEKEEPING_SECONDS
                self._forwarder.sweep(now)
                if any(wire.is_cut for wire in self._wires.values()):
                    self._rewire({leaves: (wire.here, wire.there) for leaves, wire in self._wires.items()})
                if not wanted():
                    return

    def _carry(self, port: Port, from_card: bool, wire: Wire, now: float) -> None:
        receive, wires = wire.receiver.recv, self._wires
        decide = self._forwarder.from_card
        try:
            for _ in range(_BURST):
                frame = receive(_MAX_FRAME)
                wire.octets_in += len(frame)
                wire.frames_in += 1
                if from_card:
                    if frame[12:14] == IPV6:
                        self._carry_ipv6(port, frame, now)
                        continue
                    leaves = decide(port, frame, now)
                else:
                    leaves = port.card if self._forwarder.from_out(port, frame, now) else None
                if leaves is None:
                    self._refused += 1
                elif leaves in wires:
                    wires[leaves].send(frame, now)
                    self._carried += 1
                else:
                    self._metadata.take(leaves, frame, now)
        except BlockingIOError:
            return

    def _carry_ipv6(self, port: Port, frame: bytes, now: float) -> None:
        leaves = self._forwarder.ipv6.from_card(port, frame, now)
        for way in leaves:
            if way in self._wires:
                self._wires[way].send(frame, now)
            elif way == port.metadata:
                self._metadata.take(way, frame, now)
            else:
                said = ipv6_router.answer(port, frame)
                if said is not None:
                    self._wires[port.card].send(said, now)
        if leaves:
            self._carried += 1
        else:
            self._refused += 1

    def _advertise(self, before: dict[str, Advertised | None]) -> None:
        """Tell guests whose network has changed, without waiting for them to ask."""
        now = time.monotonic()
        for key, port in self._forwarder.ports.items():
            if port.advertised is not None and before.get(key) != port.advertised:
                self._wires[port.card].send(ipv6_router.advertisement(port, port.advertised), now)

    def _to_card(self, key: str, frame: bytes, now: float) -> None:
        self._wires[key, "card"].send(frame, now)

    def _drain(self, fd: int, now: float) -> None:
        for wire in self._wires.values():
            if wire.waiting_fd == fd:
                wire.drain(now)
                return

    def _obey(self) -> None:
        """Take one order: `reload`, `stats`, `traffic` or `stop`; answer with one line of JSON."""
        try:
            caller, _ = self._control.accept()
        except BlockingIOError:
            return
        with caller:
            caller.settimeout(0.5)
            try:
                caller.sendall(json.dumps(self._answer(caller.recv(64).strip())).encode() + b"\n")
            except OSError:
                return

    def _answer(self, order: bytes) -> dict[str, Any]:
        if order == b"reload":
            try:
                self.reload()
            except (OSError, ValueError, KeyError) as error:
                return {"error": f"{type(error).__name__}: {error}"}
        elif order == b"stop":
            self._stopping = True
        elif order == b"traffic":
            return {
                "traffic": {
                    key: [wire.octets_in, wire.frames_in, wire.octets_out, wire.frames_out]
                    for (key, side), wire in self._wires.items()
                    if side == "card"
                }
            }
        elif order != b"stats":
            return {"error": "unknown order"}
        lost = sum(wire.lost for wire in self._wires.values())
        return {
            "version": STATE_VERSION,
            "ports": len(self._forwarder.ports),
            "carried": self._carried,
            "refused": self._refused,
            "lost": lost,
        }

    def close(self) -> None:
        """Take all cables away."""
        self._metadata.close()
        for wire in self._wires.values():
            wire.close()
        self._control.close()
        self._control_path.unlink(missing_ok=True)
        self._epoll.close()


def own_addresses(table: Path = Path("/proc/net/fib_trie")) -> frozenset[bytes]:
    """Return this computer's own IPv4 addresses: what answers there is not for guests (`/32 host LOCAL` lines)."""
    found: set[bytes] = set()
    address = ""
    with contextlib.suppress(OSError):
        for line in table.read_text(encoding="ascii").splitlines():
            words = line.split()
            if words[:1] == ["|--"]:
                address = words[1]
            elif words == ["/32", "host", "LOCAL"]:
                found.add(IPv4Address(address).packed)
    return frozenset(found)


def main(arguments: list[str]) -> int:
    """Run the switch; return at once if another one holds the pidfile."""
    state, pidfile, control = map(Path, arguments)
    file = pidfile.open("a+", encoding="ascii")
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return 0
    file.seek(0)
    file.truncate()
    file.write(f"{os.getpid()}\n")
    file.flush()
    ours = os.fstat(file.fileno()).st_ino
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    switch = Switch(state=state, control=control)
    gc.freeze()

    def wanted() -> bool:
        try:
            return pidfile.stat().st_ino == ours
        except FileNotFoundError:
            return False

    try:
        switch.serve(wanted=wanted)
    finally:
        switch.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
