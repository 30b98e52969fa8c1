"""The record of a job, and of what all jobs of its cluster share.

A record says only what was measured or submitted: nothing in it needs another document to be understood but the one
of its cluster, which it names by digest. Moments are UTC, contents are named by SHA-256 (machine images by SHA-512),
sizes are bytes unless the name says otherwise. Its bytes are canonical JSON (`crates.canonical`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from armillary.base.errors import Invalid
from armillary.crates.canonical import canonical, parse

JOB_FORMAT = "armillary-job-record/1"
CLUSTER_FORMAT = "armillary-cluster-record/1"
IMAGE_FORMAT = "armillary-image-record/1"

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Sha512 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")]


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("not a moment that there is in UTC") from error


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
Size = Annotated[int, Field(ge=0)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=16_384)]
"""A path or the URI of one: a path of VOSpace has 4096 bytes at most, each of which may be escaped by three."""


class Document(BaseModel):
    """A part of a record. What is not known to this version is refused: a record is read whole or not at all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def canonical(self) -> bytes:
        """Return the bytes that are stored, signed and named by their digest."""
        return canonical(self.model_dump(mode="json"))


class Content(Document):
    """Bytes under a name: of inputs the path as the job's spec writes it, of outputs the name in the scratch."""

    name: Name
    sha256: Sha256
    size: Size
    mode: int | None = None
    """permission bits, where they are known"""
    uri: str | None = None
    """where it lies in VOSpace (`vos://…`), or None when only the platform's spool has it"""


class Person(Document):
    """Who it was: the account's name, and its identifier on the platform."""

    name: str
    id: str | None = None


class LineageStep(Document):
    """One thing that an image came from. Steps are in order of time: the recipe first, the image itself last.

    `kind`: recipe, base (made from the recipe), upload (somebody's own disk), machine (booted from the step before),
    snapshot (of that machine), copy.
    """

    kind: Literal["recipe", "base", "upload", "machine", "snapshot", "copy"]
    name: str
    id: str | None = None
    """of the image or server on its cloud"""
    cloud: str | None = None
    sha512: Sha512 | None = None
    """of an image's bytes"""
    sha256: Sha256 | None = None
    """of a recipe's text"""
    by: Person | None = None
    at: Moment | None = None
    details: dict[str, Any] = Field(default_factory=dict[str, Any])
    """what more is known: the package snapshot of a recipe, the flavor of a machine"""


class Image(Document):
    """The machine image that all jobs of a cluster run on."""

    name: str
    sha512: Sha512
    lineage: list[LineageStep] = Field(default_factory=list[LineageStep])
    """empty: nobody on this platform saw it made"""


class ImageRecord(Document):
    """A machine image whose bytes are in a crate: all that it takes to have it on another cloud, too."""

    format: Literal["armillary-image-record/1"] = IMAGE_FORMAT
    platform: str
    """that hands it out"""
    name: Name
    sha512: Sha512
    size: Size
    disk_format: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,16}$")]
    min_disk_gib: Size
    properties: dict[str, str] = Field(default_factory=dict[str, str])
    """Glance's and people's: the system inside, the hardware that it wants"""


class ClusterRecord(Document):
    """What all jobs of one submit share."""

    format: Literal["armillary-cluster-record/1"] = CLUSTER_FORMAT
    platform: str
    """its address, as people reach it"""
    cluster: int
    batch_name: str | None = None
    owner: Person
    project: Person
    submitted_at: Moment
    submit_text: str
    jobs: int
    flavor: str
    image: Image
    wishes: dict[str, Any] = Field(default_factory=dict[str, Any])
    """what the submit says of all its jobs together: accounting_group, max_materialize, …"""


class Machine(Document):
    """What a job ran on. `image_sha512` is what the machine itself was booted from."""

    cloud: str | None = None
    flavor: str
    worker: str
    server: str | None = None
    image_sha512: Sha512
    agent_version: str | None = None
    cpu_model: str | None = None
    kernel: str | None = None
    architecture: str | None = None
    cpus: int | None = None
    """of the job's share of the machine"""
    memory_mib: int | None = None
    disk_kib: int | None = None
    gpus: int | None = None


class Access(Document):
    """Reads or writes of one path that the job's own credential made in VOSpace: `count` of the same bytes."""

    at: Moment
    """of the first of them"""
    action: Literal["read", "write", "delete", "list", "change"]
    uri: Name
    sha256: Sha256 | None = None
    """None: the bytes were replaced before anybody could take their SHA-256"""
    md5: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] | None = None
    size: Size | None = None
    attempt: int | None = None
    """None: the one that counts"""
    count: Annotated[int, Field(ge=1)] = 1


