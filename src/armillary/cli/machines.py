"""On which machine jobs are to run: as it was said, else as their submit file says, else as the environment does."""

from __future__ import annotations

import os
from collections.abc import Callable

from armillary.base.errors import Invalid
from armillary.client.submitfile import Submission

ANY_FLAVOR = "auto"


def chosen_machine(
    submission: Submission, *, image: str | None, flavor: str | None, note: Callable[[str], None]
) -> tuple[str, str]:
    """Return image and flavor; `note` hears what a file asks for in vain.

    A file says it by `+VMImage` and `+VMInstanceType`, as at CANFAR; the environment by ARMILLARY_IMAGE and
    ARMILLARY_FLAVOR. Any flavor will do when none is said. Raises Invalid when there is no image, or several.
    """
    found = _choose(submission, "VMImage", image, "ARMILLARY_IMAGE", note)
    if found is None:
        raise Invalid(
            "no image is named",
            code="no_image",
            remedy='Say --image NAME, put +VMImage = "NAME" into the file, or set ARMILLARY_IMAGE.',
        )
    return found, _choose(submission, "VMInstanceType", flavor, "ARMILLARY_FLAVOR", note) or ANY_FLAVOR


def _choose(
    submission: Submission, attribute: str, given: str | None, variable: str, note: Callable[[str], None]
) -> str | None:
    named = {_named(job.attributes, attribute) for job in submission.jobs}
    if given:
        for other in sorted(name for name in named if name and name != given):
            note(f"+{attribute} = {other} has no effect: you submit with {given}")
        return given
    if len(named) > 1:
        raise Invalid(
            f"jobs of one file name several values of {attribute}: {', '.join(sorted(map(str, named)))}",
            code="several_machines",
            remedy="Submit a file for each.",
        )
    return named.pop() or os.environ.get(variable)


def _named(attributes: dict[str, str], wanted: str) -> str | None:
    for name, value in attributes.items():
        if name.lower() == wanted.lower():
            return value.strip().strip('"') or None
    return None
