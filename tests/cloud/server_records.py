"""Servers straight into the records, where a test needs many, or states that take long to come to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from armillary.app.database import make_engine
from armillary.base.ids import ImageId, PersonId, ProjectId, ServerId, Sha512
from armillary.base.units import GiB, MiB
from armillary.cloud import store
from armillary.cloud.compute.model import Flavor, Server, VmState

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
SMALL = Flavor(id="small", name="small", vcpus=1, ram=MiB(512), disk=GiB(1), ephemeral=GiB(0), swap=MiB(0))


def server_id(number: int) -> ServerId:
    return ServerId(f"00000000-0000-4000-8000-{number:012d}")


def a_server(number: int, project_id: str, **attributes: Any) -> Server:
    """A server made `number` seconds after `BEGAN`."""
    moment = BEGAN + timedelta(seconds=number)
    plain = Server(
        id=server_id(number), name=f"vm-{number}", description=None, hostname=f"vm-{number}",
        project_id=ProjectId(project_id), user_id=PersonId("ada"), image_id=ImageId("image-1"),
        image_sha512=Sha512("0" * 128), image_format="raw", flavor=SMALL, key_name=None, key_type="ssh",
        public_key=None, user_data=None, config_drive=False, metadata={}, tags=(), seed="",
        reservation_id=f"r-{number}", launch_index=0, vm_state=VmState.ACTIVE, task_state=None, fault=None,
        locked=False, locked_reason=None, charged=True, placed=True, snapshot_image_id=None, created_at=moment,
        updated_at=moment, launched_at=moment, deleted_at=None,
    )  # fmt: skip
    return replace(plain, **attributes)


def record(directory: Path, servers: Iterator[Server] | list[Server]) -> None:
    """Write servers into the records of the cloud in a directory."""
    engine = make_engine(f"sqlite:///{directory}/cloud.db", durable=False)
    with engine.begin() as connection:
        connection.execute(insert(store.servers), [vars(server) for server in servers])
    engine.dispose()
