"""Submit files that scripts post to `/proc`: read as those of the submit form are."""

from __future__ import annotations

from armillary.accounts.model import Principal, Project
from armillary.batch.api.proc import Posted
from armillary.batch.service import BatchService
from armillary.portal.submitting import queue_text


def take_posted(batch: BatchService, who: Principal, posted: Posted, project: Project) -> tuple[int, int]:
    """Queue the jobs of a posted submit file; return the cluster and how many they are."""
    queued = queue_text(
        batch,
        who,
        text=posted.text,
        uploaded=posted.files,
        there=posted.there,
        project=project.name,
        image=posted.image,
        flavor=posted.flavor,
    )
    return queued.cluster, queued.jobs
