"""A machine that is nobody yet: the line on which it is told, and what it believes of its config drive.

What it does to a machine (its clock, random numbers, card, keys) is tried in one: tests/app/test_warm_workers.py.
"""

from __future__ import annotations

import json
import os
import pty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from armillary.batch import user_data
from armillary.guest.agent import waking

TOLD = {"url": "https://armillary.internal", "bootstrap_token": "worker-s-own"}


@pytest.fixture
def wire() -> Iterator[tuple[int, str]]:
    """Both ends of a serial line: ours, and the name of the guest's."""
    ours, theirs = pty.openpty()
    yield ours, os.ttyname(theirs)
    os.close(ours)
    os.close(theirs)


def worker(**more: Any) -> str:
    return user_data.build(agent=b"agent", config={**TOLD, **more}, ca_pem=b"PEM", gateway=None)


def drive(folder: Path, text: str) -> Path:
    latest = folder / "openstack" / "latest"
    latest.mkdir(parents=True)
    (latest / "meta_data.json").write_text(json.dumps({"uuid": "u-1", "hostname": "worker-1"}))
    link = {"id": "tap0", "ethernet_mac_address": "fa:16:3e:00:00:07"}
    (latest / "network_data.json").write_text(json.dumps({"links": [link]}))
    (latest / "user_data").write_text(text)
    return folder


def test_the_line_carries_words_both_ways(wire: tuple[int, str]) -> None:
    ours, name = wire
    line = waking.Line(name)
    line.say("waiting")
    assert os.read(ours, 100) == b"waiting\n"
    os.write(ours, b"wake 1770000000.5 00ff\nmore")
    assert line.hear(5) == "wake 1770000000.5 00ff"
    assert line.hear(0) == ""


def test_what_was_said_before_anybody_listened_is_not_heard(wire: tuple[int, str]) -> None:
    ours, name = wire
    os.write(ours, b"noise\n")
    line = waking.Line(name)
    os.write(ours, b"wake\n")
    assert line.hear(5) == "wake"


def test_a_workers_drive_tells_who_it_is(tmp_path: Path) -> None:
    about, links, document = waking.read_identity(drive(tmp_path, worker()))
    assert (about["uuid"], about["hostname"]) == ("u-1", "worker-1")
    assert [link["ethernet_mac_address"] for link in links] == ["fa:16:3e:00:00:07"]
    assert document["write_files"]


@pytest.mark.parametrize("text", ["#!/bin/sh\n", "#cloud-config\n{}", "#cloud-config\npackages: [vim]\n"])
def test_a_drive_of_somebody_who_is_no_worker_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(waking.Failed):
        waking.read_identity(drive(tmp_path, text))


def test_the_files_of_a_worker_are_written_as_cloud_init_would(tmp_path: Path) -> None:
    document = json.loads(worker().split("\n", 1)[1])
    waking.write_files(document, tmp_path)
    config = tmp_path / "etc/armillary/agent.json"
    assert json.loads(config.read_text()) == TOLD
    assert config.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "opt/armillary/start").stat().st_mode & 0o777 == 0o755


def test_a_file_that_is_there_already_is_left_alone_and_another_one_replaced(tmp_path: Path) -> None:
    document = json.loads(worker().split("\n", 1)[1])
    waking.write_files(document, tmp_path)
    agent = tmp_path / "opt/armillary/agent.pyz"
    before = agent.stat().st_mtime_ns
    document = json.loads(worker(bootstrap_token="another").split("\n", 1)[1])
    waking.write_files(document, tmp_path)
    assert agent.stat().st_mtime_ns == before
    told = json.loads((tmp_path / "etc/armillary/agent.json").read_text())
    assert told["bootstrap_token"] == "another"


def test_a_template_is_told_to_wait_and_nothing_else() -> None:
    text = user_data.template(agent=b"agent", ca_pem=b"PEM")
    document = json.loads(text.split("\n", 1)[1])
    assert document["ssh_genkeytypes"] == []
    assert document["ssh_deletekeys"] is True


def test_a_templates_configuration_holds_no_secret(tmp_path: Path) -> None:
    document = json.loads(user_data.template(agent=b"agent", ca_pem=b"PEM").split("\n", 1)[1])
    waking.write_files(document, tmp_path)
    told = json.loads((tmp_path / "etc/armillary/agent.json").read_text())
    assert told == {"template": "/dev/ttyS1"}
