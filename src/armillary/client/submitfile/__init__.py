"""HTCondor submit files, read on the user's side: reading can open files and run commands."""

from armillary.client.submitfile.access import Access, LocalAccess, NoAccess
from armillary.client.submitfile.model import CLUSTER, JobSpec, Note, Submission, SubmitError
from armillary.client.submitfile.reader import read_submit

__all__ = [
    "CLUSTER",
    "Access",
    "JobSpec",
    "LocalAccess",
    "NoAccess",
    "Note",
    "Submission",
    "SubmitError",
    "read_submit",
]
