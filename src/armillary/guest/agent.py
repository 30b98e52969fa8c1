#!/usr/bin/env python3
"""The worker agent: claims jobs over HTTPS, runs them, brings their results back.

It arrives in a virtual machine as one file inside the user data, so it is the one file of ours that is long
by design: standard library only, Python 3.9 or later, nothing imported from the rest of the package. The
machine needs no inbound connection; everything is asked for from here.

    python3 agent.py --config CONFIG.json

Promises:
    - A job runs only while its lease is held. Seconds are counted from when the last good renewal was *sent*,
      on a clock that does not jump; at 80 % of the lease without news the job is killed, before anybody else
      may get it.
    - A result is reported once: the finish record lies on disk before it is sent, until it is acknowledged.
    - A job leaves nothing: its processes, even those that ran away from their group, and its scratch go.
    - A restarted agent ends what an earlier one left running, and says so.

Exit status: 0 after `bye`, 2 for a bad configuration, 3 when the platform refuses us.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import errno
import functools
import hashlib
import http.client
import json
import os
import pwd
import random
import re
import shutil
import signal
import ssl
import stat
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

VERSION = "1"
LONG_POLL = 20.0
CHUNK = 1 << 18
MAX_ANSWER = 64 << 20
MAX_STREAMED = 16 << 20
"""Bytes of each of stdout and stderr that are shown live; the whole of them comes back as an output."""
FENCE = 0.8
GRACE = 10.0
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
STREAMS = {"stdout": "_condor_stdout", "stderr": "_condor_stderr"}
# The shell waits until it has been put into its control group, then becomes the job.
GATE = 'read -r _ || exit 126; ulimit -c 0; umask 022; in=$1; shift; exec "$@" <"$in"'
MAX_OUTPUTS = 9_900
"""Files that one job may bring back besides its streams: the platform takes 10 000."""
MAX_REASON = 2000
FETCH = """\
import sys, shutil, urllib.error, urllib.request
try:
    answer = urllib.request.urlopen(sys.argv[1], timeout=60)
except urllib.error.HTTPError as error:
    print(error, file=sys.stderr)
    sys.exit(1 if error.code >= 500 or error.code in (408, 425, 429) else 22)
with answer, open(sys.argv[2], "wb") as file:
    shutil.copyfileobj(answer, file)
"""
FETCH_REFUSED = 22
"""The exit status of `FETCH` when asking again is of no use."""
FETCH_PAUSES = (2, 8, 32)
"""Between tries to fetch an input from elsewhere, in units of `retry_seconds`."""
PUT = 'umask 077; mkdir -p "$1" && cat >"$1/.$2.new" && mv -f "$1/.$2.new" "$1/$2"'

Json = dict[str, Any]


def now() -> float:
    """Return seconds that only go forward, also through a suspended machine."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def say(message: str) -> None:
    """Write one line to the journal."""
    sys.stderr.write(f"armillary-agent: {message}\n")
    sys.stderr.flush()


_BIRTH = threading.Lock()
"""Held while the process of a job is born, and while a file is written that one will execute."""


class Unreachable(Exception):
    """No answer, or one that says to come back later."""


