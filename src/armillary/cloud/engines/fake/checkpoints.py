"""Checkpoints of fake machines: a small file each, named by what a machine must be like to begin from it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from armillary.base.ids import Sha512
from armillary.cloud.engines.fake.shelf import Shelf
from armillary.cloud.model import Checkpoint, MachineSpec


class FakeCheckpoints(Shelf):
    """The `Checkpoints` port. At most so many are kept."""

    _most_checkpoints: int

    def prepare(self, spec: MachineSpec, *, pause: Callable[[float], bool]) -> bool:
        name = self._checkpoint_of(spec)
        if name is None or not pause(0):
            return False
        self._meet("prepare")
        assert spec.template is not None
        self._checkpoint(name).parent.mkdir(exist_ok=True)
        self._checkpoint(name).write_text(json.dumps({"image": spec.template.image, "used": time.time()}))
        for old in self.checkpoints()[: -self._most_checkpoints]:
            self.forget_checkpoint(old.key)
        return True

    def checkpoints(self) -> Sequence[Checkpoint]:
        found: list[Checkpoint] = []
        for path in (self._directory / "checkpoints").glob("*"):
            kept = json.loads(path.read_text())
            octets = path.stat().st_size
            found.append(
                Checkpoint(key=path.name, image=Sha512(kept["image"]), octets=octets, used=kept["used"])
            )
        return sorted(found, key=lambda each: each.used)

    def forget_checkpoint(self, key: str) -> None:
        self._checkpoint(key).unlink(missing_ok=True)

    def _begins_warm(self, spec: MachineSpec) -> str | None:
        """Return the checkpoint from which a new machine begins, and note that it was used."""
        name = self._checkpoint_of(spec)
        if name is None or not self._checkpoint(name).exists() or self._fails("wake"):
            return None
        kept = json.loads(self._checkpoint(name).read_text())
        self._checkpoint(name).write_text(json.dumps({**kept, "used": time.time()}))
        return name

    def _checkpoint(self, key: str) -> Path:
        return self._directory / "checkpoints" / key

    def _checkpoint_of(self, spec: MachineSpec) -> str | None:
        template = spec.template
        if not self._most_checkpoints or template is None or spec.volumes or len(spec.ports) != 1:
            return None
        shape = (template.image, template.name, spec.vcpus, spec.ram, spec.root_disk, spec.ephemeral_disk)
        return hashlib.sha256(repr((*shape, spec.swap_disk)).encode()).hexdigest()[:32]
