"""Outputs are brought a few at once, as if they were brought one after the other."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

from armillary.client.batch import Batch
from armillary.client.errors import ClientError
from armillary.client.fetching import Fetcher
from armillary.client.notes import Notes
from armillary.client.side_by_side import AT_ONCE


class Platform:
    """Jobs whose outputs are in memory. `before` is called before the bytes of each are sent."""

    def __init__(self, outputs: dict[str, dict[str, bytes]], home: Path) -> None:
        self.before: Callable[[str, str], None] = lambda _job, _name: None
        self.sent: list[tuple[str, str]] = []
        self._outputs = outputs
        self._home = home

    def job(self, job: str) -> dict[str, Any]:
        return {
            "cluster": int(job.partition(".")[0]),
            "state": "completed",
            "spec": {"iwd": str(self._home)},
            "outputs": [
                {"name": name, "sha256": hashlib.sha256(data).hexdigest()}
                for name, data in self._outputs[job].items()
            ],
        }

    def receive_output(self, job: str, name: str, into: BinaryIO) -> str:
        self.before(job, name)
        self.sent.append((job, name))
        data = self._outputs[job][name]
        have = into.read()
        into.write(data[len(have) :])
        return hashlib.sha256(data).hexdigest()


def fetcher(platform: Platform, folder: Path) -> Fetcher:
    return Fetcher(batch=cast("Batch", platform), notes=Notes(directory=folder / "notes"))


def many(count: int) -> dict[str, dict[str, bytes]]:
    return {f"7.{n}": {f"{n}.dat": b"%d" % n, f"{n}.log": b"log %d" % n} for n in range(count)}


def test_outputs_come_a_few_at_once_and_are_told_in_order(tmp_path: Path) -> None:
    platform, together = Platform(many(70), tmp_path), threading.Barrier(AT_ONCE)
    platform.before = lambda _job, _name: cast("None", together.wait(60))  # each waits for three others
    found = fetcher(platform, tmp_path).fetch(*(f"7.{n}" for n in range(70)))
    assert [(one.job, one.name) for one in found] == [
        (f"7.{n}", f"{n}.{kind}") for n in range(70) for kind in ("dat", "log")
    ]
    assert {one.outcome for one in found} == {"written"}
    assert [(tmp_path / f"{n}.dat").read_bytes() for n in range(70)] == [b"%d" % n for n in range(70)]


def test_of_jobs_that_write_the_same_file_the_last_one_stays(tmp_path: Path) -> None:
    jobs = [f"7.{n}" for n in range(12)]
    platform = Platform({job: {"same.dat": job.encode(), f"{job}.dat": b""} for job in jobs}, tmp_path)
    pause = threading.Event()
    platform.before = lambda job, _name: cast("None", pause.wait(0.05 if job == "7.0" else 0))
    found = fetcher(platform, tmp_path).fetch(*jobs)
    assert (tmp_path / "same.dat").read_bytes() == b"7.11"
    assert [job for job, name in platform.sent if name == "same.dat"] == jobs
    assert [one.job for one in found if one.name == "same.dat"] == jobs


def test_the_first_error_is_told_and_no_more_is_begun(tmp_path: Path) -> None:
    platform, together = Platform(many(20), tmp_path), threading.Barrier(AT_ONCE)
    failing: list[threading.Thread] = []

    def fail(_job: str, name: str) -> None:
        if name == "1.dat":
            failing.append(threading.current_thread())
        together.wait(60)
        if name == "1.dat":
            raise ClientError("second", code="test", answered=500)
        failing[0].join(60)
        if name == "0.log":  # it fails last, and is the first in order
            raise ClientError("first", code="test", answered=500)

    platform.before = fail
    with pytest.raises(ClientError, match="first"):
        fetcher(platform, tmp_path).fetch(*(f"7.{n}" for n in range(20)))
    assert sorted(platform.sent) == [("7.0", "0.dat"), ("7.1", "1.log")]
    platform.before = lambda _job, _name: None
    again = fetcher(platform, tmp_path).fetch(*(f"7.{n}" for n in range(20)))
    assert [one.outcome for one in again].count("same") == 2
    assert len({one.path for one in again}) == 40
    assert not list(tmp_path.glob(".*.part"))


FOR_EVER = """
import threading
from armillary.client.side_by_side import side_by_side

def work(number):
    if number == 3:
        print("begun", flush=True)
    threading.Event().wait()

side_by_side(work, range(8))
"""


def test_who_is_interrupted_waits_for_nobody() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", FOR_EVER], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"begun\n"
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert b"KeyboardInterrupt" in said
