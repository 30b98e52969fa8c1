"""How a machine becomes a worker: a one-time token of its user data, exchanged for a session key."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine as Database
from sqlalchemy import Row, bindparam, insert, or_, select, update

from armillary.base.clock import Clock
from armillary.base.errors import Conflict, Forbidden, Unauthorized
from armillary.base.ids import ProjectId, ServerId, Sha512, WorkerId, new_secret
from armillary.base.recent import Recent
from armillary.batch.engines.embedded.ledger import Ledger
from armillary.batch.engines.embedded.terms import Terms, digest
from armillary.batch.engines.embedded.together import Together
from armillary.batch.model import Group, Resources
from armillary.batch.store.swift import Swift
from armillary.batch.store.tables import workers

_BY_ID = Swift(select(workers).where(workers.c.id == bindparam("of_worker")))
_BY_SESSION = Swift(select(workers).where(workers.c.session_hash == bindparam("of_session")))
_USED = Swift(update(workers).where(workers.c.id == bindparam("of_worker")).values(session_used=True))


_MOST_RECENT = 10_000
"""workers that are known without a look into the records"""


@dataclass(frozen=True, kw_only=True)
class Session:
    """A worker that has shown its key: all that it may touch."""

    worker: WorkerId
    group: Group
    whole: Resources
    recalled: str = ""
    """the digest of its key, where that was good before and nobody has looked whether it still is"""

    def prove(self, row: Any) -> None:
        """Look at a recalled session's row of `workers`. Raises Unauthorized."""
        if self.recalled and (row.session_hash != self.recalled or row.lost_at is not None):
            raise _unknown()


def _unknown() -> Unauthorized:
    return Unauthorized(
        "this worker is not known, or was given up",
        code="bad_session",
        remedy="Kill all jobs and stop.",
    )


