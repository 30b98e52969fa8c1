"""Queues the jobs of a submit: what they share once, of each what differs, in one transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, insert, update

from armillary.batch.core.numbering import numbered
from armillary.batch.core.shared import SharedSpec
from armillary.batch.model import InputFile, JobSpec, JobState, Submission, Wants
from armillary.batch.store.shapes import shapes
from armillary.batch.store.specs import difference, shared
from armillary.batch.store.swift import Swift
from armillary.batch.store.tables import clusters, events, jobs

_AT_ONCE = 2000
_MARK = "$(Cluster"
_SHAPING = frozenset({"requirements", "rank", "attributes", "concurrency_limits"})
"""what of a spec makes its shape, besides figures and priority"""


_JOB = Swift(
    insert(jobs),
    *(
        "cluster",
        "proc",
        "project",
        "owner",
        "image",
        "flavor",
        "state",
        "entered_at",
        "submitted_at",
        "priority",
    ),
    *(
        "cpus",
        "memory_mib",
        "disk_kib",
        "gpus",
        "max_retries",
        "shape",
        "spec",
        "inputs",
        "hold_code",
        "reason",
    ),
    *("attempts", "retried", "lost"),
)
_EVENT = Swift(insert(events), "cluster", "proc", "at", "state", "detail")


class Queueing:
    """One submit on its way into the records."""

    def __init__(self, db: Connection, submission: Submission, *, now: datetime) -> None:
        self._db = db
        self._submission = submission
        self._now = now
        self._shapes: dict[tuple[Any, ...], int] = {}
        self._plain: dict[tuple[Any, ...], int] = {}
        self.cluster = 0

    def queue(self) -> int:
        """Write the cluster, the shapes, the jobs and their first events; returns the cluster's number."""
        submission = self._submission
        common, files = shared(submission.jobs)
        self.cluster = cluster = self._db.execute(
            insert(clusters)
            .values(
                project=submission.group.project,
                project_name=submission.project_name,
                owner=submission.owner,
                owner_name=submission.owner_name,
                batch_name=submission.batch_name,
                image=submission.group.image,
                image_name=submission.image_name,
                flavor=submission.group.flavor,
                submit_text=submission.submit_text,
                submitted_at=self._now,
                jobs=len(submission.jobs),
                idempotency_key=submission.idempotency_key,
                request_hash=submission.request_hash,
                common={},
                **asdict(submission.wishes),
            )
            .returning(clusters.c.id)
        ).scalar_one()
        self._db.execute(
            update(clusters)
            .where(clusters.c.id == cluster)
            .values(
                batch_name=numbered(submission.batch_name, cluster),
                common=numbered(common, cluster),
                common_inputs=self._listed(sorted(files, key=lambda file: file.path)),
            )
        )
        same: dict[str, Any] = {
            "cluster": cluster,
            "project": submission.group.project,
            "owner": submission.owner,
            "image": submission.group.image,
            "flavor": submission.group.flavor,
            "entered_at": self._now,
            "submitted_at": self._now,
            "attempts": 0,
            "retried": 0,
            "lost": 0,
            "inputs": [],
        }
        rows = self._rows(common, files)
        while some := list(islice(rows, _AT_ONCE)):
            _JOB.many(self._db, some, **same)
            _EVENT.many(self._db, map(_first_event, some), cluster=cluster, at=self._now, detail={})
        return cluster

    def _rows(self, common: dict[str, Any], files: frozenset[InputFile]) -> Iterator[dict[str, Any]]:
        submission, cluster = self._submission, self.cluster
        for job in submission.jobs:
            own = difference(job.data, common)
            row: dict[str, Any] = {
                "proc": job.proc,
                "state": (JobState.HELD if job.on_hold else JobState.IDLE).value,
                "priority": job.priority,
                "cpus": job.resources.cpus,
                "memory_mib": job.resources.memory_mib,
                "disk_kib": job.resources.disk_kib,
                "gpus": job.resources.gpus,
                "max_retries": job.max_retries,
                "shape": self._shape(job),
                "spec": numbered(own, cluster) if _MARK in repr(own) else own,
                "hold_code": "submitted_on_hold" if job.on_hold else None,
                "reason": "submitted on hold" if job.on_hold else None,
            }
            if len(job.inputs) > len(files):
                row["inputs"] = self._listed(file for file in job.inputs if file not in files)
            yield row

    def _listed(self, files: Iterable[InputFile]) -> list[list[Any]]:
        return [[numbered(file.path, self.cluster), file.sha256, file.size, file.mode] for file in files]

    def _shape(self, job: JobSpec) -> int:
        data = job.data
        if isinstance(data, SharedSpec) and _SHAPING.isdisjoint(data.own):
            plain = (job.priority, job.resources, id(data.common))
            if plain not in self._plain:
                self._plain[plain] = self._shape_of(job)
            return self._plain[plain]
        return self._shape_of(job)

    def _shape_of(self, job: JobSpec) -> int:
        wants, limits = wants_of(job), limits_of(job)
        key = (job.priority, job.resources, wants, tuple(sorted(limits.items())))
        if key not in self._shapes:
            group = self._submission.group
            self._shapes[key] = self._db.execute(
                insert(shapes)
                .values(
                    cluster=self.cluster,
                    project=group.project,
                    owner=self._submission.owner,
                    image=group.image,
                    flavor=group.flavor,
                    priority=job.priority,
                    **asdict(job.resources),
                    **wants._asdict(),
                    limits=limits or None,
                    at_most=self._submission.wishes.max_materialize,
                )
                .returning(shapes.c.id)
            ).scalar_one()
        return self._shapes[key]


def _first_event(row: Mapping[str, Any]) -> dict[str, Any]:
    told = {"proc": row["proc"], "state": row["state"]}
    if row["hold_code"]:
        told["detail"] = {name: row[name] for name in ("hold_code", "reason")}
    return told


def wants_of(job: JobSpec) -> Wants:
    """Return what a job says of its machine. Of its own attributes only those that its expressions may mean."""
    requirements, rank = job.data.get("requirements") or "", job.data.get("rank") or ""
    if not requirements and not rank:
        return Wants()
    text = f"{requirements} {rank}".lower()
    own = {name: value for name, value in job.data.get("attributes", {}).items() if name.lower() in text}
    return Wants(requirements, rank, json.dumps(own, sort_keys=True) if own else "")


def limits_of(job: JobSpec) -> dict[str, float]:
    """Return how much of each concurrency limit a job takes, by names in lower case."""
    found: dict[str, float] = {}
    asked: dict[str, float] = job.data.get("concurrency_limits") or {}
    for name, amount in asked.items():
        found[name.lower()] = found.get(name.lower(), 0.0) + amount
    return found
