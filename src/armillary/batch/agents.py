"""The service that workers' agents call: register, claim, renew, bring results."""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path, PurePosixPath

from armillary.base.bell import Bell
from armillary.base.errors import ArmillaryError, Invalid, NotFound
from armillary.base.ids import PersonId, Sha512, WorkerId
from armillary.base.recent import Recent
from armillary.batch.core.states import Result
from armillary.batch.engines.embedded.checkpoints import Checkpoints
from armillary.batch.engines.embedded.leases import Leases
from armillary.batch.engines.embedded.parcels import Claimed, Held, Leased, LeaseKey, OutputRef
from armillary.batch.engines.embedded.queue import EmbeddedQueue
from armillary.batch.engines.embedded.register import Register, Session
from armillary.batch.engines.embedded.terms import Terms
from armillary.batch.genuine import ImageCheck
from armillary.batch.logs import LogFolder
from armillary.batch.model import InputFile, JobId, JobState, Resources
from armillary.batch.ports import BlobWriter, Credential, Credentials, Spool
from armillary.batch.store.hardware_records import HardwareRecords
from armillary.disks.probing import Answers, Questions

log = logging.getLogger(__name__)

_MOST_KNOWN = 2000
"""workers whose credentials we remember; others get new ones"""


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """A leased job with what it acts with."""

    leased: Leased
    credential: Credential | None
    checkpoint: Sequence[InputFile] = ()
    """what an earlier attempt saved, by its place in the scratch"""


@dataclass(frozen=True, kw_only=True)
class Assignments:
    """The answer to a claim."""

    jobs: Sequence[Assignment] = ()
    retire: bool = False


@dataclass(frozen=True, kw_only=True)
class Renewal:
    """The answer to a renewal: lost and removed jobs, and new credentials by job."""

    lost: Sequence[LeaseKey]
    remove: Sequence[LeaseKey]
    credentials: Mapping[JobId, Credential]


