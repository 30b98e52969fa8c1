"""The flavors that a submit may have: the one that it names, or all there are when it leaves the choice open."""

from __future__ import annotations

from collections.abc import Sequence

from armillary.accounts.model import Project
from armillary.base.errors import ArmillaryError, Invalid
from armillary.batch.core.explain import largest
from armillary.batch.core.refusals import no_flavor_fits
from armillary.batch.intake import check_fits, check_image, size_of
from armillary.batch.model import OPEN_FLAVOR, JobSpec, Resources
from armillary.batch.ports import Clouds
from armillary.fleet.model import FleetFlavor, FleetImage


def flavors_named(clouds: Clouds, project: Project, name: str) -> list[FleetFlavor]:
    """Return the flavor of that name, from the first cloud that has it; for OPEN_FLAVOR those of all clouds.

    Raises Invalid `flavor_not_found`, or what the clouds said when none of them answers.
    """
    known: dict[str, FleetFlavor] = {}
    silent: ArmillaryError | None = None
    for cloud in clouds.clouds():
        try:
            flavors = clouds.flavors(cloud, project)
        except ArmillaryError as error:
            silent = error
            continue
        for flavor in flavors:
            known.setdefault(flavor.name, flavor)
    if silent is not None and not known:
        raise silent
    found = list(known.values()) if name == OPEN_FLAVOR else [known[name]] if name in known else []
    if not found:
        raise Invalid(
            f"no cloud has a flavor {name}",
            code="flavor_not_found",
            facts={"flavor": name, "flavors": sorted(known)},
            remedy=f"Choose one of the flavors, or leave the choice open with `{OPEN_FLAVOR}`.",
        )
    return found


def check_sizes(image: FleetImage, jobs: Sequence[JobSpec], flavors: Sequence[FleetFlavor]) -> None:
    """Raise Invalid when the image or a job fits into none of the flavors.

    Codes: `image_too_large`, `request_too_large`.
    """
    if len(flavors) == 1:
        check_image(image, flavors[0])
        check_fits(jobs, flavors[0])
        return
    roomy = [flavor for flavor in flavors if not flavor.disk or image.min_disk <= flavor.disk]
    if not roomy:
        check_image(image, max(flavors, key=lambda flavor: flavor.disk))
    sizes = [size_of(flavor) for flavor in roomy]
    seen: set[Resources] = set()
    for job in jobs:
        if job.resources in seen:
            continue
        seen.add(job.resources)
        if not any(job.resources.fits(size) for size in sizes):
            refusal = no_flavor_fits(job.resources, largest(sizes))
            raise Invalid(
                f"job {job.proc}: {refusal.message}",
                code="request_too_large",
                facts={"proc": job.proc, **refusal.facts},
                remedy="Lower request_cpus, request_memory, request_disk or request_gpus.",
            )


def check_memory(memory_mib: int, flavors: Sequence[FleetFlavor]) -> None:
    """Raise Invalid `memory_too_large` when a job that asks for so much memory fits into none of the flavors."""
    most = largest([size_of(flavor) for flavor in flavors])
    if memory_mib > most.memory_mib:
        raise Invalid(
            f"{memory_mib} MiB of memory is more than the workers of these jobs have: {most.memory_mib} MiB",
            code="memory_too_large",
            facts={"asked": memory_mib, "most": most.memory_mib},
            remedy="Submit the jobs again with a larger flavor.",
        )


def warnings(project: Project, flavors: Sequence[FleetFlavor]) -> list[str]:
    """Say when the project's batch cores do not allow a single worker."""
    least = min(flavors, key=lambda flavor: flavor.vcpus)
    granted = project.allocation.batch_cores
    if least.vcpus <= granted:
        return []
    needs = f"A worker of {least.name} needs {least.vcpus} cores; project {project.name} has {granted}"
    return [f"{needs} batch cores, so the jobs wait until it gets more."]
