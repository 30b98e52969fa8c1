"""Control groups of both versions, over directories that look like the kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from armillary.guest.agent import groups


@pytest.fixture
def second(tmp_path: Path) -> Path:
    """A machine with control groups of version 2, where systemd has delegated one to us."""
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    own = tmp_path / "system.slice" / "armillary-agent.service"
    (own / "agent").mkdir(parents=True)
    (own / "cgroup.subtree_control").write_text("")
    return tmp_path


OWN = "0::/system.slice/armillary-agent.service\n"


def made(root: Path) -> tuple[groups.Group, Path]:
    found = groups.find(root=root, own=OWN)
    assert found
    group = found.make("1.0-1")
    assert group
    return group, root / "system.slice/armillary-agent.service/job-1.0-1"


def test_the_agent_makes_room_for_groups_below_its_own(second: Path):
    found = groups.find(root=second, own=OWN)
    assert found
    assert found.limits_memory
    own = second / "system.slice/armillary-agent.service"
    assert (own / "agent/cgroup.procs").read_text().isdigit()
    assert (own / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"


def test_a_share_is_a_weight_and_two_bounds(second: Path):
    group, directory = made(second)
    group.limit(cpus=3, memory_mib=2048, pids=100)
    written = {path.name: path.read_text() for path in directory.iterdir()}
    assert written == {
        "cpu.weight": "300",
        "memory.max": str(2048 << 20),
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "pids.max": "100",
    }
    assert group.entries == [str(directory / "cgroup.procs")]


def test_what_a_job_used_is_read_from_the_kernels_files(second: Path):
    group, directory = made(second)
    assert group.peak_memory_kib() is None
    assert group.cpu_seconds() is None
    (directory / "memory.peak").write_text("4194304\n")
    (directory / "memory.stat").write_text("anon 1048576\nfile 9999999\nshmem 1048576\n")
    (directory / "cpu.stat").write_text("usage_usec 3500000\nuser_usec 2500000\nsystem_usec 1000000\n")
    (directory / "memory.events").write_text("low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\n")
    (directory / "pids.events").write_text("max 0\n")
    assert group.peak_memory_kib() == 4096
    assert group.memory_kib() == 2048
    assert group.cpu_seconds() == (2.5, 1.0)
    assert group.out_of_memory()
    assert not group.out_of_pids()


def test_groups_of_an_earlier_agent_are_found(second: Path):
    made(second)
    found = groups.find(root=second, own=OWN)
    assert found
    (old,) = found.leftovers()
    assert old.processes() == []
    old.remove()
    assert found.leftovers() == []


def test_a_machine_with_version_1_has_a_group_for_each_controller(tmp_path: Path):
    for controller in ("cpu", "memory", "pids", "cpuacct"):
        (tmp_path / controller).mkdir()
        (tmp_path / controller / "cgroup.procs").touch()
    (tmp_path / "memory/deep").mkdir()
    (tmp_path / "memory/deep/cgroup.procs").touch()
    own = "4:memory:/deep\n3:cpu:/\n2:cpuacct:/\n1:pids:/not/seen/from/here\n0::/\n"
    found = groups.find(root=tmp_path, own=own)
    assert found
    group = found.make("1.0-1")
    assert group
    group.limit(cpus=2, memory_mib=1, pids=5)
    assert (tmp_path / "memory/deep/job-1.0-1/memory.limit_in_bytes").read_text() == str(1 << 20)
    assert (tmp_path / "cpu/job-1.0-1/cpu.shares").read_text() == "2048"
    assert (tmp_path / "pids/job-1.0-1/pids.max").read_text() == "5"
    (tmp_path / "memory/deep/job-1.0-1/memory.oom_control").write_text("oom_kill_disable 0\noom_kill 2\n")
    assert group.out_of_memory()


def test_a_machine_without_control_groups_has_none(tmp_path: Path):
    assert groups.find(root=tmp_path, own="") is None
