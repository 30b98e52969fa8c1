"""Gives jobs to a worker that asks: whose turn it is by fair shares, as many as fit, within all bounds.

Nothing here looks at jobs that are not taken: the shapes tell what waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, String, and_, bindparam, func, select, text, update

from armillary.base.ids import ClusterId, PersonId, new_secret
from armillary.batch.core import order
from armillary.batch.engines.embedded.demanding import left_of, limits_of, live_of
from armillary.batch.engines.embedded.ledger import THE_ATTEMPT, Ledger
from armillary.batch.engines.embedded.parcels import Held, Leased, LeaseKey
from armillary.batch.engines.embedded.register import Session
from armillary.batch.engines.embedded.terms import Terms, digest, secret_of
from armillary.batch.model import OPEN_FLAVOR, AttemptState, JobId, Resources, Wants
from armillary.batch.store.shapes import shapes, shares
from armillary.batch.store.specs import whole_inputs, whole_spec
from armillary.batch.store.swift import Swift
from armillary.batch.store.tables import ENDED, attempts, clusters, jobs

_OFFERS = 256
"""shapes of one person that are looked at in one claim, by priority and age"""

Accepts = Callable[[Wants, Resources, Session], bool]
"""Whether a worker is what a job wants."""

# SQLite would read all of an index to find the different owners in it; this steps from one to the next.
_OWNERS = Swift(
    text(
        "WITH RECURSIVE o(owner) AS ("
        " SELECT min(owner) FROM batch_shapes"
        "  WHERE project = :project AND image = :image AND flavor = :flavor AND waiting > 0"
        " UNION ALL SELECT (SELECT min(owner) FROM batch_shapes"
        "  WHERE project = :project AND image = :image AND flavor = :flavor AND waiting > 0 AND owner > o.owner)"
        " FROM o WHERE o.owner IS NOT NULL"
        ") SELECT owner FROM o WHERE owner IS NOT NULL"
    ).columns(owner=String)
)
_MINE = and_(
    shapes.c.project == bindparam("project"),
    shapes.c.image == bindparam("image"),
    shapes.c.flavor == bindparam("flavor"),
    # as text, so that SQLite sees that the index of shapes with waiting jobs will do
    text("batch_shapes.waiting > 0"),
)
_CUT = ("cpus", "memory_mib", "disk_kib")
_ANY = Swift(select(shapes.c.id).where(_MINE).limit(1))
_IN_USE = Swift(
    select(attempts.c.number)
    .where(
        attempts.c.credential == bindparam("of_credential"),
        attempts.c.credential_expires > bindparam("now", type_=attempts.c.credential_expires.type),
    )
    .limit(1)
)
# It is the new attempt's now: what has ended would have it taken back. `ENDED`: or SQLite would look at all that ever have.
_HAND_ON = Swift(
    update(attempts)
    .where(attempts.c.credential == bindparam("of_credential"), ENDED)
    .values(credential=None, credential_expires=None)
)
_WANTING = Swift(select(shapes).where(_MINE, text("(requirements <> '' OR rank <> '')")).limit(_OFFERS))
_WAITING = Swift(
    select(jobs, clusters.c.common, clusters.c.common_inputs)
    .join(clusters, clusters.c.id == jobs.c.cluster)
    .where(jobs.c.shape == bindparam("of_shape"), text("state = 'idle' AND live_attempt IS NULL"))
    .order_by(jobs.c.proc)
    .limit(bindparam("count"))
    .with_for_update(skip_locked=True, of=jobs)
)
_SHARE = {f"share_{name}": name for name in (*_CUT, "gpus")}
_GIVEN = Swift(
    select(
        jobs,
        clusters.c.common,
        clusters.c.common_inputs,
        attempts.c.number.label("this"),
        attempts.c.secret_hash,
        attempts.c.credential,
        *(attempts.c[name].label(label) for label, name in _SHARE.items()),
    )
    .join(jobs, and_(jobs.c.cluster == attempts.c.cluster, jobs.c.proc == attempts.c.proc))
    .join(clusters, clusters.c.id == jobs.c.cluster)
    .where(
        attempts.c.worker == bindparam("of_worker"),
        attempts.c.live.is_(True),
        attempts.c.state == AttemptState.LEASED.value,
    )
)
_GIVE_ON = Swift(
    update(attempts)
    .where(THE_ATTEMPT)
    .values(lease_until=bindparam("until", type_=attempts.c.lease_until.type))
)


def given(db: Connection, session: Session, call: str | None) -> list[Leased]:
    """Return what was given to the worker in answer to this very call before.

    It never learned of it: else it would have made another call.
    """
    if call is None:
        return []
    found: list[Leased] = []
    for row in _GIVEN.all(db, of_worker=session.worker):
        secret = secret_of(call, row.cluster, row.proc, row.this)
        if digest(secret) == row.secret_hash:
            key = LeaseKey(job=JobId(ClusterId(row.cluster), row.proc), attempt=row.this, secret=secret)
            share = Resources(**{name: getattr(row, label) for label, name in _SHARE.items()})
            found.append(
                Leased(
                    key=key,
                    owner=PersonId(row.owner),
                    spec=whole_spec(row),
                    inputs=whole_inputs(row),
                    share=share,
                    credential=row.credential,
                )
            )
    return found


def give_on(db: Connection, leased: Leased, *, until: datetime) -> None:
    """Let a lease that is given once more begin anew: the worker counts from now."""
    place = {"of_cluster": leased.key.job.cluster, "of_proc": leased.key.job.proc}
    _GIVE_ON.run(db, **place, of_number=leased.key.attempt, until=until)


@lru_cache(maxsize=8)
def _offering(no_bound: tuple[bool, ...]) -> Swift:
    """Return what finds the shapes of one person that fit."""
    fits = [shapes.c[name] <= bindparam(name) for name, free in zip(_CUT, no_bound, strict=True) if not free]
    return Swift(
        select(shapes)
        .where(_MINE, shapes.c.owner == bindparam("of_owner"), shapes.c.gpus <= bindparam("gpus"), *fits)
        .order_by(shapes.c.priority.desc(), shapes.c.cluster, shapes.c.id)
        .limit(_OFFERS)
    )


def anything(_wants: Wants, _asked: Resources, _session: Session) -> bool:
    """Say that every worker is wanted."""
    return True


class Dealer:
    """One claim, in its transaction."""

    def __init__(
        self,
        db: Connection,
        session: Session,
        *,
        now: datetime,
        terms: Terms,
        accepts: Accepts = anything,
        held: Mapping[PersonId, Held] | None = None,
        call: str | None = None,
    ) -> None:
        self._held = held or {}
        self._call = call
        self._db = db
        self._session = session
        self._now = now
        self._terms = terms
        self._accepts = accepts
        self._cut = session.group.flavor != OPEN_FLAVOR

    def deal(self, free: Resources) -> tuple[Leased, ...]:
        """Lease to the worker what it should have next."""
        owners = self._owners()
        rows = {row.id: row for owner in owners for row in self._offers(owner, free)}
        if not rows:
            return ()
        offers = [_offer(row) for row in rows.values()]
        accounts = self._accounts(owners)
        taken = order.share_out(
            offers,
            accounts,
            free=free,
            whole=self._session.whole,
            at_most=self._terms.claim_at_once,
            now=self._now,
            bounds=self._bounds(rows),
            cut=self._cut,
        )
        leased = [one for shape, count in taken.items() for one in self._lease(rows[shape], count)]
        if len(owners) > 1:
            self._note_served({rows[shape].owner for shape in taken})
        return tuple(leased)

    def _owners(self) -> list[PersonId]:
        kind = self._session.group._asdict()
        return [PersonId(row.owner) for row in _OWNERS.all(self._db, **kind)]

    def _offers(self, owner: PersonId, free: Resources) -> list[Row[Any]]:
        query = _offering(self._no_bound(free))
        kind = self._session.group._asdict()
        asked = {"of_owner": owner, "gpus": free.gpus, **{name: getattr(free, name) for name in _CUT}}
        return [
            row
            for row in query.all(self._db, **kind, **asked)
            if not (row.requirements or row.rank)
            or self._accepts(_wants(row), _resources(row), self._session)
        ]

    def _no_bound(self, free: Resources) -> tuple[bool, ...]:
        """Say for cpus, memory and disk whether any request fits: those beyond the whole machine are cut to it.

        Not in a group of any flavor: who asks for much there waits for a larger machine.
        """
        whole = self._session.whole
        return tuple(self._cut and getattr(free, name) >= getattr(whole, name) for name in _CUT)

    def _accounts(self, owners: Sequence[PersonId]) -> dict[PersonId, order.Account]:
        accounts = {owner: order.Account() for owner in owners}
        if len(owners) == 1:
            return accounts  # nobody to share with
        project = self._session.group.project
        for row in self._db.execute(select(shares).where(shares.c.project == project)):
            if row.owner in accounts:
                account = accounts[PersonId(row.owner)]
                account.used = order.decayed(row.used, self._now - row.at)
                account.served_at = row.served_at
        live = (
            select(shapes.c.owner, func.sum(shapes.c.live * shapes.c.cpus))
            .where(shapes.c.project == project, text("live > 0"))
            .group_by(shapes.c.owner)
        )
        for owner, cores in self._db.execute(live):
            if owner in accounts:
                accounts[PersonId(owner)].cores = float(cores)
        return accounts

    def _bounds(self, rows: Mapping[int, Row[Any]]) -> order.Bounds[PersonId]:
        bounds = order.Bounds[PersonId]()
        for row in rows.values():
            if row.at_most is not None and row.cluster not in bounds.clusters:
                bounds.clusters[ClusterId(row.cluster)] = row.at_most - live_of(self._db, row.cluster)
        named = {name for row in rows.values() for name in limits_of(row)}
        known = {name: self._terms.limits[name] for name in named & self._terms.limits.keys()}
        bounds.limits = left_of(self._db, known)
        return bounds

    def _lease(self, shape: Row[Any], count: int) -> list[Leased]:
        rows = _WAITING.all(self._db, of_shape=shape.id, count=count)
        held = self._still_good(PersonId(shape.owner))
        asked = _resources(shape)
        share = asked.cut_to(self._session.whole) if self._cut else asked
        secrets = [self._secret(row) for row in rows]
        Ledger(self._db, now=self._now).lease(
            rows,
            secrets,
            worker=self._session.worker,
            share=share,
            until=self._now + self._terms.lease_kept,
            held=held,
        )
        if held is not None:
            _HAND_ON.run(self._db, of_credential=held.reference)
        return [
            Leased(
                key=LeaseKey(
                    job=JobId(ClusterId(row.cluster), row.proc), attempt=row.attempts + 1, secret=secret
                ),
                owner=PersonId(row.owner),
                spec=whole_spec(row),
                inputs=whole_inputs(row),
                share=share,
                credential=held.reference if held else None,
            )
            for row, secret in zip(rows, secrets, strict=True)
        ]

    def _secret(self, row: Any) -> str:
        if self._call is None:
            return new_secret()
        return secret_of(self._call, row.cluster, row.proc, row.attempts + 1)

    def _still_good(self, owner: PersonId) -> Held | None:
        """Return what the owner's jobs on this worker act with, unless it is being taken back at this moment."""
        held = self._held.get(owner)
        if held is None or held.expires - self._now < self._terms.credential_left:
            return None
        return held if _IN_USE.first(self._db, of_credential=held.reference, now=self._now) else None

    def _note_served(self, owners: set[str]) -> None:
        for owner in owners:
            self._db.execute(
                update(shares)
                .where(shares.c.project == self._session.group.project, shares.c.owner == owner)
                .values(served_at=self._now)
            )


def waits(db: Connection, session: Session) -> bool:
    """Return whether any job waits for such a worker."""
    return _ANY.first(db, **session.group._asdict()) is not None


def wanted(db: Connection, session: Session) -> list[tuple[Wants, Resources]]:
    """Return what jobs that wait for such a worker want of it, besides its size."""
    return [(_wants(row), _resources(row)) for row in _WANTING.all(db, **session.group._asdict())]


def _offer(row: Row[Any]) -> order.Offer:
    return order.Offer(
        key=row.id,
        owner=PersonId(row.owner),
        priority=row.priority,
        cluster=ClusterId(row.cluster),
        resources=_resources(row),
        room=row.waiting,
        limits=limits_of(row),
    )


def _wants(row: Row[Any]) -> Wants:
    return Wants(row.requirements, row.rank, row.attributes)


def _resources(row: Row[Any]) -> Resources:
    return Resources(cpus=row.cpus, memory_mib=row.memory_mib, disk_kib=row.disk_kib, gpus=row.gpus)
