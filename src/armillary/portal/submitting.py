"""From the submit page to queued jobs: a submit file, pasted, chosen or made by the form."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import IO, Any, cast

from starlette.datastructures import UploadFile

from armillary.accounts.model import Principal
from armillary.base.errors import Invalid
from armillary.base.ids import ClusterId
from armillary.batch.intake import SubmitRequest
from armillary.batch.model import InputFile, JobSpec, Resources, Wishes
from armillary.batch.service import BatchService, Submitted
from armillary.client.submitfile import JobSpec as ClientSpec
from armillary.portal.context import Portal
from armillary.portal.forms import Form
from armillary.portal.reading import base_name, read_apart
from armillary.portal.submit_check import check_submit
from armillary.portal.submit_form import compose
from armillary.portal.visit import Visit

LONGEST = 2**20
"""Bytes of a submit file that is pasted or chosen; what the form makes may be as long as its table."""
LONGEST_MADE = 8 * 2**20
CHUNK = 2**20

Kept = Mapping[str, InputFile]
"""Files of an earlier submit, by their names, that are taken over"""


def submit(portal: Portal, visit: Visit, form: Form) -> Submitted:
    """Queue the jobs of a form; all of them or none.

    Raises:
        Invalid: the file cannot be read here, or names files that were not uploaded.
    """
    return queue_text(
        portal.batch,
        visit.who,
        text=submit_text(form),
        uploaded={base_name(str(item.filename)): item for item in form.uploads("files")},
        kept=kept_files(portal, visit, form.text("again")),
        project=visit.project.name,
        image=form.text("image"),
        flavor=form.text("flavor"),
        key=form.text("key") or None,
    )


def kept_files(portal: Portal, visit: Visit, again: str) -> Kept:
    """Return the files of the submit that this one repeats, as far as their bytes are here still."""
    if not (again.isascii() and again.isdigit()) or len(again) > 16:
        return {}
    files = portal.board.inputs(visit.who, ClusterId(int(again)))
    portal.batch.files.vouch(
        visit.who, (file.sha256 for file in files)
    )  # whoever sees a submit sees its files
    gone = set(portal.batch.files.missing(visit.who, (file.sha256 for file in files)))
    return {base_name(file.path): file for file in files if file.sha256 not in gone}


def queue_text(
    batch: BatchService,
    who: Principal,
    *,
    text: str,
    uploaded: Mapping[str, UploadFile],
    project: str,
    image: str,
    flavor: str,
    key: str | None = None,
    there: Mapping[str, str] | None = None,
    kept: Kept | None = None,
) -> Submitted:
    """Read a submit file on this side, where it may touch nothing but what came along, and queue its jobs.

    `there`: programs of the file that are on the machine already, with their places there. Raises Invalid as `submit`.
    """
    there, kept = there or {}, kept or {}
    check_submit(text)
    submission = read_apart(text, names=[*uploaded, *there, *kept])
    for job in submission.jobs:
        if job.executable in there:
            job.executable, job.transfer_executable = there[job.executable], False
    return batch.submit(
        who,
        SubmitRequest(
            project=project,
            image=image,
            flavor=flavor,
            batch_name=submission.batch_name,
            submit_text=text,
            jobs=[to_spec(job.as_dict()) for job in submission.jobs],
            files=spool_files(batch, who, submission.jobs, uploaded, kept),
            idempotency_key=key,
            wishes=Wishes(
                accounting_group=submission.accounting_group,
                max_materialize=submission.max_materialize,
                max_idle=submission.max_idle,
                notification=submission.notification,
                notify_user=submission.notify_user,
            ),
            request_hash=hashlib.sha256(f"{image}\n{flavor}\n{text}".encode()).hexdigest(),
        ),
    )


def submit_text(form: Form) -> str:
    """Return the submit file: what the form makes, else the one that was chosen, else the one that was pasted."""
    if form.text("way") == "form":
        made = compose(form.values())
        if len(made.encode()) > LONGEST_MADE:
            raise Invalid(f"A submit file may have {LONGEST_MADE} bytes.", code="submit_too_long")
        return made
    upload = form.upload("submit_file")
    if upload:
        upload.file.seek(0)
    raw = upload.file.read(LONGEST + 1) if upload else form.raw("submit_text").encode()
    if len(raw) > LONGEST:
        raise Invalid(f"A submit file may have {LONGEST} bytes.", code="submit_too_long")
    try:
        text = raw.decode().replace("\r\n", "\n")
    except UnicodeDecodeError:
        text = ""
    if not text.strip():
        raise Invalid(
            "There is no submit file.",
            code="no_submit_file",
            facts={"field": "submit_text"},
            remedy="Paste it, or choose a text file.",
        )
    return text


def sizes_told(form: Form) -> dict[str, int]:
    """Return names and sizes of the files that are chosen: those that came, else what the page says of them."""
    found = {base_name(str(item.filename)): int(item.size or 0) for item in form.uploads("files")}
    try:
        told: Any = json.loads(form.raw("chosen") or "{}")
    except ValueError:
        told = {}
    named = cast("dict[str, Any]", told) if isinstance(told, dict) else {}
    for name, size in list(named.items())[:2000]:
        if isinstance(size, int) and size >= 0:
            found[base_name(name)] = size
    return found


def to_spec(spec: Mapping[str, Any]) -> JobSpec:
    """Read a job spec from its wire form."""
    return JobSpec(
        proc=int(spec["proc"]),
        resources=Resources(
            cpus=int(spec.get("request_cpus", 1)),
            memory_mib=int(spec.get("request_memory_mib", 512)),
            disk_kib=int(spec.get("request_disk_kib", 1024)),
            gpus=int(spec.get("request_gpus", 0)),
        ),
        priority=int(spec.get("priority", 0)),
        max_retries=int(spec.get("max_retries", 0)),
        on_hold=bool(spec.get("on_hold", False)),
        data=spec,
    )


def spool_files(
    batch: BatchService,
    who: Principal,
    jobs: Sequence[ClientSpec],
    uploaded: Mapping[str, UploadFile],
    kept: Kept,
) -> dict[str, InputFile]:
    """Put the uploaded files that the jobs name into the spool, each once; `kept` ones are there."""
    spooled: dict[str, tuple[str, int]] = {}
    files: dict[str, InputFile] = {}
    for job in jobs:
        for path in job.input_keys:
            if path in files:
                continue
            name = base_name(path)
            # an executable must be one, and a browser does not tell
            mode = 0o755 if path == job.executable else 0o644
            if name in kept and name not in uploaded:
                old = kept[name]
                files[path] = InputFile(path=path, sha256=old.sha256, size=old.size, mode=mode)
                continue
            if name not in uploaded:
                raise Invalid(
                    f"The submit file names {path}, which was not uploaded.",
                    code="missing_input",
                    facts={"path": path},
                    remedy="Add the file to the form.",
                )
            if name not in spooled:
                spooled[name] = _spool(batch, who, uploaded[name].file)
            sha256, size = spooled[name]
            files[path] = InputFile(path=path, sha256=sha256, size=size, mode=mode)
    return files


def _spool(batch: BatchService, who: Principal, file: IO[bytes]) -> tuple[str, int]:
    with batch.files.writer(who) as writer:
        while chunk := file.read(CHUNK):
            writer.write(chunk)
        blob = writer.commit()
    return blob.sha256, blob.size
