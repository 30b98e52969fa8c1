"""Brings what a job made to the platform, until that is acknowledged or nobody's business any more."""

from __future__ import annotations

import functools
import random
import secrets
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from armillary.guest.agent.basics import Fault, Json, Refused, Unreachable, fault_of, now, say

if TYPE_CHECKING:
    from armillary.guest.agent.job import Job


class Delivery:
    """One job's way to the platform."""

    def __init__(self, *, job: Job) -> None:
        self._job = job

    def keep_checkpoint(self, files: list[Json]) -> None:
        """Make these files what the job's next attempt begins with, in place of earlier ones. Raises Fault."""
        for entry in files:
            self._upload(entry, code="checkpoint_failed", checkpoint="true")
        named = [{k: entry[k] for k in ("name", "sha256", "size", "mode")} for entry in files]
        body = {**self._job.ids, "files": named}
        self.patiently(
            "checkpoint_failed", functools.partial(self._job.worker.server.call, "checkpoint", body)
        )

    def deliver(self, record: Json) -> list[Job]:
        """Upload the outputs and report the end; returns the jobs that came with the acknowledgement."""
        job = self._job
        try:
            if record["outputs"] and job.base.exists():
                job.streams.send()
            for entry in record["outputs"]:
                self._upload(entry, code="upload_failed")
        except Fault as fault:
            record = {**record, "outputs": [], "error": record["error"] or fault.record}
        except OSError as error:
            record = {**record, "outputs": [], "error": record["error"] or fault_of(error).record}
        if job.lost:
            return []
        outputs = [{k: entry[k] for k in ("name", "sha256", "size")} for entry in record["outputs"]]
        try:
            return self._finish({**record, "outputs": outputs, "machine": job.worker.machine.hardware})
        except Fault as fault:
            if job.lost or job.worker.abandon.is_set():
                raise
            # Said without what may have been refused of it, so that the job need not wait for its lease to end.
            return self._finish({**job.ids, "error": record["error"] or fault.record})

    def _upload(self, entry: Json, *, code: str, **more: str) -> None:
        query = urllib.parse.urlencode({**self._job.ids, "name": entry["name"], **more})
        headers = {"X-SHA256": entry["sha256"], "Content-Type": "application/octet-stream"}
        send = self._job.worker.server.upload
        self.patiently(code, functools.partial(send, f"outputs?{query}", Path(entry["path"]), headers))

    def _finish(self, body: Json) -> list[Job]:
        worker = self._job.worker
        # The same until there is an answer, which then brings the jobs of those that were lost.
        call = secrets.token_hex(32)

        def tell() -> list[Job]:
            room = worker.room_after(self._job)
            asked = now()
            answer = worker.server.call("finish", {**body, **({"free": room, "call": call} if room else {})})
            return worker.taken(answer, asked)

        return self.patiently("finish_failed", tell)

    def patiently(self, code: str, action: Callable[[], Any]) -> Any:
        """Do `action` until it succeeds, with longer and longer pauses. A refusal ends it as Fault `code`."""
        job = self._job
        pause = job.worker.retry_seconds
        while not job.lost:
            try:
                return action()
            except Unreachable as error:
                say(f"job {job.ids['job']}: {error}; trying again")
            except Refused as refused:
                job.worker.refused(refused, job)
                if job.lost:
                    break
                if refused.status != 401:
                    raise Fault(code, f"the platform refused: {refused}", retry=True) from refused
            if job.worker.abandon.wait(pause * (0.5 + random.random())):
                raise Fault("worker_stopped", "the worker was stopped", retry=True)
            pause = min(30.0, pause * 2)
        raise Fault("lost", "the attempt is not ours any more", retry=True)
