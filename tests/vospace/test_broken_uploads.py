"""Uploads that are broken off anywhere, by anything, and resumed."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armillary.accounts.model import Person, Principal
from armillary.app.database import make_engine
from armillary.base.clock import VirtualClock
from armillary.base.errors import PreconditionFailed
from armillary.base.ids import PersonId
from armillary.base.units import GiB
from armillary.vospace.api import Settings
from armillary.vospace.bytes import FolderBytes
from armillary.vospace.paths import VOSPath
from armillary.vospace.service import VOSpaceService
from armillary.vospace.service.pieces import Asked
from armillary.vospace.service.resumable import ResumableUploads
from armillary.vospace.store import SqlRecords, create_all

X = VOSPath.parse("/home/ada/x")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("platform")


class Process:
    """A platform that is killed: what comes after it has only the disk."""

    def __init__(self, home: Path, clock: VirtualClock) -> None:
        self._engine = make_engine(f"sqlite:///{home}/space.db", durable=False)
        create_all(self._engine)
        self.store = FolderBytes(home / "bytes")
        self.space = VOSpaceService(
            records=SqlRecords(self._engine),
            bytes_=self.store,
            clock=clock,
            authorities=Settings().authorities,
            groups=lambda person_id: frozenset[str](),
            quota=lambda person_id: GiB(1),
        )
        self.uploads = ResumableUploads(service=self.space)

    def kill(self) -> None:
        self._engine.dispose()


ADA = Person(
    id=PersonId("id-ada"),
    user_name="ada",
    full_name="Ada",
    email="ada@example.org",
    institute="Observatory",
    is_admin=False,
    enabled=True,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)
STEPS = st.tuples(st.integers(0, 3000), st.sampled_from(["end", "cut", "kill", "wrong", "checked"]))


@settings(max_examples=40, deadline=None)
@given(whole=st.binary(min_size=1, max_size=3000), steps=st.lists(STEPS, max_size=8))
def test_broken_at_any_byte_and_resumed_the_file_is_whole(
    home: Path, whole: bytes, steps: list[tuple[int, str]]
) -> None:
    """Pieces of any size; clients that leave, checksums of pieces that are wrong, and kill -9, in any order."""
    clock = VirtualClock()
    ada = Principal(person=ADA)
    process = Process(home, clock)
    process.space.ensure_home(ada.person)
    upload = process.uploads.create(ada, X, length=len(whole), sha256=hashlib.sha256(whole).hexdigest())
    offset = 0
    for size, ending in [*steps, (len(whole), "end")]:
        progress = process.uploads.progress(ada, upload.id)
        assert progress.offset >= offset
        offset = progress.offset
        if progress.upload.is_over:
            break
        part = whole[offset : offset + size]
        digest = {"wrong": hashlib.sha1(b"wrong"), "checked": hashlib.sha1(part)}.get(ending)
        piece = process.uploads.piece(
            ada,
            upload.id,
            Asked(offset=offset, algorithm="sha1", checksum=digest.hexdigest() if digest else ""),
        )
        piece.write(part)
        if ending == "kill":
            process.kill()
            process = Process(home, clock)
            process.space.recover(timedelta(days=-36500))
        elif ending == "wrong":
            with pytest.raises(PreconditionFailed):
                piece.end()
        elif ending == "cut":
            piece.cut()
        else:
            piece.end()
    assert process.uploads.progress(ada, upload.id).upload.is_over
    assert b"".join(process.space.open_bytes(ada, X).chunks) == whole
    assert len(list(process.store.published())) == 1
    process.kill()
