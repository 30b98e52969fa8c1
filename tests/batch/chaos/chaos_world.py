"""The whole batch service in virtual time, in a storm: what can happen to it, and what must hold afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from batch_world import TERMS, WHOLE, World
from chaos_cloud import StormyCloud
from chaos_guest import Guest
from chaos_history import History, Verdict
from sqlalchemy import event

from armillary.base.errors import Unavailable
from armillary.base.ids import ServerId
from armillary.batch.agents import AgentService
from armillary.batch.model import JobId, JobState, Selection, WrongState
from armillary.fleet.fake import FLAVORS

T = TypeVar("T")
STEP = 5.0
CREATES = ("lost", "refused", "error", "stuck", "mute")
VCPUS = {flavor.name: flavor.vcpus for flavor in FLAVORS}


class Killed(BaseException):
    """`kill -9` of the platform, in front of some statement to its database."""


class ChaosWorld:
    """A platform, two clouds, and the guests in their machines. Everything random comes from one seed."""

    def __init__(self, folder: Path, *, seed: int, grace: timedelta = TERMS.grace) -> None:
        self.dice = Random(seed)
        self.history = History()
        self.world = World(folder=folder, defer=True, terms=replace(TERMS, grace=grace))
        clock = self.world.clock
        self.world.east = StormyCloud(name="east", clock=clock, cores=8, number=16)
        self.world.west = StormyCloud(name="west", clock=clock, cores=8, number=17)
        self.clouds: list[StormyCloud] = [self.world.east, self.world.west]
        self.world.image = self.world.east.add_image("m", b"a machine", project=self.world.project)
        self.lease = self.world.terms.lease
        self.guests: dict[ServerId, Guest] = {}
        self.submitted: list[str] = []
        self.down_until: datetime | None = None
        self.starts = 0
        self._statements_left: int | None = None
        self._start()

    @property
    def now(self) -> datetime:
        return self.world.clock.now()

    # the platform

    def _start(self) -> None:
        self.starts += 1
        self.world.restart()
        self.world.queue.resume()
        event.listen(self.world.database, "before_cursor_execute", self._count)

    def _count(self, *_: Any) -> None:
        if self._statements_left is not None:
            self._statements_left -= 1
            if self._statements_left < 0:
                self._statements_left = None
                raise Killed

    def ask(self, call: Callable[[AgentService], T]) -> T:
        return self.do(lambda: call(self.world.agents))

    def do(self, what: Callable[[], T]) -> T:
        """Have the platform do something; it may be killed over it."""
        if self.down_until is not None:
            raise Unavailable("the platform is down")
        try:
            return what()
        except Killed:
            self.world.database.dispose()
            self.down_until = self.now + timedelta(seconds=self.dice.choice([5, 30, 120]))
            raise Unavailable("the platform was killed") from None

    def how_long(self) -> float:
        return self.dice.choice([5, 30, 120, 300])

    # time

    def submit(self, count: int) -> None:
        cluster = self.world.submit(count)
        self.submitted += [f"{cluster}.{proc}" for proc in range(count)]

    def step(self) -> None:
        """Five seconds of everybody's life."""
        self.world.later(STEP)
        if self.down_until is not None and self.now >= self.down_until:
            self.down_until = None
            self._start()
        for what in (self.world.agents.upkeep, self.world.scaler.tick, self.world.run_deferred):
            try:
                self.do(what)
            except Unavailable:
                break
        self._machines()
        guests = list(self.guests.values())
        self.dice.shuffle(guests)
        for guest in guests:
            guest.step()

    def _machines(self) -> None:
        """Bring up what the clouds have made, and end what they have deleted."""
        there: dict[ServerId, StormyCloud] = {}
        cores = 0
        for cloud in self.clouds:
            for server in cloud.running(self.world.project):
                there[server.id] = cloud
                cores += VCPUS[server.flavor]
                if server.status == "ACTIVE" and server.id not in self.guests and server.id not in cloud.mute:
                    delay = timedelta(seconds=self.dice.choice([10, 40, 90]))
                    self.guests[server.id] = Guest(
                        platform=self,
                        server=server.id,
                        config=cloud.config_of(server.id),
                        reports_at=self.now + delay,
                        whole=WHOLE,
                    )
                elif server.status in {"ERROR", "SHUTOFF"} and server.id in self.guests:
                    self.guests.pop(server.id).die()
        granted = self.world.project.allocation.batch_cores
        if cores > granted:
            self.history.wrong.append(f"{cores} cores were in use, {granted} were granted")
        for gone in [server for server in self.guests if server not in there]:
            self.guests.pop(gone).die()

    # what can happen

    def _guest(self) -> Guest | None:
        return self.dice.choice(list(self.guests.values())) if self.guests else None

    def kill_platform_soon(self) -> None:
        self._statements_left = self.dice.randrange(200)

    def kill_machine(self) -> None:
        guest = self._guest()
        if guest is None:
            return
        for cloud in self.clouds:
            if any(server.id == guest.server for server in cloud.running(self.world.project)):
                if self.dice.random() < 0.5:
                    cloud.vanish(guest.server)
                else:
                    cloud.set_status(guest.server, "SHUTOFF")

    def restart_an_agent(self) -> None:
        guest = self._guest()
        if guest is not None and not guest.frozen:
            guest.restart_agent()

    def cut_a_cable(self) -> None:
        guest = self._guest()
        if guest is not None:
            guest.deaf, guest.unheard = self.dice.choice([(True, False), (False, True), (False, False)])

    def freeze_a_machine(self) -> None:
        guest = self._guest()
        if guest is not None:
            guest.thaw() if guest.frozen else guest.freeze()

    def trouble_on_a_cloud(self) -> None:
        cloud = self.dice.choice(self.clouds)
        match self.dice.randrange(3):
            case 0:
                cloud.silent = not cloud.silent
            case 1:
                cloud.late = not cloud.late
            case _:
                cloud.next_create = self.dice.choice(CREATES)

    def people_interfere(self) -> None:
        """Hold, and release at once or later; never remove: everything is to be done in the end."""
        chosen = _selection(self.dice.choice(self.submitted))
        queue = self.world.queue
        hold = self.dice.random() < 0.5
        with contextlib.suppress(Unavailable, WrongState):
            self.do(lambda: queue.hold(chosen, reason="let me see") if hold else queue.release(chosen))

    def calm(self) -> None:
        """End all trouble."""
        self._statements_left = None
        for cloud in self.clouds:
            cloud.silent = cloud.late = False
            cloud.next_create = None
        for guest in self.guests.values():
            guest.deaf = guest.unheard = False
            if guest.frozen:
                guest.thaw()

    # the end

    def finish(self, *, steps: int = 3000) -> None:
        """Let everything come to its end in calm weather; held jobs are released as a person would."""
        self.calm()
        for _ in range(steps):
            self.step()
            if self.down_until is None:
                states = self.world.states()
                for job in [job for job, state in states.items() if state == JobState.HELD]:
                    self.world.queue.release(_selection(job))
                if all(state == JobState.COMPLETED for state in states.values()) and not self._servers():
                    return

    def _servers(self) -> list[Any]:
        return [server for cloud in self.clouds for server in cloud.running(self.world.project)]

    def judge(self) -> list[str]:
        """Return what went wrong: nothing, it is hoped."""
        wrong = self.history.judge(self.submitted, {job: self._verdict(job) for job in self.world.states()})
        return wrong + [f"{server.name} is left on {server.cloud}" for server in self._servers()]

    def _verdict(self, job: str) -> Verdict:
        name = JobId.parse(job)
        detail = self.world.records.job(None, name)
        content = None
        for output in detail.outputs:
            content = self.world.spool.path(output.sha256).read_text()
        events = self.world.queue.changes(after=0, cluster=name.cluster, limit=100_000)
        return Verdict(
            state=detail.view.state,
            attempt=detail.committed_attempt,
            content=content,
            moves=[one.state.value for one in events if one.job == name],
        )


def _selection(job: str) -> Selection:
    name = JobId.parse(job)
    return Selection(cluster=name.cluster, proc=name.proc)
