"""What the page of a job shows: what it used of what it asked for, its files, and the end of its logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from armillary.batch.model import JobId
from armillary.batch.views import AttemptView, JobDetail
from armillary.portal.context import Portal
from armillary.portal.inside.printing import printable
from armillary.portal.letters import size
from armillary.portal.visit import Visit

TAIL = 65_536
"""Bytes of a log on the page; the whole of it can be downloaded."""


@dataclass(frozen=True, kw_only=True)
class Used:
    """A figure of what was asked for, and what was used of it."""

    name: str
    used: float
    asked: float
    text: str


@dataclass(frozen=True, kw_only=True)
class LogEnd:
    """The end of a stream as it is on the page, and where it goes on."""

    stream: str
    text: str
    cut: bool
    following: int
    moving: bool
    path: str


def used_of(visit: Visit, detail: JobDetail) -> list[Used]:
    """Return what the last attempt used against what the job asked for; empty while nothing is known."""
    _ = visit.gettext
    attempt = next((one for one in reversed(detail.attempt_list) if one.usage), None)
    if attempt is None:
        return []
    usage, spec = attempt.usage, detail.spec
    found: list[Used] = []
    wall = _wall_seconds(attempt)
    cores = int(spec.get("request_cpus") or 1)
    worked = usage.get("user_seconds", 0.0) + usage.get("system_seconds", 0.0)
    if wall:
        busy = worked / wall
        text = _("%(used)s of %(asked)s", used=f"{busy:.2f}", asked=cores)
        found.append(Used(name=_("Cores, on the average"), used=busy, asked=cores, text=text))
    kibs = (
        (_("Memory"), usage.get("max_rss_kib"), int(spec.get("request_memory_mib") or 0) * 1024),
        (_("Disk"), usage.get("disk_kib"), int(spec.get("request_disk_kib") or 0)),
    )
    for name, used, asked in kibs:
        if used is not None and asked:
            figures = {
                "used": size(visit.locale, int(used) * 1024),
                "asked": size(visit.locale, asked * 1024),
            }
            found.append(Used(name=name, used=used, asked=asked, text=_("%(used)s of %(asked)s", **figures)))
    limit = spec.get("allowed_execute_seconds")
    if wall and limit:
        figures = {"used": f"{wall / 3600:.2f} h", "asked": f"{int(limit) / 3600:.2f} h"}
        found.append(
            Used(name=_("Time"), used=wall, asked=float(limit), text=_("%(used)s of %(asked)s", **figures))
        )
    return found


def _wall_seconds(attempt: AttemptView) -> float:
    if attempt.started_at is None or attempt.ended_at is None:
        return 0.0
    return (attempt.ended_at - attempt.started_at).total_seconds()


def log_end(portal: Portal, visit: Visit, job: JobId, stream: str, attempt: int | None) -> LogEnd:
    """Return the end of a stream."""
    piece, over = portal.batch.read_log(visit.who, job, stream, offset=0, attempt=attempt, limit=TAIL)
    if piece.size > TAIL:
        piece, over = portal.batch.read_log(
            visit.who, job, stream, offset=piece.size - TAIL, attempt=attempt, limit=TAIL
        )
    return LogEnd(
        stream=stream,
        text=printable(piece.data.decode(errors="replace")),
        cut=piece.offset > 0,
        following=piece.offset + len(piece.data),
        moving=not over,
        path=f"/jobs/{job.cluster}/{job.proc}/log/{stream}",
    )


def files_of(detail: JobDetail) -> Sequence[Mapping[str, Any]]:
    """Return the inputs of a job: those that came with the submit, and the addresses that its worker fetches from."""
    sent = [{"name": file.path, "size": file.size, "sha256": file.sha256} for file in detail.inputs]
    known = {file.path for file in detail.inputs}
    named: Sequence[str] = detail.spec.get("transfer_input_files") or ()
    return [
        *sent,
        *(
            {"name": name, "size": None, "sha256": None}
            for name in named
            if name not in known and ":" in name
        ),
    ]


def in_vospace(name: str) -> str | None:
    """Return the page in Files of a name that lies in VOSpace; None: it lies elsewhere."""
    path = (
        name.removeprefix("vos://").split("/", 1)[-1]
        if name.startswith("vos://")
        else name.removeprefix("vos:")
    )
    return f"/files/{path.strip('/')}" if name.startswith("vos:") else None
