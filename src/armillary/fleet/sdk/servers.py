"""The machines of one OpenStack cloud (Nova, and Neutron for their floating IPs)."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Mapping
from typing import Any

from armillary.accounts.model import Project
from armillary.base.clock import from_iso
from armillary.base.errors import ArmillaryError, Conflict, NotFound
from armillary.base.ids import CloudName, ImageId, PortId, ServerId
from armillary.base.units import GiB, MiB
from armillary.fleet.model import (
    ADDRESS_MARK,
    PROJECT_MARK,
    FleetCloud,
    FleetFlavor,
    FleetServer,
    Limits,
    ServerRequest,
    SshAddress,
)
from armillary.fleet.sdk.connections import Connections
from armillary.fleet.sdk.errors import refusals

SEVERAL_NETWORKS = "Multiple possible networks found"
"""Nova's words when a project has several and none was named."""
SSH_PORT = re.compile(r"\bssh port (\d+)\b")
"""An embedded cloud says so in a floating IP's description where it may not bind port 22."""
_GPU_WORDS = ("gpu", "nvidia", "tesla", "a100", "h100", "v100", "mi250", "mi300")
"""Aliases of PCI devices are named by the cloud's operator; those that mean a GPU have one of these in them."""
FLAVORS_FOR_SECONDS = 30.0
"""Flavors hardly change and every placement asks for them."""


