"""What made a file, and how a job came to its results: signed records, for people."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from armillary.base.errors import ArmillaryError, NotFound
from armillary.base.ids import ClusterId
from armillary.batch.model import JobId
from armillary.portal.context import Portal, Services, Visiting
from armillary.portal.files_shown import address, crumbs, visible
from armillary.portal.job_shown import in_vospace
from armillary.portal.pages.jobs import Number
from armillary.provenance.model import SignedCluster, SignedJob
from armillary.provenance.service import Provenance
from armillary.vospace.paths import VOSPath

MOST_READ = 256 << 20
"""bytes of a file that a page adds up; the command line takes its time for larger ones"""
FILES_SHOWN = 200
NOTHING: dict[str, Any] = {"record": None}

router = APIRouter()


@router.get("/made-by/{where:path}")
def made_by(portal: Services, visit: Visiting, where: str) -> Response:
    path = VOSPath.parse(where)
    node = portal.files.node(visit.who, path)
    found, error = None, None
    try:
        found = _records(portal).why(visit.who, str(path), most=MOST_READ)
    except ArmillaryError as refusal:
        error = refusal
    shown = (
        _shown(_records(portal), found.record, found.cluster)
        if found and found.record and found.cluster
        else NOTHING
    )
    return visit.page(
        "made_by.html",
        node=node,
        name=visible(node.name or "/"),
        here=address(path),
        crumbs=crumbs(path),
        found=found,
        error=error,
        **shown,
    )


@router.get("/jobs/{cluster}/{proc}/record")
def job_record(portal: Services, visit: Visiting, cluster: Number, proc: Number) -> Response:
    job, error = JobId(ClusterId(cluster), proc), None
    view = portal.batch.job(visit.who, job).view
    shown = NOTHING
    try:
        shown = _shown(_records(portal), *_records(portal).record(visit.who, job))
    except ArmillaryError as refusal:
        error = refusal
    return visit.page("job_record.html", job=view, error=error, keeps=portal.archive is not None, **shown)


def _records(portal: Portal) -> Provenance:
    if portal.provenance is None:
        raise NotFound("There is no such page.", code="page_not_found")
    return portal.provenance


def _shown(records: Provenance, signed: SignedJob, shared: SignedCluster) -> dict[str, Any]:
    record, cluster = signed.record, shared.record
    files = [("output", one.name, one.size, one.sha256, "") for one in record.outputs]
    files += [
        (one.action, one.uri, one.size, one.sha256, in_vospace(one.uri) or "") for one in record.accesses
    ]
    if record.executable:
        files.append(
            ("program", record.executable.name, record.executable.size, record.executable.sha256, "")
        )
    files += [("input", one.name, one.size, one.sha256, "") for one in record.inputs]
    return {
        "signed": signed,
        "record": record,
        "cluster": cluster,
        "proc": record.proc,
        "intact": records.is_signed(signed) and records.is_signed(shared),
        "files": files[:FILES_SHOWN],
        "more_files": max(0, len(files) - FILES_SHOWN) + record.accesses_dropped,
    }
