"""Brings queued jobs and their files to the schedd, each once, whatever is lost on the way."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, and_, select, tuple_, update

from armillary.base.errors import Invalid, Unavailable
from armillary.base.job_ads import HELD
from armillary.batch.engines.embedded.ledger import Ledger
from armillary.batch.engines.embedded.moments import moment
from armillary.batch.engines.htcondor.keys import FILE as KEY
from armillary.batch.engines.htcondor.keys import JobKeys
from armillary.batch.engines.htcondor.machines import avoided_by_group
from armillary.batch.engines.htcondor.pacing import UNBOUNDED, room
from armillary.batch.engines.htcondor.ports import Site
from armillary.batch.engines.htcondor.sending_again import send_again
from armillary.batch.engines.htcondor.sight import OURS, SPOOLING
from armillary.batch.engines.htcondor.staging import Staging
from armillary.batch.engines.htcondor.translate import (
    CLUSTER,
    DONE,
    PLATFORM,
    PROC,
    TURN,
    Asked,
    Commands,
    Terms,
    commands,
    shared,
)
from armillary.batch.model import Group, JobState
from armillary.batch.store.pool_tables import pool_jobs
from armillary.batch.store.specs import whole_inputs, whole_spec
from armillary.batch.store.tables import clusters, jobs

log = logging.getLogger(__name__)

_Said = tuple[Row[Any], dict[str, str]]
"""A job, and what is said of it."""
_Kind = tuple[str, ...]
_Try = tuple[int, int]
"""A job of a cluster, and its turn."""

AT_ONCE = 500
"""jobs in one submit to the schedd: what is on disk and in memory for it at a time"""
STRAY_AFTER = 20
"""seconds after which the schedd should have noted that it has a job's files. Nothing of ours is on its way by then:
a submit is over, or has failed, before anything else is asked"""
TRIES = 3
"""how often a job's files may get lost before a person is asked"""
ENOUGH = 16
"""kinds of jobs that a schedd refuses one after the other before those like them are no longer tried one by one"""
_OF_ONE = frozenset(
    {
        "initialdir",
        "executable",
        "arguments",
        "environment",
        "input",
        "transfer_input_files",
        f"MY.{PROC}",
        f"MY.{TURN}",
    }
)
"""commands that tell one job from the next, and that no schedd judges by"""
_REMEMBERED = 100_000
NO_FILES = OURS + "its files did not arrive"


