"""The compute service: what people do with servers. Work on machines is queued, and goes on in the background."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from armillary.accounts.model import Principal
from armillary.base.clock import Clock
from armillary.base.errors import Conflict, Invalid, NotFound
from armillary.base.ids import ImageId, Sha512
from armillary.cloud import store
from armillary.cloud.access import allow_writing, project_of
from armillary.cloud.compute.creation import (
    Creation,
    NewServers,
    check,
    check_metadata,
    check_name,
)
from armillary.cloud.compute.flavors import Flavors
from armillary.cloud.compute.keypairs import Keypairs
from armillary.cloud.compute.lifecycle import Lifecycle
from armillary.cloud.compute.listing import ServerLists
from armillary.cloud.compute.model import InstanceAction, Server, TaskState
from armillary.cloud.compute.ports import BootImage, Images, Projects
from armillary.cloud.compute.quotas import Quotas, placed
from armillary.cloud.compute.reconcile import Reconciler
from armillary.cloud.compute.records import check_action, check_unlocked, note_action, own, save
from armillary.cloud.compute.strands import Strands
from armillary.cloud.model import Capacity
from armillary.cloud.network.fabric import FabricKeeper
from armillary.cloud.network.groups import find_groups
from armillary.cloud.network.service import NetworkService
from armillary.cloud.ports import Machines

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
        network: NetworkService,
        keeper: FabricKeeper,
        machines: Machines,
        directory: Path,
        drive: Callable[[Server], Mapping[str, bytes]],
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._images = images
        self._network = network
        self._machines = machines
        self.lists = ServerLists(engine=engine)
        self.flavors = Flavors(engine=engine)
        self.keypairs = Keypairs(engine=engine, clock=clock)
        self.quotas = Quotas(engine=engine, clock=clock, projects=projects)
        self._creation = Creation(clock=clock, desk=network.desk, quotas=self.quotas)
        self._strands = Strands(quick=_PARALLEL_BOOTS, slow=_PARALLEL_COPIES)
        self._lifecycle = Lifecycle(
            engine=engine, clock=clock, machines=machines, images=images, desk=network.desk, keeper=keeper,
            strands=self._strands, directory=directory, drive=drive,
        )  # fmt: skip
        self._reconciler = Reconciler(
            engine=engine, clock=clock, machines=machines, lifecycle=self._lifecycle, strands=self._strands,
            keeper=keeper,
        )  # fmt: skip
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

    def capacity(self) -> tuple[Capacity, Sequence[Server]]:
        """What the cloud may use in all, and the servers that use it."""
        with self._engine.execution_options(readonly=True).connect() as connection:
            return self._machines.capacity(), placed(connection)

    def uses_image(self, sha512: Sha512) -> bool:
        """Whether a server was booted from this image and needs its bytes still."""
        columns = store.servers.c
        with self._engine.execution_options(readonly=True).connect() as connection:
            return bool(store.SERVERS.find(connection, columns.image_sha512 == sha512, columns.charged))

    # making and changing

    def create(self, principal: Principal, wanted: NewServers, *, request_id: str) -> list[Server]:
        """Record servers that are then built; they are in BUILD, and become ACTIVE or ERROR.

        Raises:
            Invalid, Conflict, QuotaExceeded, Forbidden: nothing is recorded then.
        """
        project = allow_writing(principal, "os_compute_api:servers:create")
        check(wanted)
        self._network.furnish(project)
        try:
            image = self._images.resolve_bootable(principal, ImageId(wanted.image_ref))
        except NotFound as error:
            raise Invalid("Can not find requested image", code="image_not_found") from error
        with self._engine.begin() as connection:
            servers = self._creation.write(connection, principal, project.id, wanted, image)
            for server in servers:
                note_action(connection, self._clock, principal, server, "create", request_id)
        for server in servers:
            self._lifecycle.pursue(server)
        return servers

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

    def lock(self, principal: Principal, server_id: str, *, locked: bool, reason: str | None = None) -> None:
        """Keep everybody but administrators from acting on a server, or let them again."""
        allow_writing(principal, "os_compute_api:os-lock-server")
        with self._engine.begin() as connection:
            server = own(connection, principal, server_id)
            save(connection, self._clock, server, locked=locked, locked_reason=reason if locked else None)

    def add_security_group(self, principal: Principal, server_id: str, name: str) -> None:
        """Add a group to all ports of a server."""
        self._change_groups(principal, server_id, name, add=True)

    def remove_security_group(self, principal: Principal, server_id: str, name: str) -> None:
        """Remove a group from all ports of a server."""
        self._change_groups(principal, server_id, name, add=False)

    def _change_groups(self, principal: Principal, server_id: str, name: str, *, add: bool) -> None:
        allow_writing(principal, "os_compute_api:os-security-groups")
        with self._engine.begin() as connection:
            server = own(connection, principal, server_id)
            (group,) = find_groups(connection, principal, server.project_id, [name])
            ports = store.PORTS.find(connection, store.ports.c.device_id == server.id)
            if not add and not any(group in port.security_groups for port in ports):
                raise NotFound(
                    f"Security group {name} not associated with the instance {server.id}",
                    code="security_group_not_found",
                )
            for port in ports:
                rest = tuple(other for other in port.security_groups if other != group)
                groups = (*rest, group) if add else rest
                store.PORTS.save(connection, replace(port, security_groups=groups))
        self._network.desk.changed()

    # acting on machines

    def stop(self, principal: Principal, server_id: str, *, request_id: str) -> None:
        """Shut a server down."""
        self._begin(principal, server_id, "stop", TaskState.POWERING_OFF, request_id)

    def start(self, principal: Principal, server_id: str, *, request_id: str) -> None:
        """Run a server that is shut down."""
        self._begin(principal, server_id, "start", TaskState.POWERING_ON, request_id)

    def reboot(self, principal: Principal, server_id: str, *, hard: bool, request_id: str) -> None:
        """Restart a server from inside, or (`hard`) reset it."""
        task = TaskState.REBOOTING_HARD if hard else TaskState.REBOOTING
        self._begin(principal, server_id, "reboot_hard" if hard else "reboot", task, request_id)

    def delete(self, principal: Principal, server_id: str, *, request_id: str) -> None:
        """End a server, whatever state it is in. Asking again while it ends is fine."""
        allow_writing(principal, "os_compute_api:servers:delete")
        with self._engine.begin() as connection:
            server = own(connection, principal, server_id)
            check_unlocked(principal, server)
            if server.task_state is TaskState.DELETING:
                return
            note_action(connection, self._clock, principal, server, "delete", request_id)
            server = save(connection, self._clock, server, task_state=TaskState.DELETING)
        self._lifecycle.pursue(server)

    def create_image(
        self, principal: Principal, server_id: str, name: str, metadata: Mapping[str, str], *, request_id: str
    ) -> BootImage:
        """Begin a snapshot of a server's root disk; the image that is returned becomes active when it is whole."""
        allow_writing(principal, "os_compute_api:servers:create_image")
        check_name(name)
        server = self.get(principal, server_id)
        check_action(principal, server, "createImage")
        image = self._images.begin_snapshot(
            principal, name, _snapshot_properties(principal, server, metadata), min_disk=server.flavor.disk
        )
        try:
            self._begin(
                principal,
                server_id,
                "createImage",
                TaskState.IMAGE_SNAPSHOT,
                request_id,
                snapshot_image_id=image.id,
            )
        except (Conflict, NotFound):
            self._images.fail_snapshot(image.id, "the server was busy or gone")
            raise
        return image

    def _begin(
        self,
        principal: Principal,
        server_id: str,
        action: str,
        task: TaskState,
        request_id: str,
        **changes: Any,
    ) -> None:
        allow_writing(principal, f"os_compute_api:servers:{action}")
        with self._engine.begin() as connection:
            server = own(connection, principal, server_id)
            check_action(principal, server, action)
            note_action(connection, self._clock, principal, server, action.removesuffix("_hard"), request_id)
            server = save(connection, self._clock, server, task_state=task, **changes)
        self._lifecycle.pursue(server)

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


def _snapshot_properties(principal: Principal, server: Server, metadata: Mapping[str, str]) -> dict[str, str]:
    project = project_of(principal)
    return {
        "image_type": "snapshot",
        "base_image_ref": server.image_id,
        "instance_uuid": server.id,
        "user_id": principal.person.id,
        "owner_user_name": principal.person.user_name,
        "owner_project_name": project.name,
        "boot_roles": ",".join(sorted(principal.roles)),
        **metadata,
    }
