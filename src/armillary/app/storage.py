"""Opens what the platform keeps its things in, as the settings say, and refuses when it cannot be used."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from armillary.accounts.service import AccountsStore
from armillary.app.database import open_records
from armillary.app.schema import bring_up_to_date
from armillary.app.settings import Settings
from armillary.base.clock import SystemClock
from armillary.base.errors import NotFound, Unavailable
from armillary.base.ids import PersonId
from armillary.batch.logs import LogFolder
from armillary.batch.spool import FolderSpool
from armillary.batch.store.ended_records import EndedRecords
from armillary.batch.store.named_bytes import NamedBytes
from armillary.batch.store.tables import create_all as create_batch
from armillary.batch.sweeping import Sweeper
from armillary.provenance.keys import PlatformKeys
from armillary.provenance.store import RecordStore
from armillary.provenance.store import create_all as create_provenance
from armillary.vospace.bytes import Bucket, FolderBytes, S3Bytes
from armillary.vospace.service.checking import Checker, Progress
from armillary.vospace.store import SqlInspection, SqlJobRecords, SqlRecords, create_all


def open_bytes(settings: Settings) -> FolderBytes | S3Bytes:
    """Return where the bytes of VOSpace are, after a try.

    Raises:
        Unavailable: they could not be written there.
    """
    table = settings.vospace
    if table.bytes == "folder":
        folder = settings.home / "vospace"
        try:
            return FolderBytes(folder)
        except OSError as error:
            raise Unavailable(
                f"{folder} cannot be used: {error.strerror}",
                code="bytes_unreachable",
                facts={"folder": str(folder)},
                remedy="make it writable for you, or make room on its disk",
            ) from error
    name, _, prefix = table.bytes.removeprefix("s3://").partition("/")
    bucket = Bucket(
        name=name,
        prefix=prefix.strip("/"),
        endpoint=table.s3_endpoint.rstrip("/"),
        region=table.s3_region,
        access_key=table.s3_access_key,
        secret_key=table.s3_secret_key.get_secret_value(),
    )
    store = S3Bytes(bucket)
    store.check()
    return store


@contextmanager
def open_checker(
    settings: Settings, *, mends: bool, checksums: bool, progress: Progress
) -> Generator[Checker]:
    """Yield what compares records and bytes of this platform, whether it runs or not.

    Raises:
        NotFound: there is no platform yet.
        Unavailable: records or bytes cannot be reached.
    """
    _refuse_nothing(settings)
    bytes_ = open_bytes(settings)
    database = open_records(settings.records_url)
    try:
        bring_up_to_date(database, "platform")
        people = AccountsStore(engine=database.execution_options(room="accounts"))
        people.create_all()
        space = database.execution_options(room="vospace")
        create_all(space)

        def known(person: PersonId) -> bool:
            with people.read() as records:
                return records.people.by_id(person) is not None

        yield Checker(
            records=SqlRecords(space),
            inspection=SqlInspection(space),
            bytes_=bytes_,
            jobs=SqlJobRecords(space),
            clock=SystemClock(),
            known=known,
            progress=progress,
            mends=mends,
            checksums=checksums,
        )
    finally:
        database.dispose()


@contextmanager
def open_keys(settings: Settings) -> Generator[PlatformKeys]:
    """Yield the keys that sign records of this platform, whether it runs or not.

    Raises:
        NotFound: there is no platform yet.
        Unavailable: the records cannot be reached.
    """
    _refuse_nothing(settings)
    database = open_records(settings.records_url)
    try:
        bring_up_to_date(database, "platform")
        room = database.execution_options(room="provenance")
        create_provenance(room)
        store = RecordStore(database=room, big=FolderSpool(directory=settings.home / "batch" / "spool"))
        folder = settings.home / "provenance" / "keys"
        yield PlatformKeys(folder=folder, published=store, clock=SystemClock())
    finally:
        database.dispose()


@contextmanager
def open_sweeper(settings: Settings) -> Generator[Sweeper]:
    """Yield what makes room on this platform's disk, whether it runs or not. Raises as `open_keys`."""
    _refuse_nothing(settings)
    database = open_records(settings.records_url)
    try:
        bring_up_to_date(database, "platform")
        batch, records = (database.execution_options(room=room) for room in ("batch", "provenance"))
        create_batch(batch)
        create_provenance(records)
        spool = FolderSpool(directory=settings.home / "batch" / "spool")
        yield Sweeper(
            spool=spool,
            logs=LogFolder(directory=settings.home / "batch" / "logs"),
            named=[NamedBytes(database=batch), RecordStore(database=records, big=spool).named],
            active=EndedRecords(database=batch).active,
            clock=SystemClock(),
        )
    finally:
        database.dispose()


def _refuse_nothing(settings: Settings) -> None:
    if not settings.database_url and not (settings.home / "armillary.db").exists():
        raise NotFound(
            f"there are no records in {settings.home}",
            code="no_records",
            remedy="set ARMILLARY_HOME to the directory of the platform, or start one: armillary up",
        )
