"""Whether a crate is what its platform signed: every file is accounted for by a record, every record by a key.

Offline, and from the crate alone but for one thing: which key to trust. A crate brings its keys along, so that
anybody could have signed it; only a fingerprint that comes from elsewhere says who did.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError

from armillary.base.errors import ArmillaryError, Invalid, NotFound
from armillary.crates.canonical import canonical, digest
from armillary.crates.describing import descriptions, wording
from armillary.crates.layout import (
    CLUSTER,
    IMAGE,
    SIGNED,
    WORDING,
    Crate,
    Entry,
    Role,
    Signed,
    disk_path,
    key_path,
    record_path,
)
from armillary.crates.record import ClusterRecord, Document, ImageRecord, JobRecord, read
from armillary.crates.shelves import Shelf, whole
from armillary.crates.signing import Signature, key_id, read_public, verifies

Kind = TypeVar("Kind", bound=Document)
MAX_PAPERS = 1 << 30
"""bytes of records, signatures, keys and descriptions together, which are kept in memory"""
MAX_KEYS = 1000
_NAMED = 50


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong. `what`: record, signature, key, input, output, image, description, submit file, extra."""

    what: str
    code: str
    path: str
    message: str
    jobs: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON shape."""
        return {
            "what": self.what,
            "code": self.code,
            "path": self.path,
            "message": self.message,
            "jobs": list(self.jobs),
        }


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was looked at, and what is wrong with it."""

    findings: Sequence[Finding]
    crate: Crate | None = None
    """None: the records themselves cannot be read"""
    files: int = 0
    octets: int = 0
    trusted: Collection[str] = field(default_factory=tuple[str, ...])
    unjudged: Sequence[str] = ()
    """descriptions that another version of this software made, in other words: they are not held against the records"""

    @property
    def absent(self) -> int:
        """How many jobs of the cluster are not in it: of a part of a cluster, or one that somebody took records out of."""
        return self.crate.cluster.document.jobs - len(self.crate.jobs) if self.crate else 0

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def verify(
    shelf: Shelf, *, trusted: Collection[str] = (), image: Path | None = None, complete: bool = False
) -> Report:
    """Check a crate. `trusted`: fingerprints of the only keys that count; none: any key of the crate's own.

    `image`: a machine image's file, to be the one that the records name. `complete`: all jobs of the cluster have to
    be there; a crate of some of them is good, so that nothing else tells when records were taken out.
    """
    checker = _Checker(shelf, frozenset(trusted))
    crate = checker.crate()
    if crate is None:
        return Report(findings=checker.findings, trusted=trusted)
    checker.bindings(crate)
    checker.files(crate)
    if image:
        checker.image(crate, image)
    if complete:
        checker.jobs(crate)
    return Report(
        findings=checker.findings,
        crate=crate,
        files=checker.seen,
        octets=checker.octets,
        trusted=trusted,
        unjudged=checker.unjudged,
    )


def load(shelf: Shelf) -> Crate:
    """Read the records of a crate without judging it. Raises Invalid when it has none that can be read."""
    checker = _Checker(shelf, frozenset())
    crate = checker.crate()
    if crate is None:
        first = checker.findings[0]
        raise Invalid(
            f"{first.path}: {first.message}",
            code="no_crate",
            facts={"path": first.path},
            remedy="See what is wrong with it: armillary verify CRATE.",
        )
    return crate


