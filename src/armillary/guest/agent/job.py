"""One attempt at one job, from its inputs to its acknowledged end, in a thread of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from armillary.guest.agent import environment, processes, staging
from armillary.guest.agent.basics import FENCE, Fault, Json, Refused, fault_of, now, say
from armillary.guest.agent.delivery import Delivery
from armillary.guest.agent.groups import Group
from armillary.guest.agent.keeping import NotStarted, Program
from armillary.guest.agent.limits import Limits
from armillary.guest.agent.outputs import Harvest, Snapshot, remove_tree, top_level
from armillary.guest.agent.slots import Account
from armillary.guest.agent.streams import STREAMS, Streams

if TYPE_CHECKING:
    from armillary.guest.agent.worker import Worker

GRACE = 10.0
"""Seconds to end in after `kill_signal`, when the job does not say how many it needs."""
STOPPING_GRACE = 60.0
"""At most so many when the machine itself is going down."""
PULSE = 0.5
"""Seconds between looks at what a running job prints and uses."""
ENDINGS = {"removed": "the job was removed or held", "worker_stopped": "the worker was stopped"}


class Job:
    """The life of an attempt. `record`: it has ended already, and only its delivery is left."""

    def __init__(self, *, worker: Worker, item: Json, sent: float, record: Json | None = None) -> None:
        self.worker = worker
        self.item = item
        self.spec: Json = item.get("spec") or {}
        self.ids: Json = {name: item[name] for name in ("job", "attempt", "lease_secret")}
        self.key = f"{self.ids['job']}-{self.ids['attempt']}"
        self.cpus = int(self.spec.get("request_cpus") or 1)
        self.memory_mib = int(self.spec.get("request_memory_mib") or 0)
        self.disk_kib = int(self.spec.get("request_disk_kib") or 0)
        self.gpus: list[int] = []
        self.lease_seconds = float(item.get("lease_seconds") or 60)
        self.deadline = sent + self.lease_seconds * FENCE
        self.base = worker.machine.scratch / self.key
        self.work = self.base / "work"
        self.account: Account | None = None
        self.group: Group | None = None
        self.program: Program | None = None
        self.record = record
        self.lost = False
        self.ending = ""
        self.following: list[Job] = []
        """Jobs that came with the acknowledgement of this one's end."""
        self._fault: Fault | None = None
        self._usage: Json = {}
        self._wake = threading.Event()
        self._before: Snapshot | None = None
        """What was in the scratch when it was ready."""
        self._writing = threading.Lock()
        self._harvest = Harvest(base=self.base, work=self.work)
        self.delivery = Delivery(job=self)
        self.streams = Streams(base=self.base, ids=self.ids, server=worker.server, refused=self._refused)

    # --- what others say to it

    def drop(self) -> None:
        """The attempt is not ours any more: kill it and forget its results."""
        self.lost = True
        # It must be dead before the lease runs out elsewhere.
        self._stop(number=signal.SIGTERM, grace=self.fence_grace)
        self._wake.set()

    def end(self, code: str) -> None:
        """End the job with time to save its work, and report that it ended and why."""
        if not self.ending:
            self.ending = code
            self._stop_softly()
        self._wake.set()

    def extend(self, deadline: float) -> dict[int, float]:
        """Take a renewal of the lease; returns what the keeper is to know."""
        self.deadline = deadline
        return {self.program.number: deadline} if self.program and self.program.end is None else {}

    @property
    def fence_grace(self) -> float:
        """Seconds between asking a job without a lease to end, and killing it."""
        return min(GRACE, self.lease_seconds * (1 - FENCE) / 2)

    @property
    def grace(self) -> float:
        """Seconds that the job has to save its work."""
        given = self.spec.get("kill_seconds")
        wanted = GRACE if given is None else float(given)
        return min(wanted, STOPPING_GRACE) if self.ending == "worker_stopped" else wanted

    def _stop_softly(self) -> None:
        self._stop(number=int(self.spec.get("kill_signal") or signal.SIGTERM), grace=self.grace)

    def _stop(self, *, number: int, grace: float) -> None:
        if self.program:
            self.worker.keeping.stop(self.program, number=number, grace=grace)

    def _refused(self, refused: Refused) -> None:
        self.worker.refused(refused, self)

    # --- the way

    def run(self) -> None:
        """Go the whole way; never raises."""
        try:
            if self.record is None:
                self.record = self._whole()
            if not self.lost:
                self.following = self.delivery.deliver(self.record)
        except Fault as fault:  # the record itself could not be delivered
            say(f"job {self.ids['job']}: {fault}")
        except Exception as error:  # noqa: BLE001 - the end of a thread: the lease runs out and says the rest
            say(f"job {self.ids['job']}: {type(error).__name__}: {error}")
        finally:
            left = self._put_away()
            self.worker.finished(self)
            if left:
                remove_tree(left)

    def _whole(self) -> Json:
        ended: Json = {"exit_code": None, "signal": None}
        outputs: list[Json] = []
        error: Json | None = None
        try:
            self._prepare()
            returned = self._execute()
            ended = (
                {"exit_code": returned, "signal": None}
                if returned >= 0
                else {"exit_code": None, "signal": -returned}
            )
            outputs += self._printed()
            outputs += self._results(returned)
        except Fault as fault:
            error = fault.record
        except OSError as problem:
            error = fault_of(problem).record
        except ValueError as problem:  # a NUL in an argument, a variable or a name
            why = f"the job cannot be started as it is: {problem}"
            error = Fault("job_invalid", why, retry=False).record
        # Of one that was removed nothing is wanted but what was shown.
        if error and not outputs and self.ending != "removed":
            with contextlib.suppress(OSError):
                outputs += self._printed()
        record: Json = {**self.ids, **ended, "usage": self._usage, "outputs": outputs, "error": error}
        if not self.lost:
            try:
                self.worker.book.keep(self.key, record)
            except OSError as problem:  # a full disk must not keep the news from the platform
                say(f"cannot keep the finish record of {self.key}: {problem}")
        return record

    # --- before

    def _prepare(self) -> None:
        shutil.rmtree(self.base, ignore_errors=True)
        mine = [self.work, self.base / "home", self.base / "tmp"]
        self.base.mkdir()
        self.base.chmod(0o711)
        for directory in mine:
            directory.mkdir(mode=0o700)
        for entry in self.item.get("inputs") or ():
            staging.stage(entry, self.work, fetch=self._fetch, executable=self.spec.get("executable"))
        slots = self.worker.machine.slots
        self.account = slots.take() if slots else None
        with self._writing:
            self._write_credential(first=True)
            self._before = {}
        # The base stays ours: a job that could replace its stream files by links would have us read them as root.
        if self.account:
            for directory in mine:
                staging.give_to(self.account, directory)
        for source in self.spec.get("transfer_input_files") or ():
            if "://" in source or source.startswith("vos:"):
                staging.retrieve(
                    source,
                    work=self.work,
                    environment=self.environment(),
                    account=self.account,
                    pause=self._pause,
                )
        self._before = top_level(self.work)

    def _fetch(self, sha256: str, file: Any) -> str:
        def pull() -> str:
            file.seek(0)
            file.truncate()
            return self.worker.server.fetch(f"blobs/{sha256}", file)

        return self.delivery.patiently("input_fetch_failed", pull)

    def _pause(self, units: float) -> None:
        self._wake.wait(self.worker.retry_seconds * units)
        if self.lost or self.ending:
            raise Fault(self.ending or "lost", "ended before it started", retry=True)

    def give_credential(self, credential: Any) -> None:
        """Put a newer short-lived certificate where the VOSpace clients look for it."""
        if isinstance(credential, dict):
            with self._writing:
                self.item["credential"] = cast("Json", credential)
                if self._before is not None:  # else it is written when the place for it is made
                    self._write_credential(first=False)

    def _write_credential(self, *, first: bool) -> None:
        credential: Json = self.item.get("credential") or {}
        pem = str(credential.get("certificate_pem") or "")
        if not pem:
            return
        own = self.base / "home"
        homes = {own, Path(self.environment()["HOME"])}
        if first:  # nothing of the job's runs yet, and the place is ours
            homes.discard(own)
            (own / ".ssl").mkdir(mode=0o700)
            (own / ".ssl" / "cadcproxy.pem").touch(mode=0o600)
            (own / ".ssl" / "cadcproxy.pem").write_text(pem)
        for home in homes:
            if not staging.put_as(self.account, home / ".ssl", "cadcproxy.pem", pem):
                say(f"job {self.ids['job']}: cannot write the certificate under {home}")

    def environment(self) -> dict[str, str]:
        """Return the variables that the job sees."""
        return environment.of_job(self)

    # --- during

    def _execute(self) -> int:
        """Run the program, again after each checkpoint that it asked for; return how it ended for good."""
        plan = self._plan()
        machine = self.worker.machine
        while True:
            self._check_wanted()
            self.group = machine.groups.make(self.key) if machine.groups and not self.group else self.group
            if self.group:
                memory = self.memory_mib or machine.memory_mib
                self.group.limit(cpus=self.cpus, memory_mib=memory, pids=machine.pids)
                plan["groups"] = self.group.entries
            uid = self.account.uid if self.account else None
            limits = Limits(
                spec=self.spec, base=self.base, work=self.work, uid=uid, group=self.group, pids=machine.pids
            )
            try:
                end = self._watch(plan, limits)
            except BaseException:
                self._end_all()
                raise
            if self.group or end["strays"]:
                self._end_all()
            returned = int(end["status"])
            self._fault = self._fault or limits.after(returned)
            self._usage = {**limits.usage(end), "cpus": self.cpus}
            if end.get("fenced"):
                say(f"job {self.ids['job']}: the lease was not renewed in time, it was ended")
                self.lost = True
            if self.lost:
                raise Fault("lost", "the attempt is not ours any more", retry=True)
            self.streams.send()
            wants = self.spec.get("checkpoint_exit_code")
            saved = wants is not None and returned == int(wants)
            if saved or (
                (self.ending or self._fault)
                and self.spec.get("when_to_transfer_output") == "ON_EXIT_OR_EVICT"
            ):
                self._save(complain=saved and not self.ending)
            if self._fault:
                raise self._fault
            if self.ending:
                raise Fault(
                    self.ending, ENDINGS.get(self.ending, self.ending), retry=self.ending != "removed"
                )
            if not saved:
                return returned
            plan["append"] = True

    def _check_wanted(self) -> None:
        self.lost = self.lost or now() >= self.deadline
        if self.lost or self.ending:
            raise Fault(self.ending or "lost", "ended before it started", retry=True)

    def _plan(self) -> Json:
        given = self.spec.get("input")
        plan: Json = {
            "command": environment.command_of(self),
            "environment": self.environment(),
            "directory": str(self.work),
            "stdin": "/dev/null"
            if not given or given == "/dev/null"
            else str(self.work / staging.destination(given)),
            "grace": self.fence_grace,
            **{name: str(self.base / file) for name, file in STREAMS.items()},
            **self.worker.machine.views(self.base / "tmp"),
        }
        if self.account:
            plan.update(uid=self.account.uid, gid=self.account.gid)
        return plan

    def _watch(self, plan: Json, limits: Limits) -> Json:
        """Start the program and stay with it until its end."""
        try:
            self.program = self.worker.keeping.start({**plan, "deadline": self.deadline}, ended=self._wake)
        except NotStarted as problem:
            raise environment.why_not(problem, plan) from problem
        if self.lost:  # whoever said so while it was being started had nothing to stop
            self.drop()
        elif self.ending:
            self._stop_softly()
        else:
            self.worker.keeping.extend(self.extend(self.deadline))
        while self.program.end is None:
            self._wake.wait(PULSE)
            self._wake.clear()
            if self.program.end is not None:
                break
            if self.worker.keeping.gone.is_set():
                raise Fault("worker_fault", "the keeper of jobs has died", retry=True)
            if self.lost:
                continue
            self.streams.send()
            fault = None if self._fault else limits.look()
            if fault:
                self._fault = fault
                if fault.record["code"] == "time_exceeded":
                    self._stop_softly()
                else:  # what is used up is everybody's
                    self._stop(number=signal.SIGKILL, grace=0)
        return self.program.end

    def _end_all(self) -> None:
        """See that nothing of the job runs any more, wherever it went."""
        if self.group:
            self.group.kill()
            if not self.worker.keeping.gone.is_set():
                return  # and nobody leaves a group who is not root
        if self.account:
            processes.kill_user(self.account.uid)
        else:
            processes.kill_stragglers(self.work)

    # --- after

    def _printed(self) -> list[Json]:
        return [self._harvest.entry(name, path) for name, path in self.streams.files()]

    def _results(self, returned: int) -> list[Json]:
        wanted: list[str] | None = self.spec.get("transfer_output_files")
        if self.spec.get("when_to_transfer_output") == "ON_SUCCESS" and returned:
            return []
        if wanted is None:
            return self._harvest.changed(self._before or {})
        relative = bool(self.spec.get("preserve_relative_paths"))
        return self._harvest.listed(wanted, missing_is_fault=returned == 0, whole_paths=relative)

    def _save(self, *, complain: bool) -> None:
        """Bring the job's checkpoint to the platform, for its next attempt. `complain`: raise when that fails."""
        listed = self.spec.get("transfer_checkpoint_files") or self.spec.get("transfer_output_files")
        try:
            if listed:
                files = self._harvest.listed(listed, missing_is_fault=False, whole_paths=True)
            else:
                files = self._harvest.changed(self._before or {})
            self.delivery.keep_checkpoint(files)
        except (Fault, OSError) as problem:
            say(f"job {self.ids['job']}: its checkpoint was not kept: {problem}")
            if complain:
                raise

    def _put_away(self) -> Path | None:
        """Give back what the job had; return its directory under another name, to be deleted when there is time."""
        if self.group:
            self.group.remove()
        if self.account and self.worker.machine.slots:
            self.worker.machine.slots.give_back(self.account)
        if self.worker.abandon.is_set() and not self.lost and self.worker.book.has(self.key):
            return None  # the next agent on this machine delivers it
        self.worker.book.drop(self.key)
        old = self.base.with_name(f".{self.key}.{os.urandom(4).hex()}")
        try:
            self.base.rename(old)
        except OSError:
            return self.base if self.base.exists() else None
        return old
