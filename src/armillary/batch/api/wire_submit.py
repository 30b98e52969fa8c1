"""What a submit says to the batch service, as JSON shapes. Every field is HTCondor's submit command of that name."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Digest256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Short = Annotated[str, StringConstraints(max_length=255)]
Text = Annotated[str, StringConstraints(max_length=32_768)]
Expression = Annotated[str, StringConstraints(min_length=1, max_length=32_768)]
"""A ClassAd expression, as text."""
Size = Annotated[int, Field(le=2**40)]
Share = Annotated[float, Field(allow_inf_nan=False, le=1e12)]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Seconds = Annotated[int, Field(ge=1, le=2**31 - 1)]
JobName = Annotated[str, StringConstraints(pattern=r"^\d{1,18}\.\d{1,9}$")]
"""`cluster.proc`, as HTCondor writes it."""


class Wire(BaseModel):
    """A shape on the wire: unknown fields are refused, so that a typing error is never silently ignored."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)


class FileRef(Wire):
    """A file that the user sent before: its content by digest, and its permission bits."""

    sha256: Digest256
    size: int = Field(ge=0)
    mode: int = Field(default=0o644, ge=0, le=0o7777)


class PolicyIn(Wire):
    """What becomes of a job by itself: HTCondor's commands of these names, as ClassAd expressions over the job.

    Missing ones have HTCondor's defaults. Periodic ones are looked at once a minute.
    """

    success_exit_code: int = Field(default=0, ge=0, le=255)
    retry_until: Expression | None = None
    retry_request_memory_mib: list[Size] = Field(default_factory=list[int], max_length=100)
    on_exit_remove: Expression | None = None
    on_exit_hold: Expression | None = None
    on_exit_hold_reason: Expression | None = None
    on_exit_hold_subcode: Expression | None = None
    periodic_hold: Expression | None = None
    periodic_hold_reason: Expression | None = None
    periodic_hold_subcode: Expression | None = None
    periodic_release: Expression | None = None
    periodic_remove: Expression | None = None
    periodic_vacate: Expression | None = None
    leave_in_queue: Expression | None = None


class JobSpecIn(Wire):
    """One job with every macro expanded. Sizes: `request_memory_mib` in MiB, `request_disk_kib` in KiB.

    `attributes` are the job's own (`+Name`), `requirements` and `rank` look at a machine: all ClassAd expressions.
    `concurrency_limits` says how much of each named limit the job takes. `kill_signal` ends the job, and after
    `kill_seconds` it is killed.
    """

    proc: int = Field(ge=0, lt=1_000_000_000)
    executable: Text
    transfer_executable: bool = True
    arguments: list[Text] = Field(default_factory=list[str], max_length=10_000)
    environment: dict[str, Text] = Field(default_factory=dict[str, str])
    input: Text | None = None
    output: Text | None = None
    error: Text | None = None
    log: Text | None = None
    transfer_input_files: list[Text] = Field(default_factory=list[str], max_length=10_000)
    transfer_output_files: list[Text] | None = None
    transfer_output_remaps: dict[str, Text] = Field(default_factory=dict[str, str])
    request_cpus: int = Field(default=1, ge=1, le=2**20)
    request_memory_mib: int = Field(default=512, ge=1, le=2**31)
    request_disk_kib: int = Field(default=1024, ge=0, le=2**53 - 1)
    max_retries: int = Field(default=0, ge=0, le=1000)
    priority: int = Field(default=0, ge=-1_000_000, le=1_000_000)
    on_hold: bool = False
    iwd: Text = ""
    request_gpus: int = Field(default=0, ge=0, le=1000)
    requirements: Expression | None = None
    rank: Expression | None = None
    concurrency_limits: dict[Short, Share] = Field(default_factory=dict[str, float])
    stream_output: bool = False
    stream_error: bool = False
    when_to_transfer_output: Literal["ON_EXIT", "ON_EXIT_OR_EVICT", "ON_SUCCESS"] = "ON_EXIT"
    preserve_relative_paths: bool = False
    checkpoint_exit_code: int | None = Field(default=None, ge=0, le=255)
    transfer_checkpoint_files: list[Text] = Field(default_factory=list[str], max_length=10_000)
    kill_signal: int = Field(default=15, ge=1, le=64)
    kill_seconds: int | None = Field(default=None, ge=0, le=86_400)
    allowed_execute_seconds: Seconds | None = None
    allowed_job_seconds: Seconds | None = None
    attributes: dict[Short, Expression] = Field(default_factory=dict[str, str])
    policy: PolicyIn | None = None


class SubmitIn(Wire):
    """`POST /clusters`. `files` maps each path, as the job specs write it, to a blob sent before.

    Without a flavor, or with `auto`, each worker has the one that wastes least among those that fit.
    `common` has the fields that all jobs share, so that a job says only what differs; what a job says wins. At most
    `max_materialize` jobs of the cluster are on workers at once. When the last job is over, `notify_user` gets mail
    (by `notification`, as in HTCondor) and `notify_url` a POST with the same facts.
    """

    project: Short
    image: Short
    flavor: Short = "auto"
    batch_name: Short | None = None
    submit_text: Annotated[str, StringConstraints(max_length=1_048_576)] = ""
    accounting_group: Short | None = None
    max_materialize: Count | None = None
    max_idle: Count | None = None
    notification: Literal["NEVER", "COMPLETE", "ERROR", "ALWAYS"] = "NEVER"
    notify_user: Short | None = None
    notify_url: Annotated[str, StringConstraints(max_length=2048)] | None = None
    common: dict[str, Any] = Field(default_factory=dict[str, Any])
    jobs: list[JobSpecIn] = Field(min_length=1, max_length=100_000)
    files: dict[str, FileRef] = Field(default_factory=dict[str, FileRef])

    @model_validator(mode="before")
    @classmethod
    def _spread(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Give each job what all of them share. What is not of the right kind is left for its own check to refuse."""
        parts: list[Any] = [data.get("common"), data.get("jobs")]
        if not parts[0] or not isinstance(parts[0], dict) or not isinstance(parts[1], list):
            return data
        common = cast("dict[str, Any]", parts[0])
        jobs = cast("list[Any]", parts[1])
        whole: list[Any] = [{**common, **job} if isinstance(job, dict) else job for job in jobs]
        return {**data, "common": {}, "jobs": whole}
