"""Fake machines that pretend to work: figures that follow from how long one has run, and from nothing else."""

from __future__ import annotations

import time

from armillary.base.ids import ServerId
from armillary.base.units import MiB
from armillary.cloud.engines.fake.shelf import Shelf
from armillary.cloud.model import DiskUse, MachineState, MachineUse

_MEMORY = MiB(300)
_READ, _WRITTEN = 40_000, 15_000
"""bytes each second"""
_OPERATION = 4096


class FakeMeasuring(Shelf):
    """The `Measures` port: a third of one processor, as long as it has run."""

    def measure(self, server_id: ServerId) -> MachineUse | None:
        self._meet("measure")
        with self._lock:
            if not self._known(server_id) or self._state(server_id) is not MachineState.RUNNING:
                return None
            seconds = max(0.0, time.time() - self._path(server_id).stat().st_mtime)
        return MachineUse(
            cpu_nanoseconds=(int(seconds * 1e9 / 3),),
            memory=_MEMORY,
            disks=(
                DiskUse(
                    read_bytes=int(seconds * _READ),
                    reads=int(seconds * _READ / _OPERATION),
                    written_bytes=int(seconds * _WRITTEN),
                    writes=int(seconds * _WRITTEN / _OPERATION),
                ),
            ),
        )
