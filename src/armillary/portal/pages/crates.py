"""Crates that people bring: whether they are as they were signed, and their jobs taken in to be run again."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import IO, Annotated

from fastapi import APIRouter, Path, Query
from starlette.datastructures import UploadFile
from starlette.responses import Response

from armillary.base.errors import ArmillaryError, Invalid, NotFound, TooLarge
from armillary.base.units import format_size
from armillary.crates.bounds import open_bounded
from armillary.crates.layout import Crate
from armillary.crates.record import ClusterRecord
from armillary.crates.signing import key_id, read_public
from armillary.crates.verify import Finding, Report, verify
from armillary.portal import letters
from armillary.portal.archive import Archive
from armillary.portal.chores import Chore, Tell, found
from armillary.portal.context import Portal, Sent, Services, Visiting
from armillary.portal.files_shown import visible
from armillary.portal.pages.jobs import Number
from armillary.portal.pages.keeping import archive_of
from armillary.portal.visit import Visit
from armillary.provenance.exporting import MAX_JOBS
from armillary.provenance.importing import Imported

MOST_BYTES = 1 << 30
"""of a crate that is uploaded here; the command line verifies larger ones where they are"""
UPLOADS = 2
"""crates of a person that are kept for a while"""
SHOWN = 500
LISTED = 100
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_MIB = 1 << 20

Ticket = Annotated[str, Path(max_length=200)]

router = APIRouter()


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What became of looking at a crate that was uploaded. Its records are not kept: they are large in memory."""

    name: str
    file: IO[bytes]
    trusted: frozenset[str]
    findings: Sequence[Finding]
    """the first of them"""
    wrong: int
    """of all findings"""
    files: int
    octets: int
    cluster: ClusterRecord | None
    """None: the records cannot be read"""
    jobs: int
    signers: Sequence[str]
    image: int | None
    """bytes of the machine image that is in it; None: it has none"""
    unjudged: Sequence[str]
    """descriptions of another version's"""

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong


def _checked(report: Report, *, name: str, file: IO[bytes], trusted: frozenset[str]) -> Checked:
    crate = report.crate
    return Checked(
        name=name,
        file=file,
        trusted=trusted,
        findings=report.findings[:SHOWN],
        wrong=len(report.findings),
        files=report.files,
        octets=report.octets,
        cluster=crate.cluster.document.model_copy(update={"submit_text": ""}) if crate else None,
        jobs=len(crate.jobs) if crate else 0,
        signers=_signers(crate) if crate else (),
        image=crate.image.document.size if crate and crate.image else None,
        unjudged=report.unjudged,
    )


def _signers(crate: Crate) -> list[str]:
    """Return the fingerprints of the keys that signed its records."""
    papers = [crate.cluster, *crate.jobs, *([crate.image] if crate.image else [])]
    return sorted({one.signature.key for one in papers})


@router.get("/crates")
def crates_page(portal: Services, visit: Visiting) -> Response:
    return _listed(portal, visit, {"key": visit.request.query_params.get("key", "")[:4000]})


def _listed(
    portal: Portal, visit: Visit, values: dict[str, str], error: ArmillaryError | None = None
) -> Response:
    imports = archive_of(portal).imports.of(visit.who, limit=LISTED)
    return visit.page(
        "crates.html",
        imports=imports,
        values=values,
        most=letters.size(visit.locale, MOST_BYTES),
        error=error,
    )


@router.post("/crates")
def take(portal: Services, visit: Visiting, form: Sent) -> Response:
    """Look at a crate that is uploaded; nothing of it is kept but for an hour, to be imported."""
    archive, person = archive_of(portal), visit.person
    try:
        trusted = _trusted(form.text("key"))
        upload = form.upload("crate")
        if upload is None:
            raise Invalid(
                "There is no crate.", code="no_crate_chosen", facts={"field": "crate"}, remedy="Choose a zip file."
            )  # fmt: skip
        file, size = _kept(upload)
        ticket = secrets.token_urlsafe(18)
        name = visible((upload.filename or "crate.zip")[:200])

        def look(tell: Tell) -> Checked:
            return _verified(file, size, name, trusted, tell)

        archive.chores.trim(person.id, "crate", UPLOADS - 1)
        archive.chores.begin(person.id, f"crate/{ticket}", look, closing=file.close)
    except ArmillaryError as error:
        return _listed(portal, visit, form.values(), error)
    return visit.go(f"/crates/{ticket}")


@router.get("/crates/{ticket}")
def crate_page(portal: Services, visit: Visiting, ticket: Ticket) -> Response:
    archive = archive_of(portal)
    chore = _chore(archive, visit, ticket)
    checked = chore.result if chore.done else None
    bringing: Chore[Imported] | None = archive.chores.find(visit.person.id, f"import/{ticket}")
    if bringing and bringing.done and bringing.error is None:
        return visit.leave(f"/imports/{found(bringing).number}", notice="imported")
    ours = {key.id for key in portal.provenance.published_keys()} if portal.provenance else set[str]()
    return visit.page(
        "crate.html",
        ticket=ticket,
        chore=chore,
        checked=checked,
        bringing=bringing if bringing and not bringing.done else None,
        ours=ours,
        most=SHOWN,
        error=chore.error or (bringing.error if bringing else None),
    )


