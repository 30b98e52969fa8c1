"""Crates of real jobs before the community's validator (`roc-validator`, profile Process Run Crate), without a network."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prov.model import ProvDocument
from recorded_world import World

from armillary.accounts.model import Principal
from armillary.app.interop.crate_validator import CrateValidator, Judgement
from armillary.app.settings import load_settings
from armillary.app.wiring_crates import Crates, build_crates
from armillary.base.ids import ClusterId
from armillary.crates.canonical import digest
from armillary.crates.shelves import open_shelf
from armillary.crates.verify import verify
from armillary.provenance.exporting import Target

pytestmark = [pytest.mark.interop, pytest.mark.timeout(600)]

ODD = {
    "out.txt": b"counted\n",
    "dir/deep er/é ü.fits": b"SIMPLE",
    "100%41 #1?.txt": b"percent",
    "-rf": b"",
    "ro-crate-metadata.json": b"{}",
    "back\\slash": b"slash",
    "'quoted' \"twice\" <b>&amp;": b"quotes",
    "星系.cat": b"counted\n",
}
Graph = list[dict[str, Any]]


@pytest.fixture(scope="module")
def crates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A cluster of four jobs, of which one failed and one was removed, exported as a zip, and frozen as a folder with its image."""
    folder = tmp_path_factory.mktemp("judged")
    world = World(folder=folder)
    world.write(world.ada, "/home/ada/m51 é.fits", b"image of m51")
    cluster = ClusterId(world.submit(4, data={"arguments": ["--band", "r é", ""]}))

    def act(who: Principal) -> None:
        world.read(who, "/home/ada/m51 é.fits")
        world.write(who, "/home/ada/a & b #1 %.cat", b"7 sources")

    session = world.worker()
    world.run(session, act, files=ODD)
    world.run(session, exit_code=3, files={"err.txt": b"no such star\n"})
    world.remove(world.run(session, fault="its disk was full"))
    world.run(session)
    made = wired(world)
    place = folder / "crate.zip"
    place.write_bytes(b"".join(made.exports.archive(world.ada, Target(cluster=cluster))))
    made.freezes.freeze(world.ada, cluster, to=None, title="M51", with_image=True)
    frozen = folder / "frozen"
    image = ["image/disk.qcow2", "image/image.json", "image/image.json.sig"]
    for entry in [*zipfile.ZipFile(place).namelist(), *image]:
        copy = frozen / entry
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(world.read(world.ada, f"/home/ada/frozen/cluster-{cluster}/{entry}"))
    world.close()
    return {"exported": place, "frozen": frozen}


def wired(world: World) -> Crates:
    return build_crates(
        provenance=world.provenance,
        batch=world.batch,
        vospace=world.space,
        fleet=world.fleet,
        accounts=world.accounts,
        platform="https://armillary.example",
        database=world.database,
        clock=world.clock,
        registrar=None,
    )


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Judgement]:
    validator = CrateValidator(cache=load_settings().cache, say=print)
    validator.install()
    scratch = tmp_path_factory.mktemp("contexts")
    return lambda place: validator.judge(place, scratch=scratch)


@pytest.mark.parametrize("how", ["exported", "frozen"])
def test_crates_of_failed_jobs_and_of_odd_names_meet_every_requirement(
    how: str, crates: dict[str, Path], judge: Callable[..., Judgement]
) -> None:
    with open_shelf(crates[how]) as shelf:
        assert verify(shelf).findings == []
    found = judge(crates[how])
    assert (found.passed, found.issues) == (True, [])
    assert found.checks > 40


def no_program(graph: Graph) -> None:
    for entity in graph:
        if entity["@type"] == "CreateAction":
            del entity["instrument"]


def no_profile(graph: Graph) -> None:
    del named(graph, "./")["conformsTo"]


def no_date(graph: Graph) -> None:
    del named(graph, "./")["datePublished"]


def a_file_that_is_not_there(graph: Graph) -> None:
    named(graph, "./")["hasPart"].append({"@id": "inputs/none"})
    graph.append({"@id": "inputs/none", "@type": "File", "name": "none"})


def named(graph: Graph, name: str) -> dict[str, Any]:
    return next(entity for entity in graph if entity["@id"] == name)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (no_program, "MUST have an instrument"),
        (no_profile, "conformsTo"),
        (no_date, "datePublished"),
        (a_file_that_is_not_there, "inputs/none"),
    ],
)
def test_a_crate_that_is_broken_is_found_broken(
    spoil: Callable[[Graph], None],
    said: str,
    crates: dict[str, Path],
    judge: Callable[..., Judgement],
    tmp_path: Path,
) -> None:
    broken = tmp_path / "broken.zip"
    with zipfile.ZipFile(crates["exported"]) as whole, zipfile.ZipFile(broken, "w") as archive:
        for name in whole.namelist():
            data = whole.read(name)
            if name == "ro-crate-metadata.json":
                document = json.loads(data)
                spoil(document["@graph"])
                data = json.dumps(document).encode()
            archive.writestr(name, data)
    found = judge(broken)
    assert not found.passed
    assert any(said in issue for issue in found.issues), found.issues


def test_the_library_of_prov_reads_what_is_exported(crates: dict[str, Path]) -> None:
    text = (crates["frozen"] / "prov.json").read_text()
    document = ProvDocument.deserialize(content=text, format="json")
    types = Counter(type(record).__name__ for record in document.get_records())
    assert types["ProvActivity"] == 4
    assert types["ProvGeneration"] == len(ODD) + 2, "a file of the failed job, and one in VOSpace"
    assert ProvDocument.deserialize(content=document.serialize(format="json"), format="json") == document
    told = document.get_provn()
    assert all(digest(data) in told for data in [*ODD.values(), b"7 sources", b"image of m51"])