def _once(data: bytes) -> Any:
    """Read JSON in which no name comes twice: of two values one reader takes the first, another the last."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a name comes twice")
        return found

    return json.loads(data, object_pairs_hook=members)


class _Checker:
    def __init__(self, shelf: Shelf, trusted: frozenset[str]) -> None:
        self._shelf = shelf
        self._trusted = trusted
        names = list(shelf.names())
        self._names = set(names)
        self.findings: list[Finding] = [
            Finding(what="extra", code="twice", path=name, message="comes more than once, with bytes that may differ")
            for name, count in Counter(names).items() if count > 1
        ]  # fmt: skip
        self.findings += [
            Finding(what="extra", code=one.code, path=one.path, message=one.message)
            for one in shelf.oddities()
        ]
        self._left = MAX_PAPERS
        self.seen = 0
        self.octets = 0
        self.unjudged: list[str] = []

    def crate(self) -> Crate | None:
        """Return the crate as its records say it should be, or None when they cannot be read."""
        keys = self._keys()
        cluster = self._signed(ClusterRecord, CLUSTER, keys)
        places = sorted(
            name for name in self._names if name.startswith("records/") and name.endswith(".json") and name != CLUSTER
        )  # fmt: skip
        jobs = [found for place in places if (found := self._signed(JobRecord, place, keys))]
        image = self._signed(ImageRecord, IMAGE, keys) if IMAGE in self._names else None
        if cluster is None:
            return None
        jobs.sort(key=lambda job: job.document.proc)
        used = {key: pem for key, (pem, _) in keys.items()}
        return Crate(cluster=cluster, jobs=jobs, keys=used, image=image)

    def bindings(self, crate: Crate) -> None:
        """Check that the records belong together, and to this one image."""
        image = crate.cluster.document.image.sha512
        if crate.image and crate.image.document.sha512 != image:
            other = crate.image.document.sha512
            found = f"is of an image other than the cluster's: sha512 {other[:16]}…, not {image[:16]}…"
            self._found(Role.IMAGE, "image_differs", IMAGE, found)
        for signed in crate.jobs:
            job = signed.document
            path = record_path(job.job)
            if path not in self._names:
                self._found(
                    "record",
                    "misplaced",
                    path,
                    f"the record of job {job.job} lies under another name",
                    job.job,
                )
            if job.cluster != crate.cluster.sha256:
                self._found("record", "other_cluster", path, "belongs to another cluster's record", job.job)
            others = [job.machine.image_sha512, *(one.image_sha512 for one in job.earlier)]
            other = next((one for one in others if one != image), None)
            if other is not None:
                found = f"ran on an image other than the cluster's: sha512 {other[:16]}…, not {image[:16]}…"
                self._found("image", "image_differs", path, found, job.job)

    def files(self, crate: Crate) -> None:
        """Check each file against its record, and that there is no other."""
        entries = [*crate.papers(), *crate.contents()]
        known = {entry.path for entry in entries}
        for entry in entries:
            if entry.role not in {Role.RECORD, Role.SIGNATURE, Role.KEY}:  # those have been read
                self._content(entry)
        if crate.image:
            known.add(disk_path(crate.image.document))
            self._disk(crate.image.document)
        sure = not any(finding.what in {"record", "signature", "key"} for finding in self.findings)
        for path, data in descriptions(crate).items():
            known.add(path)
            self._description(path, data, sure=sure)
        records = {name for name in self._names if name.startswith(("records/", "keys/"))}
        for name in sorted(self._names - known - records):
            self._found("extra", "extra_file", name, "no record accounts for it")
        for name in sorted(records - known):
            if not any(finding.path in {name, name.removesuffix(SIGNED)} for finding in self.findings):
                self._found("extra", "extra_file", name, "no record accounts for it")
        self.seen = len(self._names)

    def image(self, crate: Crate, place: Path) -> None:
        """Check a machine image's file against the digest in the records."""
        with place.open("rb") as file:
            found = hashlib.file_digest(file, "sha512").hexdigest()
        wanted = crate.cluster.document.image.sha512
        if found != wanted:
            message = f"has sha512 {found[:16]}…, and the jobs ran on {wanted[:16]}…"
            self._found("image", "image_differs", place.name, message)

    def jobs(self, crate: Crate) -> None:
        """Check that each job of the cluster has its record here."""
        there = {job.document.proc for job in crate.jobs}
        jobs = crate.cluster.document.jobs
        absent = list(islice((proc for proc in range(jobs) if proc not in there), _NAMED))
        if absent:
            named = tuple(f"{crate.cluster.document.cluster}.{proc}" for proc in absent)
            message = f"{jobs - len(there)} of {jobs} jobs have no record here"
            self._found("record", "incomplete", CLUSTER, message, *named)

    def _whole(self, path: str) -> bytes:
        data = whole(self._shelf, path)
        self._left -= len(data)
        if self._left < 0:
            raise Invalid(
                f"the records, signatures and keys have more than {MAX_PAPERS >> 20} MiB together",
                code="no_crate",
            )
        return data

    def _keys(self) -> dict[str, tuple[str, Ed25519PublicKey]]:
        found: dict[str, tuple[str, Ed25519PublicKey]] = {}
        for name in sorted(name for name in self._names if name.startswith("keys/"))[:MAX_KEYS]:
            try:
                pem = self._whole(name).decode("ascii")
                key = read_public(pem)
            except (ArmillaryError, UnicodeDecodeError):
                self._found("key", "unreadable_key", name, "is no Ed25519 public key")
                continue
            if name != key_path(key_id(key)):
                self._found("key", "other_key", name, f"holds another key than its name says: {key_id(key)}")
                continue
            found[key_id(key)] = (pem, key)
        return found

    def _signed(
        self, kind: type[Kind], path: str, keys: dict[str, tuple[str, Ed25519PublicKey]]
    ) -> Signed[Kind] | None:
        try:
            data = self._whole(path)
            document = read(kind, data)
        except NotFound:
            self._found("record", "missing", path, "is missing")
            return None
        except ArmillaryError as error:
            self._found("record", "unreadable_record", path, error.message)
            return None
        signature = self._signature(path + SIGNED)
        if signature is None:
            return None
        if signature.sha256 != digest(data):
            self._found("record", "record_changed", path, "was changed after it was signed")
        elif signature.key not in keys:
            self._found("key", "missing", key_path(signature.key), f"the key that signed {path} is missing")
        elif not verifies(data, signature, key=keys[signature.key][1]):
            self._found("signature", "bad_signature", path + SIGNED, f"does not hold for {path}")
        elif self._trusted and signature.key not in self._trusted:
            message = f"signed by {signature.key}, and you trust {', '.join(sorted(self._trusted)[:3])} alone"
            self._found("key", "untrusted_key", path + SIGNED, message)
        return Signed(document=document, data=data, signature=signature)

    def _signature(self, path: str) -> Signature | None:
        try:
            return Signature.model_validate_json(self._whole(path))
        except NotFound:
            self._found("signature", "missing", path, "is missing")
        except (ArmillaryError, ValidationError):
            self._found("signature", "bad_signature", path, "is no signature")
        return None

    def _content(self, entry: Entry) -> None:
        self._bytes("sha256", entry.sha256, entry)

    def _disk(self, image: ImageRecord) -> None:
        entry = Entry(path=disk_path(image), role=Role.IMAGE, size=image.size, sha256="")
        self._bytes("sha512", image.sha512, entry)

    def _bytes(self, kind: str, wanted: str, entry: Entry) -> None:
        hasher, size = hashlib.new(kind), 0
        try:
            for chunk in self._shelf.chunks(entry.path):
                hasher.update(chunk)
                size += len(chunk)
                if size > entry.size:
                    break
        except NotFound:
            self._found(entry.role, "missing", entry.path, "is missing", *entry.jobs)
            return
        except ArmillaryError as error:
            self._found(entry.role, "unreadable_file", entry.path, error.message, *entry.jobs)
            return
        self.octets += size
        if size != entry.size or hasher.hexdigest() != wanted:
            message = f"is not the {entry.role} that was recorded ({kind} {wanted[:16]}…, {entry.size} bytes)"
            self._found(entry.role, "content_differs", entry.path, message, *entry.jobs)

    def _description(self, path: str, data: bytes, *, sure: bool) -> None:
        """Compare a description with what the records say; `sure`: that the records do."""
        try:
            found = self._whole(path)
            same = found == data
            if not same:
                said = _once(found)
                same = canonical(said) == canonical(_once(data))
                if not same and wording(path, said) not in {None, WORDING}:
                    self.unjudged.append(path)
                    return
        except NotFound:
            self._found(Role.DESCRIPTION, "missing", path, "is missing")
        except (ArmillaryError, ValueError, RecursionError):
            self._found(Role.DESCRIPTION, "content_differs", path, "is not JSON")
        else:
            if sure and not same:
                self._found(Role.DESCRIPTION, "content_differs", path, "does not say what the records say")

    def _found(self, what: str, code: str, path: str, message: str, *jobs: str) -> None:
        self.findings.append(Finding(what=str(what), code=code, path=path, message=message, jobs=jobs))
