"""What agents do with jobs: claim, renew, bring outputs, finish. Each call holds wholly or not at all; those that come
at once share a transaction.

The lease secret is the fencing token: a new one for each attempt, known to one agent. Whoever shows the secret of
an attempt that is no longer live changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, delete, func, insert, select, update
from sqlalchemy import Engine as Database

from armillary.base.clock import Clock
from armillary.base.ids import ClusterId, PersonId
from armillary.batch.core import states
from armillary.batch.core.policy import AtExit
from armillary.batch.engines.embedded.dealing import Accepts, Dealer, anything, give_on, given, waits, wanted
from armillary.batch.engines.embedded.finishing import find, finish, live
from armillary.batch.engines.embedded.input_digests import InputDigests
from armillary.batch.engines.embedded.ledger import THE_ATTEMPT, Ledger
from armillary.batch.engines.embedded.moments import moment
from armillary.batch.engines.embedded.parcels import (
    Claimed,
    Finished,
    Held,
    LeaseKey,
    OutputRef,
    Renewed,
)
from armillary.batch.engines.embedded.register import Session
from armillary.batch.engines.embedded.terms import Terms
from armillary.batch.engines.embedded.together import Together
from armillary.batch.model import AttemptState, JobId, JobState, Resources
from armillary.batch.store.swift import Swift
from armillary.batch.store.tables import ENDED, attempts, outputs, workers

AtExitPolicies = Callable[[JobId, states.Result, Mapping[str, float]], AtExit | None]
"""What a job's own policy says of its end."""


def no_policies(_job: JobId, _result: states.Result, _usage: Mapping[str, float]) -> None:
    """Say nothing: no job has a policy."""


_ONE_WORKER = select(workers).where(workers.c.id == bindparam("of_worker"))
_WORKER = Swift(_ONE_WORKER)
_LOCK_WORKER = Swift(_ONE_WORKER.with_for_update())
_USED = Swift(
    select(
        *(func.sum(attempts.c[name]).label(name) for name in ("cpus", "memory_mib", "disk_kib", "gpus"))
    ).where(attempts.c.worker == bindparam("of_worker"), attempts.c.live.is_(True))
)
_SEEN = Swift(
    update(workers)
    .where(workers.c.id == bindparam("of_worker"))
    .values(last_seen_at=bindparam("now", type_=workers.c.last_seen_at.type))
)
_AT_WORK = Swift(
    update(workers)
    .where(workers.c.id == bindparam("of_worker"))
    .values(last_seen_at=bindparam("now", type_=workers.c.last_seen_at.type), idle_since=None)
)
_LONGER: dict[str, Any] = {
    "lease_until": bindparam("until", type_=attempts.c.lease_until.type),
    "charged_at": bindparam("now", type_=attempts.c.charged_at.type),
}
_BEGUN = {
    "state": AttemptState.RUNNING.value,
    "started_at": bindparam("now", type_=attempts.c.started_at.type),
}
_ACTS_WITH = Swift(
    update(attempts)
    .where(THE_ATTEMPT)
    .values(
        credential=bindparam("reference", type_=attempts.c.credential.type),
        credential_expires=bindparam("expires", type_=attempts.c.credential_expires.type),
    )
)
_LINGER = Swift(
    update(attempts)
    .where(THE_ATTEMPT)
    .values(lease_until=bindparam("until", type_=attempts.c.lease_until.type))
)
_EXTEND = Swift(update(attempts).where(THE_ATTEMPT).values(_LONGER))
_START = Swift(update(attempts).where(THE_ATTEMPT).values(_LONGER | _BEGUN))


