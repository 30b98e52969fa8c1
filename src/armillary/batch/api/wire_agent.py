"""What a worker's agent says to the batch service and hears from it (`/agent/v1`), as JSON shapes.

Every call but `register` carries `Authorization: Bearer <session_key>`. A call about an attempt carries its
`lease_secret`; 409 `stale_attempt` means: this attempt is no longer yours, kill the job and drop its results.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, StringConstraints, model_validator

from armillary.batch.api.wire_submit import Digest256, JobName, Short, Wire
from armillary.batch.api.wire_user import Stream

Secret = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class ResourcesWire(Wire):
    """A share of a machine."""

    cpus: int = Field(ge=0, le=4096)
    memory_mib: int = Field(ge=0)
    disk_kib: int = Field(ge=0)
    gpus: int = Field(default=0, ge=0, le=1000)


Path = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Digests = Annotated[dict[Path, Annotated[str, StringConstraints(max_length=64)]], Field(max_length=1000)]


class ProbeIn(Wire):
    """`POST probe`, before `register`: what must this machine tell of itself?"""

    bootstrap_token: Secret


class ProbeOut(Wire):
    """Files to measure, from the root: `always` all of them, the others as far as a second allows.

    Nothing is asked (`questions` is null) when the platform has not looked into the image.
    """

    questions: dict[str, list[str]] | None = None


class MeasuredWire(Wire):
    """SHA-256 of files, and of folders' lists; empty for what is not there."""

    files: Digests = Field(default_factory=dict[str, str])
    folders: Digests = Field(default_factory=dict[str, str])


class RegisterIn(Wire):
    """`POST register`: the one-time token of the user data, and what the machine is."""

    bootstrap_token: Secret
    server_id: Short | None = None
    image_sha512: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")]
    cpus: int = Field(ge=1, le=4096)
    memory_mib: int = Field(ge=1)
    disk_kib: int = Field(ge=0)
    gpus: int = Field(default=0, ge=0, le=1000)
    agent_version: Short = ""
    measured: MeasuredWire | None = None


class RegisterOut(Wire):
    """The key for all later calls. May be asked for again until the key has been used for the first time.

    `claim_with_finish`: `finish` may bring the next jobs.
    """

    session_key: str
    worker: str
    lease_seconds: int
    poll_seconds: int
    claim_with_finish: bool = True


CallName = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""Of a call that asks for jobs: 256 random bits. Made again under the same name, because no answer came, it is answered with the same jobs."""


class ClaimIn(Wire):
    """`POST claim`: give me jobs for these free resources; waits up to `poll_seconds` for work."""

    free: ResourcesWire
    call: CallName | None = None


class InputWire(Wire):
    """A file to fetch from `GET blobs/{sha256}`; `path` is the path as the job spec writes it.

    Of a `checkpoint` it is the place in the scratch; such files come last and replace what is there.
    """

    path: str
    sha256: str
    size: int
    mode: int
    checkpoint: bool = False


class CredentialWire(Wire):
    """What the job acts with in its owner's VOSpace at `vospace` (host:port); `certificate_pem` has the key too."""

    token: str
    certificate_pem: str
    vospace: str
    owner: str
    expires: datetime


class ClaimedJob(Wire):
    """A job leased to this worker.

    `spec` has the fields of the submit's JobSpec; its `request_*` are cut to what this machine has in all: that is
    the share to count as taken. The lease ends `lease_seconds` after the *sending* of the claim or renew that was
    answered; then kill the job.
    """

    job: JobName
    attempt: int
    lease_secret: str
    lease_seconds: int
    spec: dict[str, Any]
    inputs: list[InputWire]
    credential: CredentialWire | None


class ClaimOut(Wire):
    """Jobs (perhaps none: ask again), or `retire`: say `bye` and stop."""

    jobs: list[ClaimedJob] = Field(default_factory=list[ClaimedJob])
    retire: bool = False


class LeaseWire(Wire):
    """The attempt that a call is about."""

    job: JobName
    attempt: int = Field(ge=1)
    lease_secret: Secret


class RenewIn(Wire):
    """`POST renew`: these attempts are alive."""

    items: list[LeaseWire] = Field(max_length=10_000)


class RenewOut(Wire):
    """Jobs (by name) that are no longer this worker's, and jobs to stop: the user removed or held them.

    After stopping a job of `remove`, send `finish` with an `error`; its results are dropped. `credential` maps
    the jobs whose credential was renewed to the new one.
    """

    lost: list[str]
    remove: list[str]
    credential: dict[str, CredentialWire] = Field(default_factory=dict[str, CredentialWire])


class LogsIn(LeaseWire):
    """`POST logs`: bytes of a stream from `offset`; sending a range again changes nothing."""

    stream: Stream
    offset: int = Field(ge=0)
    data: Annotated[str, StringConstraints(max_length=2_800_000)]
    """base64, at most 2 MiB of bytes"""


class LogsOut(Wire):
    """The bytes taken so far: the next `offset`. 409 `log_gap` (offset too high) has it in facts.size."""

    size: int


class OutputClaim(Wire):
    """An output that was sent by `PUT outputs` before."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    sha256: Digest256
    size: int = Field(ge=0)


class CheckpointFile(OutputClaim):
    """A file that was sent by `PUT outputs?checkpoint=true` before."""

    mode: int = Field(default=0o644, ge=0, le=0o7777)


class CheckpointIn(LeaseWire):
    """`POST checkpoint`: begin the job's next attempt with these files, in place of those saved before."""

    files: list[CheckpointFile] = Field(max_length=10_000)


class AttemptErrorWire(Wire):
    """Why a job could not be run, or its files not be brought back. `retry`: the job itself is not to blame."""

    code: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    message: Annotated[str, StringConstraints(max_length=4000)]
    retry: bool = False


Figure = Annotated[float, Field(allow_inf_nan=False, ge=0, le=1e18)]


MachineFacts = dict[
    Annotated[str, StringConstraints(pattern="^(cpu_model|kernel|architecture)$")],
    Annotated[str, StringConstraints(max_length=255)],
]
"""What a machine is made of."""


class FinishIn(LeaseWire):
    """`POST finish`: how the attempt ended: exit_code or signal, or an error that stands above both."""

    exit_code: int | None = None
    signal: int | None = None
    usage: dict[str, Figure] = Field(default_factory=dict[str, float], max_length=100)
    outputs: list[OutputClaim] = Field(default_factory=list[OutputClaim], max_length=10_000)
    error: AttemptErrorWire | Annotated[str, StringConstraints(max_length=4000)] | None = None
    """a bare sentence means: the job cannot work like this; it is held with that reason"""
    free: ResourcesWire | None = None
    """what is free after it: claim jobs for that, without waiting for any"""
    call: CallName | None = None
    machine: MachineFacts = Field(default_factory=dict[str, str])

    @model_validator(mode="after")
    def _says_how(self) -> FinishIn:
        if self.exit_code is None and self.signal is None and self.error is None:
            raise ValueError("one of exit_code, signal and error is needed")
        return self


class FinishOut(Wire):
    """`state` is what the job became: completed, idle (it will be tried again), held, removed.

    `jobs` and `retire` answer to `free` as ClaimOut does.
    """

    ok: bool = True
    state: str
    jobs: list[ClaimedJob] = Field(default_factory=list[ClaimedJob])
    retire: bool = False


class OkOut(Wire):
    """Done."""

    ok: bool = True