class Attempt(Document):
    """An attempt that does not count: its machine was lost or gave it back, or the job was run again."""

    number: int
    worker: str
    cloud: str | None = None
    server: str | None = None
    image_sha512: Sha512
    started_at: Moment
    ended_at: Moment | None = None
    exit_code: int | None = None
    signal: int | None = None
    error: str | None = None


class JobRecord(Document):
    """How one job came to its results: the committed attempt."""

    format: Literal["armillary-job-record/1"] = JOB_FORMAT
    cluster: Sha256
    """the digest of its ClusterRecord"""
    job: Annotated[str, StringConstraints(pattern=r"^\d{1,18}\.\d{1,9}$")]
    attempt: int
    """the one whose outputs are the job's"""
    attempts: int
    earlier: list[Attempt] = Field(default_factory=list[Attempt])
    """the last of the others, oldest first; what they did in VOSpace is among `accesses`"""
    executable: Content | None
    """None: a program of the image, named in `spec`"""
    arguments: list[str]
    environment: dict[str, str]
    inputs: list[Content]
    """every file the job was given, the executable excepted, in the order in which they were placed"""
    spec: dict[str, Any]
    """what was submitted for this job with all macros expanded, without `arguments` and `environment`"""
    machine: Machine
    submitted_at: Moment
    started_at: Moment | None
    ended_at: Moment
    exit_code: int | None
    signal: int | None
    succeeded: bool
    state: Literal["completed", "removed", "held"] = "completed"
    error: str | None = None
    """why the attempt failed, where that is not the program's exit"""
    usage: dict[str, float]
    """as the agent measured it: wall_seconds, cpu_seconds, memory_mib, …"""
    outputs: list[Content]
    """every file that came back, standard output and error under their names in `spec`"""
    accesses: list[Access] = Field(default_factory=list[Access])
    accesses_dropped: int = 0
    """how many more there were than a record holds"""

    @property
    def proc(self) -> int:
        """Its number in its cluster."""
        return int(self.job.partition(".")[2])

    @property
    def files(self) -> list[Content]:
        """What it was given when it was submitted."""
        return [*([self.executable] if self.executable else []), *self.inputs]

    @property
    def reads(self) -> list[Access]:
        """The first read of each version of a file in VOSpace, but for what it had written there itself."""
        found: dict[tuple[str, str | None], Access] = {}
        own: set[tuple[str, str | None]] = set()
        for access in self.accesses:
            version = (access.uri, access.md5)
            if access.action == "write":
                own.add(version)
            elif access.action == "read" and version not in own:
                found.setdefault(version, access)
        return list(found.values())

    @property
    def writes(self) -> list[Access]:
        """What it left in VOSpace: the last write of each path that it did not delete after, nor a folder around it."""
        found: dict[str, Access] = {}
        deleted: set[str] = set()
        for access in reversed(self.accesses):
            if access.action == "delete":
                deleted.add(access.uri)
            elif access.action == "write" and access.uri not in found and not _within(access.uri, deleted):
                found[access.uri] = access
        return list(found.values())[::-1]

    @property
    def unknown(self) -> list[Access]:
        """What it read or left in VOSpace whose SHA-256 nobody could take: it was replaced first, or is very large."""
        return [access for access in (*self.reads, *self.writes) if access.sha256 is None]

    @property
    def sources(self) -> list[Content]:
        """All data that it had: the files it was given and what it read in VOSpace."""
        return [*self.inputs, *_contents(self.reads)]

    @property
    def results(self) -> list[Content]:
        """All that it made: the files that came back and what it left in VOSpace, these named by their URIs."""
        return [*self.outputs, *_contents(self.writes)]

    def submission(self) -> dict[str, Any]:
        """Return the job's spec whole, as it is submitted."""
        return {**self.spec, "arguments": list(self.arguments), "environment": dict(self.environment)}


def _within(uri: str, folders: set[str]) -> bool:
    """Whether a path is one of these, or below one."""
    while folders and uri:
        if uri in folders:
            return True
        uri = uri.rpartition("/")[0]
    return False


def _contents(accesses: list[Access]) -> list[Content]:
    """Return those whose bytes are known by their digest."""
    return [
        Content(name=one.uri, sha256=one.sha256, size=one.size, uri=one.uri)
        for one in accesses
        if one.sha256 is not None and one.size is not None
    ]


Kind = TypeVar("Kind", bound=Document)


def read(kind: type[Kind], data: bytes) -> Kind:
    """Read a document from its canonical bytes. Raises NotCanonical and Invalid (code `bad_record`)."""
    value = parse(data)
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the document"
        raise Invalid(
            f"not a {kind.__name__} that this version reads: {place}: {first['msg']}",
            code="bad_record",
            facts={"field": place},
            remedy="Read it with the version that wrote it, or a newer one.",
        ) from error
