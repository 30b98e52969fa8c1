"""What keeps jobs and their workers waiting, as it is told to a person: by code, as in `wording`."""

from __future__ import annotations

from collections.abc import Mapping

from armillary.portal.i18n import N_
from armillary.portal.wording_jobs import CAUSES

WAITING: Mapping[str, tuple[str, str]] = {
    **CAUSES,
    "earlier_attempt_stopping": (
        N_("An earlier attempt is still being stopped; two never run at once."),
        "",
    ),
    "worker_planned": (N_("A worker is being prepared, for %(seconds)s s."), ""),
    "worker_booting": (N_("A worker boots, for %(seconds)s s."), ""),
    "workers_busy": (
        N_("%(workers)s workers run jobs for this image; %(ahead)s jobs are before this one."),
        "",
    ),
    "not_looked_yet": (N_("The next round of placement comes in a moment (%(seconds)s s)."), ""),
    "claimed": (N_("A worker took it %(seconds)s s ago and gathers its files."), ""),
    "running": (N_("It runs for %(seconds)s s."), ""),
    "removed": (N_("It was removed %(seconds)s s ago."), ""),
    "completed": (N_("It has ended."), ""),
    "held": (N_("It was held %(seconds)s s ago."), N_("Mend the cause, then release the job.")),
    "held_by_user": (
        N_("It was held %(seconds)s s ago."),
        N_("Mend the cause, then release the job."),
    ),
    "submitted_on_hold": (N_("It was submitted on hold."), N_("Release it when it shall run.")),
    "lost_too_often": (
        N_("Its workers were lost too often."),
        N_("Look at its logs for a cause, then release the job."),
    ),
    "cloud_full": (N_("The cloud has no room for more workers now."), ""),
    "batch_cores_used": (
        N_("All batch cores of the project are used."),
        N_("Wait for the jobs before this one, or ask for a larger allocation."),
    ),
    "fair_share": (
        N_(
            "%(jobs)s jobs of %(owners)s others wait for the same workers; turns go by recent use, and its owner has"
            " used %(core_hours)s core-hours of late."
        ),
        N_("Turns even out by themselves; a priority orders one's own jobs only."),
    ),
    "max_idle": (
        N_("%(ahead)s jobs of its submit wait before it, and max_idle lets %(at_most)s ask for workers."),
        N_("It asks when one of them starts."),
    ),
    "max_materialize": (
        N_("%(live)s jobs of its submit are on workers, and max_materialize lets %(at_most)s."),
        N_("It starts when one of them ends."),
    ),
    "concurrency_limit": (
        N_("Of the concurrency limit %(limit)s, %(used)s of %(of)s are taken; the job takes %(needs)s."),
        N_("It starts when jobs with this limit end."),
    ),
    "requirements_match_nothing": (
        N_("Its requirements match no machine of cloud %(cloud)s."),
        N_("Change requirements, and submit it again."),
    ),
    "no_flavor_fits": (
        N_("It asks for more than any size of machine has."),
        N_("Ask for less, or for a larger size."),
    ),
    "boots_failing": (
        N_("Workers on cloud %(cloud)s failed to boot %(failures)s times: %(reason)s"),
        N_("The next boot is tried by itself; see whether the image boots and has Python and cloud-init."),
    ),
    "trying_again": (
        N_("Boots failed on cloud %(cloud)s; one machine tries whether it works again."),
        N_("More are booted when it has come up."),
    ),
    "booting_enough": (
        N_("%(booting)s machines boot on cloud %(cloud)s; more would only slow each other down."),
        N_("The next ones are booted when these have come up."),
    ),
    "budget_used": (
        N_("The project has spent or promised %(spent)s core-hours of its %(budget)s for this month."),
        N_("Wait for the next month, or ask an administrator for a larger budget."),
    ),
    "image_copying": (
        N_("The image is being copied to cloud %(cloud)s: %(percent)s %%, for %(seconds)s s."),
        N_("Workers boot there when it has arrived."),
    ),
    "image_too_large": (N_("The image needs a larger disk than this size has."), N_("Choose a larger size.")),
    "cloud_drained": (
        N_("An administrator lets no new workers boot on cloud %(cloud)s."),
        N_("Wait, or let the jobs run on other clouds."),
    ),
    "cloud_being_asked": (N_("Cloud %(cloud)s is being asked what it has."), N_("Look again in a moment.")),
    "cloud_busy": (N_("Cloud %(cloud)s is busy now."), N_("It is tried again by itself.")),
    "project_disabled": (N_("The project is disabled."), N_("Ask an administrator.")),
}
"""Code of a reason → what it is, and what to do."""
