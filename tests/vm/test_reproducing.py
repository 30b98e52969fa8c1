"""The tutorial's twelve jobs leave their platform in one file, and are made again on one that knows nothing of them.

That platform has a home, ports, keys, people and a cloud of its own, no image, and nothing in its cache; the first one
is not there any more. What it boots is what came in the file.
"""

import hashlib
import json
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from armillary.client.http import Armillary
from armillary.client.provenance import Provenance
from golden import Golden

pytestmark = [pytest.mark.vm, pytest.mark.timeout(2400)]


@dataclass(frozen=True, kw_only=True)
class Carried:
    """What is left of the first platform: a crate with its image, and the fingerprint of the key that signed it."""

    place: Path
    cluster: str
    key: str
    image_sha512: str


class Fresh(Golden):
    """A platform of somebody else's, whose cache is empty."""

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "ARMILLARY_CACHE": str(self.home / "cache")}


@pytest.fixture(scope="module")
def carried(
    golden: Golden, report: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Carried]:
    """The demo's jobs, frozen at home and carried away; then nobody is at home."""
    folder = tmp_path_factory.mktemp("carried")
    cluster = report["jobs"][0]["id"].partition(".")[0]
    running = golden.running()
    with Armillary(url=running["url"], ca_file=running["ca_file"]) as http:
        published = Provenance(http=http).keys()
    (key,) = (one["id"] for one in published if one["current"])
    frozen = golden.json("armillary", "freeze", cluster, "--title", "Sources at four thresholds")
    assert "east" in frozen["image_kept"]
    place = folder / "sources.zip"
    told = golden.json("armillary", "export", cluster, "--with-image", "-o", str(place))
    assert (told["verdict"], len(told["jobs"])) == ("good", 12)
    golden.run("armillary", "unfreeze", cluster, "--yes")
    golden.operate("down")
    yield Carried(place=place, cluster=cluster, key=key, image_sha512=report["jobs"][0]["image_sha512"])
    shutil.rmtree(folder)
    golden.operate("up")


@pytest.fixture(scope="module")
def fresh(carried: Carried, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fresh]:
    platform = Fresh(tmp_path_factory.mktemp("fresh") / "home", {"south": "127.30.0.0/24"})
    platform.configure(batch={"warm_workers": False})
    try:
        platform.settle(project="m51-again", batch_cores=2)
        yield platform
    finally:
        platform.close()


def digests(crate: Path) -> dict[str, str]:
    """The SHA-256 of what jobs made, as it lies in a crate, by number of the job and name."""
    found: dict[str, str] = {}
    with zipfile.ZipFile(crate) as archive:
        for name in archive.namelist():
            kind, _, rest = name.partition("/")
            if kind in {"outputs", "written"}:
                job, _, path = rest.partition("/")
                found[f"{kind} {job.partition('.')[2]} {path}"] = hashlib.sha256(
                    archive.read(name)
                ).hexdigest()
    return found


def test_the_twelve_jobs_run_again_on_a_fresh_platform_from_their_crate_alone(
    carried: Carried, fresh: Fresh
) -> None:
    with zipfile.ZipFile(carried.place) as archive, archive.open("image/disk.qcow2") as disk:
        assert hashlib.file_digest(disk, "sha512").hexdigest() == carried.image_sha512
    assert fresh.json("armillary", "image", "list") == []
    brought = fresh.json("armillary", "import", str(carried.place), "--key", carried.key)
    assert (brought["image"]["cloud"], brought["image"]["sent"]) == ("south", True)
    assert (brought["written"], brought["refused"]) == ([], [])
    (image,) = fresh.json("armillary", "image", "list")
    assert (image["sha512"], image["name"]) == (carried.image_sha512, "my-snapshot")

    submitted = fresh.json("armillary", "rerun", brought["name"], "--project", "m51-again", "--no-wait")
    again = submitted["cluster"]
    jobs = fresh.wait(again, lambda jobs: all(job["state"] in {"completed", "held"} for job in jobs))
    assert [(job["state"], job["exit_code"]) for job in jobs] == [("completed", 0)] * 12, jobs
    compared = fresh.json("armillary", "compare", brought["name"], str(again))
    assert compared["same"]
    assert {one["outcome"] for one in compared["files"]} == {"identical"}
    assert len({one["of"] for one in compared["files"] if one["name"].endswith(".cat")}) == 12

    result = fresh.work / "again.zip"
    fresh.json("armillary", "export", str(again), "-o", str(result))
    made, before = digests(result), digests(carried.place)
    assert made == before
    assert sum(name.endswith(".cat") for name in made) == 24  # brought home, and in VOSpace
    with zipfile.ZipFile(result) as archive:
        records = [json.loads(archive.read(f"records/{again}.{proc}.json")) for proc in range(12)]
    assert {(one["machine"]["cloud"], one["machine"]["image_sha512"]) for one in records} == {
        ("south", carried.image_sha512)
    }
    assert not list((fresh.home / "cache").glob("images/*"))


def flip(place: Path) -> None:
    with place.open("r+b") as file:
        file.seek(place.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))


def reword(place: Path, before: str, after: str) -> None:
    text = place.read_text()
    assert before in text
    place.write_text(text.replace(before, after, 1))


def forge(place: Path) -> None:
    signature = json.loads(place.read_text())
    first = signature["value"][0]
    place.write_text(
        json.dumps({**signature, "value": ("B" if first == "A" else "A") + signature["value"][1:]})
    )


def test_what_is_changed_in_the_crate_is_caught_and_named(
    carried: Carried, golden: Golden, tmp_path: Path
) -> None:
    crate, cluster = tmp_path / "crate", carried.cluster
    with zipfile.ZipFile(carried.place) as archive:
        archive.extractall(crate)
    (catalogue,) = (crate / "written" / f"{cluster}.1").rglob("*.cat")
    pixels = max((crate / "inputs").iterdir(), key=lambda one: one.stat().st_size)
    changes: list[tuple[str, Path, Callable[[Path], None]]] = [
        ("input", pixels, flip),
        ("output", catalogue, flip),
        ("record", crate / f"records/{cluster}.2.json", lambda one: reword(one, '"exit_code":0', '"exit_code":1')),
        ("image", crate / "image" / "disk.qcow2", flip),
        ("signature", crate / f"records/{cluster}.3.json.sig", forge),
    ]  # fmt: skip
    for _, place, change in changes:
        change(place)
    # It needs no platform: there is none now.
    done = subprocess.run(
        ["armillary", "verify", str(crate), "--key", carried.key, "--json"],
        env=golden.environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    shutil.rmtree(crate)
    assert done.returncode == 1, done.stdout + done.stderr
    found = {(one["what"], one["path"]) for one in json.loads(done.stdout)["findings"]}
    assert found == {(what, str(place.relative_to(crate))) for what, place, _ in changes}