class SdkServers:
    """Implements `CloudServers` with openstacksdk."""

    def __init__(self, *, cloud: FleetCloud, connections: Connections) -> None:
        self._cloud = cloud
        self._connections = connections
        self._flavors: tuple[float, list[FleetFlavor]] | None = None
        self._external: str | None = None

    def flavors(self, project: Project | None = None) -> list[FleetFlavor]:
        """Every flavor, smallest first."""
        kept = self._flavors
        if kept and time.monotonic() - kept[0] < FLAVORS_FOR_SECONDS:
            return list(kept[1])
        with refusals(self._cloud.name):
            nova = self._connections.get(self._cloud, project).compute
            known = [
                FleetFlavor(
                    id=str(flavor.id),
                    name=str(flavor.name),
                    vcpus=int(flavor.vcpus),
                    ram=MiB(int(flavor.ram)),
                    disk=GiB(int(flavor.disk)),
                    ephemeral=GiB(int(flavor.ephemeral or 0)),
                    gpus=gpus_of(flavor.extra_specs or {}),
                )
                for flavor in nova.flavors()
            ]
        known.sort(key=lambda flavor: (flavor.vcpus, flavor.ram, flavor.disk, flavor.name))
        self._flavors = (time.monotonic(), known)
        return list(known)

    def limits(self, project: Project) -> Limits:
        """The project's quota and its use."""
        with refusals(self._cloud.name):
            absolute = self._connections.get(self._cloud, project).compute.get_limits().absolute
        ram = _limit(absolute.total_ram)
        return Limits(
            cores=_limit(absolute.total_cores),
            cores_used=int(absolute.total_cores_used or 0),
            ram=None if ram is None else MiB(ram),
            ram_used=MiB(int(absolute.total_ram_used or 0)),
            instances=_limit(absolute.instances),
            instances_used=int(absolute.instances_used or 0),
        )

    def create(self, project: Project, request: ServerRequest) -> FleetServer:
        """Begin a machine; a floating IP follows at once where the cloud has its port already."""
        flavor = self._flavor(request.flavor, project)
        metadata = dict(request.metadata)
        if request.floating_ip:
            metadata[ADDRESS_MARK] = "floating"
        if not self._cloud.per_project:
            metadata[PROJECT_MARK] = str(project.id)
        body: dict[str, Any] = {
            "name": request.name,
            "image_id": str(request.image_id),
            "flavor_id": flavor.id,
            "metadata": metadata,
            "networks": [{"uuid": each} for each in request.networks] or "auto",
        }
        if request.groups:
            body["security_groups"] = [{"name": each} for each in request.groups]
        if request.volumes:
            body["block_device_mapping"] = _disks(request)
        if request.key_name:
            body["key_name"] = request.key_name
        if request.user_data is not None:
            body["user_data"] = base64.b64encode(request.user_data.encode()).decode()
        connection = self._connections.get(self._cloud, project)
        try:
            with refusals(self._cloud.name):
                created = connection.compute.create_server(**body)
        except Conflict as error:
            if SEVERAL_NETWORKS not in error.message:
                raise
            with refusals(self._cloud.name):
                body["networks"] = [{"uuid": _way_out(connection)}]
                created = connection.compute.create_server(**body)
        return self.server(project, ServerId(str(created.id)))

    def servers(self, project: Project) -> list[FleetServer]:
        """The project's machines, newest first."""
        with refusals(self._cloud.name):
            connection = self._connections.get(self._cloud, project)
            found = [server for server in connection.compute.servers() if self._is_of(server, project)]
            ports = self._ssh_ports(connection) if found else {}
        mine = [self._to_server(server, ports, project) for server in found]
        return sorted(mine, key=lambda server: server.created_at, reverse=True)

    def server(self, project: Project, server_id: ServerId) -> FleetServer:
        """One machine; gives it the floating IP that it was promised, if that is possible now."""
        with refusals(self._cloud.name):
            connection = self._connections.get(self._cloud, project)
            found = connection.compute.get_server(str(server_id))
            if not self._is_of(found, project):
                raise _no_server(self._cloud.name, server_id)
            server = self._to_server(found, self._ssh_ports(connection), project)
        if not server.wants_address or server.status not in ("BUILD", "ACTIVE"):
            return server
        try:
            with refusals(self._cloud.name):
                if not self._give_address(connection, server_id):
                    return server
                found = connection.compute.get_server(str(server_id))
                return self._to_server(found, self._ssh_ports(connection), project)
        except ArmillaryError:
            return server  # the machine itself is fine; whoever looks next tries again

    def act(self, project: Project, server_id: ServerId, action: str) -> None:
        """`start`, `stop`, `reboot` or `delete` it."""
        try:
            self.server_of(project, server_id)
        except NotFound:
            if action == "delete":
                return
            raise
        with refusals(self._cloud.name):
            connection = self._connections.get(self._cloud, project)
            nova = connection.compute
            match action:
                case "start":
                    nova.start_server(str(server_id))
                case "stop":
                    nova.stop_server(str(server_id))
                case "reboot":
                    nova.reboot_server(str(server_id), "SOFT")
                case "delete":
                    self._release_addresses(connection, server_id)
                    nova.delete_server(str(server_id), ignore_missing=True)
                case _:
                    raise ValueError(action)

    def console(self, project: Project, server_id: ServerId, lines: int) -> str:
        """The end of its serial console."""
        self.server_of(project, server_id)
        with refusals(self._cloud.name):
            nova = self._connections.get(self._cloud, project).compute
            reply: Any = nova.get_server_console_output(str(server_id), length=lines)
            return str(reply.get("output") or "")

    def screen(self, project: Project, server_id: ServerId, *, serial: bool = False) -> str:
        """An address of its screen, or of its serial line."""
        self.server_of(project, server_id)
        with refusals(self._cloud.name):
            nova = self._connections.get(self._cloud, project).compute
            kind, protocol = ("serial", "serial") if serial else ("novnc", "vnc")
            made: Any = nova.create_console(str(server_id), kind, console_protocol=protocol)
            return str(made["url"])

    def ensure_key(self, project: Project, name: str, public_key: str) -> None:
        """Have the ssh key under that name."""
        with refusals(self._cloud.name):
            nova = self._connections.get(self._cloud, project).compute
            known = nova.find_keypair(name)
            if known is None:
                nova.create_keypair(name=name, public_key=public_key)
            elif _key_part(str(known.public_key)) != _key_part(public_key):
                raise Conflict(
                    f"Cloud {self._cloud.name} has another key named {name}.",
                    code="key_differs",
                    facts={"cloud": self._cloud.name, "key": name},
                    remedy="Use another name for this key.",
                )

    def server_of(self, project: Project, server_id: ServerId) -> Any:
        """The SDK's server, if it is the project's.

        Raises:
            NotFound: there is none, or it is another project's (which our credential may see, callers not).
        """
        with refusals(self._cloud.name):
            found = self._connections.get(self._cloud, project).compute.get_server(str(server_id))
        if not self._is_of(found, project):
            raise _no_server(self._cloud.name, server_id)
        return found

    def _flavor(self, name: str, project: Project) -> FleetFlavor:
        for flavor in self.flavors(project):
            if name in (flavor.name, flavor.id):
                return flavor
        raise NotFound(
            f"Cloud {self._cloud.name} has no flavor {name}.",
            code="flavor_not_found",
            facts={"cloud": self._cloud.name, "flavor": name},
            remedy="Choose one of its flavors.",
        )

    def _is_of(self, server: Any, project: Project) -> bool:
        if self._cloud.per_project:
            return str(server.project_id) == str(project.id)
        return _marks(server).get(PROJECT_MARK) == str(project.id)

    # floating IPs

    def give_address(self, project: Project, card_id: PortId) -> None:
        """Put a new floating IP on a card of a machine."""
        with refusals(self._cloud.name):
            connection = self._connections.get(self._cloud, project)
            self._new_address(connection, connection.network.get_port(str(card_id)))

    def _new_address(self, connection: Any, port: Any) -> None:
        connection.network.create_ip(
            floating_network_id=self._external_network(connection),
            port_id=port.id,
            project_id=port.project_id,
        )

    def _give_address(self, connection: Any, server_id: ServerId) -> bool:
        ports = list(connection.network.ports(device_id=str(server_id)))
        if not ports:
            return False  # Nova has not made it yet
        port = ports[0]
        if list(connection.network.ips(port_id=port.id)):
            return True
        self._new_address(connection, port)
        return True

    def _release_addresses(self, connection: Any, server_id: ServerId) -> None:
        server = connection.compute.get_server(str(server_id))
        if _marks(server).get(ADDRESS_MARK) != "floating":
            return  # an address that its owner attached by hand stays the owner's
        for port in connection.network.ports(device_id=str(server_id)):
            for address in connection.network.ips(port_id=port.id):
                connection.network.delete_ip(address.id, ignore_missing=True)

    def _external_network(self, connection: Any) -> str:
        if self._external is None:
            network = connection.network.find_network(self._cloud.external_network, ignore_missing=False)
            self._external = str(network.id)
        return self._external

    def _ssh_ports(self, connection: Any) -> dict[str, int]:
        """Floating address → port where ssh answers, for those that do not answer at 22."""
        found: dict[str, int] = {}
        for address in connection.network.ips():
            match = SSH_PORT.search(str(address.description or ""))
            if match:
                found[str(address.floating_ip_address)] = int(match.group(1))
        return found

    def _to_server(self, server: Any, ssh_ports: Mapping[str, int], project: Project) -> FleetServer:
        fixed, floating = _addresses(server.addresses or {})
        image_id = server.image.id if server.image else None
        fault: Mapping[str, Any] = server.fault or {}
        return FleetServer(
            id=ServerId(str(server.id)),
            name=str(server.name),
            cloud=self._cloud.name,
            status=str(server.status),
            fault=str(fault.get("message") or ""),
            fixed_ip=fixed,
            floating_ip=floating,
            ssh=SshAddress(host=floating, port=ssh_ports.get(floating, 22)) if floating else None,
            image_id=ImageId(str(image_id)) if image_id else None,
            flavor=self._flavor_name(server, project),
            created_at=from_iso(str(server.created_at)),
            key_name=server.key_name,
            task=server.task_state,
            metadata=_marks(server),
        )

    def _flavor_name(self, server: Any, project: Project) -> str:
        # since microversion 2.47 the flavor's name is embedded; before that there is only its id
        named = getattr(server.flavor, "original_name", None) or getattr(server.flavor, "name", None)
        if named:
            return str(named)
        flavor_id = str(getattr(server.flavor, "id", "") or "")
        return next((f.name for f in self.flavors(project) if f.id == flavor_id), flavor_id)


