"""What made a result, on the command line: a real agent's job, and OpenSSL as the judge of its signature."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from terminal import Terminal
from whole_platform import FLAVOR, WholePlatform

from armillary.accounts.model import Principal
from armillary.cli import why
from armillary.cli.session import connect
from armillary.client.comparing import OnPlatform
from armillary.client.crates import Crates
from armillary.crates.record import JobRecord
from armillary.provenance import clerk
from armillary.provenance.model import JOB_PROPERTY
from armillary.vospace.service.marking import Mark

SUBMIT = "executable = count.sh\narguments = m51\ntransfer_input_files = m51.txt\nqueue\n"


@pytest.fixture
def worker(platform: WholePlatform, tmp_path: Path) -> Iterator[None]:
    process = platform.start_worker(tmp_path / "worker")
    yield
    process.terminate()
    process.wait(60)


def test_a_job_is_told_from_its_record_and_anybody_can_check_it(
    vera: Terminal, worker: None, platform: WholePlatform, tmp_path: Path
) -> None:
    desk = tmp_path / "desk"
    desk.mkdir()
    (desk / "count.sh").write_text('#!/bin/sh\nwc -c < "$1.txt" > found.cat\n')
    (desk / "m51.txt").write_text("whirlpool")
    (desk / "count.sub").write_text(SUBMIT)
    vera.at(desk)
    vera("submit", "count.sub", "--image", "my-snapshot", "--flavor", FLAVOR, "--wait")
    job = json.loads(vera("history", "--json").stdout)[0]["id"]

    made = json.loads(vera("why", job, "--json").stdout)
    record = made["record"]
    assert made["intact"]
    assert record["machine"]["kernel"].startswith(os.uname().release)
    assert [(one["name"], one["size"]) for one in record["inputs"]] == [("m51.txt", 9)]
    brought = {one["name"]: one["sha256"] for one in record["outputs"]}
    assert brought["found.cat"] == hashlib.sha256(b"9\n").hexdigest()

    vera("why", job, "--save", "record")
    for part in ("job", "cluster"):
        line = f"pkeyutl -verify -pubin -inkey {part}.pem -rawin -in {part}.json -sigfile {part}.sig"
        judged = subprocess.run(["openssl", *line.split()], cwd=desk / "record", check=False, timeout=60)
        assert judged.returncode == 0

    platform.space.ensure_home(platform.vera)
    platform.space.put_bytes(Principal(person=platform.vera), "/home/vera/9.cat", [b"9\n"])
    told = vera("why", "vos:me/9.cat").stdout
    assert f"Job {job} wrote these bytes" in told
    with click.Context(click.Command("compare")), connect() as http:
        side = OnPlatform(crates=Crates(http=http), target=job)
        assert side.holds("vos:/home/vera/9.cat", brought["found.cat"])
        assert not side.holds("vos:/home/vera/9.cat", "0" * 64)
        assert not side.holds("vos:/home/vera/gone.cat", brought["found.cat"])
    platform.space.put_bytes(Principal(person=platform.vera), "/home/vera/own.cat", [b"own\n"])
    assert vera("why", "/home/vera/own.cat", status=1).stdout.count("No record has these bytes") == 1


def test_a_job_of_which_no_record_can_be_made_says_why_to_its_owner_and_to_administrators(
    vera: Terminal, worker: None, platform: WholePlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*_: object, **__: object) -> JobRecord:
        raise ValueError("a number is too\x1b[2J large")

    monkeypatch.setattr(clerk, "job_record", cannot)
    vera.at(tmp_path)
    (tmp_path / "count.sub").write_text("executable = /bin/true\ntransfer_executable = false\nqueue\n")
    vera("submit", "count.sub", "--image", "my-snapshot", "--flavor", FLAVOR, "--wait")
    job = json.loads(vera("history", "--json").stdout)[0]["id"]
    reason = "a number is too\N{REPLACEMENT CHARACTER}[2J large"
    assert reason in vera("why", job, status=1).stderr

    platform.space.ensure_home(platform.vera)
    who = Principal(person=platform.vera)
    platform.space.put_bytes(who, "/home/vera/out", [b"7\n"])
    blob = platform.space.node(who, "/home/vera/out").blob
    assert blob
    platform.space.mark([Mark(path="/home/vera/out", blob=blob, properties={JOB_PROPERTY: job})])
    told = vera("why", "vos:me/out", status=1).stdout
    assert f"The file names job {job}, of which no record can be made: {reason}" in told

    vera("admin", "unrecorded", status=4)
    password = f"{platform.administrator_password}\n"
    vera("login", "admin", "--url", platform.url, "--password-stdin", stdin=password)
    [found] = vera.json("admin", "unrecorded")
    assert (found["job"], found["attempt"], found["reason"]) == (job, 1, reason)


@pytest.mark.parametrize(
    ("lineage", "told"),
    [
        (
            [{"kind": "recipe", "name": "debian-12"}, {"kind": "base", "name": "base"}],
            "recipe debian-12 → base base",
        ),
        ([], "not known: no cloud that answered had the image when this was written down"),
    ],
)
def test_of_an_image_that_no_cloud_could_speak_of_it_says_so(
    capsys: pytest.CaptureFixture[str], lineage: list[dict[str, str]], told: str
) -> None:
    record = {
        "job": "1.0", "attempt": 1, "attempts": 1, "spec": {}, "arguments": ["date"], "started_at": None, "ended_at": None,
        "exit_code": 0, "signal": None, "error": None, "executable": None, "inputs": [], "outputs": [], "accesses": [],
        "accesses_dropped": 0, "machine": {"flavor": "c1", "cloud": "east", "cpu_model": "", "kernel": ""},
    }  # fmt: skip
    person, project = {"name": "vera"}, {"name": "rotation"}
    image = {"name": "my-snapshot", "sha512": "ab" * 64, "lineage": lineage}
    made = {
        "job": "1.0", "record": record, "intact": True, "signature": {"key": "cd" * 32},
        "cluster": {"record": {"owner": person, "project": project, "image": image}},
    }  # fmt: skip
    with click.Context(why.why):
        why._show_record(made)
    [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("From:")]
    assert line.removeprefix("From:").strip() == told
