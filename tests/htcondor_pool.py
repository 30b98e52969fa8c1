"""A real HTCondor pool for tests, and the real `condor_submit -dry-run`: from Debian packages, in a root of their own.

The root is made once with mmdebstrap, from the mirrors that this machine's apt has, and kept in the cache. A pool runs
in namespaces of its own on loopback; all that it writes is in memory and ends with it, however the tests end. Both need
root, for `chroot` and `unshare`.
"""

from __future__ import annotations

import base64
import ctypes
import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from armillary.app.settings import cache_directory
from armillary.base.ids import new_hex
from armillary.batch.engines.htcondor.config import condor_config
from armillary.batch.engines.htcondor.tokens import idtoken
from armillary.recipes import service as recipes
from armillary.recipes.mirror import KEYRING, sources_for
from armillary.recipes.run import run as run_tool
from armillary.recipes.run import tool

PACKAGES = {"trixie": "htcondor", "sid": "condor"}
"""The releases of Debian that have HTCondor, and what it is called there: 23.9 and 25."""
TRUST_DOMAIN = "pool.test"
USER = "armillary"
"""Who owns the jobs, here and in the root."""
_MADE_BY = "2"
"""Part of the root's name: another number makes it anew."""
_WRITTEN = ("tmp", "run", "var/tmp", "var/log/condor", "var/lib/condor", "var/spool/condor", "root")
_HOOK = (
    f'chroot "$1" useradd -m {USER}; '
    f'mkdir -p {" ".join(f"$1/{name}" for name in _WRITTEN)} "$1/bench"; '
    'rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/*'
)