class Refused(Exception):
    """The platform said no."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code


class Fault(Exception):
    """Why a job could not be run or its results be brought back. `retry`: the job itself is not to blame."""

    def __init__(self, code: str, message: str, *, retry: bool) -> None:
        super().__init__(message)
        self.record: Json = {"code": code, "message": message[:MAX_REASON], "retry": retry}


def fault_of(error: OSError) -> Fault:
    """Name what the machine ran out of, or what no machine could do."""
    if error.errno in (errno.E2BIG, errno.ENAMETOOLONG):
        return Fault("job_invalid", f"the job cannot be started as it is: {error}", retry=False)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Fault("disk_full", f"the worker's disk is full: {error}", retry=True)
    return Fault("worker_fault", f"the worker could not go on: {error}", retry=True)


class Server:
    """Our side of the agent protocol: connections that are kept, answers as JSON."""

    def __init__(self, *, url: str, ca_pem: str | None) -> None:
        parts = urllib.parse.urlsplit(url)
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port
        self._prefix = parts.path.rstrip("/") + "/agent/v1/"
        self._context = ssl.create_default_context(cadata=ca_pem) if ca_pem else ssl.create_default_context()
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()
        self.session_key = ""

    def call(self, name: str, body: Json, *, timeout: float = 30.0) -> Json:
        """POST `body` and return the answer. Raises Unreachable or Refused."""
        data = json.dumps(body).encode()
        return self._exchange("POST", name, data, {"Content-Type": "application/json"}, timeout=timeout)

    def fetch(self, name: str, sink: BinaryIO) -> str:
        """Copy what stands at `name` into `sink`; return its SHA-256."""
        digest = hashlib.sha256()
        self._exchange("GET", name, None, {}, timeout=120, sink=sink, digest=digest)
        return digest.hexdigest()

    def upload(self, name: str, file: Path, headers: dict[str, str]) -> None:
        """PUT the bytes of `file`."""
        self._exchange("PUT", name, file, headers, timeout=120)

    def _connection(self, timeout: float, *, fresh: bool) -> tuple[http.client.HTTPConnection, bool]:
        with self._lock:
            if self._idle and not fresh:
                connection = self._idle.pop()
                connection.timeout = timeout
                if connection.sock:
                    connection.sock.settimeout(timeout)
                return connection, True
        if self._secure:
            made: http.client.HTTPConnection = http.client.HTTPSConnection(
                self._host, self._port, timeout=timeout, context=self._context
            )
        else:
            made = http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        return made, False

    def _exchange(
        self,
        method: str,
        name: str,
        body: bytes | Path | None,
        headers: dict[str, str],
        *,
        timeout: float,
        sink: BinaryIO | None = None,
        digest: Any = None,
    ) -> Json:
        headers = {"User-Agent": f"armillary-agent/{VERSION}", **headers}
        if self.session_key:
            headers["Authorization"] = f"Bearer {self.session_key}"
        fresh = False
        while True:
            connection, reused = self._connection(timeout, fresh=fresh)
            try:
                with contextlib.ExitStack() as stack:
                    source: Any = body
                    if isinstance(body, Path):
                        source = stack.enter_context(body.open("rb"))
                        headers["Content-Length"] = str(os.fstat(source.fileno()).st_size)
                    connection.request(method, self._prefix + name, body=source, headers=headers)
                    response = connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if reused:  # the other side may have closed it while it was idle
                    fresh = True
                    continue
                raise Unreachable(f"{name}: {error}") from error
            return self._answer(connection, response, name, sink, digest)

    def _answer(
        self,
        connection: http.client.HTTPConnection,
        response: http.client.HTTPResponse,
        name: str,
        sink: BinaryIO | None,
        digest: Any,
    ) -> Json:
        into = sink if response.status == 200 else None
        payload = bytearray()
        try:
            while True:
                try:
                    piece = response.read(CHUNK)
                except (OSError, http.client.HTTPException) as error:
                    raise Unreachable(f"{name}: {error}") from error
                if not piece:
                    break
                if into is not None:
                    digest.update(piece)
                    into.write(piece)
                elif len(payload) < MAX_ANSWER:
                    payload += piece
        except BaseException:
            connection.close()
            raise
        with self._lock:
            self._idle.append(connection)
        return {} if into is not None else decode(response.status, bytes(payload), name)


def decode(status: int, payload: bytes, name: str) -> Json:
    """Return the answer's JSON object. Raises Unreachable for 429 and 5xx, Refused for other refusals."""
    try:
        answer: Any = json.loads(payload) if payload else {}
    except ValueError:
        answer = {}
    record = cast("Json", answer) if isinstance(answer, dict) else {}
    if 200 <= status < 300:
        return record
    if status == 429 or status >= 500:
        raise Unreachable(f"{name}: answered {status}")
    error: Any = record.get("error")
    facts = cast("Json", error) if isinstance(error, dict) else {}
    raise Refused(status, str(facts.get("code", "")), str(facts.get("message", "")))


class Machine:
    """What this machine has, and how jobs are kept apart on it."""

    def __init__(self, *, config: Json) -> None:
        # `users: false` keeps the agent's hands off a machine that is not its own (tests, a shared host)
        self.root = os.geteuid() == 0 and bool(config.get("users", True))
        self.scratch = Path(config.get("scratch_dir") or pick_scratch())
        self.scratch.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):
            self.scratch.chmod(0o711)
        self.cpus = int(config.get("cpus") or os.cpu_count() or 1)
        self.memory_mib = int(config.get("memory_mib") or memory_mib())
        free = shutil.disk_usage(self.scratch).free // 1024
        self.disk_kib = min(int(config.get("disk_kib") or free), free)
        self._groups = self._delegated() if self.root else None
        self._accounts = threading.Lock()

    @staticmethod
    def _delegated() -> Path | None:
        """Prepare our own control group (cgroup v2, `Delegate=yes`) for one child per job, if we have one."""
        try:
            line = next(x for x in Path("/proc/self/cgroup").read_text().splitlines() if x.startswith("0::/"))
            if not Path("/sys/fs/cgroup/cgroup.controllers").exists() or line == "0::/":
                return None
            base = Path("/sys/fs/cgroup") / line[4:]
            # Processes and controllers may not stand in one group, so the agent moves a level down first.
            (base / "agent").mkdir(exist_ok=True)
            (base / "agent" / "cgroup.procs").write_text(str(os.getpid()))
            for controller in ("cpu", "memory", "pids"):
                with contextlib.suppress(OSError):
                    (base / "cgroup.subtree_control").write_text(f"+{controller}")
        except (OSError, StopIteration) as error:
            say(f"no control groups here ({error}); jobs share the machine freely")
            return None
        return base

    def group(self, key: str, *, cpus: int, memory_mib: int) -> Path | None:
        """Make a control group whose weight and protected memory are the job's share."""
        if self._groups is None:
            return None
        group = self._groups / f"job-{key}"
        try:
            group.mkdir(exist_ok=True)
        except OSError:
            return None
        for name, value in (
            ("cpu.weight", str(max(1, min(10000, 100 * cpus)))),
            ("memory.low", str(memory_mib << 20)),
            ("memory.oom.group", "1"),
        ):
            with contextlib.suppress(OSError):
                (group / name).write_text(value)
        return group

    def account(self, owner: str) -> pwd.struct_passwd | None:
        """Return the unprivileged user for `owner`, made when missing; None when we are not root."""
        if not self.root:
            return None
        name = owner
        if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,30}", owner):
            name = "job-" + hashlib.sha256(owner.encode()).hexdigest()[:8]
        with self._accounts:
            for candidate in (name, f"job-{name}"[:31]):
                try:
                    found = pwd.getpwnam(candidate)
                except KeyError:
                    command = ["useradd", "--create-home", "--shell", "/bin/bash", candidate]
                    done = subprocess.run(command, capture_output=True, check=False)
                    if done.returncode:
                        why = done.stderr.decode(errors="replace").strip()
                        why = f"cannot make the user {candidate}: {why}"
                        raise Fault("worker_fault", why, retry=True) from None
                    found = pwd.getpwnam(candidate)
                if found.pw_uid >= 1000:  # never run a job as a user of the system
                    return found
        raise Fault("worker_fault", f"no user for {owner}", retry=True)

    def shut_out_jobs(self, config_file: Path) -> None:
        """Keep job users away from the bootstrap token: user data on disk and the metadata address."""
        if not self.root:
            return
        instances = Path("/var/lib/cloud/instances")
        private = [config_file, *instances.glob("*/user-data.txt*"), *instances.glob("*/scripts")]
        private += Path("/run/cloud-init").glob("instance-data*.json")
        for path in private:
            with contextlib.suppress(OSError):
                path.chmod(0o700 if path.is_dir() else 0o600)
        rule = ["OUTPUT", "-d", "169.254.169.254", "-m", "owner", "!", "--uid-owner", "0", "-j", "REJECT"]
        for tool in ("iptables", "iptables-nft"):
            if shutil.which(tool):
                if subprocess.run([tool, "-C", *rule], capture_output=True, check=False).returncode:
                    subprocess.run([tool, "-I", *rule], capture_output=True, check=False)
                return


