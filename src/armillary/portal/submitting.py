"""From the submit form to queued jobs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

from armillary.base.errors import Invalid
from armillary.batch.intake import SubmitRequest
from armillary.batch.model import InputFile, JobSpec, Resources
from armillary.batch.service import BatchService, Submitted
from armillary.portal.forms import Form
from armillary.portal.submit_check import check_submit
from armillary.portal.visit import Visit

ParseSubmit = Callable[[str], Sequence[Mapping[str, Any]]]
"""Expands a checked submit file into job specs in their wire form (`POST /api/v1/batch/clusters`, `jobs`)."""
LONGEST = 2**20
"""Bytes of a submit file."""
CHUNK = 2**20
_REMOTE = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:.*")


def submit(batch: BatchService, visit: Visit, form: Form, parse: ParseSubmit) -> Submitted:
    """Queue the jobs of a form; all of them or none.

    Raises:
        Invalid: the file cannot be read here, or names files that were not uploaded.
    """
    text = submit_text(form)
    check_submit(text)
    specs = parse(text)
    return batch.submit(
        visit.who,
        SubmitRequest(
            project=visit.project.name,
            image=form.text("image"),
            flavor=form.text("flavor"),
            batch_name=form.text("batch_name") or None,
            submit_text=text,
            jobs=[to_spec(spec) for spec in specs],
            files=spool_files(batch, form, specs),
            idempotency_key=form.text("key") or None,
            request_hash=hashlib.sha256(
                f"{form.text('image')}\n{form.text('flavor')}\n{text}".encode()
            ).hexdigest(),
        ),
    )


def submit_text(form: Form) -> str:
    """Return the submit file: the one that was chosen, else the one that was pasted."""
    upload = form.upload("submit_file")
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


def to_spec(spec: Mapping[str, Any]) -> JobSpec:
    """Read a job spec from its wire form."""
    return JobSpec(
        proc=int(spec["proc"]),
        resources=Resources(
            cpus=int(spec.get("request_cpus", 1)),
            memory_mib=int(spec.get("request_memory_mib", 512)),
            disk_kib=int(spec.get("request_disk_kib", 1024)),
        ),
        priority=int(spec.get("priority", 0)),
        max_retries=int(spec.get("max_retries", 0)),
        on_hold=bool(spec.get("on_hold", False)),
        data=spec,
    )


def local_paths(spec: Mapping[str, Any]) -> list[str]:
    """Return the files of the submitter that a job names."""
    named: list[str] = []
    if spec.get("transfer_executable", True):
        named.append(str(spec["executable"]))
    if spec.get("input"):
        named.append(str(spec["input"]))
    return named + [path for path in spec.get("transfer_input_files", []) if not _REMOTE.fullmatch(path)]


def spool_files(batch: BatchService, form: Form, specs: Sequence[Mapping[str, Any]]) -> dict[str, InputFile]:
    """Put the uploaded files that the jobs name into the spool. A browser tells no folders, so names decide."""
    uploaded = {str(item.filename).rsplit("/", maxsplit=1)[-1]: item for item in form.uploads("files")}
    spooled: dict[str, tuple[str, int]] = {}
    files: dict[str, InputFile] = {}
    for spec in specs:
        for path in local_paths(spec):
            name = path.rsplit("/", maxsplit=1)[-1]
            if path in files:
                continue
            if name not in uploaded:
                raise Invalid(
                    f"The submit file names {path}, which was not uploaded.",
                    code="missing_input",
                    facts={"path": path},
                    remedy="Add the file to the form.",
                )
            if name not in spooled:
                spooled[name] = _spool(batch, uploaded[name].file)
            sha256, size = spooled[name]
            # an executable must be one, and a browser does not tell
            mode = 0o755 if path == spec["executable"] else 0o644
            files[path] = InputFile(path=path, sha256=sha256, size=size, mode=mode)
    return files


def _spool(batch: BatchService, file: IO[bytes]) -> tuple[str, int]:
    with batch.spool.writer() as writer:
        while chunk := file.read(CHUNK):
            writer.write(chunk)
        blob = writer.commit()
    return blob.sha256, blob.size
