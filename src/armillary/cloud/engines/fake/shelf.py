"""The records of the fake machines, one small JSON file each, and the turns that tests ask of the engine."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, Literal

from armillary.base.ids import ServerId
from armillary.cloud.model import MachineState
from armillary.cloud.ports import BootFailed

Call = Literal[
    "boot", "stop", "reboot", "destroy", "snapshot",
    "pause", "unpause", "suspend", "resume",
    "plug_port", "unplug_port", "plug_volume", "unplug_volume", "grow_volume", "copy_volume",
    "keep_root", "settle_root", "restore_root", "forget_root",
    "prepare", "wake", "measure",
]  # fmt: skip
"""A call of the engine that a test can hold back or let fail; `wake` is the part of a boot from a checkpoint."""

_SLOW: tuple[Call, ...] = ("boot", "snapshot")


class Shelf:
    """What the parts of the fake engine share: the machines' files, a lock, and what tests turn."""

    def __init__(self, *, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._turn = threading.Condition()
        self._failures: dict[Call, str] = {}
        self._held: frozenset[Call] = frozenset()
        directory.mkdir(parents=True, exist_ok=True)

    # what tests turn

    def fail_next(self, call: Call, message: str = "the fake engine was told to fail") -> None:
        """Let the next call of this name raise BootFailed with this message, and change nothing."""
        self._failures[call] = message

    @contextlib.contextmanager
    def held(self, *calls: Call) -> Generator[None]:
        """Hold these calls back until the block ends; without names every boot and snapshot."""
        self._hold(frozenset(calls or _SLOW))
        try:
            yield
        finally:
            self._hold(frozenset())

    def crash(self, server_id: ServerId) -> None:
        """End a machine as a crash of its process would."""
        self._change(server_id, state=MachineState.STOPPED.value)

    def spec_of(self, server_id: ServerId) -> Mapping[str, Any]:
        """What a machine is made of now, as text and numbers: a `MachineSpec` with its image by file name, plugged
        and pulled devices included, the config drive as text.
        """
        with self._lock:
            return self._read(server_id)["spec"]

    # for the parts

    def _meet(self, call: Call) -> None:
        """Wait while tests hold the call back, then fail if they want it to."""
        with self._turn:
            self._turn.wait_for(lambda: call not in self._held)
        failure = self._failures.pop(call, None)
        if failure is not None:
            raise BootFailed(failure)

    def _fails(self, call: Call) -> bool:
        """Whether tests want this part of another call to fail, once."""
        return self._failures.pop(call, None) is not None

    def _hold(self, calls: frozenset[Call]) -> None:
        with self._turn:
            self._held = calls
            self._turn.notify_all()

    def _path(self, server_id: ServerId) -> Path:
        return self._directory / f"{server_id}.json"

    def _known(self, server_id: ServerId) -> bool:
        return self._path(server_id).exists()

    def _read(self, server_id: ServerId) -> dict[str, Any]:
        return json.loads(self._path(server_id).read_text())

    def _write(self, server_id: ServerId, record: Mapping[str, Any]) -> None:
        draft = self._path(server_id).with_suffix(".new")
        draft.write_text(json.dumps(record))
        draft.replace(self._path(server_id))

    def _change(self, server_id: ServerId, **changes: Any) -> None:
        with self._lock:
            if self._known(server_id):
                self._write(server_id, {**self._read(server_id), **changes})

    def _state(self, server_id: ServerId) -> MachineState:
        return (
            MachineState(self._read(server_id)["state"]) if self._known(server_id) else MachineState.MISSING
        )

    def _lives(self, server_id: ServerId) -> bool:
        """Whether a real engine would have a process for it."""
        return self._state(server_id) in (MachineState.RUNNING, MachineState.PAUSED)
