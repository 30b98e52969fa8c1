"""A real HTCondor pool for tests: a central manager with a schedd, on loopback.

It runs in namespaces of its own; all that it writes is in memory and ends with it, however the tests end. That needs
root, for `chroot` and `unshare`.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from armillary.base.ids import new_hex
from armillary.batch.engines.htcondor.config import condor_config
from armillary.batch.engines.htcondor.tokens import idtoken
from htcondor_root import ENVIRONMENT, LAST_WORDS, MOUNTS, USER, root_of
from ports import free_port

TRUST_DOMAIN = "pool.test"
LOOPBACK = "127.0.0.1"

_INIT = """\
mount --bind "$state/condor" "$root/etc/condor"
mount --bind "$state/hosts" "$root/etc/hosts"
mount --bind "$state/bench" "$root/bench"
chroot "$root" /usr/sbin/condor_master -f >"$state/master.out" 2>&1 </dev/null &
echo started
read -r _ || true  # until our standard input ends, which it does however the tests end
rm -rf "$state"
"""  # and with this process, the first of its namespace, all the others end

_CONFIG = """\
CONDOR_HOST = {address}
COLLECTOR_HOST = {address}:{port}
DAEMON_LIST = MASTER, SHARED_PORT, COLLECTOR, NEGOTIATOR, SCHEDD
USE_SHARED_PORT = True
SHARED_PORT_PORT = {port}
NETWORK_INTERFACE = {address}
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
    address: str
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
        full = {**ENVIRONMENT, **(env or {})}
        return subprocess.run(inside, input=given, capture_output=True, text=True, check=False, env=full)

    def logs(self) -> str:
        """The ends of what the daemons have logged, for a test that fails."""
        return self.run("sh", "-c", LAST_WORDS).stdout

    def client_config(self, folder: Path) -> Path:
        """Write the configuration of a client with a token of its own into a new folder, and return its path."""
        tokens = folder / "tokens.d"
        tokens.mkdir(mode=0o700, parents=True)
        (tokens / "ours").touch(mode=0o600)
        (tokens / "ours").write_text(self.token(USER))
        config = folder / "condor_config"
        config.write_text(
            condor_config(collector=f"{self.address}:{self.port}", trust_domain=TRUST_DOMAIN, tokens=tokens)
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


@contextmanager
def pool(suite: str, *, address: str = LOOPBACK) -> Iterator[Pool]:
    """Run a pool for the time of a block, at an address of this computer."""
    root = root_of(suite)
    state = Path(tempfile.mkdtemp(prefix="armillary-pool-"))
    state.chmod(0o755)
    port, key = free_port(address), os.urandom(64)
    shutil.copytree(root / "etc/condor", state / "condor", symlinks=True)
    for name in ("config.d", "passwords.d", "tokens.d"):
        (state / "condor" / name).mkdir(mode=0o700 if name != "config.d" else 0o755, exist_ok=True)
    (state / "condor/config.d/99-test").write_text(
        _CONFIG.format(address=address, port=port, domain=TRUST_DOMAIN, user=USER)
    )
    (state / "condor/passwords.d/POOL").write_bytes(key)
    (state / "condor/passwords.d/POOL").chmod(0o600)
    (state / "bench").mkdir()
    (state / "bench").chmod(0o777)
    # Each daemon looks its host's name up when it starts, and waits a minute for a resolver that does not answer.
    (state / "hosts").write_text(f"127.0.0.1 localhost\n{address} {socket.gethostname()}\n")
    script = "root=$1 state=$2\n" + MOUNTS + _INIT
    with subprocess.Popen(
        ["unshare", "--mount", "--pid", "--fork", "sh", "-c", script, "sh", str(root), str(state)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "started\n"
            init = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])
            made = Pool(suite=suite, root=root, state=state, address=address, port=port, key=key, init=init)
            _wait_until_up(made)
            yield made
        finally:
            process.stdin.close()
            process.wait()


def _wait_until_up(made: Pool) -> None:
    """Wait until collector and schedd answer; HTCondor has no bell for it."""
    end = time.monotonic() + 240
    while True:
        asked = made.run("condor_status", "-schedd", "-af", "Name")
        if asked.returncode == 0 and asked.stdout.strip():
            return
        if time.monotonic() > end:
            pytest.fail(f"the pool does not come up: {asked.stderr}\n{made.logs()}")
        time.sleep(0.2)


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
