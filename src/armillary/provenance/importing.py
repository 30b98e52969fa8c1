"""Records of other platforms, brought here with the bytes that they name, so that their jobs can be run again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from armillary.accounts.model import Principal
from armillary.base.clock import Clock
from armillary.base.errors import Conflict, Invalid, NotFound, TooLarge
from armillary.batch.seeing import need_write
from armillary.crates.layout import Crate, Signed
from armillary.crates.record import ClusterRecord, ImageRecord, JobRecord, Kind, read
from armillary.crates.signing import Signature, key_id, read_public, verifies
from armillary.provenance.crate_ports import Bytes, Sent
from armillary.provenance.exporting import MAX_JOBS
from armillary.provenance.import_store import Extent, Found, ImportStore, Listed
from armillary.provenance.model import MAX_RECORDS
from armillary.provenance.putting_back import Files, PuttingBack

_NAMED = 50


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What an import did. `kept`: files in VOSpace that are there with other bytes, and stay."""

    number: int
    jobs: Sequence[str]
    platform: str
    written: Sequence[str]
    kept: Sequence[str]
    refused: Sequence[str] = ()
    """where the caller may not write"""


class Imports:
    """Whoever brings records here says whose keys they trust, and sees them alone."""

    def __init__(self, *, store: ImportStore, spool: Bytes, sent: Sent, files: Files, clock: Clock) -> None:
        self._store = store
        self._spool = spool
        self._sent = sent
        self._putting_back = PuttingBack(files=files, spool=spool)
        self._clock = clock

    def take(
        self,
        who: Principal,
        *,
        cluster: Signature,
        jobs: Sequence[Signature],
        keys: Mapping[str, str],
        image: Signature | None = None,
    ) -> Imported:
        """Take records whose documents and contents are in the spool. The same again is the same import.

        Raises:
            Conflict: documents or contents were not sent before, code `contents_gone`; what jobs read cannot go back
                to where it was, code `places_closed`. Nothing is written then.
            QuotaExceeded: there is no room for what jobs read, code `no_room_to_import`. Nothing is written then.
            Invalid: a signature does not hold, code `bad_signature`, or the records do not belong together.
            TooLarge: the records are more than a crate's.
        """
        need_write(who)
        if not 0 < len(jobs) <= MAX_JOBS:
            raise Invalid(
                f"{len(jobs)} records of jobs; a crate to import has from 1 to {MAX_JOBS}",
                code="bad_record",
                facts={"jobs": len(jobs), "limit": MAX_JOBS},
                remedy="Import a crate that has records of jobs, and not too many.",
            )
        papers = [cluster, *jobs, *([image] if image else [])]
        self._require(who, [one.sha256 for one in papers])
        self._require_small(papers)
        trusted = {key_id(read_public(pem)): pem for pem in keys.values()}
        crate = Crate(
            cluster=self._signed(ClusterRecord, cluster, trusted),
            jobs=[self._signed(JobRecord, job, trusted) for job in jobs],
            keys=trusted,
            image=self._signed(ImageRecord, image, trusted) if image else None,
        )
        sha512 = crate.cluster.document.image.sha512
        if crate.image and crate.image.document.sha512 != sha512:
            raise Invalid("the image is not the one that the jobs ran on", code="bad_record")
        for job in crate.jobs:
            if job.document.cluster != crate.cluster.sha256 or job.document.machine.image_sha512 != sha512:
                raise Invalid(
                    f"job {job.document.job} is not of this cluster and its image",
                    code="bad_record",
                    facts={"job": job.document.job},
                )
        twice = next(
            (proc for proc, n in Counter(job.document.proc for job in crate.jobs).items() if n > 1), None
        )
        if twice is not None:
            raise Invalid(
                f"two records are of the job with the number {twice}",
                code="bad_record",
                facts={"proc": twice},
                remedy="Import a crate in which each job has one record.",
            )
        contents = crate.contents()
        self._require(who, [entry.sha256 for entry in contents])
        back = self._putting_back.put_back(who, contents)
        number = self._store.add(who.person.id, crate, self._clock.now())
        return Imported(
            number=number,
            jobs=[job.document.job for job in crate.jobs],
            platform=crate.cluster.document.platform,
            written=back.written,
            kept=back.kept,
            refused=back.refused,
        )

    def of(self, who: Principal, *, limit: int) -> list[Listed]:
        """Return what the caller has imported, the newest first."""
        return self._store.of(who.person.id, limit=limit)

    def crate(self, who: Principal, number: int, proc: int | None) -> Crate:
        """Return imported records; of one job, if `proc` is given. Raises NotFound for what others imported."""
        found = self._store.find(number, None if who.person.is_admin else who.person.id)
        jobs = [job for job in found.jobs if proc in (None, job.proc)] if found else []
        if found is None or not jobs:
            raise _not_here(number, None if found is None else proc)
        return self._read(replace(found, jobs=jobs))

    def part(self, who: Principal, number: int, *, start: int, limit: int) -> tuple[Crate, Extent]:
        """Return `limit` jobs of an import from number `start`, and how much it is; no other record is read.

        Raises:
            NotFound: as `crate`; also when it has no job from there.
        """
        person = None if who.person.is_admin else who.person.id
        found = self._store.find(number, person, start=start, limit=limit)
        if found is None or not found.jobs:
            raise _not_here(number, None if found is None else start)
        return self._read(found), self._store.extent(number, found)

    def _read(self, found: Found) -> Crate:
        return Crate(
            cluster=self._signed(ClusterRecord, found.cluster, found.keys),
            jobs=[self._signed(JobRecord, job.signature, found.keys) for job in found.jobs],
            keys=found.keys,
            image=self._signed(ImageRecord, found.image, found.keys) if found.image else None,
        )

    def _signed(self, kind: type[Kind], signature: Signature, keys: Mapping[str, str]) -> Signed[Kind]:
        data = self._spool.path(signature.sha256).read_bytes()
        document = read(kind, data)
        pem = keys.get(signature.key)
        if pem is None or not verifies(data, signature, key=read_public(pem)):
            raise Invalid(
                "a record is not signed by a key that is trusted",
                code="bad_signature",
                facts={"record": signature.sha256, "key": signature.key},
                remedy="See what is wrong with the crate: armillary verify CRATE",
            )
        return Signed(document=document, data=data, signature=signature)

    def _require_small(self, records: Sequence[Signature]) -> None:
        """Refuse, before they are read, what somebody calls records and is larger than those of a crate can be."""
        octets = sum(self._spool.path(record.sha256).stat().st_size for record in records)
        if octets > MAX_RECORDS:
            raise TooLarge(
                f"{octets} bytes of records; a crate has at most {MAX_RECORDS}",
                facts={"bytes": octets, "limit": MAX_RECORDS},
                remedy="Import a crate of fewer jobs.",
            )

    def _require(self, who: Principal, digests: Sequence[str]) -> None:
        missing = self._sent.missing(who, digests)
        if missing:
            raise Conflict(
                f"{len(missing)} contents were not sent before",
                code="contents_gone",
                facts={"gone": missing[:_NAMED], "count": len(missing)},
                remedy="Send their bytes first: PUT /api/v1/batch/blobs/SHA256",
            )


def _not_here(number: int, proc: int | None) -> NotFound:
    return NotFound(
        f"there is no import {number}" if proc is None else f"import {number} has no job {proc}",
        code="import_not_found",
        facts={"import": number},
        remedy="Import a crate: armillary import CRATE",
    )
