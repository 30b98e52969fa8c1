"""Machines that join a test's HTCondor pool by the user data of a worker, from a network that nobody can connect to."""

from __future__ import annotations

import base64
import ctypes
import fcntl
import gzip
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from htcondor_pool import Pool
from htcondor_root import ENVIRONMENT, LAST_WORDS, MOUNTS

_MACHINE = """\
hostname "$3"
mount --bind "$state/etc" "$root/etc"
mount --bind "$state/opt" "$root/opt"
mount --bind "$state/usr/local" "$root/usr/local"
mount --bind "$2" "$root/bench"
echo waiting
read -r _
PATH=/opt/bin:$PATH chroot "$root" sh /opt/armillary/start >"$state/start.out" 2>&1 </dev/null
echo started
read -r _ || true
rm -rf "$state"
"""

_SYSTEMCTL = """\
#!/bin/sh
# Stands for systemd: what cloud-init would have started is started.
case "$*" in restart*condor*) /usr/sbin/condor_master ;; esac
"""


@dataclass(kw_only=True)
class Machine:
    """A machine that was booted with user data."""

    init: int
    state: Path
    root: Path

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the machine."""
        inside = ["nsenter", "-t", str(self.init), "-m", "-p", "-n", "chroot", str(self.root), *command]
        return subprocess.run(inside, capture_output=True, text=True, check=False, env=ENVIRONMENT)

    def logs(self) -> str:
        """The ends of its logs, for a test that fails."""
        return self.run("sh", "-c", LAST_WORDS).stdout


@contextmanager
def machine(pool: Pool, name: str, user_data: str, *, ports: Sequence[int] = ()) -> Iterator[Machine]:
    """Boot a machine with cloud-init's user data, as far as HTCondor is concerned: a root of its own, in a network
    that has nothing but a way out to the pool's port, and `ports`. Nobody can connect to it.
    """
    state = Path(tempfile.mkdtemp(prefix="armillary-machine-"))
    state.chmod(0o755)
    shutil.copytree(pool.root / "etc", state / "etc", symlinks=True)
    (state / "etc/hosts").write_text("127.0.0.1 localhost\n")
    for file in json.loads(user_data.removeprefix("#cloud-config\n"))["write_files"]:
        place = state / file["path"].lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(gzip.decompress(base64.b64decode(file["content"])))
        place.chmod(int(file["permissions"], 8))
    (state / "opt/bin").mkdir()
    (state / "usr/local").mkdir(parents=True, exist_ok=True)
    (state / "opt/bin/systemctl").write_text(_SYSTEMCTL)
    (state / "opt/bin/systemctl").chmod(0o755)
    script = "root=$1 state=$4\n" + MOUNTS + _MACHINE
    spaces = ["--mount", "--pid", "--fork", "--net", "--uts"]
    with subprocess.Popen(
        ["unshare", *spaces, "sh", "-c", script, "sh", str(pool.root), str(pool.bench), name, str(state)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "waiting\n"
            init = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])
            with ExitStack() as ways:
                for port in (pool.port, *ports):
                    ways.enter_context(_way_out(init, port))
                process.stdin.write("\n")
                process.stdin.flush()
                assert process.stdout.readline() == "started\n", (state / "start.out").read_text()
                yield Machine(init=init, state=state, root=pool.root)
                process.stdin.close()
                process.wait()
        finally:
            process.stdin.close()
            process.wait()


_NEW_NET, _SIOCSIFFLAGS, _UP_RUNNING = 0x40000000, 0x8914, 0x41


@contextmanager
def _way_out(pid: int, port: int) -> Iterator[None]:
    """Let the processes in the network of `pid` reach a port of ours, as through NAT."""
    made: list[socket.socket] = []

    def listen() -> None:
        """Runs in a thread of its own, which goes to the other network for good."""
        libc = ctypes.CDLL(None, use_errno=True)
        with Path(f"/proc/{pid}/ns/net").open() as there:
            assert libc.setns(there.fileno(), _NEW_NET) == 0, os.strerror(ctypes.get_errno())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _UP_RUNNING))
        made.append(socket.create_server(("127.0.0.1", port), backlog=64))

    going = threading.Thread(target=listen)
    going.start()
    going.join()
    (listener,) = made
    ways: list[threading.Thread] = []
    open_now: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                inner, _ = listener.accept()
            except OSError:
                return
            try:
                outer = socket.create_connection(("127.0.0.1", port))
            except OSError:
                inner.close()
                continue
            open_now.extend((inner, outer))
            for source, target in ((inner, outer), (outer, inner)):
                ways.append(threading.Thread(target=_pump, args=(source, target)))
                ways[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
        listener.close()
        for one in open_now:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for way in ways:
            way.join()
        for one in open_now:
            one.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(2**16):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