def pick_scratch() -> str:
    """Return the ephemeral disk's scratch when one is mounted, else a directory on the root disk."""
    return "/mnt/scratch" if os.path.ismount("/mnt") else "/var/lib/armillary/scratch"


def memory_mib() -> int:
    """Return the machine's memory, rounded up to 128 MiB: the kernel keeps some of it for itself."""
    return -(-(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")) // (128 << 20)) * 128


def instance_id() -> str:
    """Return the identifier that the cloud gave this machine, or nothing."""
    with contextlib.suppress(OSError):
        text = Path("/var/lib/cloud/data/instance-id").read_text().strip()
        if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text):
            return text
    return ""


def write_private(path: Path, text: str) -> None:
    """Replace `path` whole, readable by us alone, and see it onto the disk."""
    new = path.with_name(path.name + ".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def put_as(account: pwd.struct_passwd | None, directory: Path, name: str, text: str) -> bool:
    """Write a private file with the rights of the job's user: a link laid by the job leads nowhere new."""
    identity: Json = {}
    if account:
        identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    command = ["/bin/sh", "-c", PUT, "sh", str(directory), name]
    return not subprocess.run(
        command, input=text.encode(), capture_output=True, check=False, **identity
    ).returncode


def give_to(account: pwd.struct_passwd, directory: Path) -> None:
    """Make a user the owner of a directory and all that is in it."""
    for folder, _, files in os.walk(directory):
        for path in (Path(folder), *(Path(folder, name) for name in files)):
            os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)


def kill_stragglers(scratch: Path) -> None:
    """Kill every process that was started for `scratch`, whatever group or session it moved to."""
    marker = f"_CONDOR_SCRATCH_DIR={scratch}".encode()
    for _ in range(5):
        found = False
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if int(entry.name) != os.getpid() and marker in (entry / "environ").read_bytes().split(b"\0"):
                    os.kill(int(entry.name), signal.SIGKILL)
                    found = True
        if not found:
            return
        time.sleep(0.05)


def destination(key: str) -> str:
    """Return where an input goes inside the scratch: below rsync's `/./` mark, else at its base name.

    Raises Fault for a name that would leave the scratch.
    """
    name = key.split("/./", 1)[1] if "/./" in key else key.rstrip("/").rsplit("/", 1)[-1]
    if not name or name.startswith("/") or ".." in name.split("/"):
        raise Fault("input_invalid", f"an input may not be called {key!r}", retry=False)
    return name


class Job:
    """One attempt at one job, in a thread of its own."""

    def __init__(self, *, agent: Agent, item: Json, sent: float, record: Json | None = None) -> None:
        self.agent = agent
        self.item = item
        self.spec: Json = item.get("spec") or {}
        self.ids: Json = {name: item[name] for name in ("job", "attempt", "lease_secret")}
        self.key = f"{self.ids['job']}-{self.ids['attempt']}"
        self.cpus = int(self.spec.get("request_cpus") or 1)
        self.memory_mib = int(self.spec.get("request_memory_mib") or 0)
        self.disk_kib = int(self.spec.get("request_disk_kib") or 0)
        self.lease_seconds = float(item.get("lease_seconds") or 60)
        self.deadline = sent + self.lease_seconds * FENCE
        self.base = agent.machine.scratch / self.key
        self.work = self.base / "work"
        self.account: pwd.struct_passwd | None = None
        self.record = record
        self.lost = False
        self.ending = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._group: Path | None = None
        self._status: int | None = None
        self._usage: Json = {}
        self._wake = threading.Event()
        self._before: dict[str, tuple[int, int, int]] = {}
        self._sent = dict.fromkeys(STREAMS, 0)

    def drop(self) -> None:
        """The attempt is not ours any more: kill it and forget its results."""
        self.lost = True
        self._wake.set()

    def end(self, code: str) -> None:
        """Kill the job, but report that it ended and why."""
        self.ending = self.ending or code
        self._wake.set()

    def run(self) -> None:
        """Go the whole way; never raises."""
        try:
            if self.record is None:
                self.record = self._whole()
            if not self.lost:
                self._deliver(self.record)
        except Fault as fault:  # the record itself could not be delivered
            say(f"job {self.ids['job']}: {fault}")
        except Exception as error:  # noqa: BLE001 - the end of a thread: the lease runs out and says the rest
            say(f"job {self.ids['job']}: {type(error).__name__}: {error}")
        finally:
            self._sweep()
            self.agent.finished(self)

    def _whole(self) -> Json:
        exit_code: int | None = None
        died: int | None = None
        outputs: list[Json] = []
        error: Json | None = None
        try:
            self._prepare()
            returned = self._execute()
            exit_code, died = (returned, None) if returned >= 0 else (None, -returned)
            if self.ending:
                why = {"removed": "the job was removed"}.get(self.ending, "the worker was stopped")
                raise Fault(self.ending, why, retry=self.ending != "removed")
            outputs += self._streams()
            outputs += self._outputs(returned)
        except Fault as fault:
            error = fault.record
        except OSError as problem:
            error = fault_of(problem).record
        except ValueError as problem:  # a NUL in an argument, a variable or a name
            why = f"the job cannot be started as it is: {problem}"
            error = Fault("job_invalid", why, retry=False).record
        if error and not outputs:
            with contextlib.suppress(OSError):
                outputs += self._streams()
        ids = dict(self.ids)
        ended = {
            "exit_code": exit_code,
            "signal": died,
            "usage": self._usage,
            "outputs": outputs,
            "error": error,
        }
        record: Json = {**ids, **ended}
        if not self.lost:
            try:
                self.agent.keep_record(self.key, record)
            except OSError as problem:  # a full disk must not keep the news from the platform
                say(f"cannot keep the finish record of {self.key}: {problem}")
        return record

    # --- before

    def _prepare(self) -> None:
        shutil.rmtree(self.base, ignore_errors=True)
        home, temporary = self.base / "home", self.base / "tmp"
        self.base.mkdir()
        self.base.chmod(0o711)
        for directory in (self.work, home, temporary):
            directory.mkdir(mode=0o700)
        for entry in self.item.get("inputs") or ():
            self._stage(entry)
        credential: Json = self.item.get("credential") or {}
        self.account = self.agent.machine.account(str(credential.get("owner") or "job"))
        # The base stays ours: a job that could replace its stream files by links would have us read them as root.
        if self.account:
            for directory in (self.work, home, temporary):
                give_to(self.account, directory)
        self.give_credential(self.item.get("credential"))
        for source in self.spec.get("transfer_input_files") or ():
            if "://" in source or source.startswith("vos:"):
                self._retrieve(source)
        self._before = self._top_level()

    def _stage(self, entry: Json) -> None:
        target = self.work / destination(entry["path"])
        target.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(3):
            with target.open("wb") as file:
                pull = functools.partial(self._pull, entry["sha256"], file)
                digest = self._patiently("input_fetch_failed", pull)
            if digest == entry["sha256"]:
                break
        else:
            raise Fault(
                "input_fetch_failed", f"the bytes of {entry['path']} do not have their SHA-256", retry=True
            )
        executable = bool(int(entry.get("mode") or 0) & 0o111) or entry["path"] == self.spec.get("executable")
        if executable:
            # Another job's process may have been born with our file open for writing, until it executes: "text file
            # busy". The copy is made while none is born.
            fresh = self.base / "executable"  # beside the job's own files: a name may have no room for more
            with _BIRTH:
                shutil.copyfile(target, fresh)
            fresh.replace(target)
        target.chmod(0o755 if executable else 0o644)

    def _pull(self, sha256: str, file: BinaryIO) -> str:
        file.seek(0)
        file.truncate()
        return self.agent.server.fetch(f"blobs/{sha256}", file)

    def _retrieve(self, source: str) -> None:
        """Bring an input that is named by its address, with the rights of the job's user."""
        name = source.rstrip("/").rsplit("/", 1)[-1].rsplit(":", 1)[-1].split("?", 1)[0] or "input"
        if source.startswith(("vos:", "arc:")):
            command = ["vcp", source, f"./{name}"]
        else:
            if not source.startswith(("http://", "https://", "ftp://")):
                why = f"cannot fetch {source}: only http, https, ftp and vos addresses"
                raise Fault("input_invalid", why, retry=False)
            command = [sys.executable, "-c", FETCH, source, name]
        for pause in (*FETCH_PAUSES, None):
            try:
                done: subprocess.CompletedProcess[bytes] = subprocess.run(
                    command,
                    cwd=self.work,
                    env=self._environment(),
                    capture_output=True,
                    check=False,
                    user=self.account and self.account.pw_uid,
                    group=self.account and self.account.pw_gid,
                    extra_groups=self.account and [],
                )
            except OSError as error:
                raise Fault("input_fetch_failed", f"cannot fetch {source}: {error}", retry=False) from error
            if not done.returncode:
                return
            why = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no reason given"]
            hopeless = command[0] == sys.executable and done.returncode == FETCH_REFUSED
            if pause is None or hopeless:
                raise Fault("input_fetch_failed", f"cannot fetch {source}: {why[0]}", retry=not hopeless)
            say(f"job {self.ids['job']}: cannot fetch {source}: {why[0]}; trying again")
            self._wake.wait(self.agent.retry_seconds * pause)
            if self.lost or self.ending:
                raise Fault(self.ending or "lost", "ended before it started", retry=True)

    def give_credential(self, credential: Any) -> None:
        """Put the short-lived certificate where the VOSpace clients look for it."""
        given = cast("Json", credential) if isinstance(credential, dict) else {}
        pem = str(given.get("certificate_pem") or "")
        if not pem:
            return
        self.item["credential"] = given
        homes = {self.base / "home", Path(self._environment()["HOME"])}
        for home in homes:
            if not put_as(self.account, home / ".ssl", "cadcproxy.pem", pem):
                say(f"job {self.ids['job']}: cannot write the certificate under {home}")

    def _environment(self) -> dict[str, str]:
        temporary, work = str(self.base / "tmp"), str(self.work)
        name = self.account.pw_name if self.account else pwd.getpwuid(os.geteuid()).pw_name
        made = {
            "PATH": PATH,
            "LANG": "C.UTF-8",
            "HOME": str(self.base / "home"),
            "USER": name,
            "LOGNAME": name,
        }
        made.update({"TMPDIR": temporary, "TMP": temporary, "TEMP": temporary, "PWD": work})
        made.update({"OMP_NUM_THREADS": str(self.cpus), "ARMILLARY_JOB": str(self.ids["job"])})
        credential: Json = self.item.get("credential") or {}
        host = credential.get("vospace") or self.agent.config.get("vospace")
        if host:
            made["VOSPACE_WEBSERVICE"] = str(host)
        if self.agent.bundle:  # clients that bring their own list of authorities must know ours too
            for variable in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"):
                made[variable] = str(self.agent.bundle)
        given: dict[str, str] = self.spec.get("environment") or {}
        made.update({str(k): str(v) for k, v in given.items()})
        made["_CONDOR_SCRATCH_DIR"] = work
        return made

    # --- during

    def _command(self) -> list[str]:
        executable = str(self.spec.get("executable") or "")
        arguments = [str(argument) for argument in self.spec.get("arguments") or ()]
        if self.spec.get("transfer_executable", True):
            program = self.work / destination(executable)
            present = program.is_file()
        elif "/" in executable:
            program = self.work / executable
            present = program.is_file() and os.access(program, os.X_OK)
        else:
            found = shutil.which(executable, path=self._environment()["PATH"])
            program, present = Path(found or executable), bool(found)
        if not present:
            raise Fault("executable_missing", f"there is no program {executable} on the worker", retry=False)
        return [str(program), *arguments]

    def _execute(self) -> int:
        command = self._command()
        given = self.spec.get("input")
        stdin = "/dev/null" if not given or given == "/dev/null" else str(self.work / destination(given))
        gate = ["/bin/sh", "-c", GATE, "sh", stdin, *command]
        self.lost = self.lost or now() >= self.deadline
        if self.lost or self.ending:
            raise Fault(self.ending or "lost", "ended before it started", retry=True)
        self._group = self.agent.machine.group(self.key, cpus=self.cpus, memory_mib=self.memory_mib)
        started = now()
        with (
            (self.base / STREAMS["stdout"]).open("wb") as out,
            (self.base / STREAMS["stderr"]).open("wb") as err,
            _BIRTH,
        ):
            process: subprocess.Popen[bytes] = subprocess.Popen(
                gate,
                cwd=self.work,
                env=self._environment(),
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
                start_new_session=True,
                user=self.account and self.account.pw_uid,
                group=self.account and self.account.pw_gid,
                extra_groups=self.account and [],
            )
        self._process = process
        if self._group:
            with contextlib.suppress(OSError):
                (self._group / "cgroup.procs").write_text(str(process.pid))
        assert process.stdin
        with contextlib.suppress(OSError):
            process.stdin.write(b"go\n")
            process.stdin.close()
        threading.Thread(target=self._await, args=(process,), daemon=True).start()
        pump = threading.Thread(target=self._pump, daemon=True)
        pump.start()
        self._guard(process)
        kill_stragglers(self.work)
        pump.join(timeout=30)
        self._usage["wall_seconds"] = round(now() - started, 3)
        assert self._status is not None
        return os.waitstatus_to_exitcode(self._status)

    def _await(self, process: subprocess.Popen[bytes]) -> None:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)  # Popen must not wait for it a second time
        seconds = {"user_seconds": round(usage.ru_utime, 3), "system_seconds": round(usage.ru_stime, 3)}
        self._usage.update(seconds, max_rss_kib=usage.ru_maxrss)
        self._status = status
        self._wake.set()

    def _guard(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for the end; bring it about when the lease is lost, the job is removed or nobody renews."""
        asked: float | None = None
        while self._status is None:
            if asked is None:
                self._wake.wait(max(0.0, self.deadline - now()))
            else:
                time.sleep(0.05)
            self._wake.clear()
            if self._status is not None:
                break
            if now() >= self.deadline and not self.lost:
                say(f"job {self.ids['job']}: the lease was not renewed in time, ending it")
                self.lost = True
            if (self.lost or self.ending) and asked is None:
                asked = now()
                self._signal(process, signal.SIGTERM)
            # A lost job must be dead before the lease runs out elsewhere; a removed one may clean up.
            grace = min(GRACE, self.lease_seconds * (1 - FENCE) / 2) if self.lost else GRACE
            if asked is not None and now() - asked >= grace:
                self._signal(process, signal.SIGKILL)
        self._signal(process, signal.SIGKILL)

    def _signal(self, process: subprocess.Popen[bytes], number: int) -> None:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, number)
        if number == signal.SIGKILL and self._group:
            with contextlib.suppress(OSError):
                (self._group / "cgroup.kill").write_text("1")

    def _pump(self) -> None:
        while self._status is None and not self.lost:
            self._stream_once()
            for _ in range(10):
                if self._status is not None:
                    return
                time.sleep(0.1)

    def _stream_once(self) -> bool:
        """Send what the job has written since; return whether all of it arrived."""
        for stream, name in STREAMS.items():
            while self._sent[stream] < MAX_STREAMED:
                with (self.base / name).open("rb") as file:
                    file.seek(self._sent[stream])
                    data = file.read(CHUNK)
                if not data:
                    break
                body = {
                    "stream": stream,
                    "offset": self._sent[stream],
                    "data": base64.b64encode(data).decode(),
                }
                try:
                    self.agent.server.call("logs", {**self.ids, **body})
                except Unreachable:
                    return False
                except Refused as refused:
                    self.agent.refused(refused, self)
                    return False
                self._sent[stream] += len(data)
        return True

    # --- after

    def _top_level(self) -> dict[str, tuple[int, int, int]]:
        found: dict[str, tuple[int, int, int]] = {}
        for entry in os.scandir(self.work):
            if entry.is_file():
                facts = entry.stat()
                found[entry.name] = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
        return found

    def _streams(self) -> list[Json]:
        files = [(name, self.base / name) for name in STREAMS.values()]
        return [self._entry(name, path) for name, path in files if path.exists() and path.stat().st_size]

    def _outputs(self, returned: int) -> list[Json]:
        wanted: list[str] | None = self.spec.get("transfer_output_files")
        if wanted is None:
            after = self._top_level()
            changed = [name for name in sorted(after) if after[name] != self._before.get(name)]
            self._refuse_too_many(len(changed))
            return [self._entry(name, self.work / name) for name in changed if self._inside(self.work / name)]
        entries: list[Json] = []
        for listed in wanted:
            if listed in ("", "/dev/null"):
                continue
            path = self.work / listed
            if not path.exists():
                if returned:  # that it failed is the news; what is missing follows from it
                    continue
                why = f"the job did not make {listed}, named in transfer_output_files"
                raise Fault("output_missing", why, retry=False)
            if not self._inside(path):
                raise Fault("output_missing", f"{listed} is outside the job's scratch directory", retry=False)
            if path.is_dir():
                above = path if listed.endswith("/") else path.resolve().parent
                for folder, _, files in sorted(os.walk(path.resolve())):
                    for name in sorted(files):
                        file = Path(folder, name)
                        if file.is_file() and self._inside(file):
                            entries.append(self._entry(os.path.relpath(file, above.resolve()), file))
            else:
                entries.append(self._entry(path.name, path))
            self._refuse_too_many(len(entries))
        return entries

    @staticmethod
    def _refuse_too_many(count: int) -> None:
        if count > MAX_OUTPUTS:
            why = f"the job made {count} files to bring back, more than {MAX_OUTPUTS}: pack them into an archive"
            raise Fault("too_many_outputs", why, retry=False)

    def _inside(self, path: Path) -> bool:
        """Whether `path`, all links followed, stays in this job's own directories."""
        return self.base.resolve() in path.resolve().parents

    def _entry(self, name: str, path: Path) -> Json:
        digest = hashlib.sha256()
        size = 0
        try:
            name.encode()
        except UnicodeEncodeError as error:
            why = f"the job made a file whose name is not UTF-8: {name!a}"
            raise Fault("output_invalid", why, retry=False) from error
        with path.open("rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Fault("output_missing", f"{name} is not a file", retry=False)
            while True:
                piece = file.read(CHUNK)
                if not piece:
                    break
                digest.update(piece)
                size += len(piece)
        return {"name": name, "sha256": digest.hexdigest(), "size": size, "path": str(path)}

    def _deliver(self, record: Json) -> None:
        """Upload the outputs, report the end, until both are acknowledged or are nobody's business."""
        try:
            if record["outputs"] and (self.base / STREAMS["stdout"]).exists():
                self._stream_once()
            for entry in record["outputs"]:
                query = urllib.parse.urlencode({**self.ids, "name": entry["name"]})
                headers = {"X-SHA256": entry["sha256"], "Content-Type": "application/octet-stream"}
                send = self.agent.server.upload
                push = functools.partial(send, f"outputs?{query}", Path(entry["path"]), headers)
                self._patiently("upload_failed", push)
        except Fault as fault:
            record = {**record, "outputs": [], "error": record["error"] or fault.record}
        except OSError as error:
            record = {**record, "outputs": [], "error": record["error"] or fault_of(error).record}
        if self.lost:
            return
        outputs = [{k: entry[k] for k in ("name", "sha256", "size")} for entry in record["outputs"]]
        try:
            self._finish({**record, "outputs": outputs})
        except Fault as fault:
            if self.lost or self.agent.abandon.is_set():
                raise
            # Said without what may have been refused of it, so that the job need not wait for its lease to end.
            self._finish({**self.ids, "error": record["error"] or fault.record})

    def _finish(self, body: Json) -> None:
        self._patiently("finish_failed", functools.partial(self.agent.server.call, "finish", body))

    def _patiently(self, code: str, action: Callable[[], Any]) -> Any:
        """Do `action` until it succeeds, with longer and longer pauses. A refusal ends it as Fault `code`."""
        pause = self.agent.retry_seconds
        while not self.lost:
            try:
                return action()
            except Unreachable as error:
                say(f"job {self.ids['job']}: {error}; trying again")
            except Refused as refused:
                self.agent.refused(refused, self)
                if self.lost:
                    break
                if refused.status != 401:
                    raise Fault(code, f"the platform refused: {refused}", retry=True) from refused
            if self.agent.abandon.wait(pause * (0.5 + random.random())):
                raise Fault("worker_stopped", "the worker was stopped", retry=True)
            pause = min(30.0, pause * 2)
        raise Fault("lost", "the attempt is not ours any more", retry=True)

    def _sweep(self) -> None:
        if self.agent.abandon.is_set() and not self.lost and self.agent.has_record(self.key):
            return  # the next agent on this machine delivers it
        shutil.rmtree(self.base, ignore_errors=True)
        if self._group:
            with contextlib.suppress(OSError):
                self._group.rmdir()
        self.agent.drop_record(self.key)


class Agent:
    """The machine's side of the bargain: register, claim, renew, retire."""

    def __init__(self, *, config: Json, config_file: Path) -> None:
        self.config = config
        self.machine = Machine(config=config)
        self.state = Path(config.get("state_dir") or "/var/lib/armillary/agent")
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.server = Server(url=config["url"], ca_pem=config.get("ca_pem"))
        self.machine.shut_out_jobs(config_file)
        self.bundle = self._make_bundle(config.get("ca_pem"))
        self.stopping = threading.Event()
        self.abandon = threading.Event()
        self.status = 0
        self.retry_seconds = float(config.get("retry_seconds") or 0.5)
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()
        self._signing = threading.Lock()
        self._changed = threading.Event()
        self._renew_now = threading.Event()
        self._poll_seconds = 5.0
        self._session: Json = {}

    def run(self) -> int:
        """Work until retired or stopped; return the exit status."""
        self._resume_session()
        self._pick_up_leftovers()
        threading.Thread(target=self._renew_loop, daemon=True).start()
        retired = False
        pause = self.retry_seconds
        while not self.stopping.is_set() and not retired:
            self._changed.clear()
            free = self._free()
            if free["cpus"] < 1:
                self._changed.wait(60)
                continue
            asked = now()
            try:
                answer = self.server.call("claim", {"free": free}, timeout=LONG_POLL + 40)
            except Unreachable as error:
                say(f"{error}; trying again")
                self.stopping.wait(pause * (0.5 + random.random()))
                pause = min(30.0, pause * 2)
                continue
            except Refused as refused:
                self.refused(refused, None)
                self.stopping.wait(self.retry_seconds if refused.status == 401 else self._poll_seconds)
                continue
            pause = self.retry_seconds
            for item in answer.get("jobs") or ():
                self._start(Job(agent=self, item=item, sent=asked))
            retired = bool(answer.get("retire"))
            if not retired and not answer.get("jobs") and now() - asked < 1.0:
                # a server that answers at once is not to be asked in a circle
                self._changed.wait(self._poll_seconds)
        self._leave(retired=retired)
        return self.status

    def stop(self) -> None:
        """Ask to end: jobs are killed and given back."""
        self.stopping.set()
        self._changed.set()

    # --- sessions

    def _register(self) -> None:
        facts = {k: getattr(self.machine, k) for k in ("cpus", "memory_mib", "disk_kib")}
        body = {"bootstrap_token": self.config["bootstrap_token"], "agent_version": VERSION, **facts}
        body["image_sha512"] = self.config["image_sha512"]
        server_id = self.config.get("server_id") or instance_id()
        if server_id:
            body["server_id"] = server_id
        pause = self.retry_seconds
        while not self.stopping.is_set():
            try:
                self.server.session_key = ""
                self._session = self.server.call("register", body)
                break
            except Unreachable as error:
                say(f"cannot register yet: {error}")
                self.stopping.wait(pause * (0.5 + random.random()))
                pause = min(30.0, pause * 2)
        else:
            return
        say(f"registered as {self._session.get('worker')}")
        self._adopt_session()
        write_private(self.state / "session.json", json.dumps(self._session))

    def _adopt_session(self) -> None:
        self.server.session_key = str(self._session["session_key"])
        self._poll_seconds = float(self._session.get("poll_seconds") or 5.0)

    def _resume_session(self) -> None:
        try:
            self._session = json.loads((self.state / "session.json").read_text())
            self._adopt_session()
        except (OSError, ValueError, KeyError):
            self._try_register()

    def _try_register(self) -> None:
        try:
            self._register()
        except Refused as refused:
            say(f"the platform refuses this worker: {refused}")
            self.status = 3
            for job in self._all():
                job.drop()
            self.stop()

    def refused(self, refused: Refused, job: Job | None) -> None:
        """React to a refusal: a stale attempt ends the job, an unknown session is made anew."""
        if refused.status == 401:
            before = self.server.session_key
            with self._signing:
                if self.server.session_key == before and not self.stopping.is_set():
                    self._try_register()
        elif job and (refused.code == "stale_attempt" or refused.status in (404, 410)):
            say(f"job {job.ids['job']}: {refused}")
            job.drop()

    # --- jobs

    def _free(self) -> Json:
        jobs = self._all()
        disk = min(self.machine.disk_kib, shutil.disk_usage(self.machine.scratch).free // 1024)
        return {
            "cpus": max(0, self.machine.cpus - sum(job.cpus for job in jobs)),
            "memory_mib": max(0, self.machine.memory_mib - sum(job.memory_mib for job in jobs)),
            "disk_kib": max(0, disk - sum(job.disk_kib for job in jobs)),
        }

    def _all(self) -> list[Job]:
        with self._lock:
            return list(self._jobs.values())

    def _start(self, job: Job) -> None:
        with self._lock:
            self._jobs[job.key] = job
        threading.Thread(target=job.run, daemon=True).start()
        self._renew_now.set()

    def finished(self, job: Job) -> None:
        """Take a job off the list; its share of the machine is free again."""
        with self._lock:
            self._jobs.pop(job.key, None)
        self._changed.set()

    def keep_record(self, key: str, record: Json) -> None:
        """Write down how a job ended, before anybody is told."""
        write_private(self.state / f"finish-{key}.json", json.dumps(record))

    def has_record(self, key: str) -> bool:
        """Whether the end of this job is written down and not yet acknowledged."""
        return (self.state / f"finish-{key}.json").exists()

    def drop_record(self, key: str) -> None:
        """Forget an acknowledged end."""
        with contextlib.suppress(OSError):
            (self.state / f"finish-{key}.json").unlink()

    def _renew_loop(self) -> None:
        while not self.abandon.is_set():
            jobs = self._all()
            pause = min([job.lease_seconds / 4 for job in jobs], default=60.0)
            if jobs:
                sent = now()
                try:
                    body = {"items": [job.ids for job in jobs]}
                    self._renewed(jobs, self.server.call("renew", body, timeout=max(2.0, pause)), sent)
                except Unreachable as error:
                    say(f"cannot renew: {error}")
                    pause = min(pause, 2.0)
                except Refused as refused:
                    self.refused(refused, None)
                    pause = min(pause, 2.0)
            self._renew_now.wait(pause)
            self._renew_now.clear()

    @staticmethod
    def _renewed(jobs: list[Job], answer: Json, sent: float) -> None:
        credentials: Json = answer.get("credential") or {}
        for job in jobs:
            name = str(job.ids["job"])
            if name in (answer.get("lost") or ()):
                job.drop()
                continue
            job.deadline = sent + job.lease_seconds * FENCE
            if name in (answer.get("remove") or ()):
                job.end("removed")
            if name in credentials:
                job.give_credential(credentials[name])

    def _pick_up_leftovers(self) -> None:
        """End what an earlier agent left running; deliver what it had finished but not reported."""
        waiting: dict[str, Json] = {}
        for file in sorted(self.state.glob("finish-*.json")):
            try:
                waiting[file.name[len("finish-") : -len(".json")]] = json.loads(file.read_text())
            except (OSError, ValueError) as error:
                say(f"unreadable record {file.name}: {error}")
                file.unlink(missing_ok=True)
        for base in self.machine.scratch.iterdir():
            kill_stragglers(base / "work")
            if base.name not in waiting:
                shutil.rmtree(base, ignore_errors=True)
        for record in waiting.values():
            self._start(Job(agent=self, item=dict(record), sent=now(), record=record))

    # --- the end

    def _leave(self, *, retired: bool) -> None:
        if retired:
            while self._all() and not self.stopping.is_set():
                self._changed.wait(1.0)
                self._changed.clear()
        for job in self._all():
            job.end("worker_stopped")
        limit = now() + GRACE + 5
        while self._all() and now() < limit:
            self._changed.wait(0.2)
            self._changed.clear()
        self.abandon.set()
        if self.status == 0:
            with contextlib.suppress(Unreachable, Refused):
                self.server.call("bye", {}, timeout=5)
        if retired and self.config.get("poweroff_on_retire"):
            say("retired; powering off")
            subprocess.run(["systemctl", "poweroff"], check=False)

    def _make_bundle(self, ca_pem: str | None) -> Path | None:
        """Lay the machine's certificate authorities and ours into one file that jobs may read."""
        if not ca_pem:
            return None
        known = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
        text = ""
        with contextlib.suppress(OSError):
            text = Path(known).read_text()
        bundle = self.machine.scratch.parent / "armillary-ca-bundle.pem"
        try:
            bundle.write_text(text + "\n" + ca_pem)
            bundle.chmod(0o644)
        except OSError:
            return None
        return bundle


def main(arguments: list[str] | None = None) -> int:
    """Run the agent; return the exit status."""
    parser = argparse.ArgumentParser(prog="agent.py", description="Armillary's worker agent.")
    about = "JSON with url, bootstrap_token, image_sha512; perhaps ca_file, vospace, cpus, memory_mib, …"
    parser.add_argument("--config", type=Path, required=True, help=about)
    path: Path = parser.parse_args(arguments).config
    try:
        config: Json = json.loads(path.read_text())
        if config.get("ca_file"):
            config["ca_pem"] = Path(config["ca_file"]).read_text()
        agent = Agent(config=config, config_file=path)
    except (OSError, ValueError, KeyError) as error:
        say(f"cannot start with {path}: {type(error).__name__}: {error}")
        return 2
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: agent.stop())
    return agent.run()


if __name__ == "__main__":
    sys.exit(main())