class AgentService:
    """What agents may do: all of it within one project and one image, by a session key."""

    def __init__(
        self,
        *,
        queue: EmbeddedQueue,
        register: Register,
        leases: Leases,
        checkpoints: Checkpoints,
        spool: Spool,
        logs: LogFolder,
        bell: Bell,
        credentials: Credentials | None = None,
        hardware: HardwareRecords | None = None,
        genuine: ImageCheck | None = None,
        terms: Terms | None = None,
        renew_before: timedelta = timedelta(hours=1),
    ) -> None:
        self._queue = queue
        self._register = register
        self._leases = leases
        self._checkpoints = checkpoints
        self._spool = spool
        self._logs = logs
        self._bell = bell
        self._credentials = credentials
        self._hardware = hardware
        self._genuine = genuine
        self._renew_before = renew_before
        self._given = Recent[WorkerId, dict[PersonId, Credential]](most=_MOST_KNOWN)
        self.terms = terms or Terms()

    @property
    def bell(self) -> Bell:
        """Rings `("work", group)`, `"work"` (any group) and `("worker", id)`."""
        return self._bell

    def probe(self, token: str) -> Questions | None:
        """Return what a machine has to answer before it may register; None for nothing. Raises Unauthorized."""
        _, image = self._register.invited(token)
        return self._genuine.questions(image, token) if self._genuine else None

    def register(
        self,
        *,
        token: str,
        server_id: str | None,
        image: Sha512,
        whole: Resources,
        version: str,
        measured: Answers | None = None,
    ) -> tuple[WorkerId, str]:
        """Exchange a bootstrap token, and what the machine `measured` of itself, for a session key.

        Raises:
            Unauthorized, Forbidden: whose machine it is, or what it is made of, is not as it should be.
            PreconditionFailed: it has to measure itself first.
        """
        if self._genuine:
            invited, named = self._register.invited(token)
            self._genuine.check(invited, named, measured)
        worker, key = self._register.register(
            token, server_id=server_id, image=image, whole=whole, version=version
        )
        log.info("worker %s registered", worker)
        return worker, key

    def session(self, key: str) -> Session:
        """Return whose session key this is. Raises Unauthorized."""
        return self._register.session(key)

    def recall(self, key: str) -> Session:
        """Return whose session key this is or was of late, for `finish`, which looks itself. Raises Unauthorized."""
        return self._register.recall(key)

    def claim(self, session: Session, free: Resources, call: str | None = None) -> Assignments:
        """Lease jobs that fit, each with a credential of its owner; possibly none. A `call` made again gives the same."""
        return self._assigned(session, self._leases.claim(session, free, self._held(session), call))

    def _assigned(self, session: Session, claimed: Claimed) -> Assignments:
        # A first attempt follows none that could have saved something.
        saved = self._checkpoints.of(job.key.job for job in claimed.jobs if job.key.attempt > 1)
        jobs: list[Assignment] = []
        for leased in claimed.jobs:
            try:
                credential = self._credential_of(session, leased)
            except ArmillaryError as error:
                why = f"no credential could be issued: {error.message}"
                log.warning("job %s: %s", leased.key.job, why)
                self._leases.give_back(session, [leased.key], why)
                continue
            checkpoint = saved.get(leased.key.job, ())
            jobs.append(Assignment(leased=leased, credential=credential, checkpoint=checkpoint))
        self._bell.ring(*(("cluster", job.leased.key.job.cluster) for job in jobs))
        return Assignments(jobs=jobs, retire=claimed.retire)

    def renew(self, session: Session, keys: Sequence[LeaseKey]) -> Renewal:
        """Keep leases alive."""
        renewed = self._leases.renew(session, keys, fading=self._renew_before)
        fresh: dict[JobId, Credential] = {}
        for key, owner in renewed.fading:
            try:
                # The old one stays good until it ends: the job may be using it at this moment.
                credential = self._issue(key, owner)
            except ArmillaryError as error:
                log.warning("job %s: its credential could not be renewed: %s", key.job, error.message)
                continue
            if credential is not None:
                fresh[key.job] = credential
        self._bell.ring(*{("cluster", key.job.cluster) for key in keys})
        return Renewal(lost=renewed.lost, remove=renewed.remove, credentials=fresh)

    def blob(self, session: Session, sha256: str) -> Path:
        """Return an input of one of the worker's jobs. Raises NotFound for all else."""
        if not self._leases.may_read(session, sha256) and not self._checkpoints.may_read(session, sha256):
            raise NotFound("none of this worker's jobs has such a file", facts={"sha256": sha256})
        return self._spool.path(sha256)

    def log(self, session: Session, key: LeaseKey, stream: str, *, offset: int, data: bytes) -> int:
        """Take bytes of a stream; returns the size it has now. Raises StaleAttempt, LogGap."""
        self._checkpoints.check(session, key)  # what it says while it saves its work is heard too
        size = self._logs.append(key.job, key.attempt, stream, offset=offset, data=data)
        self._bell.ring(("log", key.job))
        return size

    @contextmanager
    def output(
        self, session: Session, key: LeaseKey, name: str, *, checkpoint: bool = False
    ) -> Generator[BlobWriter]:
        """Begin a file that the attempt brings. Raises StaleAttempt before any byte is taken."""
        check_name(name)
        (self._checkpoints if checkpoint else self._leases).check(session, key)
        with self._spool.writer() as writer:
            yield writer

    def add_output(
        self, session: Session, key: LeaseKey, output: OutputRef, *, checkpoint: bool = False
    ) -> None:
        """Record a file that has arrived under its attempt."""
        check_name(output.name)
        if checkpoint:
            self._checkpoints.add(session, key, output)
        else:
            self._leases.add_output(session, key, output)

    def save(self, session: Session, key: LeaseKey, files: Sequence[InputFile]) -> None:
        """Make files that have arrived what the job's next attempt begins with."""
        self._checkpoints.commit(session, key, files)

    def finish(
        self,
        session: Session,
        key: LeaseKey,
        result: Result,
        *,
        usage: Mapping[str, float],
        outputs: Sequence[OutputRef],
        then: Resources | None = None,
        call: str | None = None,
        machine: Mapping[str, str] | None = None,
    ) -> tuple[JobState, Assignments]:
        """End an attempt; returns what the job became, and jobs for the resources that are free `then`.

        `machine` is what its worker says of its hardware.

        Repeating gives the same answer; the same jobs, too, if the `call` has a name.
        """
        self._logs.sync(key.job, key.attempt)
        if self._hardware and machine and not self._hardware.knows(session.worker, machine):
            self._register.prove(session)
            self._hardware.note(session.worker, machine)
        finished = self._leases.finish(
            session, key, result, usage=usage, brought=outputs, then=then, held=self._held(session), call=call
        )
        self._bell.ring(("cluster", key.job.cluster), ("log", key.job))
        if finished.state is JobState.COMPLETED and key.attempt > 1:
            self._checkpoints.forget(key.job)
        if finished.state is JobState.IDLE:
            self._bell.ring(("work", session.group))
        return finished.state, self._assigned(session, finished.claimed)

    def leave(self, session: Session) -> None:
        """Take a goodbye. Jobs that the worker still had go back to the queue."""
        if self._register.leave(session.worker):
            self._bell.ring(("work", session.group))

    def upkeep(self) -> None:
        """Take back jobs whose leases have run out; revoke what ended attempts acted with. Call it every few seconds.

        Both are found in the records, so that whatever a crash left undone is done at the next call.
        """
        if self._queue.expire():
            self._bell.ring("work")
        if self._credentials is None:
            return
        for _, owner, reference in self._leases.spent_credentials():
            self._credentials.revoke(owner, reference)
            self._leases.forget_credential(reference)

    def _held(self, session: Session) -> dict[PersonId, Held]:
        """Return what people's jobs on a worker act with, as far as we know: we may have been started since."""
        known = self._given.get(session.worker) or {}
        return {
            owner: Held(reference=one.reference, expires=one.expires) for owner, one in tuple(known.items())
        }

    def _credential_of(self, session: Session, leased: Leased) -> Credential | None:
        """Return what a job acts with. To issue a credential takes longer than many a job: jobs of one person on
        one machine, which could read each other's anyway, hand theirs on. Each is told apart by its name in it.
        """
        known = self._given.first(session.worker, {})
        kept = known.get(leased.owner)
        if kept is not None and kept.reference == leased.credential:
            return self._credentials.hand_on(kept, job=_name(leased.key)) if self._credentials else kept
        credential = self._issue(leased.key, leased.owner)
        if credential is not None:
            known[leased.owner] = credential
        return credential

    def _issue(self, key: LeaseKey, owner: PersonId) -> Credential | None:
        if self._credentials is None:
            return None
        credential = self._credentials.issue(
            owner, label=f"job {key.job} attempt {key.attempt}", job=_name(key)
        )
        self._leases.set_credential(key, credential.reference, credential.expires)
        return credential


def _name(key: LeaseKey) -> str:
    return f"{key.job}.{key.attempt}"


def check_name(name: str) -> None:
    """Raise Invalid unless `name` is a relative path that stays inside."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\0" in name or len(name.encode()) > 4096:
        raise Invalid(f"not a name for an output: {name!r}", code="bad_name", facts={"name": name})
