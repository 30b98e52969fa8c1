"""The compute service: what people do with servers. Work on machines is queued, and goes on in the background."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, or_

from armillary.accounts.model import Principal
from armillary.base.clock import Clock
from armillary.base.errors import Conflict, NotFound
from armillary.base.ids import PortId, Sha512
from armillary.cloud import store
from armillary.cloud.access import allow_writing
from armillary.cloud.compute.acting import Acts, Doing, Ledger
from armillary.cloud.compute.attachments import Attachments
from armillary.cloud.compute.creation import Creation, NewServers, check_metadata, check_name
from armillary.cloud.compute.flavors import Flavors
from armillary.cloud.compute.history import History
from armillary.cloud.compute.hosts import Hosts
from armillary.cloud.compute.imaging import Imaging
from armillary.cloud.compute.interfaces import Interfaces
from armillary.cloud.compute.keypairs import Keypairs
from armillary.cloud.compute.lifecycle import Lifecycle
from armillary.cloud.compute.listing import ServerLists
from armillary.cloud.compute.making import Making
from armillary.cloud.compute.model import InstanceAction, Server
from armillary.cloud.compute.ports import Images, Projects, Volumes
from armillary.cloud.compute.quotas import Quotas
from armillary.cloud.compute.reconcile import Reconciler
from armillary.cloud.compute.records import check_action, own, save
from armillary.cloud.compute.server_groups import ServerGroups
from armillary.cloud.compute.sizing import Sizing
from armillary.cloud.compute.strands import Strands
from armillary.cloud.compute.work import Workbench
from armillary.cloud.model import CardUse, MachineUse, Template
from armillary.cloud.network.fabric import FabricKeeper
from armillary.cloud.network.service import NetworkService
from armillary.cloud.ports import Hypervisor

_KEPT = timedelta(days=30)
"""Records of deleted servers are kept this long, for usage reports."""
_PARALLEL_BOOTS = 4
_PARALLEL_COPIES = 4


class ComputeService:
    """Servers, with their flavors, key pairs and quotas."""

    def __init__(
        self,
        *,
        engine: Engine,
        clock: Clock,
        projects: Projects,
        images: Images,
        volumes: Volumes,
        network: NetworkService,
        keeper: FabricKeeper,
        machines: Hypervisor,
        directory: Path,
        drive: Callable[[Server], Mapping[str, bytes]],
        template: Callable[[Server], Template | None] = lambda _: None,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._machines = machines
        self._keeper = keeper
        self.lists = ServerLists(engine=engine)
        self.flavors = Flavors(engine=engine)
        self.keypairs = Keypairs(engine=engine, clock=clock)
        self.quotas = Quotas(engine=engine, clock=clock, projects=projects)
        self.groups = ServerGroups(engine=engine, clock=clock, quotas=self.quotas)
        self.history = History(engine=engine)
        self.hosts = Hosts(engine=engine, clock=clock, machines=machines)
        creation = Creation(clock=clock, desk=network.desk, quotas=self.quotas)
        self._strands = Strands(quick=_PARALLEL_BOOTS, slow=_PARALLEL_COPIES)
        bench = Workbench(
            engine=engine, clock=clock, machines=machines, projects=projects, images=images, volumes=volumes,
            desk=network.desk, keeper=keeper, strands=self._strands, directory=directory, drive=drive,
            template=template,
        )  # fmt: skip
        self._lifecycle = Lifecycle(bench=bench)
        self._reconciler = Reconciler(bench=bench, lifecycle=self._lifecycle)
        ledger = Ledger(engine=engine, clock=clock, lifecycle=self._lifecycle, strands=self._strands)
        self._making = Making(
            ledger=ledger, creation=creation, images=images, volumes=volumes, network=network,
            strands=self._strands,
        )  # fmt: skip
        self.acts = Acts(ledger=ledger, images=images)
        self.imaging = Imaging(ledger=ledger, images=images, volumes=volumes)
        self.sizing = Sizing(
            ledger=ledger, images=images, volumes=volumes, quotas=self.quotas, machines=machines
        )
        self.attachments = Attachments(ledger=ledger, volumes=volumes, strands=self._strands)
        self.interfaces = Interfaces(ledger=ledger, network=network, strands=self._strands)
        self._forget_old()

    def _forget_old(self) -> None:
        before = self._clock.now() - _KEPT
        with self._engine.begin() as connection:
            old = store.SERVERS.find(connection, store.servers.c.deleted_at < before)
            store.ACTIONS.remove(connection, store.actions.c.server_id.in_([server.id for server in old]))
            store.SERVERS.remove(connection, store.servers.c.deleted_at < before)

    # looking

    def get(self, principal: Principal, server_id: str) -> Server:
        """One server."""
        with self._engine.execution_options(readonly=True).connect() as connection:
            return own(connection, principal, server_id)

    def actions(self, principal: Principal, server_id: str) -> Sequence[InstanceAction]:
        """What was done to a server, newest first."""
        with self._engine.execution_options(readonly=True).connect() as connection:
            own(connection, principal, server_id)
            found = store.ACTIONS.find(connection, store.actions.c.server_id == server_id)
        return sorted(found, key=lambda action: action.started_at, reverse=True)

    def console(self, principal: Principal, server_id: str, *, lines: int | None = None) -> str:
        """The end of a server's serial console."""
        server = self.get(principal, server_id)
        if not server.charged or server.launched_at is None:
            raise Conflict(f"Instance {server.id} is not ready", code="instance_not_ready")
        text = self._machines.console(server.id).decode(errors="replace")
        if lines is None or lines < 0:
            return text
        return "".join(text.splitlines(keepends=True)[-lines:]) if lines else ""

    def use(
        self, server: Server, ports: Sequence[PortId]
    ) -> tuple[MachineUse | None, Mapping[PortId, CardUse]]:
        """What a server's machine has used since it started, and what went through the cards of these ports."""
        return self._machines.measure(server.id), self._keeper.traffic(ports)

    def uses_image(self, sha512: Sha512) -> bool:
        """Whether a server was booted from this image and needs its bytes still."""
        columns = store.servers.c
        with self._engine.execution_options(readonly=True).connect() as connection:
            needed = or_(columns.image_sha512 == sha512, columns.rescue_sha512 == sha512)
            return bool(store.SERVERS.find(connection, needed, columns.charged))

    # making and changing

    def create(self, principal: Principal, wanted: NewServers, *, request_id: str) -> list[Server]:
        """Record servers that are then built; they are in BUILD, and become ACTIVE or ERROR.

        Raises:
            Invalid, Conflict, QuotaExceeded, Forbidden: nothing is recorded then.
        """
        return self._making.create(principal, wanted, request_id=request_id)

    def update(self, principal: Principal, server_id: str, changes: Mapping[str, Any]) -> Server:
        """Change name, description, hostname."""
        allow_writing(principal, "os_compute_api:servers:update")
        if "name" in changes:
            check_name(changes["name"])
        with self._engine.begin() as connection:
            return save(connection, self._clock, own(connection, principal, server_id), **changes)

    def set_metadata(
        self, principal: Principal, server_id: str, metadata: Mapping[str, str], *, keep: bool
    ) -> Mapping[str, str]:
        """Replace a server's metadata, or (`keep`) merge into it."""
        allow_writing(principal, "os_compute_api:server-metadata:update")
        with self._engine.begin() as connection:
            server = own(connection, principal, server_id)
            check_action(principal, server, "update server metadata")
            merged = {**(server.metadata if keep else {}), **metadata}
            check_metadata(merged)
            return save(connection, self._clock, server, metadata=merged).metadata

    def delete_metadata(self, principal: Principal, server_id: str, key: str) -> None:
        """Drop one item."""
        allow_writing(principal, "os_compute_api:server-metadata:delete")
        with self._engine.begin() as connection:
            server = own(connection, principal, server_id)
            check_action(principal, server, "delete server metadata")
            if key not in server.metadata:
                raise NotFound("Metadata item was not found", code="metadata_not_found")
            kept = {name: value for name, value in server.metadata.items() if name != key}
            save(connection, self._clock, server, metadata=kept)

    def set_tags(self, principal: Principal, server_id: str, tags: Sequence[str]) -> Sequence[str]:
        """Replace a server's tags."""
        allow_writing(principal, "os_compute_api:os-server-tags:update")
        with self._engine.begin() as connection:
            server = own(connection, principal, server_id)
            return save(connection, self._clock, server, tags=tuple(dict.fromkeys(tags))).tags

    def delete(self, principal: Principal, server_id: str, *, request_id: str) -> None:
        """End a server, whatever state it is in. Asking again while it ends is fine."""
        self.acts.delete(Doing(principal=principal, server_id=server_id, request_id=request_id))

    # keeping promises

    def reconcile(self) -> None:
        """Make records and machines agree; call it at the start and every few seconds."""
        self._reconciler.run()

    def settle(self, *, seconds: float = 30) -> bool:
        """Wait until no work is left in the background; False if that took longer."""
        return self._strands.settle(seconds=seconds)

    def close(self) -> None:
        """Finish what runs; what waits is taken up by the next start."""
        self._strands.close()
