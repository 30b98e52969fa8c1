"""Job documents of UWS 1.1. Elements come in the order of its schema."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from xml.sax.saxutils import escape, quoteattr

from armillary.base.clock import to_iso
from armillary.vospace.core.faults import summary
from armillary.vospace.documents import DECLARATION, XSI
from armillary.vospace.job_model import Job, JobKind

_UWS = (
    'xmlns:uws="http://www.ivoa.net/xml/UWS/v1.0" xmlns:xlink="http://www.w3.org/1999/xlink" '
    f'xmlns:xsi="{XSI}"'
)
_PROGRESS = "urn:armillary:progress"


def job_text(job: Job, where: str, info: str = "") -> str:
    """Return the document of the job at the address `where`; `info` is the element of what it is to do."""
    run_id = f"<uws:runId>{escape(job.run_id)}</uws:runId>" if job.run_id else ""
    owner = f"<uws:ownerId>{escape(job.owner_name)}</uws:ownerId>" if job.owner_name else _nil("ownerId")
    return (
        f'{DECLARATION}<uws:job {_UWS} version="1.1">'
        f"<uws:jobId>{escape(job.id)}</uws:jobId>{run_id}{owner}"
        f"<uws:phase>{job.phase.value}</uws:phase>"
        f"{_nil('quote')}"
        f"<uws:creationTime>{to_iso(job.created_at)}</uws:creationTime>"
        f"{_moment('startTime', job.started_at and to_iso(job.started_at))}"
        f"{_moment('endTime', job.ended_at and to_iso(job.ended_at))}"
        f"<uws:executionDuration>{job.duration_seconds}</uws:executionDuration>"
        f"<uws:destruction>{to_iso(job.destroy_at)}</uws:destruction>"
        f"{_parameters(job, '')}{_results(job.results, where, '')}{_error(job.error)}"
        f"<uws:jobInfo>{info}{_progress(job.progress)}</uws:jobInfo></uws:job>\n"
    )


def results_text(results: Mapping[str, str], where: str) -> str:
    """Return the results of the job at the address `where`."""
    return f"{DECLARATION}{_results(results, where, ' ' + _UWS)}\n"


def parameters_text(job: Job) -> str:
    """Return the parameters of a job."""
    return f"{DECLARATION}{_parameters(job, ' ' + _UWS)}\n"


def jobs_text(jobs: Iterable[Job], where: str) -> Iterator[str]:
    """Yield the list of the jobs whose addresses begin with `where`."""
    yield f'{DECLARATION}<uws:jobs {_UWS} version="1.1">'
    for job in jobs:
        run_id = f"<uws:runId>{escape(job.run_id)}</uws:runId>" if job.run_id else ""
        yield (
            f'<uws:jobref id={quoteattr(job.id)} xlink:type="simple" xlink:href={quoteattr(f"{where}/{job.id}")}>'
            f"<uws:phase>{job.phase.value}</uws:phase>{run_id}"
            f"<uws:ownerId>{escape(job.owner_name)}</uws:ownerId>"
            f"<uws:creationTime>{to_iso(job.created_at)}</uws:creationTime></uws:jobref>"
        )
    yield "</uws:jobs>\n"


def _parameters(job: Job, attributes: str) -> str:
    """A list of deletions has a parameter; the others are described by a document, in `jobInfo`."""
    target = (
        f'<uws:parameter id="target">{escape(job.document)}</uws:parameter>'
        if job.kind is JobKind.DELETE
        else ""
    )
    return f"<uws:parameters{attributes}>{target}</uws:parameters>"


def _results(results: Mapping[str, str], where: str, attributes: str) -> str:
    items = "".join(
        f"<uws:result id={quoteattr(name)} "
        f"xlink:href={quoteattr(f'{where}/{href}' if href.startswith('results/') else href)}/>"
        for name, href in results.items()
    )
    return f"<uws:results{attributes}>{items}</uws:results>"


def _error(error: str) -> str:
    if not error:
        return ""
    message = f"<uws:message>{escape(summary(error))}</uws:message>"
    return f'<uws:errorSummary type="fatal" hasDetail="true">{message}</uws:errorSummary>'


def _progress(progress: Mapping[str, int]) -> str:
    if not progress:
        return ""
    counts = "".join(f" {name}={quoteattr(str(count))}" for name, count in progress.items())
    return f'<progress xmlns="{_PROGRESS}"{counts}/>'


def _moment(name: str, text: str | None) -> str:
    return f"<uws:{name}>{text}</uws:{name}>" if text else _nil(name)


def _nil(name: str) -> str:
    return f'<uws:{name} xsi:nil="true"/>'
