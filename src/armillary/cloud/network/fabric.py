"""Keeps the fabric in step with the records."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Connection, Engine

from armillary.base.ids import ServerId
from armillary.cloud import store
from armillary.cloud.core.plan import NetworkRecords, build_plan
from armillary.cloud.model import NetworkPlan
from armillary.cloud.network.model import COMPUTE
from armillary.cloud.ports import Fabric

log = logging.getLogger(__name__)


def read_records(connection: Connection) -> NetworkRecords:
    """Everything that the plan depends on."""
    return NetworkRecords(
        networks=store.NETWORKS.find(connection),
        subnets=store.SUBNETS.find(connection),
        ports=store.PORTS.find(connection, store.ports.c.device_owner == COMPUTE),
        rules=store.SECURITY_GROUP_RULES.find(connection),
        floating_ips=store.FLOATING_IPS.find(connection, store.floating_ips.c.port_id.is_not(None)),
    )


class FabricKeeper:
    """Applies the whole plan after every change, one application at a time; a burst of changes is one application."""

    def __init__(self, *, engine: Engine, fabric: Fabric, host_ports: Iterable[int]) -> None:
        self._engine = engine
        self._fabric = fabric
        self._host_ports = frozenset(host_ports)
        self._one_at_a_time = threading.Lock()
        self._waiting = threading.Event()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fabric")

    def plan(self) -> NetworkPlan:
        """The network as the records want it now."""
        with self._engine.execution_options(readonly=True).connect() as connection:
            return build_plan(read_records(connection), host_ports=self._host_ports)

    def poke(self) -> None:
        """Apply soon."""
        if not self._waiting.is_set():
            self._waiting.set()
            self._pool.submit(self._apply_for_nobody)

    def _apply_for_nobody(self) -> None:
        try:
            self.apply()
        except Exception:
            log.exception("the network could not be brought in step with its records; trying again soon")

    def apply(self) -> None:
        """Apply now."""
        with self._one_at_a_time:
            self._waiting.clear()  # before the records are read: a change after that pokes again
            self._fabric.apply(self.plan())

    def addresses(self, server_id: ServerId) -> Mapping[int, tuple[str, int]]:
        """Where a machine's open TCP ports answer now."""
        return self._fabric.addresses(server_id)

    def settle(self) -> None:
        """Wait until all that was poked is applied."""
        self._pool.submit(lambda: None).result()

    def close(self) -> None:
        """End the thread; what was poked is applied first."""
        self._pool.shutdown(wait=True)
