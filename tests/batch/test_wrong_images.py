"""A cloud that boots something else under an image's name: its machines are refused, and the refusal says what differs."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from batch_world import World
from scaler_hands import machines, only_east, reasons, ticks
from test_agent_protocol import Agent, code
from test_the_agent_meets_the_service import an_agent, serving, until

from armillary.base.ids import WorkerId
from armillary.disks.model import File, Manifest
from armillary.guest.agent.measuring import measure


def a_tree(folder: Path) -> Path:
    """A system of a few files, as a machine has it."""
    for path, text in {
        "usr/bin/bash": "the shell",
        "usr/bin/sextractor": "finds sources",
        "usr/lib/python3/a.py": "print()",
        "usr/lib/python3/__pycache__/a.pyc": "made at some boot",
        "usr/local/share/ca-certificates/armillary.crt": "written at each boot",
        "var/lib/dpkg/status": "Package: bash",
        "etc/hostname": "worker-1",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
        (folder / path).chmod(0o755)
    (folder / "usr/bin/sh").symlink_to("bash")
    return folder


def manifest_of(folder: Path) -> Manifest:
    """What reading an image with this tree would say."""
    files: list[File] = []
    for path in sorted(folder.rglob("*")):
        about, name = path.lstat(), str(path.relative_to(folder))
        kind = "link" if path.is_symlink() else "dir" if path.is_dir() else "file"
        files.append(
            File(
                path=name,
                kind=kind,
                mode=about.st_mode & 0o7777,
                uid=0,
                gid=0,
                size=about.st_size if kind == "file" else 0,
                sha256=hashlib.sha256(path.read_bytes()).hexdigest() if kind == "file" else "",
                target=str(path.readlink()) if kind == "link" else "",
            )
        )
    return Manifest(system="", filesystem="ext4", files=files, packages=[])


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return a_tree(tmp_path / "tree")


def register(world: World, tree: Path, worker: str = "w1") -> Any:
    """Do what an agent in the tree does."""
    agent = Agent(world.client())
    token = world.register.invite(WorkerId(worker), world.group)
    asked = agent.call("probe", {"bootstrap_token": token}).json()["questions"]
    body = {"bootstrap_token": token, "server_id": "s1", "image_sha512": world.group.image}
    body |= {"cpus": 2, "memory_mib": 2048, "disk_kib": 1024}
    return agent.call("register", {**body, "measured": measure(asked, tree) if asked else None})


def test_a_machine_of_the_image_registers_whatever_its_boot_has_written(world: World, tree: Path) -> None:
    world.manifests[world.group.image] = manifest_of(tree)
    (tree / "etc/hostname").write_text("worker-2")
    (tree / "usr/lib/python3/__pycache__/b.pyc").write_text("made at this boot")
    (tree / "usr/local/share/ca-certificates/armillary-batch.crt").write_text("an authority")
    assert register(world, tree).status_code == 200


def test_nothing_is_asked_about_an_image_that_nobody_has_looked_into(world: World, tree: Path) -> None:
    assert register(world, tree).status_code == 200


def changed_contents(tree: Path) -> None:
    (tree / "usr/bin/bash").write_text("a bad one")  # as long as before


def changed_packages(tree: Path) -> None:
    (tree / "var/lib/dpkg/status").write_text("Package: bush")


def added_program(tree: Path) -> None:
    (tree / "usr/bin/miner").write_text("digs")


def removed_program(tree: Path) -> None:
    (tree / "usr/bin/sextractor").unlink()


def turned_link(tree: Path) -> None:
    (tree / "usr/bin/sh").unlink()
    (tree / "usr/bin/sh").symlink_to("miner")


def set_user(tree: Path) -> None:
    (tree / "usr/bin/sextractor").chmod(0o4755)


def linked_away(tree: Path) -> None:
    (tree / "usr/bin/bash").rename(tree / "bash")
    (tree / "usr/bin/bash").symlink_to("../../bash")


TAMPERINGS = [
    (changed_contents, "/usr/bin/bash: other contents"),
    (changed_packages, "/var/lib/dpkg/status: other contents"),
    (added_program, "/usr/bin: other files"),
    (removed_program, "/usr/bin: other files"),
    (turned_link, "/usr/bin: other files"),
    (set_user, "/usr/bin: other files"),
    (linked_away, "/usr/bin/bash: it is not there"),
]


@pytest.mark.parametrize(("tamper", "named"), TAMPERINGS, ids=[f.__name__ for f, _ in TAMPERINGS])
def test_a_machine_of_a_tampered_image_is_refused_and_what_differs_is_named(
    world: World, tree: Path, tamper: Any, named: str
) -> None:
    world.manifests[world.group.image] = manifest_of(tree)
    tamper(tree)
    reply = register(world, tree)
    assert code(reply) == (403, "wrong_image")
    assert named in reply.json()["error"]["facts"]["differences"]


def test_a_machine_that_does_not_answer_is_asked_again(world: World, tree: Path) -> None:
    world.manifests[world.group.image] = manifest_of(tree)
    agent = Agent(world.client())
    token = world.register.invite(WorkerId("w1"), world.group)
    assert code(agent.register(token, world.group.image)) == (412, "image_not_measured")
    assert code(agent.call("probe", {"bootstrap_token": "of nobody"})) == (401, "bad_bootstrap_token")


def test_the_scaler_ends_the_machine_and_says_which_cloud_gave_what(world: World, tree: Path) -> None:
    east = only_east(world)
    world.manifests[world.group.image] = manifest_of(tree)
    added_program(tree)
    world.submit(1)
    world.scaler.tick()
    (machine,) = machines(world)
    assert code(register(world, tree, worker=machine.id)) == (403, "wrong_image")
    ticks(world, 1)
    (lane,) = [lane for lane, record in world.fleet_records.lanes().items() if record.failures]
    assert (lane.cloud, lane.image) == (east.name, world.group.image)
    ended = world.fleet_records.machine(machine.id)
    assert ended is not None
    assert ended.reason_code == "wrong_image"
    assert "east booted something else than the image" in str(reasons(world))
    assert "/usr/bin: other files" in str(reasons(world))


def test_the_shipped_agent_is_turned_away_from_a_tampered_machine_and_works_on_a_good_one(
    world: World, tree: Path, tmp_path: Path
) -> None:
    world.manifests[world.group.image] = manifest_of(tree)
    other = a_tree(tmp_path / "other")
    changed_packages(other)
    with serving(world.client().app) as url:
        for name, root in (("bad", other), ("good", tree)):
            folder = tmp_path / name
            folder.mkdir()
            token = world.register.invite(WorkerId(name), world.group)
            with an_agent(folder, url, token, world.group.image, image_root=str(root)) as process:
                if name == "bad":
                    assert process.wait(timeout=60) == 3
                else:
                    until(lambda: [report.id for report in world.queue.workers()] == ["good"])