class Leases:
    """The agents' side of the embedded queue."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        terms: Terms | None = None,
        policies: AtExitPolicies = no_policies,
        accepts: Accepts = anything,
        together: Together | None = None,
    ) -> None:
        self._database = database
        self._together = together or Together(database=database)
        self._views = database.execution_options(readonly=True)
        self._clock = clock
        self._terms = terms or Terms()
        self._policies = policies
        self._accepts = accepts
        self._inputs = InputDigests()

    def claim(
        self,
        session: Session,
        free: Resources,
        held: Mapping[PersonId, Held] | None = None,
        call: str | None = None,
    ) -> Claimed:
        """Lease to the worker what fits into `free`, in fair order; possibly nothing.

        `call` names the call, by a secret of the agent's: made again under this name, since no answer came, it gives
        what it gave before.
        `held`: what jobs of a person on this worker act with; another of them may have it too.
        """
        with self._reading() as db:
            now = moment(db, self._clock)
            row = _WORKER.all(db, of_worker=session.worker)[0]
            again = given(db, session, call)
            if row.draining and not again:
                return Claimed(retire=True)
            for wants, asked in wanted(db, session):
                self._accepts(wants, asked, session)  # it may take a while the first time, and remembers
            known = _recent(row, now, self._terms) and not again
            if known and (free.cpus < 1 or not waits(db, session)):
                return Claimed()
        return self._together.write(
            lambda db: self._claim(db, session, free, moment(db, self._clock), held, call)
        )

    def _claim(
        self,
        db: Connection,
        session: Session,
        free: Resources,
        now: datetime,
        held: Mapping[PersonId, Held] | None,
        call: str | None,
        row: Any = None,
    ) -> Claimed:
        # Locked, so that a drain either comes before (no jobs) or sees the worker busy.
        row = row or _LOCK_WORKER.all(db, of_worker=session.worker)[0]
        sums = _USED.all(db, of_worker=session.worker)[0]
        # who has nothing was given nothing
        again = [] if sums.cpus is None else given(db, session, call)
        if again and row.lost_at is None:
            for leased in again:
                give_on(db, leased, until=now + self._terms.lease_kept)
            return Claimed(jobs=tuple(again))
        if row.draining or row.lost_at is not None:
            return Claimed(retire=True)
        used = _resources(sums)
        # An empty machine is whole, even if its disk has a few KiB less now than when it registered.
        empty = not used.cpus and free.cpus >= session.whole.cpus
        room = session.whole if empty else free.cut_to(session.whole - used)
        dealer = Dealer(db, session, now=now, terms=self._terms, accepts=self._accepts, held=held, call=call)
        leased = dealer.deal(room)
        if leased and row.idle_since is not None:
            _AT_WORK.run(db, of_worker=session.worker, now=now)
        elif not _recent(row, now, self._terms):
            _SEEN.run(db, of_worker=session.worker, now=now)
        return Claimed(jobs=leased)

    def renew(self, session: Session, keys: Sequence[LeaseKey], *, fading: timedelta) -> Renewed:
        """Extend the leases that are still the worker's; tell it which are not, and which jobs to stop."""
        return self._together.write(lambda db: self._renew(db, session, keys, fading))

    def _renew(
        self, db: Connection, session: Session, keys: Sequence[LeaseKey], fading: timedelta
    ) -> Renewed:
        lost: list[LeaseKey] = []
        remove: list[LeaseKey] = []
        weak: list[tuple[LeaseKey, PersonId]] = []
        now = moment(db, self._clock)
        _SEEN.run(db, of_worker=session.worker, now=now)
        ledger = Ledger(db, now=now)
        for key in keys:
            row = find(db, session, key)
            if row is None or not row.live:
                lost.append(key)
            elif row.state == AttemptState.STOPPING:
                remove.append(key)
                # It may be saving its work, for which the agent gives it `kill_seconds` and no more.
                _LINGER.run(db, **_place(key), until=now + self._terms.lease_kept)
            else:
                self._extend(db, ledger, key, row, now)
                if row.credential and row.credential_expires - now < fading:
                    weak.append((key, PersonId(row.owner)))
        return Renewed(lost=tuple(lost), remove=tuple(remove), fading=tuple(weak))

    def _extend(self, db: Connection, ledger: Ledger, key: LeaseKey, row: Row[Any], now: datetime) -> None:
        ledger.charge(row)
        until = now + self._terms.lease_kept
        if row.state == AttemptState.LEASED:
            _START.run(db, **_place(key), until=until, now=now)
            job = ledger.job(row.cluster, row.proc)
            ledger.move([job], JobState.RUNNING, columns={"started_at": now}, worker=row.worker)
        else:
            _EXTEND.run(db, **_place(key), until=until, now=now)

    def check(self, session: Session, key: LeaseKey) -> None:
        """Raise StaleAttempt unless the attempt is live, the caller's, and not to be stopped."""
        with self._reading() as db:
            live(find(db, session, key), key)

    def may_read(self, session: Session, sha256: str) -> bool:
        """Return whether the blob is an input of a job that the worker has now."""
        query = select(attempts.c.cluster, attempts.c.proc).where(
            attempts.c.worker == session.worker, attempts.c.live.is_(True)
        )
        with self._reading() as db:
            at_work = [(row.cluster, row.proc) for row in db.execute(query)]
            return self._inputs.have(db, at_work, sha256)

    def add_output(self, session: Session, key: LeaseKey, output: OutputRef) -> None:
        """Record a file under the attempt. Nobody sees it before the attempt commits."""

        def write(db: Connection) -> None:
            row = live(find(db, session, key), key)
            place = {"cluster": row.cluster, "proc": row.proc, "attempt": row.number, "name": output.name}
            db.execute(delete(outputs).where(and_(*(outputs.c[k] == v for k, v in place.items()))))
            db.execute(insert(outputs).values(**place, sha256=output.sha256, size=output.size))

        self._together.write(write)

    def set_credential(self, key: LeaseKey, reference: str | None, expires: datetime | None) -> None:
        """Remember what the attempt acts with, to renew and to revoke it; None when it was revoked."""
        self._together.write(
            lambda db: _ACTS_WITH.run(db, **_place(key), reference=reference, expires=expires)
        )

    def spent_credentials(self) -> list[tuple[LeaseKey, PersonId, str]]:
        """Return the credentials that no live attempt acts with, to be revoked. Nobody gets them from now on."""
        # `> ""` and not `IS NOT NULL`: so SQLite sees that the index of credentials will do
        spent = select(attempts).where(ENDED, attempts.c.credential > "").limit(500)
        with self._reading() as db:
            if db.execute(spent.limit(1)).first() is None:
                return []
        found: dict[str, tuple[LeaseKey, PersonId, str]] = {}
        with self._database.begin() as db:
            now = moment(db, self._clock)
            for row in db.execute(spent).all():
                mine = attempts.c.credential == row.credential
                if db.execute(
                    select(attempts.c.number).where(mine, attempts.c.live.is_(True)).limit(1)
                ).first():
                    continue
                db.execute(update(attempts).where(mine).values(credential_expires=now))
                key = LeaseKey(job=JobId(ClusterId(row.cluster), row.proc), attempt=row.number, secret="")
                found[row.credential] = (key, PersonId(row.owner), row.credential)
        return list(found.values())

    def forget_credential(self, reference: str) -> None:
        """Remember no more what has been revoked."""
        with self._database.begin() as db:
            db.execute(update(attempts).where(attempts.c.credential == reference).values(credential=None))

    def give_back(self, session: Session, keys: Sequence[LeaseKey], why: str) -> None:
        """Undo a claim that never reached the agent."""

        def write(db: Connection) -> None:
            ledger = Ledger(db, now=moment(db, self._clock))
            for key in keys:
                row = find(db, session, key)
                if row is not None and row.live:
                    ledger.lose(row, why, max_lost=self._terms.max_lost)

        self._together.write(write)

    def finish(
        self,
        session: Session,
        key: LeaseKey,
        result: states.Result,
        *,
        usage: Mapping[str, float],
        brought: Sequence[OutputRef],
        then: Resources | None = None,
        held: Mapping[PersonId, Held] | None = None,
        call: str | None = None,
    ) -> Finished:
        """End the attempt and, if the job ends with it, make its files the job's: one transaction.

        In the same one, claim what fits into `then`. Repeating the call gives the same answer; with the same jobs, too,
        if it has a name (see `claim`).
        Raises StaleAttempt, or Invalid `output_missing`.
        """
        said = self._policies(key.job, result, usage)  # before the transaction: expressions may take a while

        def write(db: Connection) -> Finished:
            now = moment(db, self._clock)
            row = _LOCK_WORKER.all(db, of_worker=session.worker)[0]
            session.prove(row)
            state = finish(
                db, session, key, result, usage=usage, brought=brought, said=said, terms=self._terms, now=now
            )
            # an attempt that was to be stopped has its worker rest: then its row is not what it was
            row = row if state is JobState.COMPLETED else None
            claimed = Claimed() if then is None else self._claim(db, session, then, now, held, call, row)
            if not claimed.jobs:
                Ledger(db, now=now).rest(session.worker)
            return Finished(state=state, claimed=claimed)

        return self._together.write(write)

    def _reading(self) -> Connection:
        return self._views.connect()


def _recent(row: Row[Any], now: datetime, terms: Terms) -> bool:
    return row.last_seen_at is not None and now - row.last_seen_at < terms.seen_every


def _place(key: LeaseKey) -> dict[str, int]:
    return {"of_cluster": key.job.cluster, "of_proc": key.job.proc, "of_number": key.attempt}


def _resources(row: Any) -> Resources:
    return Resources(
        cpus=int(row.cpus or 0),
        memory_mib=int(row.memory_mib or 0),
        disk_kib=int(row.disk_kib or 0),
        gpus=int(row.gpus or 0),
    )
