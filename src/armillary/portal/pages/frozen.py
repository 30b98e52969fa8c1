"""Where a DOI leads: what was kept of a cluster, for everybody once its folder is public."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from armillary.base.errors import ArmillaryError, NotFound
from armillary.base.ids import ClusterId, ProjectId
from armillary.portal.citing import Citation, citation_of
from armillary.portal.context import Portal, Services, Visiting
from armillary.portal.files_shown import address, visible
from armillary.portal.pages.jobs import Number
from armillary.portal.visit import Visit
from armillary.provenance.frozen_store import Frozen
from armillary.vospace.model import Page
from armillary.vospace.paths import VOSPath

SHOWN = 200

router = APIRouter()


@router.get("/frozen/{cluster}")
def frozen(portal: Services, visit: Visiting, cluster: Number) -> Response:
    found = portal.archive.freezes.find(ClusterId(cluster)) if portal.archive else None
    if found is None:
        raise _nothing(cluster)
    path = VOSPath.parse(found.path)
    try:
        node, children = portal.files.listed(visit.principal, path, Page(limit=SHOWN))
    except ArmillaryError as error:  # whether there is something is not for those who may not see it
        raise _nothing(cluster) from error
    return visit.page(
        "frozen.html",
        found=found,
        folder=visible(str(path)),
        here=address(path) if visit.principal else None,
        public=node.sharing.is_public,
        citation=_citation(portal, found),
        member=_is_member(portal, visit, cluster),
        children=[(visible(child.name), child) for child in children],
    )


def _citation(portal: Portal, found: Frozen) -> Citation:
    assert portal.archive is not None, "what is frozen was found in it"
    return citation_of(
        found,
        author=portal.archive.freezes.author_of(found),
        project=portal.accounts.project(ProjectId(found.project)).name,
        page=portal.archive.freezes.page_of(found.cluster),
    )


def _is_member(portal: Portal, visit: Visit, cluster: int) -> bool:
    """Whether the visitor may see the cluster itself, not only what was kept of it."""
    if visit.principal is None:
        return False
    try:
        portal.batch.cluster(visit.principal, ClusterId(cluster))
    except NotFound:
        return False
    return True


def _nothing(cluster: int) -> NotFound:
    return NotFound(
        "There is no such frozen cluster that is open to you.",
        code="frozen_not_found",
        facts={"cluster": cluster},
        remedy="Sign in, or ask who cited it to share its folder.",
    )
