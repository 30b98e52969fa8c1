"""A machine joins a pool when it has shown that it is made of its image, and nobody else does with its user data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from batch_world import World
from fastapi import FastAPI
from test_the_agent_meets_the_service import serving
from test_wrong_images import a_tree, added_program, manifest_of

from armillary.base.ids import CloudName, WorkerId, new_hex
from armillary.batch.api import pool_job_router
from armillary.batch.engines.htcondor.admitting import Admission
from armillary.batch.engines.htcondor.attending import Attending
from armillary.batch.engines.htcondor.joining import CondorEnrolment, PoolTerms, Reach
from armillary.batch.engines.htcondor.machines import Machines
from armillary.batch.engines.htcondor.ports import Pool, Site
from armillary.batch.engines.htcondor.secrets import Secrets
from armillary.batch.model import Resources
from armillary.guest.agent import beside
from armillary.guest.agent.basics import Fault

W1 = WorkerId("w1")


@dataclass
class Gate:
    """A platform that machines can reach, and what makes their user data."""

    world: World
    url: str
    secrets: Secrets

    def booted(self, tree: Path) -> dict[str, str]:
        """The configuration of a machine with this tree."""
        token = self.world.register.invite(W1, self.world.group)
        return {"url": self.url, "bootstrap_token": token, "image_root": str(tree)}


@pytest.fixture
def gate(world: World, tmp_path: Path) -> Iterator[Gate]:
    (tmp_path / "POOL").write_bytes(b"k" * 64)
    secrets = Secrets(
        key_file=tmp_path / "POOL",
        trust_domain="pool.test",
        token_life=timedelta(hours=1),
        clock=world.clock,
        new_id=new_hex,
    )
    app = cast("FastAPI", world.client().app)
    admission = Admission(register=world.register, secrets=secrets, genuine=world.genuine)
    nobody = cast("Attending", None)  # no jobs here
    app.include_router(pool_job_router(attending=nobody, admission=admission, calls=world.calls))
    with serving(app) as url:
        yield Gate(world, url, secrets)


def test_a_machine_of_the_image_gets_its_token_for_its_own_eyes(gate: Gate, tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree")
    gate.world.manifests[gate.world.group.image] = manifest_of(tree)
    beside.join(gate.booted(tree), tmp_path / "token", patience=0)
    assert (tmp_path / "token").read_text().count(".") == 2
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600


def test_a_machine_of_a_tampered_image_gets_none(gate: Gate, tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree")
    gate.world.manifests[gate.world.group.image] = manifest_of(tree)
    added_program(tree)
    with pytest.raises(Fault, match="not booted from the image"):
        beside.join(gate.booted(tree), tmp_path / "token", patience=0)
    assert not (tmp_path / "token").exists()


def test_a_machine_that_has_joined_lets_nobody_in_after_it(gate: Gate, tmp_path: Path) -> None:
    config = gate.booted(a_tree(tmp_path / "tree"))
    beside.join(config, tmp_path / "token", patience=0)
    beside.join(config, tmp_path / "token", patience=0)  # the first answer was lost
    said = {
        "ArmillaryWorker": W1,
        "ArmillaryImage": gate.world.group.image,
        "AuthenticatedIdentity": f"{W1}@pool.test",
        "PartitionableSlot": True,
        "LastHeardFrom": int(gate.world.clock.now().timestamp()),
    }

    class Collector:
        def machines(self, _constraint: str, _projection: object) -> list[dict[str, object]]:
            return [said]

    pool = cast("Pool", Collector())
    site = Site(database=gate.world.database, clock=gate.world.clock, pool=pool, platform="m")
    Machines(site=site).look()
    with pytest.raises(Fault, match="used before"):
        beside.join(config, tmp_path / "token", patience=0)


@pytest.mark.parametrize("reached", [True, False])
def test_user_data_holds_no_token_of_the_pool_where_the_platform_is_reached(
    gate: Gate, reached: bool
) -> None:
    enrolment = CondorEnrolment(
        register=gate.world.register,
        secrets=gate.secrets,
        terms=PoolTerms(collector="pool.test:9618", trust_domain="pool.test", platform="m"),
        reach=(lambda _cloud: Reach(url=gate.url, ca_pem=None)) if reached else None,
    )
    size = Resources(cpus=2, memory_mib=2048, disk_kib=1024)
    data = enrolment.user_data(W1, group=gate.world.group, cloud=CloudName("east"), size=size)
    files = json.loads(data.removeprefix("#cloud-config\n"))["write_files"]
    secret = [file["path"] for file in files if file["permissions"] == "0600"]
    assert secret == ["/opt/armillary/join.json" if reached else "/etc/condor/tokens.d/armillary"]
