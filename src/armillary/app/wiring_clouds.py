"""Makes the embedded clouds: each with its own records, images, capacity and engine."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from armillary.accounts.certificates import Authority
from armillary.accounts.service import AccountsService
from armillary.accounts.trail import Trail
from armillary.app.acceleration import choose_acceleration
from armillary.app.addresses import GUEST_HOST, Addresses
from armillary.app.audited import Audited
from armillary.app.database import make_engine
from armillary.app.schema import bring_up_to_date
from armillary.app.settings import CloudTable, Settings
from armillary.app.vendor_data import vendor_data
from armillary.app.wiring_inside import welcome_of
from armillary.base.clock import Clock
from armillary.base.ids import CloudName
from armillary.base.units import GiB, MiB
from armillary.batch.agent_archive import agent_source
from armillary.batch.user_data import TEMPLATE_MARK, template, template_name
from armillary.cloud.build import Cloud, CloudSettings, build_cloud
from armillary.cloud.core.template import Waiting
from armillary.cloud.engines.fake import FakeFabric, FakeMachines, FakeVolumeDisks
from armillary.cloud.engines.qemu.checkpoints import Keeping
from armillary.cloud.engines.qemu.command import Accelerator, Tuning
from armillary.cloud.engines.qemu.fabric import QemuFabric
from armillary.cloud.engines.qemu.machines import QemuMachines
from armillary.cloud.engines.qemu.volumes import QemuVolumeDisks
from armillary.cloud.model import Capacity
from armillary.cloud.ports import Fabric, Hypervisor
from armillary.cloud.volumes.ports import VolumeDisks


def audit_roles(clouds: Mapping[CloudName, Cloud], trail: Trail) -> None:
    """Have the trail told of the roles that Keystone gives and takes, and of nothing else that clouds are asked."""
    for cloud in clouds.values():
        cloud.app = Audited(cloud.app, trail=trail, space=("/",))


def build_clouds(
    *,
    settings: Settings,
    addresses: Addresses,
    accounts: AccountsService,
    authority: Authority,
    clock: Clock,
) -> dict[CloudName, Cloud]:
    """Make every embedded cloud, under `home/clouds/<name>`."""
    host_ports = frozenset({addresses.https_port, *addresses.cloud_ports.values(), *settings.guest_ports})
    extra = vendor_data(
        host=GUEST_HOST,
        https_port=addresses.https_port,
        ca_pem=authority.ca_pem,
        welcome=welcome_of(authority, clock),
    )

    waiting = None
    if settings.batch.warm_workers:
        told = template(agent=agent_source(), ca_pem=authority.ca_pem)
        waiting = Waiting(mark=TEMPLATE_MARK, name=template_name(told), user_data=told)

    @cache
    def accelerator() -> Accelerator:
        """Asked once for all clouds, and only if one of them runs machines."""
        return choose_acceleration(settings).kind

    # a template boots only when nothing else wants the processors, and never two of them at once
    turn = threading.Lock()
    clouds: dict[CloudName, Cloud] = {}
    for table in settings.clouds:
        name = CloudName(table.name)
        directory = settings.home / "clouds" / table.name
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        machines, fabric = _engine(settings, table, accelerator, turn)
        records = make_engine(f"sqlite:///{directory / 'cloud.db'}")
        bring_up_to_date(records, "cloud")
        clouds[name] = build_cloud(
            settings=CloudSettings(
                name=name,
                region=table.name,
                base_url=addresses.cloud_url(name),
                directory=directory,
                floating_cidr=table.floating_cidr,
                vendor_data=extra,
                host_ports=host_ports,
                requests_per_minute=settings.limits.requests_per_minute,
                sign_ins_per_minute=settings.limits.sign_ins_per_minute,
                metadata_secret=_secret(directory / "metadata.secret"),
                waiting=waiting,
            ),
            accounts=accounts,
            machines=machines,
            fabric=fabric,
            volume_disks=_volume_disks(table, directory / "volumes"),
            engine=records,
            clock=clock,
        )
    return clouds


def _secret(file: Path) -> str:
    """Return what a cloud and its switch share; kept, because the switch lives on while the platform is down."""
    if not file.exists():
        partial = file.with_suffix(".partial")
        partial.touch(mode=0o600)
        partial.write_text(secrets.token_hex(32), encoding="ascii")
        partial.replace(file)
    return file.read_text(encoding="ascii")


def _volume_disks(table: CloudTable, directory: Path) -> VolumeDisks:
    if table.engine == "fake":
        return FakeVolumeDisks(directory=directory)
    return QemuVolumeDisks(directory=directory)


def _engine(
    settings: Settings, table: CloudTable, accelerator: Callable[[], Accelerator], turn: threading.Lock
) -> tuple[Hypervisor, Fabric]:
    directory = settings.home / "clouds" / table.name / "machines"
    capacity = Capacity(vcpus=table.vcpus, ram=MiB(table.ram_mib), disk=GiB(table.disk_gib))
    if table.engine == "fake":
        fake = FakeMachines(directory=directory, capacity=capacity, most_checkpoints=table.warm_checkpoints)
        return fake, FakeFabric()
    keeping = Keeping(
        most=table.warm_checkpoints, octets=table.warm_gib * 2**30, spare=table.warm_spare, turn=turn
    )
    machines = QemuMachines(
        directory=directory,
        capacity=capacity,
        tuning=Tuning(accelerator=accelerator()),
        keeping=keeping,
    )
    return machines, QemuFabric(directory=directory)
