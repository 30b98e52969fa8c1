"""Keeps the fabric in step with the records."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Connection, Engine

from armillary.base.ids import PortId, ServerId
from armillary.cloud import store
from armillary.cloud.core.plan import NetworkRecords, build_plan
from armillary.cloud.model import CardUse, MetadataSite, NetworkPlan
from armillary.cloud.network.model import COMPUTE
from armillary.cloud.ports import Fabric

log = logging.getLogger(__name__)

_FRESH_SECONDS = 5.0


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

    def __init__(
        self,
        *,
        engine: Engine,
        fabric: Fabric,
        host_ports: Iterable[int],
        metadata: MetadataSite | None = None,
    ) -> None:
        self._engine = engine
        self._fabric = fabric
        self._host_ports = frozenset(host_ports)
        self._metadata = metadata
        self._one_at_a_time = threading.Lock()
        self._waiting = threading.Event()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fabric")
        self._ssh: dict[ServerId, tuple[float, int | None]] = {}

    def plan(self) -> NetworkPlan:
        """The network as the records want it now."""
        with self._engine.execution_options(readonly=True).connect() as connection:
            records = read_records(connection)
        return build_plan(records, host_ports=self._host_ports, metadata=self._metadata)

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

    def traffic(self, ports: Sequence[PortId]) -> Mapping[PortId, CardUse]:
        """What went through the cards of these ports."""
        return self._fabric.traffic(ports)

    def ssh_port(self, server_id: ServerId) -> int | None:
        """The port of a machine's floating IP at which its ssh answers, None if it does not; a few seconds old."""
        known = self._ssh.get(server_id)
        now = time.monotonic()
        if known is None or now - known[0] > _FRESH_SECONDS:
            answers = self._fabric.addresses(server_id).get(22)
            known = (now, answers[1] if answers else None)
            self._ssh = {s: k for s, k in self._ssh.items() if now - k[0] <= _FRESH_SECONDS} | {
                server_id: known
            }
        return known[1]

    def settle(self, *, seconds: float = 10) -> None:
        """Wait until all that was poked is applied, but no longer than `seconds`."""
        with contextlib.suppress(TimeoutError):
            self._pool.submit(lambda: None).result(timeout=seconds)

    def close(self) -> None:
        """End the thread; what was poked is applied first."""
        self._pool.shutdown(wait=True)
