"""What running jobs did with files, as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from armillary.base.ids import PersonId


class Deed(StrEnum):
    """What was done to a node."""

    READ = "read"
    WRITE = "write"
    DELETE = "delete"


@dataclass(frozen=True, kw_only=True)
class JobAccess:
    """That a job, by its own credential, did something to a node `count` times; each time these bytes were there.

    `job` is the name in the credential, which means nothing here. `md5` and `length` are the node's then; of a folder
    they are empty. `sha256` is empty where nobody has added it up.
    """

    job: str
    person_id: PersonId
    deed: Deed
    path: str
    blob: str | None
    length: int
    md5: str
    at: datetime
    sha256: str = ""
    count: int = 1
