"""Bytes: whole or not there; logs bounded, with head and tail."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from armillary.base.errors import Invalid, NotFound, PreconditionFailed, TooLarge
from armillary.base.ids import ClusterId
from armillary.base.units import Bytes
from armillary.batch.logs import LogFolder
from armillary.batch.model import JobId, LogGap
from armillary.batch.spool import FolderSpool

JOB = JobId(ClusterId(1), 0)


def keep(spool: FolderSpool, content: bytes, expected: str | None = None) -> str:
    with spool.writer() as writer:
        writer.write(content)
        return writer.commit(expected).sha256


def test_a_blob_is_found_under_its_digest(tmp_path: Path) -> None:
    spool = FolderSpool(directory=tmp_path)
    digest = keep(spool, b"bytes")
    assert digest == hashlib.sha256(b"bytes").hexdigest()
    assert spool.path(digest).read_bytes() == b"bytes"
    assert keep(spool, b"bytes") == digest


def test_nothing_stays_of_a_blob_that_failed(tmp_path: Path) -> None:
    spool = FolderSpool(directory=tmp_path, max_blob=Bytes(4))
    with pytest.raises(PreconditionFailed):
        keep(spool, b"abc", "0" * 64)
    with pytest.raises(TooLarge):
        keep(spool, b"abcde")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_a_crash_left_half_written_is_swept(tmp_path: Path) -> None:
    spool = FolderSpool(directory=tmp_path)
    (tmp_path / "incoming" / "half").write_bytes(b"half")
    assert spool.sweep() == 1


def test_a_name_that_is_no_digest_is_refused(tmp_path: Path) -> None:
    spool = FolderSpool(directory=tmp_path)
    with pytest.raises(Invalid):
        spool.path("../../etc/passwd")
    with pytest.raises(NotFound):
        spool.path("0" * 64)


def small(tmp_path: Path) -> LogFolder:
    return LogFolder(directory=tmp_path, head=Bytes(10), tail=Bytes(6))


def whole(logs: LogFolder) -> tuple[bytes, bytes]:
    """Head and tail, read in small pieces."""
    head, tail, offset = b"", b"", 0
    while True:
        piece = logs.read(JOB, 1, "stdout", offset=offset, limit=4)
        if not piece.data:
            return head, tail
        if piece.offset + len(piece.data) <= 10:
            head += piece.data
        else:
            tail += piece.data
        offset = piece.offset + len(piece.data)


def test_a_short_log_is_kept_whole(tmp_path: Path) -> None:
    logs = small(tmp_path)
    assert logs.append(JOB, 1, "stdout", offset=0, data=b"hello ") == 6
    assert logs.append(JOB, 1, "stdout", offset=6, data=b"world, you") == 16
    assert whole(logs) == (b"hello worl", b"d, you")


@pytest.mark.parametrize("step", [1, 3, 7, 16, 100])
def test_of_a_long_log_head_and_tail_are_kept_however_it_comes(tmp_path: Path, step: int) -> None:
    logs, text = small(tmp_path), bytes(range(32, 127))
    for start in range(0, len(text), step):
        logs.append(JOB, 1, "stdout", offset=start, data=text[start : start + step])
    assert whole(logs) == (text[:10], text[-6:])
    assert logs.read(JOB, 1, "stdout", offset=12).offset == len(text) - 6


def test_bytes_sent_again_change_nothing_and_gaps_are_refused(tmp_path: Path) -> None:
    logs = small(tmp_path)
    logs.append(JOB, 1, "stdout", offset=0, data=b"abc")
    assert logs.append(JOB, 1, "stdout", offset=1, data=b"bcd") == 4
    with pytest.raises(LogGap) as refusal:
        logs.append(JOB, 1, "stdout", offset=9, data=b"x")
    assert refusal.value.facts == {"size": 4}
    assert logs.read(JOB, 1, "stdout", offset=0).data == b"abcd"
    assert logs.read(JOB, 2, "stdout", offset=0).size == 0
