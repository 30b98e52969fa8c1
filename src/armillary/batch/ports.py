"""What batch asks of the rest of the world, and of its own engines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from armillary.accounts.model import Membership, Person, Project
from armillary.base.ids import CloudName, ClusterId, ImageId, PersonId, ProjectId, ServerId, Sha512, WorkerId
from armillary.batch.model import Demand, Event, Group, Resources, Selection, Submission, WorkerReport
from armillary.fleet.copying import Copy
from armillary.fleet.model import FleetCloud, FleetFlavor, FleetImage, FleetServer, Limits


class Workforce(Protocol):
    """The part of an engine that the scaler sees: the work that waits, and the workers that do it."""

    def demand(self) -> list[Demand]:
        """Return the idle jobs that a worker could take now, by group, the longest waiting group first."""
        ...

    def workers(self) -> list[WorkerReport]:
        """Return every worker that has come to the engine and has not been given up by `lost`."""
        ...

    def drain(self, worker: WorkerId) -> None:
        """Give the worker no more jobs and tell it to go when its last one ends. Repeating changes nothing."""
        ...

    def lost(self, worker: WorkerId, reason: str) -> int:
        """Give the worker up: its jobs go back to the queue at once, and nothing that it says later counts.

        Returns how many jobs went back. Unknown workers and repeating are fine.
        """
        ...


class Engine(Workforce, Protocol):
    """A batch system. Every call is one transaction: it holds wholly, or not at all, after failure too."""

    def submit(self, submission: Submission) -> ClusterId:
        """Queue all jobs of a checked submit. Once this returns they survive any crash.

        A second submission with the owner's same idempotency key returns the first one's cluster.
        """
        ...

    def changes(self, *, after: int, cluster: ClusterId | None = None, limit: int = 1000) -> list[Event]:
        """Return changes of state with a sequence number beyond `after`, oldest first."""
        ...

    def hold(self, jobs: Selection, *, reason: str) -> int:
        """Put jobs on hold; running ones are stopped. Returns how many changed.

        For one job: NotFound, or WrongState when it is over. For a cluster NotFound; of several jobs, those that are
        over are passed by.
        """
        ...

    def release(self, jobs: Selection, *, memory_mib: int | None = None) -> int:
        """Queue held jobs again; one whose earlier attempt still runs waits until that has ended.

        With `memory_mib` they ask for so much from now on. Raises Conflict where an engine cannot change that.
        """
        ...

    def remove(self, jobs: Selection, *, reason: str) -> int:
        """Take jobs out for good; running ones are stopped and what they did is dropped."""
        ...

    def retry(self, jobs: Selection) -> int:
        """Queue again what failed or was removed, with its retries restored."""
        ...

    def prioritize(self, chosen: Selection, priority: int) -> int:
        """Give jobs that are not over another priority. Returns how many changed."""
        ...


class Enrolment(Protocol):
    """How a machine becomes a worker of an engine."""

    def user_data(self, worker: WorkerId, *, group: Group, cloud: CloudName, size: Resources) -> str:
        """Return cloud-init user data that makes a machine this worker, which shares out `size` among jobs.

        Earlier user data of it become void.
        """
        ...

    def marks(self) -> Mapping[str, str]:
        """Return metadata for the worker's server, from which a cloud that knows them may learn how to make it faster."""
        ...

    def expect(self, worker: WorkerId, server: ServerId) -> None:
        """Tell which server the worker is; no other may register in its name from now on."""
        ...


@dataclass(frozen=True, kw_only=True)
class Blob:
    """A file kept by its content."""

    sha256: str
    size: int


class BlobWriter(Protocol):
    """A blob on its way in."""

    def write(self, chunk: bytes) -> None:
        """Add bytes. Raises TooLarge beyond the limit, OutOfSpace when the disk is full."""
        ...

    def commit(self, expected: str | None = None) -> Blob:
        """Keep it, durably. Raises PreconditionFailed when its SHA-256 is not the `expected` one."""
        ...


class Spool(Protocol):
    """Bytes of inputs and outputs, each kept once under its SHA-256; whole and durable, or not there."""

    def writer(self) -> AbstractContextManager[BlobWriter]:
        """Begin a blob; leaving without `commit` leaves nothing behind."""
        ...

    def missing(self, digests: Iterable[str]) -> list[str]:
        """Return those of `digests` that are not here, in order, each once."""
        ...

    def path(self, sha256: str) -> Path:
        """Return a file with the bytes, to be read only. Raises NotFound."""
        ...


class Clouds(Protocol):
    """The fleet, as far as batch uses it."""

    def clouds(self) -> list[CloudName]: ...

    def flavors(self, cloud: CloudName, project: Project | None = None) -> list[FleetFlavor]: ...

    def find_image(self, project: Project, name_or_id_or_sha512: str) -> FleetImage: ...

    def ensure_image(self, cloud: CloudName, project: Project, sha512: Sha512) -> ImageId: ...

    def images(self, cloud: CloudName, project: Project) -> list[FleetImage]: ...

    def copies(self) -> Mapping[tuple[CloudName, Sha512], Copy]: ...

    def limits(self, cloud: CloudName, project: Project) -> Limits: ...

    def settings(self, cloud: CloudName) -> FleetCloud: ...

    def create_server(
        self,
        cloud: CloudName,
        project: Project,
        *,
        name: str,
        image_id: ImageId,
        flavor: str,
        user_data: str | None = None,
        key_name: str | None = None,
        metadata: Mapping[str, str] | None = None,
        floating_ip: bool = False,
    ) -> FleetServer: ...

    def servers(
        self, cloud: CloudName, project: Project, metadata: Mapping[str, str] | None = None
    ) -> list[FleetServer]: ...

    def delete_server(self, cloud: CloudName, project: Project, server_id: ServerId) -> None: ...


class People(Protocol):
    """The accounts, as far as batch uses them."""

    def person(self, person_id: PersonId) -> Person: ...

    def project(self, project_id: ProjectId) -> Project: ...

    def projects(self) -> Sequence[Project]: ...

    def projects_of(self, person_id: PersonId) -> Sequence[Membership]: ...


@dataclass(frozen=True, kw_only=True)
class Credential:
    """What a job acts with for its owner, for a while. `reference` is for taking it back."""

    token: str
    certificate_pem: str
    vospace: str
    owner: str
    expires: datetime
    reference: str


class Credentials(Protocol):
    """Issues what a job may do in its owner's name."""

    def issue(self, owner: PersonId, *, label: str, job: str = "") -> Credential:
        """Return a new credential that reaches the owner's VOSpace and nothing else. It says which `job` it is of."""
        ...

    def hand_on(self, credential: Credential, *, job: str) -> Credential:
        """Return the same credential, with the same reference and end, saying that it is of another job."""
        ...

    def revoke(self, owner: PersonId, reference: str) -> None:
        """Make the token worthless. Unknown references are fine."""
        ...


IssueToken = Callable[[PersonId, timedelta, str], tuple[str, str]]
"""(owner, lifetime, label) -> (secret, token id)"""
RevokeToken = Callable[[PersonId, str], None]
IssueCertificate = Callable[[str, timedelta, str], bytes]
"""(user name, lifetime, job) -> PEM with certificate and key"""