class Register:
    """The book of invited and registered machines."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        terms: Terms | None = None,
        invitation: timedelta = timedelta(minutes=15),
        together: Together | None = None,
    ) -> None:
        self._database = database
        self._together = together or Together(database=database)
        self._reading = database.execution_options(readonly=True)
        self._clock = clock
        self._terms = terms or Terms()
        self._invitation = invitation
        self._recent = Recent[str, Session](most=_MOST_RECENT)

    def invite(self, worker: WorkerId, group: Group) -> str:
        """Return a new one-time token for a machine that is to be made; an earlier one becomes void.

        Raises Conflict when the worker has registered or was given up: its name is never used again.
        """
        now = self._clock.now()
        token = new_secret()
        values: dict[str, Any] = {"invite_hash": digest(token), "invite_until": now + self._invitation}
        with self._database.begin() as db:
            row = db.execute(select(workers).where(workers.c.id == worker).with_for_update()).first()
            if row is None:
                kind = {"project": group.project, "image": group.image, "flavor": group.flavor}
                db.execute(insert(workers).values(id=worker, invited_at=now, **kind, **values))
            elif row.registered_at is not None or row.lost_at is not None:
                raise Conflict(f"worker {worker} was a machine before", code="worker_used")
            else:
                db.execute(
                    update(workers).where(workers.c.id == worker).values(expected_server=None, **values)
                )
        return token

    def expect(self, worker: WorkerId, server: ServerId) -> None:
        """Bind the worker to a server. One that registered in its name from another loses its session.

        One that did not say which server it is loses its session too: it may register again, and say so.
        """
        expected = server.lower()
        other = or_(workers.c.server_id.is_(None), workers.c.server_id != expected)
        with self._database.begin() as db:
            db.execute(update(workers).where(workers.c.id == worker).values(expected_server=expected))
            db.execute(update(workers).where(workers.c.id == worker, other).values(session_hash=None))

    def register(
        self,
        token: str,
        *,
        server_id: str | None,
        image: Sha512,
        whole: Resources,
        version: str,
    ) -> tuple[WorkerId, str]:
        """Exchange the token for a session key.

        The token works until the key it gave was used for the first time, so that a lost reply costs no machine;
        after that nobody in the machine can use the user data to become its agent.
        """
        now = self._clock.now()
        key = new_secret()
        server_id = server_id.lower() if server_id else None
        with self._database.begin() as db:
            row = db.execute(
                select(workers).where(workers.c.invite_hash == digest(token)).with_for_update()
            ).first()
            worker = self._admit(row, server_id=server_id, image=image)
            db.execute(
                update(workers)
                .where(workers.c.id == worker)
                .values(
                    session_hash=digest(key),
                    server_id=server_id,
                    registered_at=now,
                    last_seen_at=now,
                    idle_since=now,
                    cpus=whole.cpus,
                    memory_mib=whole.memory_mib,
                    disk_kib=whole.disk_kib,
                    gpus=whole.gpus,
                    agent_version=version,
                )
            )
        return worker, key

    def invited(self, token: str) -> tuple[WorkerId, Sha512]:
        """Return who may register with a token, and from which image it must be. Raises Unauthorized."""
        with self._reading.connect() as db:
            row = db.execute(select(workers).where(workers.c.invite_hash == digest(token))).first()
        row = self._still_invited(row)
        return WorkerId(row.id), Sha512(row.image)

    def _still_invited(self, row: Row[Any] | None) -> Row[Any]:
        if row is None or row.lost_at is not None:
            raise Unauthorized("this bootstrap token is not known", code="bad_bootstrap_token")
        if row.session_used:
            raise Unauthorized("this bootstrap token was used before", code="bootstrap_token_used")
        if row.invite_until < self._clock.now():
            raise Unauthorized("this bootstrap token has expired", code="bootstrap_token_expired")
        return row

    def _admit(self, row: Row[Any] | None, *, server_id: str | None, image: str) -> WorkerId:
        row = self._still_invited(row)
        if row.expected_server and row.expected_server != server_id:
            why = (
                "for another server"
                if server_id
                else "for a server, and the agent did not say which it is in"
            )
            raise Unauthorized(
                f"this bootstrap token is {why}", code="wrong_server", facts={"server_id": server_id}
            )
        if row.image != image:
            raise Forbidden(
                "this machine was not booted from the image that its jobs name",
                code="wrong_image",
                facts={"expected": row.image, "reported": image},
            )
        return WorkerId(row.id)

    def session(self, key: str) -> Session:
        """Return whose key this is. Raises Unauthorized `bad_session` for a worker that was given up too."""
        shown = digest(key)
        with self._reading.connect() as db:
            row = _BY_SESSION.first(db, of_session=shown)
        if row is None or row.lost_at is not None:
            self._recent.forget(shown)
            raise _unknown()
        if not row.session_used:
            self._together.write(lambda db: _USED.run(db, of_worker=row.id))
        session = Session(
            worker=WorkerId(row.id),
            group=Group(ProjectId(row.project), Sha512(row.image), row.flavor),
            whole=Resources(cpus=row.cpus, memory_mib=row.memory_mib, disk_kib=row.disk_kib, gpus=row.gpus),
        )
        if self._recent.get(shown) is None:
            self._recent.keep(shown, replace(session, recalled=shown))
        return session

    def recall(self, key: str) -> Session:
        """Return whose key this is, or was of late: for a writer that has it `prove` itself in its own transaction.

        All that it says of a worker is said once, when that registers. Raises Unauthorized as `session` does.
        """
        return self._recent.get(digest(key)) or self.session(key)

    def prove(self, session: Session) -> None:
        """Look whether a recalled session is still good, for who writes elsewhere than in the queue. Raises Unauthorized."""
        if session.recalled:
            with self._reading.connect() as db:
                session.prove(_BY_ID.all(db, of_worker=session.worker)[0])

    def leave(self, worker: WorkerId) -> int:
        """Take a worker's goodbye; jobs that it still had go back to the queue. Returns how many."""
        now = self._clock.now()
        with self._database.begin() as db:
            db.execute(
                update(workers)
                .where(workers.c.id == worker, workers.c.left_at.is_(None))
                .values(left_at=now, last_seen_at=now, draining=True)
            )
            gone = Ledger(db, now=now).lose_all(
                worker=worker, why="its worker left", max_lost=self._terms.max_lost
            )
        return len(gone)
