"""What lies where in a crate, as a pure function of its signed records.

A crate has no list of its own that could be forged: which files it has, and what is in each, follows from the records.

    ro-crate-metadata.json   prov.json        descriptions, made of the records
    records/cluster.json     records/12.0.json       canonical bytes
    records/cluster.json.sig records/12.0.json.sig   a `signing.Signature` each
    keys/ID.pem              the keys that signed
    submit.sub               what was submitted
    inputs/SHA256            each content once, whoever used it
    outputs/12.0/NAME        what came back
    written/12.0/PATH        what the job left in VOSpace by itself
    image/disk.qcow2         the machine image, if it was wanted, with its signed record
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Generic, TypeVar
from urllib.parse import quote

from armillary.crates.canonical import digest
from armillary.crates.record import ClusterRecord, Content, Document, ImageRecord, JobRecord
from armillary.crates.signing import Signature

Kind = TypeVar("Kind", bound=Document)
METADATA, PROV, SUBMIT = "ro-crate-metadata.json", "prov.json", "submit.sub"
CLUSTER, SIGNED = "records/cluster.json", ".sig"
IMAGE = "image/image.json"
WORDING = "3"
"""Of the descriptions: another number when the same records are described otherwise. They say it of themselves."""
_PLAIN = re.compile(r"[^\x00-\x1f\x7f%\\]+")


class Role(StrEnum):
    """What a file of a crate is."""

    DESCRIPTION = "description"
    RECORD = "record"
    SIGNATURE = "signature"
    KEY = "key"
    SUBMIT = "submit file"
    INPUT = "input"
    OUTPUT = "output"
    IMAGE = "image"


@dataclass(frozen=True, kw_only=True)
class Signed(Generic[Kind]):
    """A document, the bytes that it was read from, and who vouches for them."""

    document: Kind
    data: bytes
    signature: Signature

    @cached_property
    def sha256(self) -> str:
        """The record's name."""
        return digest(self.data)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file of a crate: its bytes, or what they must be."""

    path: str
    role: Role
    size: int
    sha256: str
    data: bytes | None = None
    """None: the bytes are somewhere else"""
    content: Content | None = None
    jobs: tuple[str, ...] = ()
    """whose it is"""
    program: bool = False
    """a job's executable"""


@dataclass(frozen=True, kw_only=True)
class Crate:
    """A cluster's record, those of some or all of its jobs in order, and the public keys (PEM) by id."""

    cluster: Signed[ClusterRecord]
    jobs: Sequence[Signed[JobRecord]]
    keys: Mapping[str, str] = field(default_factory=dict[str, str])
    image: Signed[ImageRecord] | None = None
    """of the machine image, when its bytes are in the crate, too: at `disk_path`"""

    def contents(self) -> list[Entry]:
        """Return the inputs and outputs: what is as large as the people's data."""
        inputs: dict[str, list[tuple[str, Content]]] = {}
        found: list[Entry] = []
        programs = {job.document.executable.sha256 for job in self.jobs if job.document.executable}
        for job in self.jobs:
            record = job.document
            for file in [*([record.executable] if record.executable else []), *record.sources]:
                inputs.setdefault(file.sha256, []).append((job.document.job, file))
            found += [
                Entry(
                    path=output_path(job.document.job, file.name), role=Role.OUTPUT, size=file.size,
                    sha256=file.sha256, content=file, jobs=(job.document.job,),
                )
                for file in job.document.results
            ]  # fmt: skip
        for sha256, users in inputs.items():
            file = users[0][1]
            names = tuple(dict.fromkeys(job for job, _ in users))
            path = input_path(sha256)
            found.append(
                Entry(
                    path=path, role=Role.INPUT, size=file.size, sha256=sha256, content=file, jobs=names,
                    program=sha256 in programs,
                )
            )  # fmt: skip
        return found

    def papers(self) -> list[Entry]:
        """Return the records, signatures, keys and the submit text."""
        cluster = self.cluster
        found = [
            *_signed(cluster, CLUSTER),
            _bytes(SUBMIT, Role.SUBMIT, cluster.document.submit_text.encode()),
        ]
        for job in self.jobs:
            found += _signed(job, record_path(job.document.job))
        if self.image:
            found += _signed(self.image, IMAGE)
        found += [_bytes(key_path(key), Role.KEY, pem.encode()) for key, pem in sorted(self.keys.items())]
        return found


def record_path(job: str) -> str:
    """Return where a job's record lies."""
    return f"records/{job}.json"


def key_path(key: str) -> str:
    """Return where a public key lies."""
    return f"keys/{key}.pem"


def disk_path(image: ImageRecord) -> str:
    """Return where the bytes of the machine image lie."""
    return f"image/disk.{image.disk_format}"


def input_path(sha256: str) -> str:
    """Return where an input lies."""
    return f"inputs/{sha256}"


def output_path(job: str, name: str) -> str:
    """Return where an output lies: under its own name where that is a plain path, else percent-encoded in one piece."""
    folder = f"outputs/{job}"
    if name.startswith("vos://"):
        folder, name = f"written/{job}", name.removeprefix("vos://").partition("/")[2]
    parts = name.split("/")
    if _PLAIN.fullmatch(name) and not any(
        part in {"", ".", ".."} or len(part.encode()) > 240 for part in parts
    ):
        return f"{folder}/{name}"
    return f"{folder}/%{digest(name.encode())[:16]}-{quote(parts[-1], safe='')[:120]}"


def _signed(paper: Signed[Kind], path: str) -> list[Entry]:
    signature = paper.signature.model_dump_json().encode()
    return [_bytes(path, Role.RECORD, paper.data), _bytes(path + SIGNED, Role.SIGNATURE, signature)]


def _bytes(path: str, role: Role, data: bytes) -> Entry:
    return Entry(path=path, role=role, size=len(data), sha256=digest(data), data=data)