def _disks(request: ServerRequest) -> list[dict[str, Any]]:
    """The machine's own disk from its image, then volumes that stay when it goes (Nova's mapping, version 2)."""
    own = {
        "uuid": str(request.image_id),
        "source_type": "image",
        "destination_type": "local",
        "boot_index": 0,
        "delete_on_termination": True,
    }
    more = [
        {
            "uuid": str(volume),
            "source_type": "volume",
            "destination_type": "volume",
            "boot_index": -1,
            "delete_on_termination": False,
        }
        for volume in request.volumes
    ]
    return [own, *more]


def gpus_of(specs: Mapping[str, Any]) -> int:
    """Return how many GPUs a flavor's extra specs ask for: virtual ones, and PCI devices whose alias says so."""
    count = int(str(specs.get("resources:VGPU", "0")) or 0)
    for part in str(specs.get("pci_passthrough:alias", "")).split(","):
        name, _, number = part.strip().partition(":")
        if any(word in name.lower() for word in _GPU_WORDS):
            count += int(number) if number.isdigit() else 1
    return count


def _way_out(connection: Any) -> str:
    """Return the network for a machine of a project that has several: the oldest that a router leads out of."""
    mine = connection.current_project_id
    networks = [
        network
        for network in connection.network.networks(is_router_external=False)
        if network.project_id == mine or network.is_shared
    ]
    routed = {
        port.network_id
        for port in connection.network.ports(project_id=mine)
        if str(port.device_owner).startswith("network:router_interface")
    }
    first = min(networks, key=lambda one: (one.id not in routed, str(one.created_at), one.id))
    return str(first.id)


def _addresses(networks: Mapping[str, list[Mapping[str, Any]]]) -> tuple[str | None, str | None]:
    fixed = floating = None
    for addresses in networks.values():
        for address in addresses:
            if address.get("OS-EXT-IPS:type") == "floating":
                floating = floating or str(address["addr"])
            else:
                fixed = fixed or str(address["addr"])
    return fixed, floating


def _marks(server: Any) -> dict[str, str]:
    metadata: Mapping[str, Any] = server.metadata or {}
    return {key: str(value) for key, value in metadata.items()}


def _limit(value: Any) -> int | None:
    return None if value is None or int(value) < 0 else int(value)


def _key_part(public_key: str) -> list[str]:
    return public_key.split()[:2]  # without the comment


def _no_server(cloud: CloudName, server_id: ServerId) -> NotFound:
    return NotFound(
        f"Cloud {cloud} has no machine {server_id}.",
        code="server_not_found",
        facts={"cloud": cloud, "server": server_id},
        remedy="List the machines.",
    )
