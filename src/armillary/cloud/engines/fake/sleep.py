"""Fake machines that stand still."""

from __future__ import annotations

from armillary.base.ids import ServerId
from armillary.cloud.engines.fake.shelf import Shelf
from armillary.cloud.model import MachineSpec, MachineState
from armillary.cloud.ports import BootFailed


class FakeSleep(Shelf):
    """The `Sleep` port: a word in the machine's record."""

    def pause(self, server_id: ServerId) -> None:
        self._meet("pause")
        self._move(server_id, MachineState.PAUSED, {MachineState.RUNNING})

    def unpause(self, server_id: ServerId) -> None:
        self._meet("unpause")
        self._move(server_id, MachineState.RUNNING, {MachineState.PAUSED})

    def suspend(self, server_id: ServerId) -> None:
        self._meet("suspend")
        self._move(server_id, MachineState.SUSPENDED, {MachineState.RUNNING, MachineState.PAUSED})

    def resume(self, spec: MachineSpec) -> None:
        self._meet("resume")
        self._move(spec.id, MachineState.RUNNING, {MachineState.SUSPENDED})

    def _move(self, server_id: ServerId, target: MachineState, sources: set[MachineState]) -> None:
        with self._lock:
            state = self._state(server_id)
            if state not in sources | {target}:
                raise BootFailed(f"the machine is {state.value}", code="wrong_state")
            self._write(server_id, {**self._read(server_id), "state": target.value})
