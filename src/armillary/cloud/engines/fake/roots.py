"""Root disks of fake machines: a size and a number that says how often one was made."""

from __future__ import annotations

from typing import Any

from armillary.base.ids import ServerId
from armillary.cloud.engines.fake.shelf import Call, Shelf
from armillary.cloud.model import MachineState
from armillary.cloud.ports import BootFailed


class FakeRoots(Shelf):
    """The `RootDisks` port."""

    def keep_root(self, server_id: ServerId) -> None:
        record = self._at_rest("keep_root", server_id)
        if record is not None and record["root"] is not None and record["kept"] is None:
            self._change(server_id, kept=record["root"])

    def settle_root(self, server_id: ServerId) -> None:
        self._meet("settle_root")
        self._change(server_id, kept=None)

    def restore_root(self, server_id: ServerId) -> None:
        record = self._at_rest("restore_root", server_id)
        if record is not None and record["kept"] is not None:
            self._change(server_id, root=record["kept"], kept=None)

    def forget_root(self, server_id: ServerId) -> None:
        if self._at_rest("forget_root", server_id) is not None:
            self._change(server_id, root=None, kept=None)

    def _at_rest(self, call: Call, server_id: ServerId) -> dict[str, Any] | None:
        self._meet(call)
        if not self._known(server_id):
            return None
        state = self._state(server_id)
        if state is not MachineState.STOPPED:
            raise BootFailed(f"the machine is {state.value}", code="wrong_state")
        return self._read(server_id)
