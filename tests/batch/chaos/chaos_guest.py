"""A worker machine in virtual time: an agent that keeps the agent's promises, and the processes of its jobs."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from chaos_history import History

from armillary.base.errors import Unauthorized, Unavailable
from armillary.base.ids import ServerId, Sha512
from armillary.batch.agents import AgentService
from armillary.batch.core.states import Fault, Result
from armillary.batch.engines.embedded.parcels import LeaseKey, OutputRef
from armillary.batch.engines.embedded.register import Session
from armillary.batch.model import Resources, StaleAttempt

T = TypeVar("T")


class Platform(Protocol):
    """What a guest reaches over the network, when it reaches it."""

    history: History
    lease: timedelta

    @property
    def now(self) -> datetime: ...

    def ask(self, call: Callable[[AgentService], T]) -> T:
        """Raises Unavailable while the platform is down, or when it dies meanwhile."""
        ...

    def how_long(self) -> float:
        """Seconds that the next job takes."""
        ...


@dataclass(kw_only=True)
class Process:
    """A running job."""

    key: LeaseKey
    ends_at: datetime
    lease_from: datetime
    """when the last renewal that was answered was sent"""


@dataclass(kw_only=True)
class Report:
    """A result that the platform has not acknowledged yet. Kept on the machine's disk."""

    key: LeaseKey
    result: Result
    wrote: str | None


@dataclass(kw_only=True)
class Guest:
    """One machine. `deaf`: nothing reaches the platform; `unheard`: it does, but no answer comes back."""

    platform: Platform
    server: ServerId
    config: Mapping[str, Any]
    reports_at: datetime
    whole: Resources
    session_key: str | None = None
    processes: dict[LeaseKey, Process] = field(default_factory=dict[LeaseKey, Process])
    outbox: list[Report] = field(default_factory=list[Report])
    deaf: bool = False
    unheard: bool = False
    frozen: bool = False
    retired: bool = False

    def step(self) -> None:
        """Do what an agent does in a few seconds."""
        if self.frozen or self.retired or self.platform.now < self.reports_at:
            return
        try:
            if self.session_key is None:
                self._register()
            self._fence()
            self._reap()
            self._renew()
            self._deliver()
            self._claim()
        except Unauthorized:  # given up: nothing that it says counts any more
            self.die()
            self.retired = True
        except Unavailable:
            return

    # what happens to it

    def freeze(self) -> None:
        """Stop the whole machine, with all of its processes."""
        self.frozen = True
        self._note_stops()

    def thaw(self) -> None:
        """Go on. The agent looks at its leases before a process gets a slice of time."""
        self.frozen = False
        for process in list(self.processes.values()):
            if self._in_lease(process):
                self.platform.history.went_on(str(process.key.job), process.key.attempt, self.platform.now)
            else:
                del self.processes[process.key]

    def die(self) -> None:
        """Power off."""
        if not self.frozen:
            self._note_stops()
        self.processes.clear()
        self.outbox.clear()

    def restart_agent(self) -> None:
        """Kill the agent and its jobs; what lies on the disk is found again."""
        for key in list(self.processes):
            self._kill(key)
            fault = Fault(code="agent_restarted", message="the agent was restarted", retry=True)
            self.outbox.append(Report(key=key, result=Result(error=fault), wrote=None))

    # what it does

    def _register(self) -> None:
        _, key = self._call(
            lambda agents: agents.register(
                token=self.config["bootstrap_token"],
                server_id=self.server,
                image=Sha512(self.config["image_sha512"]),
                whole=self.whole,
                version="chaos",
            )
        )
        self.session_key = key

    def _fence(self) -> None:
        for process in list(self.processes.values()):
            if not self._in_lease(process):
                self._kill(process.key)

    def _in_lease(self, process: Process) -> bool:
        return self.platform.now - process.lease_from < self.platform.lease * 0.8

    def _reap(self) -> None:
        for process in list(self.processes.values()):
            if process.ends_at <= self.platform.now:
                job, attempt = str(process.key.job), process.key.attempt
                wrote = f"result of {job} by attempt {attempt}"
                self.platform.history.stopped(job, attempt, self.platform.now, wrote=wrote)
                del self.processes[process.key]
                self.outbox.append(Report(key=process.key, result=Result(exit_code=0), wrote=wrote))

    def _renew(self) -> None:
        sent = self.platform.now
        keys = list(self.processes)
        renewal = self._call(lambda agents: agents.renew(self._session(agents), keys))
        for key in renewal.lost:
            self._kill(key)
        for key in renewal.remove:
            self._kill(key)
            self.outbox.append(Report(key=key, result=Result(signal=15), wrote=None))
        for process in self.processes.values():
            process.lease_from = sent

    def _deliver(self) -> None:
        for report in list(self.outbox):
            with contextlib.suppress(StaleAttempt):
                self._call(lambda agents, report=report: _hand_in(agents, self._session(agents), report))
            self.outbox.remove(report)

    def _claim(self) -> None:
        sent = self.platform.now
        free = self.whole.cpus - len(self.processes)
        if not free:
            return
        share = Resources(
            cpus=free,
            memory_mib=self.whole.memory_mib // self.whole.cpus * free,
            disk_kib=self.whole.disk_kib // self.whole.cpus * free,
        )
        claimed = self._call(lambda agents: agents.claim(self._session(agents), share))
        for assignment in claimed.jobs:
            key = assignment.leased.key
            self.platform.history.began(str(key.job), key.attempt, sent)
            ends = sent + timedelta(seconds=self.platform.how_long())
            self.processes[key] = Process(key=key, ends_at=ends, lease_from=sent)
        if claimed.retire and not self.processes and not self.outbox:
            self._call(lambda agents: agents.leave(self._session(agents)))
            self.retired = True

    def _session(self, agents: AgentService) -> Session:
        assert self.session_key
        return agents.session(self.session_key)

    def _call(self, call: Callable[[AgentService], T]) -> T:
        if self.deaf:
            raise Unavailable("no route to the platform")
        answer = self.platform.ask(call)
        if self.unheard:
            raise Unavailable("the answer was lost")
        return answer

    def _kill(self, key: LeaseKey) -> None:
        del self.processes[key]
        self.platform.history.stopped(str(key.job), key.attempt, self.platform.now)

    def _note_stops(self) -> None:
        for key in self.processes:
            self.platform.history.stopped(str(key.job), key.attempt, self.platform.now)


def _hand_in(agents: AgentService, session: Session, report: Report) -> None:
    outputs: list[OutputRef] = []
    if report.wrote is not None:
        content = report.wrote.encode()
        with agents.output(session, report.key, "result") as writer:
            writer.write(content)
            blob = writer.commit(hashlib.sha256(content).hexdigest())
        outputs = [OutputRef(name="result", sha256=blob.sha256, size=blob.size)]
        agents.add_output(session, report.key, outputs[0])
    agents.finish(session, report.key, report.result, usage={}, outputs=outputs)
