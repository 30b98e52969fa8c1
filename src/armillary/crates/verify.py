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
from pathlib import Path
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError

from armillary.base.errors import ArmillaryError, Invalid, NotFound
from armillary.crates.canonical import digest
from armillary.crates.describing import descriptions
from armillary.crates.layout import CLUSTER, SIGNED, Crate, Entry, Role, Signed, key_path, record_path
from armillary.crates.record import ClusterRecord, Document, JobRecord, read
from armillary.crates.shelves import Shelf, whole
from armillary.crates.signing import Signature, key_id, read_public, verifies

Kind = TypeVar("Kind", bound=Document)


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

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def verify(shelf: Shelf, *, trusted: Collection[str] = (), image: Path | None = None) -> Report:
    """Check a crate. `trusted`: fingerprints of the only keys that count; none: any key of the crate's own.

    `image`: a machine image's file, to be the one that the records name.
    """
    checker = _Checker(shelf, frozenset(trusted))
    crate = checker.crate()
    if crate is None:
        return Report(findings=checker.findings, trusted=trusted)
    checker.bindings(crate)
    checker.files(crate)
    if image:
        checker.image(crate, image)
    return Report(
        findings=checker.findings, crate=crate, files=checker.seen, octets=checker.octets, trusted=trusted
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
        self.seen = 0
        self.octets = 0

    def crate(self) -> Crate | None:
        """Return the crate as its records say it should be, or None when they cannot be read."""
        keys = self._keys()
        cluster = self._signed(ClusterRecord, CLUSTER, keys)
        places = sorted(
            name for name in self._names if name.startswith("records/") and name.endswith(".json") and name != CLUSTER
        )  # fmt: skip
        jobs = [found for place in places if (found := self._signed(JobRecord, place, keys))]
        if cluster is None:
            return None
        jobs.sort(key=lambda job: job.document.proc)
        used = {key: pem for key, (pem, _) in keys.items()}
        return Crate(cluster=cluster, jobs=jobs, keys=used)

    def bindings(self, crate: Crate) -> None:
        """Check that the records belong together, and to this one image."""
        image = crate.cluster.document.image.sha512
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
            if job.machine.image_sha512 != image:
                found = f"ran on an image other than the cluster's: sha512 {job.machine.image_sha512[:16]}…, not {image[:16]}…"
                self._found("image", "image_differs", path, found, job.job)

    def files(self, crate: Crate) -> None:
        """Check each file against its record, and that there is no other."""
        entries = [*crate.papers(), *crate.contents()]
        known = {entry.path for entry in entries}
        for entry in entries:
            if entry.role not in {Role.RECORD, Role.SIGNATURE, Role.KEY}:  # those have been read
                self._content(entry)
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
        hasher = hashlib.sha512()
        with place.open("rb") as file:
            while chunk := file.read(1 << 20):
                hasher.update(chunk)
        wanted = crate.cluster.document.image.sha512
        if hasher.hexdigest() != wanted:
            message = f"has sha512 {hasher.hexdigest()[:16]}…, and the jobs ran on {wanted[:16]}…"
            self._found("image", "image_differs", place.name, message)

    def _keys(self) -> dict[str, tuple[str, Ed25519PublicKey]]:
        found: dict[str, tuple[str, Ed25519PublicKey]] = {}
        for name in sorted(self._names):
            if not name.startswith("keys/"):
                continue
            try:
                pem = whole(self._shelf, name).decode("ascii")
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
            data = whole(self._shelf, path)
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
            self._found(
                "key", "untrusted_key", path + SIGNED, f"signed by {signature.key}, which is not trusted"
            )
        return Signed(document=document, data=data, signature=signature)

    def _signature(self, path: str) -> Signature | None:
        try:
            return Signature.model_validate_json(whole(self._shelf, path))
        except NotFound:
            self._found("signature", "missing", path, "is missing")
        except (ArmillaryError, ValidationError):
            self._found("signature", "bad_signature", path, "is no signature")
        return None

    def _content(self, entry: Entry) -> None:
        hasher, size = hashlib.sha256(), 0
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
        if size != entry.size or hasher.hexdigest() != entry.sha256:
            message = (
                f"is not the {entry.role} that was recorded (sha256 {entry.sha256[:16]}…, {entry.size} bytes)"
            )
            self._found(entry.role, "content_differs", entry.path, message, *entry.jobs)

    def _description(self, path: str, data: bytes, *, sure: bool) -> None:
        """Compare a description with what the records say; `sure`: that the records do."""
        try:
            same = json.loads(whole(self._shelf, path)) == json.loads(data)
        except NotFound:
            self._found(Role.DESCRIPTION, "missing", path, "is missing")
        except (ArmillaryError, ValueError, RecursionError):
            self._found(Role.DESCRIPTION, "content_differs", path, "is not JSON")
        else:
            if sure and not same:
                self._found(Role.DESCRIPTION, "content_differs", path, "does not say what the records say")

    def _found(self, what: str, code: str, path: str, message: str, *jobs: str) -> None:
        self.findings.append(Finding(what=str(what), code=code, path=path, message=message, jobs=jobs))
