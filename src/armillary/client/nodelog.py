"""The event log by which DAGMan follows its nodes: one file for all clusters of a DAG, written by one process."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from armillary.client.batch import Batch
from armillary.client.errors import ClientError
from armillary.client.eventlog import END, render

NODES = "ARMILLARY_DAG"
"""Names the file into which `condor_submit` writes which clusters are nodes."""
_OVER = {"completed", "removed"}
_HEAD = re.compile(r"^\d{3} \(0*(\d+)\.\d+\.\d+\) ", re.MULTILINE)
_OVER_ALREADY = 409
_REMOVED = "the DAG was interrupted"


def nodes_beside(dag: Path) -> Path:
    """Return the file that says which clusters are nodes of a DAG."""
    return Path(f"{dag}.armillary")


def forget_nodes(dag: Path) -> None:
    """Begin anew: what an earlier run has submitted is not of this one."""
    nodes_beside(dag).unlink(missing_ok=True)


def note_node(nodes: Path, *, cluster: int, log: str, note: str) -> None:
    """Take note that a cluster is a node, whose events go into `log`."""
    with nodes.open("a") as file:
        file.write(json.dumps({"cluster": cluster, "log": log, "note": note}) + "\n")


@dataclass(kw_only=True)
class _Node:
    cluster: int
    log: Path
    note: str
    specs: dict[int, Any]
    written: int
    """events that the log has of it already, from an earlier run"""
    after: int = 0
    states: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def over(self) -> bool:
        return bool(self.states) and all(state in _OVER for state in self.states.values())


class NodeLog:
    """Call `catch_up` every second."""

    def __init__(self, *, batch: Batch, dag: Path, fetch: Callable[[str], object]) -> None:
        """`fetch` brings what a job has made; the nodes after it may read that."""
        self._batch = batch
        self._fetch = fetch
        self._nodes = nodes_beside(dag)
        self._read = 0
        self._open: list[_Node] = []

    def catch_up(self) -> None:
        """Write what has happened to the nodes since the last time."""
        self._find_new()
        for node in self._open:
            while self._hear(node):
                pass
        self._open = [node for node in self._open if not node.over]

    def remove_all(self) -> None:
        """Remove the jobs of all nodes that are under way."""
        self.catch_up()
        for node in self._open:
            try:
                self._batch.change(str(node.cluster), "remove", reason=_REMOVED)
            except ClientError as error:
                if error.answered != _OVER_ALREADY:
                    raise
        self.catch_up()

    def _find_new(self) -> None:
        if not self._nodes.exists():
            return
        with self._nodes.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    break  # it is being written
                self._read += len(line)
                said = json.loads(line)
                self._open.append(self._node(int(said["cluster"]), Path(said["log"]), str(said["note"])))

    def _node(self, cluster: int, log: Path, note: str) -> _Node:
        jobs = self._batch.jobs(cluster=cluster, spec=True)
        text = log.read_text(errors="replace") if log.exists() else ""
        written = Counter(_HEAD.findall(text))[str(cluster)]
        specs = {int(job["proc"]): job["spec"] for job in jobs}
        return _Node(cluster=cluster, log=log, note=note, specs=specs, written=written)

    def _hear(self, node: _Node) -> bool:
        """Write what comes next of a node. Nothing is done by halves: when we cannot go on, it is heard once more."""
        page = self._batch.events(node.cluster, after=node.after)
        parts: list[str] = []
        states = dict(node.states)
        for event in page["events"]:
            job = str(event["job"])
            spec = node.specs.get(int(job.partition(".")[2]))
            parts += render(event, before=states.get(job), spec=spec, note=node.note).split(END)[:-1]
            states[job] = str(event["state"])
            if event["state"] == "completed":
                self._fetch(job)
        known = min(node.written, len(parts))
        if parts[known:]:
            with node.log.open("a") as log:
                log.write("".join(part + END for part in parts[known:]))
        node.written -= known
        node.states, node.after = states, int(page["next"])
        return bool(page["events"])
