"""The keeper: a small process of one thread that starts jobs, ends them, and never waits for the network.

It is forked from the agent before that has threads, so that it may fork safely, and has no files open for writing, so that
no program of a job is ever "busy". They speak over a socket, in JSON, one message a packet. When the agent dies, or hangs
so long that a lease runs out, the keeper ends the jobs.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import select
import signal
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from armillary.guest.agent.basics import Json, now
from armillary.guest.agent.launch import adopt_orphans, launch

MAX_MESSAGE = 1 << 16
TICK = 1.0
"""Seconds between looks at the deadlines: `select` does not count the time that a machine sleeps."""


@dataclass
class Child:
    """A program that runs: a job's, or one that somebody called into a job."""

    number: int
    pid: int
    uid: int | None
    entries: list[str]
    owner: int | None
    """the job that a call belongs to"""
    deadline: float | None = None
    """when to end it unless it is extended before"""
    grace: float = 0.0
    kill_at: float | None = None
    facts: Json = field(default_factory=dict[str, Any])


def receive(channel: socket.socket) -> tuple[Json | None, list[int]]:
    """Take one message and the files that came with it; None when the other side has gone."""
    data, descriptors, _, _ = socket.recv_fds(channel, MAX_MESSAGE, 8)
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)  # `recv_fds` drops the flag that would have done it
    return (cast("Json", json.loads(data)) if data else None), descriptors


def send(channel: socket.socket, message: Json, descriptors: list[int] | None = None) -> None:
    """Send one message, with open files."""
    socket.send_fds(channel, [json.dumps(message).encode()], descriptors or [])


class Keeper:
    """The loop of the process."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._children: dict[int, Child] = {}
        self._wake, alarm = socket.socketpair()
        for end in (self._wake, alarm):
            end.setblocking(False)
        self._alarm = alarm
        adopt_orphans()
        self._own_rss_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(alarm.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):  # the agent decides when it is over
            signal.signal(number, signal.SIG_IGN)

    def run(self) -> None:
        """Serve until the agent is gone; then nothing that it started goes on."""
        try:
            self._serve()
        finally:
            for child in list(self._children.values()):
                self._end(child)

    def _serve(self) -> None:
        while True:
            waiting = TICK if self._children else None
            if waiting:
                times = [t for c in self._children.values() for t in (c.deadline, c.kill_at) if t is not None]
                waiting = min([TICK, *(max(0.0, at - now()) for at in times)])
            ready, _, _ = select.select([self._channel, self._wake], [], [], waiting)
            if self._wake in ready:
                with contextlib.suppress(BlockingIOError):
                    self._wake.recv(4096)
            self._reap()
            self._look_at_the_clock()
            if self._channel in ready and not self._take():
                return

    def _take(self) -> bool:
        try:
            message, descriptors = receive(self._channel)
        except OSError:
            return False
        if message is None:
            return False
        try:
            if message["do"] == "start":
                self._start(message, descriptors)
            elif message["do"] == "extend":
                for number, deadline in message["deadlines"].items():
                    child = self._children.get(int(number))
                    if child and child.deadline is not None:
                        child.deadline = deadline
            elif message["do"] == "stop":
                self._stop(message)
            elif message["do"] == "ping":
                send(self._channel, {"pong": message["ping"]})
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _start(self, message: Json, descriptors: list[int]) -> None:
        """Start what the first descriptor's file plans, with the others as its standard files."""
        number = int(message["id"])
        plan: Json = json.loads(os.pread(descriptors[0], os.fstat(descriptors[0]).st_size, 0))
        told, tell = os.pipe()
        try:
            pid = os.fork()
        except OSError as error:
            os.close(told)
            os.close(tell)
            send(self._channel, {"id": number, "errno": error.errno, "failed": str(error), "stage": "worker"})
            return
        if pid == 0:
            stage = ["worker"]
            try:
                launch(plan, descriptors[1:], stage)
            except BaseException as error:  # noqa: BLE001 - the child of a fork must never go on as its parent
                code = error.errno if isinstance(error, OSError) else 0
                why = {"errno": code, "failed": str(error), "stage": stage[0]}
                os.write(tell, json.dumps(why).encode())
            os._exit(127)
        os.close(tell)
        with os.fdopen(told, "rb") as pipe:
            failed = pipe.read()  # ends when the program has taken over
        child = Child(
            number=number,
            pid=pid,
            uid=plan.get("uid"),
            entries=plan.get("groups") or [],
            owner=plan.get("owner"),
            deadline=plan.get("deadline"),
            grace=plan.get("grace") or 0.0,
        )
        if failed:
            os.waitpid(pid, 0)
            send(self._channel, {"id": number, **json.loads(failed)})
            return
        self._children[number] = child
        send(self._channel, {"id": number, "pid": pid})

    def _stop(self, message: Json) -> None:
        child = self._children.get(int(message["id"]))
        if child is None:
            return
        at = now() + float(message["grace"])
        if child.kill_at is None or at < child.kill_at:
            child.kill_at = at
            if message["grace"] > 0:
                self._signal(child, int(message["signal"]))

    def _look_at_the_clock(self) -> None:
        moment = now()
        for child in list(self._children.values()):
            if child.deadline is not None and moment >= child.deadline:
                child.deadline = None
                child.facts["fenced"] = True
                self._signal(child, signal.SIGTERM)
                child.kill_at = min(moment + child.grace, child.kill_at or float("inf"))
            if child.kill_at is not None and moment >= child.kill_at:
                child.kill_at = moment + TICK  # until it is reaped
                self._end(child)

    def _reap(self) -> None:
        by_pid = {child.pid: child for child in self._children.values()}
        while by_pid:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = by_pid.get(pid)
            if child is None:
                continue
            del self._children[child.number]
            if child.owner is None:
                for called in [c for c in self._children.values() if c.owner == child.number]:
                    self._end(called)
                self._end(child)
                child.facts["strays"] = self._has_strays()
            # Before it became its program, the process was a copy of us; only what is more than that says something.
            peak = usage.ru_maxrss if usage.ru_maxrss > self._own_rss_kib + 512 else 0
            seconds = {"user": usage.ru_utime, "system": usage.ru_stime, "max_rss_kib": peak}
            told = {"id": child.number, "status": os.waitstatus_to_exitcode(status), **seconds, **child.facts}
            send(self._channel, told)

    def _has_strays(self) -> bool:
        """Whether a process has come to us that lost its parent: what a job leaves behind."""
        try:
            listed = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        except OSError:
            return True  # a kernel that does not tell
        return bool({int(pid) for pid in listed} - {child.pid for child in self._children.values()})

    @staticmethod
    def _signal(child: Child, number: int) -> None:
        with contextlib.suppress(OSError):
            os.killpg(child.pid, number)

    def _end(self, child: Child) -> None:
        """Kill a program and, for a job, whatever has come of it, wherever that went."""
        self._signal(child, signal.SIGKILL)
        if child.owner is not None:
            return
        left = _members(child.entries)
        if child.uid is not None and (left or (not child.entries and self._has_strays())):
            kill_user(child.uid)
        else:
            for pid in left:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)


def _members(entries: list[str]) -> set[int]:
    found: set[int] = set()
    for entry in entries:
        with contextlib.suppress(OSError):
            found.update(int(line) for line in Path(entry).read_text().split())
    return found


def kill_user(uid: int) -> None:
    """Kill every process of a user in one system call: nobody can fork away from it."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresuid(uid, uid, uid)
            os.kill(-1, signal.SIGKILL)  # spares its caller
        except OSError as error:
            os._exit(0 if error.errno == errno.ESRCH else 1)
        os._exit(0)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child, 0)
