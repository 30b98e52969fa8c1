"""The machine's side of the bargain: register, claim, renew, retire."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import shutil
import ssl
import subprocess
import threading
from pathlib import Path
from typing import Any

from armillary.guest.agent import measuring, privacy, processes, pulse
from armillary.guest.agent.basics import FENCE, VERSION, Json, Refused, Unreachable, now, say
from armillary.guest.agent.calls import Calls
from armillary.guest.agent.job import STOPPING_GRACE, Job
from armillary.guest.agent.keeping import Keeping
from armillary.guest.agent.machine import Machine, instance_id
from armillary.guest.agent.records import Book
from armillary.guest.agent.server import Server

LONG_POLL = 20.0
FIRST_RENEWAL = 0.5
"""Seconds after its start when a job is first said to run: most short ones are over by then, and cost no call."""


class Worker:
    """All that one agent does. Make it after the keeper was forked."""

    def __init__(self, *, config: Json, machine: Machine, keeping: Keeping) -> None:
        self.config = config
        self.machine = machine
        self.keeping = keeping
        self.book = Book(directory=Path(config.get("state_dir") or "/var/lib/armillary/agent"))
        self.book.belongs_to(config, machine.scratch)
        self.server = Server(url=config["url"], ca_pem=config.get("ca_pem"))
        self.bundle = self._make_bundle(config.get("ca_pem"))
        self.stopping = threading.Event()
        self.abandon = threading.Event()
        self.status = 0
        self.retry_seconds = float(config.get("retry_seconds") or 0.5)
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()
        self._signing = threading.Lock()
        self._changed = threading.Event()
        self._renew_changed = threading.Event()
        self._renew_at = 0.0
        self._retired = threading.Event()
        self._poll_seconds = 5.0
        self._session: Json = {}

    def run(self) -> int:
        """Work until retired or stopped; return the exit status."""
        threading.Thread(target=pulse.beat, args=(self.keeping, self._keeper_died), daemon=True).start()
        self._resume_session()
        self._pick_up_leftovers()
        threading.Thread(target=self._renew_loop, daemon=True).start()
        Calls(worker=self).listen()
        pause = self.retry_seconds
        call = ""
        while not self.stopping.is_set() and not self._retired.is_set():
            self._changed.clear()
            free = self._free()
            if free["cpus"] < 1:
                self._changed.wait(60)
                continue
            asked = now()
            call = call or secrets.token_hex(32)  # until there is an answer: it was given jobs, maybe
            try:
                answer = self.server.call("claim", {"free": free, "call": call}, timeout=LONG_POLL + 40)
            except Unreachable as error:
                say(f"{error}; trying again")
                self.stopping.wait(pause * (0.5 + random.random()))
                pause = min(30.0, pause * 2)
                continue
            except Refused as refused:
                self.refused(refused, None)
                self.stopping.wait(self.retry_seconds if refused.status == 401 else self._poll_seconds)
                continue
            pause, call = self.retry_seconds, ""
            for job in self.taken(answer, asked):
                self._start(job)
            if not self._retired.is_set() and not answer.get("jobs") and now() - asked < 1.0:
                # a server that answers at once is not to be asked in a circle
                self._changed.wait(self._poll_seconds)
        self._leave()
        return self.status

    def stop(self) -> None:
        """Ask to end: jobs are killed and given back."""
        self.stopping.set()
        self._changed.set()

    def _keeper_died(self) -> None:
        if self.abandon.is_set():
            return  # it was let go
        say("the keeper of jobs has died")
        self.status = 1  # so that we are started anew, and what it left is ended
        self.stop()

    # --- sessions

    def _register(self) -> None:
        facts = {k: getattr(self.machine, k) for k in ("cpus", "memory_mib", "disk_kib", "gpus")}
        body = {"bootstrap_token": self.config["bootstrap_token"], "agent_version": VERSION, **facts}
        body["image_sha512"] = self.config["image_sha512"]
        server_id = self.config.get("server_id") or instance_id()
        if server_id:
            body["server_id"] = server_id
        pause = self.retry_seconds
        while not self.stopping.is_set():
            try:
                self.server.session_key = ""
                body["measured"] = self._measured()
                self._session = self.server.call("register", body)
                break
            except Refused as refused:
                if refused.code != "image_not_measured":
                    raise
                # Somebody looked into our image between our two calls: now there are questions.
                self.stopping.wait(pause)
            except Unreachable as error:
                say(f"cannot register yet: {error}")
                self.stopping.wait(pause * (0.5 + random.random()))
                pause = min(30.0, pause * 2)
        else:
            return
        say(f"registered as {self._session.get('worker')}")
        self._adopt_session()
        self.book.keep_session(self._session)

    def _measured(self) -> Json | None:
        try:
            asked = self.server.call("probe", {"bootstrap_token": self.config["bootstrap_token"]})
        except Refused as refused:
            if refused.status == 404:
                return None  # a platform that asks nothing
            raise
        questions = asked.get("questions")
        root = Path(self.config.get("image_root") or "/")
        return measuring.measure(questions, root) if questions else None

    def _adopt_session(self) -> None:
        self.server.session_key = str(self._session["session_key"])
        self._poll_seconds = float(self._session.get("poll_seconds") or 5.0)

    def _resume_session(self) -> None:
        self._session = self.book.session() or {}
        if self._session.get("session_key"):
            self._adopt_session()
        else:
            self._try_register()

    def _try_register(self) -> None:
        try:
            self._register()
        except Refused as refused:
            say(f"the platform refuses this worker: {refused}")
            self.status = 3
            for job in self.jobs():
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

    def _free(self, without: Job | None = None) -> Json:
        jobs = [job for job in self.jobs() if job is not without]
        disk = min(self.machine.disk_kib, shutil.disk_usage(self.machine.scratch).free // 1024)
        return {
            "cpus": max(0, self.machine.cpus - sum(job.cpus for job in jobs)),
            "memory_mib": max(0, self.machine.memory_mib - sum(job.memory_mib for job in jobs)),
            "disk_kib": max(0, disk - sum(job.disk_kib for job in jobs)),
            "gpus": max(0, self.machine.gpus - sum(len(job.gpus) for job in jobs)),
        }

    def room_after(self, job: Job) -> Json | None:
        """Return what to ask new work for with the end of `job`; None when the platform does not know that, or we go."""
        knows = (
            self._session.get("claim_with_finish")
            and not self.stopping.is_set()
            and not self._retired.is_set()
        )
        return self._free(without=job) if knows else None

    def taken(self, answer: Json, asked: float) -> list[Job]:
        """Return the jobs that an answer brings, not begun yet."""
        if answer.get("retire"):
            self._retired.set()
            self._changed.set()
        return [Job(worker=self, item=item, sent=asked) for item in answer.get("jobs") or ()]

    def jobs(self) -> list[Job]:
        """Return the jobs that are ours now."""
        with self._lock:
            return list(self._jobs.values())

    def _start(self, job: Job) -> None:
        with self._lock:
            self._jobs[job.key] = job
            used = {number for other in self._jobs.values() for number in other.gpus}
            spare = [number for number in range(self.machine.gpus) if number not in used]
            job.gpus = spare[: int(job.spec.get("request_gpus") or 0)]
        threading.Thread(target=job.run, daemon=True).start()
        self._renew_within(FIRST_RENEWAL)

    def finished(self, job: Job) -> None:
        """Take a job off the list; its share of the machine is free again, or goes to those that came with its end."""
        with self._lock:
            self._jobs.pop(job.key, None)
        for following in job.following:
            self._start(following)
        self._changed.set()

    def renew_now(self) -> None:
        """Ask at once how our jobs stand: somebody has changed one."""
        self._renew_within(0.0)

    def _renew_within(self, seconds: float) -> None:
        self._renew_at = min(self._renew_at, now() + seconds)
        self._renew_changed.set()

    def _renew_loop(self) -> None:
        while not self.abandon.is_set():
            waiting = self._renew_at - now()
            if waiting > 0:
                self._renew_changed.wait(waiting)
                self._renew_changed.clear()
                continue
            self._renew_at = now() + 3600.0
            jobs = self.jobs()
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
            self._renew_within(pause)

    def _renewed(self, jobs: list[Job], answer: Json, sent: float) -> None:
        credentials: Json = answer.get("credential") or {}
        deadlines: dict[int, float] = {}
        for job in jobs:
            name = str(job.ids["job"])
            if name in (answer.get("lost") or ()):
                job.drop()
                continue
            deadlines.update(job.extend(sent + job.lease_seconds * FENCE))
            if name in (answer.get("remove") or ()):
                job.end("removed")
            if name in credentials:
                job.give_credential(credentials[name])
        self.keeping.extend(deadlines)

    def _pick_up_leftovers(self) -> None:
        """End what an earlier agent left running; deliver what it had finished but not reported."""
        waiting = self.book.waiting()
        for group in self.machine.groups.leftovers() if self.machine.groups else ():
            group.kill()
            group.remove()
        if self.machine.root:
            processes.kill_users(privacy.FIRST, privacy.LAST)
        for base in self.machine.scratch.iterdir():
            processes.kill_stragglers(base / "work")
            if base.name not in waiting:
                shutil.rmtree(base, ignore_errors=True)
        for record in waiting.values():
            self._start(Job(worker=self, item=dict(record), sent=now(), record=record))

    # --- the end

    def _leave(self) -> None:
        if self._retired.is_set():
            while self.jobs() and not self.stopping.is_set():
                self._changed.wait(1.0)
                self._changed.clear()
        for job in self.jobs():
            job.end("worker_stopped")
        limit = now() + STOPPING_GRACE + 5
        while self.jobs() and now() < limit:
            self._changed.wait(0.2)
            self._changed.clear()
        self.abandon.set()
        self.keeping.close()
        if self.status == 0:
            with contextlib.suppress(Unreachable, Refused):
                self.server.call("bye", {}, timeout=5)
        if self._retired.is_set() and self.config.get("poweroff_on_retire"):
            say("retired; powering off")
            subprocess.run(["systemctl", "poweroff"], check=False)

    def _make_bundle(self, ca_pem: Any) -> Path | None:
        """Lay the machine's certificate authorities and ours into one file that jobs may read."""
        if not ca_pem:
            return None
        known = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
        text = ""
        with contextlib.suppress(OSError):
            text = Path(known).read_text()
        bundle = self.machine.scratch.parent / "armillary-ca-bundle.pem"
        new = bundle.with_name(f"{bundle.name}.{os.getpid()}")
        try:
            new.write_text(text + "\n" + str(ca_pem))
            new.chmod(0o644)
            new.replace(bundle)
        except OSError:
            return None
        return bundle