@router.post("/crates/{ticket}/import")
def bring(portal: Services, visit: Visiting, ticket: Ticket, form: Sent) -> Response:
    """Take in the jobs of a crate that was found good, for whoever says that they trust the keys that signed it."""
    project = visit.member() if form.flag("image") else None
    archive, who = archive_of(portal), visit.who
    looked = _chore(archive, visit, ticket)
    if not looked.done:
        return visit.go(f"/crates/{ticket}")
    checked = found(looked)
    if not set(checked.signers) <= set(form.every("trust")):
        raise Invalid(
            "Somebody has to be trusted: say that you know whose key it is.",
            code="key_not_trusted",
            facts={"keys": checked.signers},
            remedy="Compare the fingerprint with what that platform publishes, and tick it.",
        )

    # a handle of its own: who looks at further crates meanwhile has this one's forgotten, and closed
    file = os.fdopen(os.dup(checked.file.fileno()), "rb")

    def work(tell: Tell) -> Imported:
        with file:
            return take_in(tell)

    def take_in(tell: Tell) -> Imported:
        with open_bounded(file, lambda _read: None) as shelf:
            report = verify(shelf, trusted=checked.signers)  # what is taken in is what is read now
            if shelf.refusal is not None:
                raise shelf.refusal
            if not report.good or report.crate is None:
                raise Invalid(
                    "The crate is not as it was signed.",
                    code="crate_changed",
                    facts={"findings": len(report.findings)},
                    remedy="Ask for the crate again.",
                )
        with open_bounded(file, lambda _read: None) as shelf:
            if project is not None:
                archive.unpacking.bring_image(who, shelf, report.crate, project=project.name)
            return archive.unpacking.bring(who, shelf, report.crate, progress=tell)

    chore = archive.chores.begin(visit.person.id, f"import/{ticket}", work, fresh=timedelta(0))
    if chore.done and chore.error is None:
        return visit.go(f"/imports/{found(chore).number}", notice="imported")
    return visit.go(f"/crates/{ticket}")


@router.get("/imports/{number}")
def import_page(
    portal: Services, visit: Visiting, number: Number, start: Annotated[int, Query(ge=0, le=MAX_JOBS)] = 0
) -> Response:
    """A page of an import's jobs: each record is read and its signature checked, so not all of them at each look."""
    imports = archive_of(portal).imports
    crate, extent = imports.part(visit.who, number, start=start, limit=SHOWN + 1)
    following = crate.jobs[SHOWN].document.proc if len(crate.jobs) > SHOWN else None
    return visit.page(
        "import.html",
        number=number,
        record=crate.cluster.document,
        jobs=[job.document for job in crate.jobs[:SHOWN]],
        count=extent.jobs,
        signers=extent.signers,
        first=f"/imports/{number}" if start else None,
        following=None if following is None else f"/imports/{number}?start={following}",
        image=crate.image.document if crate.image else None,
    )


def _chore(archive: Archive, visit: Visit, ticket: str) -> Chore[Checked]:
    chore = archive.chores.find(visit.person.id, f"crate/{ticket}")
    if chore is None:
        raise NotFound(
            "What was found of this crate is not known any more.",
            code="crate_forgotten",
            remedy="Upload the crate again.",
        )
    return chore


def _verified(file: IO[bytes], size: int, name: str, trusted: frozenset[str], tell: Tell) -> Checked:
    with open_bounded(file, lambda read: tell(min(read, size) // _MIB, max(1, size // _MIB))) as shelf:
        report = verify(shelf, trusted=trusted)
        if shelf.refusal is not None:
            raise shelf.refusal
    return _checked(report, name=name, file=file, trusted=trusted)


def _kept(upload: UploadFile) -> tuple[IO[bytes], int]:
    """Return a handle of our own on an upload, whose file goes when its last handle does, and its size."""
    size = upload.file.seek(0, os.SEEK_END)
    if size > MOST_BYTES:
        raise TooLarge(
            "The crate is larger than what is looked at here.",
            code="crate_too_large",
            facts={"has": format_size(size)},
            remedy="Verify it on your own machine: armillary verify CRATE",
        )
    upload.file.flush()
    return os.fdopen(os.dup(upload.file.fileno()), "rb"), size


def _trusted(text: str) -> frozenset[str]:
    """Read the keys that somebody trusts: fingerprints, or a public key as PEM."""
    if "-----BEGIN" in text:
        return frozenset({key_id(read_public(text))})
    words = text.replace(":", "").lower().split()
    if not all(_FINGERPRINT.fullmatch(word) for word in words):
        raise Invalid(
            "This is neither a fingerprint nor a public key.",
            code="bad_fingerprint",
            facts={"field": "key"},
            remedy="Give the 64 hexadecimal digits that the platform publishes, or its key as PEM.",
        )
    return frozenset(words)
