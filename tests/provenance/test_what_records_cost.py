"""Records take the room in the database that is promised. What time they take is measured by the same bench alone."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

JOBS = 200


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`bench/provenance.py`."""
    place = Path(__file__).parents[2] / "bench" / "provenance.py"
    spec = importlib.util.spec_from_file_location("bench_provenance", place)
    assert spec and spec.loader
    made = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, made)  # its dataclasses look there
    spec.loader.exec_module(made)
    return made


def test_a_jobs_record_takes_less_than_two_kilobytes_of_the_database(
    bench: ModuleType, tmp_path: Path
) -> None:
    rooms: list[int] = []
    for records in (False, True):
        folder = tmp_path / str(records)
        folder.mkdir()
        rooms.append(bench.run(folder, JOBS, records=records).room)
    assert 100 < rooms[1] - rooms[0] < bench.MOST_ROOM
    assert bench.MOST_ROOM == 2000
