"""What DAGMan reads of its nodes, each event once, whatever comes in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from armillary.client.batch import Batch
from armillary.client.errors import Unreachable
from armillary.client.nodelog import NodeLog, nodes_beside, note_node


class Platform:
    """Says what has happened to cluster 7, two events at a time, and notes what was fetched and removed."""

    def __init__(self) -> None:
        self.events_of_7: list[dict[str, Any]] = []
        self.fetched: list[str] = []
        self.removed: list[str] = []
        self.away = False

    def happens(self, *states: str, job: str = "7.0", **detail: Any) -> None:
        for state in states:
            seq = len(self.events_of_7) + 1
            at = f"2026-01-01T00:00:{seq:02}+00:00"
            self.events_of_7.append({"seq": seq, "job": job, "state": state, "at": at, "detail": detail})

    def events(self, cluster: int, *, after: int) -> Mapping[str, Any]:
        found = self.events_of_7[after : after + 2]
        return {"events": found, "next": after + len(found)}

    def jobs(self, *, cluster: int, spec: bool) -> Sequence[Mapping[str, Any]]:
        return [{"proc": 0, "spec": {"request_cpus": 1}}]

    def change(self, target: str, verb: str, *, reason: str) -> int:
        self.removed.append(f"{verb} {target}: {reason}")
        return 1

    def fetch(self, job: str) -> None:
        if self.away:
            raise Unreachable("nobody answers")
        self.fetched.append(job)


class Desk:
    def __init__(self, folder: Path) -> None:
        self.platform = Platform()
        self.dag = folder / "flow.dag"
        self.file = folder / "flow.dag.nodes.log"
        self.log = self.again()
        note_node(nodes_beside(self.dag), cluster=7, log=str(self.file), note="DAG Node: first")

    def again(self) -> NodeLog:
        """Another process, which knows what is on disk."""
        return NodeLog(batch=cast("Batch", self.platform), dag=self.dag, fetch=self.platform.fetch)

    def written(self) -> list[str]:
        """The numbers of the events in the log."""
        return [line[:3] for line in self.file.read_text().splitlines() if line[:1].isdigit()]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_events_are_written_as_they_happen_and_the_first_names_the_node(desk: Desk) -> None:
    desk.platform.happens("idle")
    desk.log.catch_up()
    assert desk.written() == ["000"]
    assert "DAG Node: first\n" in desk.file.read_text()
    desk.platform.happens("claimed", "running", "completed", exit_code=3)
    desk.log.catch_up()
    desk.log.catch_up()
    assert desk.written() == ["000", "001", "005"]
    assert "return value 3" in desk.file.read_text()
    assert desk.platform.fetched == ["7.0"]


def test_another_process_goes_on_where_one_was_killed(desk: Desk) -> None:
    desk.platform.happens("idle", "claimed", "running")
    desk.log.catch_up()
    desk.platform.happens("completed")
    desk.again().catch_up()
    assert desk.written() == ["000", "001", "005"]


def test_an_end_is_not_told_before_what_the_job_made_is_here(desk: Desk) -> None:
    desk.platform.happens("idle", "running", "completed")
    desk.platform.away = True
    with pytest.raises(Unreachable):
        desk.log.catch_up()
    assert "005" not in desk.written()
    desk.platform.away = False
    desk.log.catch_up()
    assert desk.written() == ["000", "001", "005"]


def test_what_runs_is_removed_when_the_dag_is_interrupted(desk: Desk) -> None:
    desk.platform.happens("idle", "running")
    desk.log.remove_all()
    assert desk.platform.removed == ["remove 7: the DAG was interrupted"]
