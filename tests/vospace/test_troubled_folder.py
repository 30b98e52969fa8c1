"""A folder whose disk is full, or that does not let us in: said in words, and nothing is lost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from armillary.accounts.model import Principal
from armillary.app.database import make_engine
from armillary.base.clock import VirtualClock
from armillary.base.errors import ArmillaryError, NotFound, OutOfSpace, Unavailable
from armillary.base.ids import new_hex
from armillary.base.units import GiB
from armillary.vospace.api import Settings
from armillary.vospace.bytes import FolderBytes
from armillary.vospace.bytes.folder import FolderWriter
from armillary.vospace.service import VOSpaceService
from armillary.vospace.store import SqlRecords, create_all

OLD = "/home/ada/old"


class FillingFolder(FolderBytes):
    """A folder whose disk can get full: it writes to the device that is."""

    full = False

    def begin(self, key: str) -> FolderWriter:
        writer = super().begin(key)
        if not self.full:
            return writer
        writer.discard()
        return FolderWriter(Path(f"/dev/{key}"), os.open("/dev/full", os.O_WRONLY), new_folder=False)


@pytest.fixture
def folder(tmp_path: Path) -> FillingFolder:
    return FillingFolder(tmp_path / "bytes")


@pytest.fixture
def space(tmp_path: Path, folder: FillingFolder, ada: Principal) -> Iterator[VOSpaceService]:
    engine = make_engine(f"sqlite:///{tmp_path}/space.db", durable=False)
    create_all(engine)
    service = VOSpaceService(
        records=SqlRecords(engine),
        bytes_=folder,
        clock=VirtualClock(),
        authorities=Settings().authorities,
        groups=lambda person: frozenset(),
        quota=lambda person: GiB(1),
    )
    service.ensure_home(ada.person)
    service.put_bytes(ada, OLD, [b"as it was"])
    yield service
    service.adding_up.shutdown()
    engine.dispose()


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("path", ["/home/ada/new", OLD])
@pytest.mark.parametrize("size", [1, 20 << 20])
def test_when_the_disk_is_full_an_upload_is_refused_and_leaves_all_as_it_was(
    space: VOSpaceService, folder: FillingFolder, ada: Principal, tmp_path: Path, path: str, size: int
) -> None:
    folder.full = True
    with pytest.raises(OutOfSpace) as refused:
        space.put_bytes(ada, path, [b"x" * size])
    assert (refused.value.status, bool(refused.value.remedy)) == (507, True)
    assert [node.name for node in space.children(ada, "/home/ada")] == ["old"]
    assert b"".join(space.open_bytes(ada, OLD).chunks) == b"as it was"
    assert space.node(ada, "/home/ada").used == len(b"as it was")
    assert len(files(tmp_path / "bytes")) == 1


def test_when_the_disk_is_full_files_can_be_deleted_and_room_is_given_back(
    space: VOSpaceService, folder: FillingFolder, ada: Principal, tmp_path: Path
) -> None:
    folder.full = True
    space.make_container(ada, "/home/ada/still")
    space.delete(ada, OLD)
    assert files(tmp_path / "bytes") == []
    folder.full = False
    space.put_bytes(ada, OLD, [b"again"])
    assert b"".join(space.open_bytes(ada, OLD).chunks) == b"again"


def test_a_folder_that_is_in_the_way_of_itself_is_said_in_words(tmp_path: Path) -> None:
    store = FolderBytes(tmp_path / "bytes")
    key = new_hex()
    (tmp_path / "bytes" / key[:2]).write_text("no directory")
    for attempt in (
        lambda: store.begin(key),
        lambda: store.size(key),
        lambda: store.read(key, 0, 1),
        lambda: store.delete(key),
    ):
        with pytest.raises(ArmillaryError) as refused:
            attempt()
        assert isinstance(refused.value, Unavailable)
        assert str(tmp_path) not in refused.value.message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everywhere")
def test_a_folder_without_permission_is_said_in_words(tmp_path: Path) -> None:
    store = FolderBytes(tmp_path / "bytes")
    (tmp_path / "bytes").chmod(0o500)
    try:
        with pytest.raises(Unavailable):
            store.begin(new_hex())
        with pytest.raises(NotFound):
            store.read(new_hex(), 0, 1)
    finally:
        (tmp_path / "bytes").chmod(0o700)