def root_of(suite: str) -> Path:
    """Return the root with HTCondor of a release, made now if it is not in the cache."""
    if os.geteuid() != 0:
        pytest.fail("HTCondor's tests chroot into a Debian with HTCondor: run them as root")
    tools = cache_directory() / "tools"
    tools.mkdir(parents=True, exist_ok=True)
    root = tools / f"htcondor-{suite}-{_MADE_BY}"
    with (tools / f".htcondor-{suite}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the tests run in several processes
        if not root.exists():
            _make(root, suite)
    return root


def _make(root: Path, suite: str) -> None:
    for left in root.parent.glob(f".making-{suite}-*"):
        shutil.rmtree(left)
    making = Path(tempfile.mkdtemp(prefix=f".making-{suite}-", dir=root.parent))
    # The release itself is enough, and has no pockets while it is in the making.
    source = next(
        s for s in sources_for(suite, mirror=os.environ.get("ARMILLARY_DEBIAN_MIRROR")) if suite in s.suites
    )
    lists = making / "debian.sources"
    lists.write_text(
        f"Types: deb\nURIs: {source.uri}\nSuites: {suite}\nComponents: main\nSigned-By: {KEYRING}\n"
    )
    command = [
        tool("mmdebstrap"),
        "--quiet",
        "--variant=minbase",
        f"--include={PACKAGES[suite]},python3-minimal",
    ]
    options = [
        *recipes._host_apt_options(),
        'Apt::Install-Recommends "false"',
        # An old clock, or a mirror that is behind, is no matter here.
        'Acquire::Check-Valid-Until "false"',
    ]
    command += [f"--aptopt={option}" for option in options]
    command += [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")]
    command += [f"--customize-hook={_HOOK}", suite, str(making / "root"), str(lists)]
    env = {"LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    run_tool(command, what=f"making a Debian {suite} with HTCondor", env=env)
    (making / "root").rename(root)
    shutil.rmtree(making)


def condor_submit_dry_run(suite: str, text: str, *, files: Mapping[str, str | bytes] | None = None) -> str:
    """Return the job ads that the real condor_submit would make of a submit file; no pool is needed.

    `files` are put beside the submit file before. Raises AssertionError with what it says when it refuses the file.
    """
    done = run_in_root(
        suite, ["condor_submit", "-dry-run", "-", "the.sub"], files={"the.sub": text, **(files or {})}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_in_root(
    suite: str, command: Sequence[str], *, files: Mapping[str, str | bytes] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in the root of a release, in a new folder with these files, and return how it went."""
    root = root_of(suite)
    with tempfile.TemporaryDirectory(prefix="armillary-condor-") as name:
        folder = Path(name)
        for path, content in (files or {}).items():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content.encode() if isinstance(content, str) else content)
        script = f'set -e; mount --bind "{folder}" "{root}/bench"; exec chroot "{root}" sh -c \'cd /bench; exec "$@"\' sh "$@"'
        env = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", "HOME": "/root"}
        # A private mount namespace: the folder is seen in the root by this command only.
        return subprocess.run(
            ["unshare", "--mount", "sh", "-c", script, "sh", *command],
            capture_output=True,
            text=True,
            check=False,
            env=env,
        )


_INIT = """\
set -e
root=$1 state=$2
mount --make-rprivate /
mount --bind "$root" "$root"  # the starter makes mount namespaces, and wants "/" to be a mount
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
for name in {written}; do mount -t tmpfs -o mode=1777 tmpfs "$root/$name"; done
mount --bind "$state/condor" "$root/etc/condor"
mount --bind "$state/hosts" "$root/etc/hosts"
mount --bind "$state/bench" "$root/bench"
mkdir -p "$root"/run/condor "$root"/run/lock "$root"/var/lib/condor/spool "$root"/var/lib/condor/execute
chroot "$root" chown condor: /run/condor /var/log/condor /var/lib/condor /var/lib/condor/spool /var/lib/condor/execute
chmod 755 "$root"/run/condor "$root"/var/log/condor "$root"/var/lib/condor
chroot "$root" /usr/sbin/condor_master -f >"$state/master.out" 2>&1 </dev/null &
echo started
read -r _ || true  # until our standard input ends, which it does however the tests end
rm -rf "$state"
"""  # and with this process, the first of its namespace, all the others end

_CONFIG = """\
CONDOR_HOST = 127.0.0.1
COLLECTOR_HOST = 127.0.0.1:{port}
DAEMON_LIST = MASTER, SHARED_PORT, COLLECTOR, NEGOTIATOR, SCHEDD
USE_SHARED_PORT = True
SHARED_PORT_PORT = {port}
NETWORK_INTERFACE = 127.0.0.1
BIND_ALL_INTERFACES = False
ENABLE_IPV6 = False
NETWORK_HOSTNAME = localhost
UID_DOMAIN = {domain}
FILESYSTEM_DOMAIN = {domain}
TRUST_DOMAIN = {domain}
use SECURITY : user_based
SEC_DEFAULT_AUTHENTICATION = REQUIRED
SEC_CLIENT_AUTHENTICATION = REQUIRED
SEC_READ_AUTHENTICATION = REQUIRED
SEC_DEFAULT_AUTHENTICATION_METHODS = IDTOKENS, FS
SEC_CLIENT_AUTHENTICATION_METHODS = IDTOKENS, FS
SEC_DEFAULT_ENCRYPTION = REQUIRED
SEC_DEFAULT_INTEGRITY = REQUIRED
ALLOW_READ = *@{domain}, condor@password
ALLOW_WRITE = *@{domain}, condor@password
ALLOW_DAEMON = condor@password
ALLOW_NEGOTIATOR = condor@password
ALLOW_ADVERTISE_STARTD = *@{domain}, condor@password
ALLOW_ADVERTISE_MASTER = *@{domain}, condor@password
ALLOW_ADMINISTRATOR = condor@password, root@{domain}, {user}@{domain}
QUEUE_SUPER_USERS = condor
# Defaults wait for minutes, for pools of thousands.
NEGOTIATOR_INTERVAL = 2
NEGOTIATOR_MIN_INTERVAL = 1
NEGOTIATOR_CYCLE_DELAY = 1
SCHEDD_MIN_INTERVAL = 1
SCHEDD_INTERVAL = 2
COLLECTOR_UPDATE_INTERVAL = 5
UPDATE_INTERVAL = 5
PERIODIC_EXPR_INTERVAL = 2
PERIODIC_EXPR_TIMESLICE = 1
"""


@dataclass(kw_only=True)
class Pool:
    """A running central manager with a schedd. Workers are started in it by their own configuration."""

    suite: str
    root: Path
    state: Path
    port: int
    key: bytes
    init: int
    """its first process, as seen here"""

    @property
    def bench(self) -> Path:
        """A folder that is `/bench` inside."""
        return self.state / "bench"

    @property
    def signing_key(self) -> Path:
        """The pool's signing key, as HTCondor keeps it."""
        return self.state / "condor" / "passwords.d" / "POOL"

    def run(
        self, *command: str, env: Mapping[str, str] | None = None, given: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside, and return how it went."""
        inside = ["nsenter", "-t", str(self.init), "-m", "-p", "chroot", str(self.root), *command]
        full = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", "HOME": "/root", **(env or {})}
        return subprocess.run(inside, input=given, capture_output=True, text=True, check=False, env=full)

    def logs(self) -> str:
        """The ends of what the daemons have logged, for a test that fails."""
        return self.run("sh", "-c", "tail -n 40 /var/log/condor/*Log").stdout

    def client_config(self, folder: Path) -> Path:
        """Write the configuration of a client with a token of its own into a new folder, and return its path."""
        tokens = folder / "tokens.d"
        tokens.mkdir(mode=0o700, parents=True)
        (tokens / "ours").touch(mode=0o600)
        (tokens / "ours").write_text(self.token(USER))
        config = folder / "condor_config"
        config.write_text(
            condor_config(collector=f"127.0.0.1:{self.port}", trust_domain=TRUST_DOMAIN, tokens=tokens)
        )
        return config

    def token(self, identity: str, *, authz: Sequence[str] = (), lifetime: int = 3600) -> str:
        """Return a token of the pool."""
        return idtoken(
            self.key,
            key_id="POOL",
            issuer=TRUST_DOMAIN,
            identity=f"{identity}@{TRUST_DOMAIN}",
            authz=authz,
            issued=int(time.time()),
            lifetime=lifetime,
            token_id=new_hex(),
        )


def free_port() -> int:
    """A port of loopback that nobody has at the moment."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


@contextmanager
def pool(suite: str) -> Iterator[Pool]:
    """Run a pool for the time of a block."""
    root = root_of(suite)
    state = Path(tempfile.mkdtemp(prefix="armillary-pool-"))
    state.chmod(0o755)
    port, key = free_port(), os.urandom(64)
    shutil.copytree(root / "etc/condor", state / "condor", symlinks=True)
    for name in ("config.d", "passwords.d", "tokens.d"):
        (state / "condor" / name).mkdir(mode=0o700 if name != "config.d" else 0o755, exist_ok=True)
    (state / "condor/config.d/99-test").write_text(_CONFIG.format(port=port, domain=TRUST_DOMAIN, user=USER))
    (state / "condor/passwords.d/POOL").write_bytes(key)
    (state / "condor/passwords.d/POOL").chmod(0o600)
    (state / "bench").mkdir()
    (state / "bench").chmod(0o777)
    # Each daemon looks its host's name up when it starts, and waits a minute for a resolver that does not answer.
    (state / "hosts").write_text(f"127.0.0.1 localhost {socket.gethostname()}\n")
    script = _INIT.format(written=" ".join(_WRITTEN))
    with subprocess.Popen(
        ["unshare", "--mount", "--pid", "--fork", "sh", "-c", script, "sh", str(root), str(state)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "started\n"
            init = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])
            made = Pool(suite=suite, root=root, state=state, port=port, key=key, init=init)
            _wait_until_up(made)
            yield made
        finally:
            process.stdin.close()
            process.wait()


def _wait_until_up(made: Pool) -> None:
    """Wait until collector and schedd answer; HTCondor has no bell for it."""
    end = time.monotonic() + 60
    while True:
        asked = made.run("condor_status", "-schedd", "-af", "Name")
        if asked.returncode == 0 and asked.stdout.strip():
            return
        if time.monotonic() > end:
            pytest.fail(f"the pool does not come up: {asked.stderr}\n{made.logs()}")
        time.sleep(0.2)


_MACHINE = """\
set -e
root=$1 state=$2 bench=$3 name=$4
hostname "$name"
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
for name in {written}; do mount -t tmpfs -o mode=1777 tmpfs "$root/$name"; done
mount --bind "$state/etc/condor" "$root/etc/condor"
mount --bind "$state/etc/hosts" "$root/etc/hosts"
mount --bind "$state/opt" "$root/opt"
mount --bind "$bench" "$root/bench"
mkdir -p "$root"/run/condor "$root"/run/lock "$root"/var/lib/condor/spool "$root"/var/lib/condor/execute
chroot "$root" chown condor: /run/condor /var/log/condor /var/lib/condor /var/lib/condor/spool /var/lib/condor/execute
chmod 755 "$root"/run/condor "$root"/var/log/condor "$root"/var/lib/condor
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
        return subprocess.run(inside, capture_output=True, text=True, check=False)

    def logs(self) -> str:
        """The ends of its logs, for a test that fails."""
        return self.run("sh", "-c", "tail -n 40 /var/log/condor/*Log").stdout


@contextmanager
def machine(pool: Pool, name: str, user_data: str) -> Iterator[Machine]:
    """Boot a machine with cloud-init's user data, as far as HTCondor is concerned: a root of its own, in a network
    that has nothing but a way out to the pool's port. Nobody can connect to it.
    """
    state = Path(tempfile.mkdtemp(prefix="armillary-machine-"))
    state.chmod(0o755)
    shutil.copytree(pool.root / "etc/condor", state / "etc/condor", symlinks=True)
    (state / "etc/hosts").write_text("127.0.0.1 localhost\n")
    for file in json.loads(user_data.removeprefix("#cloud-config\n"))["write_files"]:
        place = state / file["path"].lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(base64.b64decode(file["content"]))
        place.chmod(int(file["permissions"], 8))
    (state / "opt/bin").mkdir()
    (state / "opt/bin/systemctl").write_text(_SYSTEMCTL)
    (state / "opt/bin/systemctl").chmod(0o755)
    script = _MACHINE.format(written=" ".join(_WRITTEN))
    spaces = ["--mount", "--pid", "--fork", "--net", "--uts"]
    with subprocess.Popen(
        ["unshare", *spaces, "sh", "-c", script, "sh", str(pool.root), str(state), str(pool.bench), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "waiting\n"
            init = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])
            with _way_out(init, pool.port):
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


@pytest.fixture(scope="session")
def htcondor_pool() -> Iterator[Pool]:
    """A pool of HTCondor 23.9."""
    with pool("trixie") as made:
        yield made


@pytest.fixture(scope="session")
def htcondor_25_pool() -> Iterator[Pool]:
    """A pool of HTCondor 25."""
    with pool("sid") as made:
        yield made