class Sender:
    """Call `send` every few seconds, from one thread."""

    def __init__(self, *, site: Site, staging: Staging, keys: JobKeys | None) -> None:
        """Without `keys` jobs act for nobody."""
        self._database = site.database
        self._clock = site.clock
        self._pool = site.pool
        self._staging = staging
        self._keys = keys
        self._platform = site.platform
        self._lease_seconds = int(site.lease.total_seconds())
        self._avoid: dict[Group, frozenset[str]] = {}
        self._in_vain: Counter[tuple[int, int, int]] = Counter()

    def send(self) -> set[int]:
        """Submit what waits to be sent, up to a bound; returns the clusters whose jobs could not be."""
        refused: set[int] = set()
        self._avoid = avoided_by_group(self._database)
        for cluster, rows in groupby(self._waiting(), key=lambda row: int(row.cluster)):
            unsent = self._adopt(cluster, list(rows))
            if unsent:
                refused |= self._submit(cluster, unsent)
        return refused

    def drop_strays(self) -> int:
        """Have the schedd drop jobs whose files it took and then forgot; they are sent anew. Returns how many.

        It says that it has the files a second before it notes so. Killed in between, it keeps the job on hold for them
        for ever, and takes neither them nor a release.
        """
        strays = (
            f'{PLATFORM} == "{self._platform}" && JobStatus == {HELD} && HoldReasonCode == {SPOOLING}'
            f" && time() - EnteredCurrentStatus > {STRAY_AFTER}"
        )
        ads = self._pool.query(strays, [CLUSTER, PROC, TURN, "ClusterId", "ProcId"])
        if ads:
            with self._database.begin() as db:
                for ad in ads:
                    mine = and_(pool_jobs.c.cluster == ad[CLUSTER], pool_jobs.c.proc == ad[PROC])
                    db.execute(update(pool_jobs).where(mine, pool_jobs.c.turn == ad[TURN]).values(done=True))
                send_again(db, {int(ad[CLUSTER]) for ad in ads})
            self._drop([f"{ad['ClusterId']}.{ad['ProcId']}" for ad in ads])
        return len(ads)

    def _drop(self, names: Sequence[str]) -> None:
        """Have the schedd remove jobs that nobody wants, and keep nothing of them.

        That nobody waits for their end is said first: a removed job that stays would be taken for one that a person
        has removed, and goes without a word when the schedd is started again.
        """
        self._pool.edit(names, DONE, "true")
        self._pool.act("Remove", names, NO_FILES)

    def _waiting(self) -> Sequence[Row[Any]]:
        query = (
            select(
                jobs,
                pool_jobs.c.turn,
                pool_jobs.c.sending_since,
                clusters.c.common,
                clusters.c.common_inputs,
                clusters.c.owner_name,
                clusters.c.project_name,
                clusters.c.batch_name,
                clusters.c.accounting_group,
            )
            .join(pool_jobs, and_(pool_jobs.c.cluster == jobs.c.cluster, pool_jobs.c.proc == jobs.c.proc))
            .join(clusters, clusters.c.id == jobs.c.cluster)
            .where(
                pool_jobs.c.schedd_cluster.is_(None),
                pool_jobs.c.done.is_(False),
                jobs.c.state == JobState.IDLE.value,
                jobs.c.live_attempt.is_(None),
            )
            .order_by(jobs.c.cluster, jobs.c.proc)
        )
        with self._database.execution_options(readonly=True).connect() as db:
            found = list(db.execute(query.where(UNBOUNDED).limit(AT_ONCE)))
            for cluster, more in room(db).items():
                left = min(more, AT_ONCE - len(found))
                if left > 0:
                    found += db.execute(query.where(clusters.c.id == cluster).limit(left))
        return found

    def _adopt(self, cluster: int, rows: list[Row[Any]]) -> list[Row[Any]]:
        """Find those that an earlier call has sent without hearing so; returns the others."""
        doubtful = {(row.proc, row.turn) for row in rows if row.sending_since is not None}
        found, _ = self._found(cluster, doubtful) if doubtful else (set[_Try](), 0)
        return [row for row in rows if (row.proc, row.turn) not in found]

    def _found(self, cluster: int, doubtful: set[_Try]) -> tuple[set[_Try], int]:
        """Return which of these the schedd has after all, and take note of where; and of how many it had no files.

        Those are dropped.
        """
        mine = f'{PLATFORM} == "{self._platform}" && {CLUSTER} == {cluster}'
        wanted = [PROC, TURN, "ClusterId", "ProcId", "JobStatus", "HoldReasonCode"]
        there: dict[_Try, tuple[int, int]] = {}
        halves: list[str] = []
        for ad in self._pool.query(mine, wanted):
            if (ad[PROC], ad[TURN]) not in doubtful:
                continue
            name = (int(ad["ClusterId"]), int(ad["ProcId"]))
            half = ad["JobStatus"] == HELD and ad.get("HoldReasonCode") == SPOOLING
            if half or (ad[PROC], ad[TURN]) in there:
                halves.append(f"{name[0]}.{name[1]}")  # its files did not arrive, or it is there twice
            else:
                there[ad[PROC], ad[TURN]] = name
        if halves:
            self._drop(halves)
        self._record({(cluster, proc): name for (proc, _), name in there.items()})
        return set(there), len(halves)

    def _submit(self, cluster: int, rows: list[Row[Any]]) -> set[int]:
        said: list[_Said] = []
        refused: set[int] = set()
        try:
            for row in rows:
                try:
                    said.append((row, commands(self._asked(row), self._terms(row))))
                except Invalid as error:
                    self._refuse([row], error.message)
                    refused.add(cluster)
            for alike in _alike(said):
                refused |= self._submit_alike(cluster, alike)
        finally:
            for row in rows:
                self._staging.clear(row.cluster, row.proc)
        return refused

    def _submit_alike(self, cluster: int, said: Sequence[_Said]) -> set[int]:
        """Send jobs in one submit. Where the schedd refuses it, find those that are to blame: only they are held.

        It takes all jobs of a submit or none, and does not say which one it minds.
        """
        refused = 0
        taken = False
        parts = [said]
        while parts:
            left, why = self._try(cluster, parts.pop())
            taken = taken or not left
            kinds = [*dict.fromkeys(_kind(words) for _, words in left)]
            if len(kinds) > 1 and (taken or refused < ENOUGH):
                first = set(kinds[: len(kinds) // 2])
                parts.append([one for one in left if _kind(one[1]) not in first])
                parts.append([one for one in left if _kind(one[1]) in first])
            elif left:
                log.warning("the schedd refuses %d job(s) of %s: %s", len(left), cluster, why)
                self._refuse([row for row, _ in left], why)
                refused += 1
        return {cluster} if refused else set()

    def _try(self, cluster: int, said: Sequence[_Said]) -> tuple[Sequence[_Said], str]:
        """Send jobs in one submit; return those that it refuses, and why."""
        names = [(row.cluster, row.proc) for row, _ in said]
        with self._database.begin() as db:
            _set(db, names, sending_since=moment(db, self._clock))
        same, each = shared([one for _, one in said])
        try:
            number, first = self._pool.submit(same, each)
        except Unavailable as error:
            self._pool.ping()  # raises when nobody is there: then we ask again later
            # It may have taken them, and its answer was lost: they must not go there twice.
            found, halves = self._found(cluster, {(row.proc, row.turn) for row, _ in said})
            left = [one for one in said if (one[0].proc, one[0].turn) not in found]
            if halves and left and self._has_patience([row for row, _ in left]):
                return [], ""  # it does take them; only their files were lost, and all of it is sent again
            return left, str(error.facts.get("reason") or error.message)
        self._record(
            {name: (number, first + n) for n, name in enumerate(names)}, [row.priority for row, _ in said]
        )
        return [], ""

    def _has_patience(self, rows: Sequence[Row[Any]]) -> bool:
        """Count that the files of jobs did not arrive, and say whether that may be tried again."""
        if len(self._in_vain) > _REMEMBERED:
            self._in_vain.clear()
        self._in_vain.update((row.cluster, row.proc, row.turn) for row in rows)
        return all(self._in_vain[row.cluster, row.proc, row.turn] < TRIES for row in rows)

    def _record(
        self, found: dict[tuple[int, int], tuple[int, int]], priorities: Sequence[int] | None = None
    ) -> None:
        with self._database.begin() as db:
            for n, (name, (number, proc)) in enumerate(found.items()):
                told = {} if priorities is None else {"priority": priorities[n]}
                _set(db, [name], schedd_cluster=number, schedd_proc=proc, sending_since=None, **told)

    def _refuse(self, rows: Sequence[Row[Any]], why: str) -> None:
        with self._database.begin() as db:
            ledger = Ledger(db, now=moment(db, self._clock))
            still = [
                job
                for job in (ledger.job(row.cluster, row.proc) for row in rows)
                if job.state == JobState.IDLE
            ]
            columns = {"hold_code": "job_invalid", "reason": f"HTCondor does not take it: {why}"}
            ledger.move(still, JobState.HELD, columns=columns, detail=columns)
            _set(db, [(row.cluster, row.proc) for row in rows], sending_since=None)

    def _asked(self, row: Row[Any]) -> Asked:
        spec = whole_spec(row)
        inputs, outputs = self._staging.lay_out(row.cluster, row.proc, whole_inputs(row))
        if self._keys:
            self._staging.add_secret(inputs, KEY, self._keys.of(row.cluster, row.proc, row.turn))
        return Asked(
            proc=row.proc,
            turn=row.turn,
            spec=spec,
            cpus=row.cpus,
            memory_mib=row.memory_mib,
            disk_kib=row.disk_kib,
            gpus=row.gpus,
            priority=row.priority,
            max_retries=row.max_retries,
            inputs=str(inputs),
            outputs=str(outputs),
            keyed=self._keys is not None,
        )

    def _terms(self, row: Row[Any]) -> Terms:
        group = Group(row.project, row.image, row.flavor)
        return Terms(
            platform=self._platform,
            cluster=row.cluster,
            group=group,
            owner=row.owner_name,
            project=row.accounting_group or row.project_name,
            batch_name=row.batch_name,
            lease_seconds=self._lease_seconds,
            avoid=sorted(self._avoid.get(group, ())),
        )


def _kind(words: Commands) -> _Kind:
    """Return what a schedd may mind about a job: of two with the same it takes both or none."""
    return tuple(value for name, value in words.items() if name not in _OF_ONE)


def _alike(said: Sequence[_Said]) -> Iterable[list[_Said]]:
    """Jobs with the same commands go in one submit, those whose commands have the same names at least."""
    kinds: dict[tuple[str, ...], list[_Said]] = {}
    for one in said:
        kinds.setdefault(tuple(one[1]), []).append(one)
    return kinds.values()


def _set(db: Connection, names: Sequence[tuple[int, int]], **values: Any) -> None:
    for n in range(0, len(names), AT_ONCE):
        mine = tuple_(pool_jobs.c.cluster, pool_jobs.c.proc).in_(names[n : n + AT_ONCE])
        db.execute(update(pool_jobs).where(mine).values(**values))
