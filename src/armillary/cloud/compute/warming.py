"""Checkpoints of templates: made when a server that could have begun from one has booted, gone with their images."""

from __future__ import annotations

import logging

from armillary.base.errors import ArmillaryError
from armillary.cloud.compute.work import Workbench, foreign_code, words
from armillary.cloud.model import MachineSpec

log = logging.getLogger(__name__)


class Warming:
    """Has the engine keep checkpoints. Servers never wait for it, and never fail by it."""

    def __init__(self, *, bench: Workbench) -> None:
        self._bench = bench

    def prepare(self, spec: MachineSpec) -> None:
        """Queue the making of the checkpoint from which machines like this one may begin, one after another."""
        if spec.template is not None:
            self._bench.strands.submit("checkpoints", lambda: self._prepare(spec), slow=True)

    def _prepare(self, spec: MachineSpec) -> None:
        try:
            with foreign_code():
                self._bench.machines.prepare(spec, pause=self._bench.strands.pause)
        except (ArmillaryError, OSError) as error:
            log.warning("no checkpoint of machines like server %s: %s", spec.id, words(error))

    def tidy(self) -> None:
        """Remove the checkpoints of images that are gone."""
        for kept in self._bench.machines.checkpoints():
            if not self._bench.images.blob(kept.image).is_file():
                log.info("checkpoint %s goes with its image", kept.key)
                self._bench.machines.forget_checkpoint(kept.key)
