"""Job documents of UWS 1.1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

from armillary.base.clock import to_iso
from armillary.vospace.documents import DECLARATION, XSI
from armillary.vospace.model import Job

_UWS = (
    'xmlns:uws="http://www.ivoa.net/xml/UWS/v1.0" xmlns:xlink="http://www.w3.org/1999/xlink" '
    f'xmlns:xsi="{XSI}" version="1.1"'
)


def job_text(job: Job) -> str:
    """Return a UWS job document."""
    return (
        f"{DECLARATION}<uws:job {_UWS}>"
        f"<uws:jobId>{escape(job.id)}</uws:jobId>"
        f"<uws:ownerId>{escape(job.owner_name)}</uws:ownerId>"
        f"<uws:phase>{job.phase.value}</uws:phase>"
        '<uws:quote xsi:nil="true"/>'
        f"<uws:creationTime>{to_iso(job.created_at)}</uws:creationTime>"
        f"{_moment('startTime', job.started_at and to_iso(job.started_at))}"
        f"{_moment('endTime', job.ended_at and to_iso(job.ended_at))}"
        "<uws:executionDuration>0</uws:executionDuration>"
        f"<uws:destruction>{to_iso(job.destroy_at)}</uws:destruction>"
        f"<uws:parameters/>{_results(job.results, '')}{_error(job.error)}</uws:job>\n"
    )


def results_text(results: Mapping[str, str]) -> str:
    """Return the results of a UWS job."""
    return DECLARATION + _results(results, " " + _UWS.removesuffix(' version="1.1"')) + "\n"


def jobs_text(jobs: Sequence[Job]) -> str:
    """Return a list of UWS jobs."""
    refs = "".join(
        f"<uws:jobref id={quoteattr(job.id)}><uws:phase>{job.phase.value}</uws:phase>"
        f"<uws:ownerId>{escape(job.owner_name)}</uws:ownerId>"
        f"<uws:creationTime>{to_iso(job.created_at)}</uws:creationTime></uws:jobref>"
        for job in jobs
    )
    return f"{DECLARATION}<uws:jobs {_UWS}>{refs}</uws:jobs>\n"


def _results(results: Mapping[str, str], attributes: str) -> str:
    items = "".join(
        f"<uws:result id={quoteattr(name)} xlink:href={quoteattr(href)}/>" for name, href in results.items()
    )
    return f"<uws:results{attributes}>{items}</uws:results>"


def _error(error: str) -> str:
    if not error:
        return ""
    message = f"<uws:message>{escape(error)}</uws:message>"
    return f'<uws:errorSummary type="fatal" hasDetail="false">{message}</uws:errorSummary>'


def _moment(name: str, text: str | None) -> str:
    return f"<uws:{name}>{text}</uws:{name}>" if text else f'<uws:{name} xsi:nil="true"/>'
