"""Checks of a submit, before anything is queued: every job must be able to run on its flavor, with its files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from armillary.base.errors import Invalid
from armillary.base.units import format_size
from armillary.batch.model import InputFile, JobSpec, Resources, Wishes
from armillary.fleet.model import FleetFlavor, FleetImage

_REMOTE = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:.*")


@dataclass(frozen=True, kw_only=True)
class SubmitRequest:
    """What a person wants to have run. `files` has every local file that the jobs name, sent before."""

    project: str
    image: str
    flavor: str
    batch_name: str | None
    submit_text: str
    jobs: Sequence[JobSpec]
    files: Mapping[str, InputFile]
    idempotency_key: str | None
    request_hash: str
    wishes: Wishes = field(default_factory=Wishes)


def size_of(flavor: FleetFlavor) -> Resources:
    """Return what a worker of this flavor shares out among jobs: submit, scaler, queue and agent all go by it.

    Memory counts as the flavor names it, so that a job may ask for all of it, and two jobs for a half each; the
    few per cent that the kernel keeps are missing to the jobs as they are to every program on such a machine.
    Disk is nine tenths of the one that jobs work on: the ephemeral disk if there is one, else the root disk. The
    rest is the file system's own.
    """
    disk = (flavor.ephemeral or flavor.disk) * 2**20
    return Resources(cpus=flavor.vcpus, memory_mib=flavor.ram, disk_kib=disk * 9 // 10, gpus=flavor.gpus)


def check_fits(jobs: Sequence[JobSpec], flavor: FleetFlavor) -> None:
    """Raise Invalid `request_too_large` when a job asks for more than one machine of the flavor shares out."""
    whole = size_of(flavor)
    for job in jobs:
        asked = _most(job)
        if not asked.fits(whole):
            what = ", ".join(_excess(asked, whole))
            raise Invalid(
                f"job {job.proc} asks for more than a machine of flavor {flavor.name} has for jobs: {what}",
                code="request_too_large",
                facts={
                    "proc": job.proc,
                    "asked": asdict(asked),
                    "flavor": asdict(whole),
                },
                remedy="Choose a larger flavor, or lower request_cpus, request_memory, request_disk or request_gpus.",
            )


def _most(job: JobSpec) -> Resources:
    """Return what the job will ever ask for: retry_request_memory lets it grow."""
    policy: Mapping[str, Any] = job.data.get("policy") or {}
    steps: Sequence[int] = policy.get("retry_request_memory_mib") or ()
    return (
        replace(job.resources, memory_mib=max(job.resources.memory_mib, *steps)) if steps else job.resources
    )


def _excess(asked: Resources, whole: Resources) -> list[str]:
    """Say what is asked beyond the whole, such as `4096 MiB of memory, not 2048`."""
    figures = [
        (asked.cpus, whole.cpus, "cpus"),
        (asked.memory_mib, whole.memory_mib, "MiB of memory"),
        (asked.disk_kib, whole.disk_kib, "KiB of disk"),
        (asked.gpus, whole.gpus, "GPUs"),
    ]
    return [f"{ask} {unit}, not {have}" for ask, have, unit in figures if ask > have]


def check_image(image: FleetImage, flavor: FleetFlavor) -> None:
    """Raise Invalid `image_too_large` when the image's disk does not fit into the flavor's."""
    if flavor.disk and image.min_disk > flavor.disk:
        raise Invalid(
            f"image {image.name} needs a disk of {format_size(image.min_disk * 2**30)}; "
            f"flavor {flavor.name} has {format_size(flavor.disk * 2**30)}",
            code="image_too_large",
            facts={"min_disk_gib": image.min_disk, "flavor_disk_gib": flavor.disk},
            remedy="Choose a flavor with a larger disk.",
        )


def with_inputs(jobs: Sequence[JobSpec], files: Mapping[str, InputFile]) -> tuple[JobSpec, ...]:
    """Give each job the files that it names: executable, standard input, transfer_input_files, whole folders.

    Raises Invalid: `input_missing` for a local path that is not in `files`, `duplicate_proc`.
    """
    folders: dict[str, list[InputFile]] = {}
    for path, file in files.items():
        parts = path.split("/")
        for depth in range(1, len(parts)):
            folders.setdefault("/".join(parts[:depth]), []).append(file)
    seen: set[int] = set()
    done: list[JobSpec] = []
    for job in jobs:
        if job.proc in seen:
            raise Invalid(
                f"two jobs have number {job.proc}",
                code="duplicate_proc",
                facts={"proc": job.proc},
                remedy="Number the jobs of a submit from 0.",
            )
        seen.add(job.proc)
        found: dict[str, InputFile] = {}
        for path in _named(job.data):
            if path in files:
                found[path] = files[path]
                continue
            inside = folders.get(path.rstrip("/"), [])
            if not inside and not path.endswith("/"):
                raise Invalid(
                    f"job {job.proc} names {path}, which was not sent",
                    code="input_missing",
                    facts={"proc": job.proc, "path": path},
                    remedy="Send the file's bytes, and name it in `files` as the job does.",
                )
            found.update({file.path: file for file in inside})
        done.append(replace(job, inputs=tuple(found.values())))
    return tuple(done)


def _named(spec: Mapping[str, Any]) -> list[str]:
    named: list[str] = []
    if spec.get("transfer_executable", True):
        named.append(spec["executable"])
    if spec.get("input"):
        named.append(spec["input"])
    named.extend(path for path in spec.get("transfer_input_files", []) if not _REMOTE.fullmatch(path))
    return named
