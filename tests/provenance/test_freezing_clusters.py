"""Clusters that are kept for ever, and cited."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from recorded_world import Killed, World
from test_crates_of_jobs import CATALOGUE, IMAGE, count, crates_of

from armillary.accounts.model import Principal, Role
from armillary.app.wiring_crates import Crates, CrateSpace
from armillary.base.errors import Conflict, Forbidden, NotFound, QuotaExceeded, Unavailable
from armillary.base.ids import CloudName, ClusterId
from armillary.crates.shelves import Oddity
from armillary.crates.verify import verify
from armillary.provenance.bundling import Bundles
from armillary.provenance.doi import JSON_API, DataCite
from armillary.provenance.exporting import Target
from armillary.provenance.frozen_store import FrozenStore
from armillary.vospace.model import Change
from armillary.vospace.paths import VOSPath
from armillary.vospace.service.freezing import Freezing

EAST = CloudName("east")
FOLDER = "/home/ada/frozen/cluster-1"


class FakeDataCite:
    """Answers as DataCite's REST API does, for the calls that we make."""

    def __init__(self) -> None:
        self.dois: dict[str, dict[str, object]] = {}
        self.down = False
        self.meanwhile: Callable[[], None] = lambda: None

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        assert url.startswith("https://api.example.org/dois")
        self.meanwhile()
        if self.down:
            raise OSError("no route")
        if headers["Authorization"] != "Basic " + base64.b64encode(b"OBS.ARM:secret").decode():
            return 401, b'{"errors":[{"status":"401","title":"Bad credentials."}]}'
        assert headers["Content-Type"] == JSON_API
        doi = url.partition("/dois/")[2].replace("%2F", "/")
        if method == "DELETE":
            return (204, b"") if self.dois.pop(doi, None) else (404, b"{}")
        data = json.loads(body)["data"]
        assert data["type"] == "dois"
        attributes = data["attributes"]
        if method == "POST":
            doi = f"{attributes.pop('prefix')}/a1b2-{len(self.dois)}"
            self.dois[doi] = {"state": "draft"}
        if doi not in self.dois:
            return 404, b'{"errors":[{"title":"not there"}]}'
        if attributes.pop("event", None) == "publish":
            needed = {"titles", "creators", "publisher", "publicationYear", "types", "url"}
            if not needed <= attributes.keys():
                return 422, b'{"errors":[{"title":"Can\'t be blank"}]}'
            self.dois[doi]["state"] = "findable"
        self.dois[doi] |= attributes
        answer = {"data": {"id": doi, "type": "dois", "attributes": self.dois[doi]}}
        return (201 if method == "POST" else 200), json.dumps(answer).encode()


@pytest.fixture
def datacite() -> FakeDataCite:
    return FakeDataCite()


@pytest.fixture
def crates(world: World, datacite: FakeDataCite) -> Crates:
    world.write(world.ada, IMAGE, b"image of m51")
    world.submit()
    count(world)
    registrar = DataCite(
        endpoint="https://api.example.org", repository="OBS.ARM", password="secret", prefix="10.5072",
        send=datacite.send,
    )  # fmt: skip
    return crates_of(world, registrar)


CLUSTER = ClusterId(1)


class InSpace:
    """A crate where it was frozen, read as anybody reads VOSpace."""

    def __init__(self, world: World) -> None:
        self._world = world

    def names(self) -> list[str]:
        found: list[str] = []
        folders = [FOLDER]
        while folders:
            for node in self._world.space.children(self._world.ada, folders.pop()):
                if node.is_container:
                    folders.append(str(node.path))
                else:
                    found.append(str(node.path).removeprefix(FOLDER + "/"))
        return found

    def oddities(self) -> list[Oddity]:
        return []

    def chunks(self, path: str) -> Iterator[bytes]:
        return self._world.space.open_bytes(self._world.ada, f"{FOLDER}/{path}").chunks


def test_a_frozen_cluster_is_a_crate_in_vospace_that_verifies(world: World, crates: Crates) -> None:
    frozen = crates.freezes.freeze(world.ada, CLUSTER, to=None, title=None)
    assert (frozen.path, frozen.title, frozen.image_kept) == (FOLDER, "count", ["east"])
    (key,) = world.provenance.published_keys()
    report = verify(InSpace(world), trusted=[key.id])
    assert report.findings == []
    world.write(world.ada, CATALOGUE, b"other sources")
    assert world.read(world.ada, f"{FOLDER}/written/1.0{CATALOGUE}") == b"7 sources"


def test_neither_its_files_nor_its_image_are_deleted_by_accident(world: World, crates: Crates) -> None:
    crates.freezes.freeze(world.ada, CLUSTER, to=None, title=None)
    for place in ("/home/ada/frozen", FOLDER, f"{FOLDER}/prov.json"):
        with pytest.raises(Conflict) as refused:
            world.space.delete(world.ada, place)
        assert "armillary unfreeze 1" in refused.value.remedy
    project = world.accounts.project(world.group.project)
    (image,) = world.fleet.images(EAST, project)
    with pytest.raises(Forbidden) as kept:
        world.fleet.delete_image(EAST, project, image.id)
    assert (kept.value.code, "armillary unfreeze" in kept.value.remedy) == ("image_protected", True)

    with pytest.raises(Forbidden):
        crates.freezes.unfreeze(world.eve, CLUSTER)
    crates.freezes.unfreeze(world.ada, CLUSTER)
    world.space.delete(world.ada, "/home/ada/frozen")
    world.fleet.delete_image(EAST, project, image.id)
    assert world.fleet.images(EAST, project) == []


def test_a_job_neither_thaws_what_its_owner_keeps_nor_cites_nor_imports(world: World, crates: Crates) -> None:
    """A program that runs for somebody acts in their VOSpace, and no further."""
    crates.freezes.freeze(world.ada, CLUSTER, to=None, title=None)
    crate = crates.exports.crate(world.ada, Target(cluster=CLUSTER))
    codes: list[str] = []

    def act(job: Principal) -> None:
        for deed in (
            lambda: crates.freezes.unfreeze(job, CLUSTER),
            lambda: crates.freezes.cite(job, CLUSTER, publish=False),
            lambda: crates.imports.take(
                job,
                cluster=crate.cluster.signature,
                jobs=[one.signature for one in crate.jobs],
                keys=crate.keys,
            ),
        ):
            with pytest.raises(Forbidden) as refused:
                deed()
            codes.append(refused.value.code)

    world.submit()
    world.run(world.worker(), act)
    assert codes == ["scope_missing"] * 3
    assert crates.freezes.find(CLUSTER)


def test_what_another_freeze_needs_stays_kept(world: World, crates: Crates) -> None:
    world.submit()
    second = count(world)
    crates.freezes.freeze(world.ada, CLUSTER, to=None, title=None)
    crates.freezes.freeze(world.ada, second.cluster, to=None, title=None)
    crates.freezes.unfreeze(world.ada, CLUSTER)
    project = world.accounts.project(world.group.project)
    (image,) = world.fleet.images(EAST, project)
    with pytest.raises(Forbidden):
        world.fleet.delete_image(EAST, project, image.id)


def test_an_image_is_let_go_with_the_last_that_needs_it_on_every_cloud_that_kept_it(
    world: World, crates: Crates
) -> None:
    world.submit()
    second = count(world).cluster
    crates.freezes.freeze(world.ada, CLUSTER, to=None, title=None)
    made = crates.freezes.freeze(world.ada, second, to=None, title=None)
    store = FrozenStore(database=world.database)
    store.put(replace(made, image_kept=[], doi="10.5072/x", doi_state="draft"))  # its cloud did not answer
    crates.freezes.unfreeze(world.ada, CLUSTER)
    kept = crates.freezes.find(second)
    assert kept and (kept.image_kept, kept.doi) == (["east"], "10.5072/x")
    crates.freezes.unfreeze(world.ada, second)
    project = world.accounts.project(world.group.project)
    (image,) = world.fleet.images(EAST, project)
    world.fleet.delete_image(EAST, project, image.id)


def test_what_cannot_be_kept_whole_leaves_nothing(world: World, crates: Crates) -> None:
    world.submit(2)
    half = count(world).cluster
    with pytest.raises(Conflict) as running:
        crates.freezes.freeze(world.ada, half, to=None, title=None)
    assert running.value.code == "cluster_not_over"
    crates.freezes.freeze(world.ada, CLUSTER, to=None, title=None)
    with pytest.raises(Conflict) as twice:
        crates.freezes.freeze(world.ada, CLUSTER, to=None, title=None)
    assert twice.value.code == "frozen_already"
    with pytest.raises(NotFound):
        crates.freezes.freeze(world.eve, half, to=None, title=None)
    assert [node.name for node in world.space.children(world.ada, "/home/ada/frozen")] == ["cluster-1"]


def test_a_doi_is_a_draft_first_and_public_when_its_folder_is(
    world: World, crates: Crates, datacite: FakeDataCite
) -> None:
    crates.freezes.freeze(world.ada, CLUSTER, to=None, title="Sources in M51")
    draft = crates.freezes.cite(world.ada, CLUSTER, publish=False)
    assert draft.doi is not None
    assert (draft.doi, datacite.dois[draft.doi]["state"]) == ("10.5072/a1b2-0", "draft")
    with pytest.raises(Conflict) as closed:
        crates.freezes.cite(world.ada, CLUSTER, publish=True)
    assert closed.value.code == "not_public"
    world.space.set_properties(world.ada, VOSPath.parse(FOLDER), Change(is_public=True))
    public = crates.freezes.cite(world.ada, CLUSTER, publish=True)
    assert (public.doi, public.doi_state) == (draft.doi, "findable")
    kept = datacite.dois[draft.doi]
    assert kept["state"] == "findable"
    assert kept["titles"] == [{"title": "Sources in M51"}]
    assert kept["url"] == "https://armillary.example/frozen/1"
    with pytest.raises(Conflict, match="is cited as"):
        crates.freezes.unfreeze(world.ada, CLUSTER)


def test_a_cluster_that_a_colleague_cites_stays_its_owners_work(
    world: World, crates: Crates, datacite: FakeDataCite
) -> None:
    world.accounts.set_role(world.project.id, world.eve.person.id, Role.MEMBER)
    for path in ("/home/ada", IMAGE, CATALOGUE):
        world.space.set_properties(world.ada, VOSPath.parse(path), Change(is_public=True))
    crates.freezes.freeze(world.eve, CLUSTER, to=None, title=None)
    crates.freezes.cite(world.eve, CLUSTER, publish=False)
    (kept,) = datacite.dois.values()
    assert kept["creators"] == [{"name": "Ada"}]
    found = crates.freezes.find(CLUSTER)
    assert found and crates.freezes.author_of(found) == "Ada", "as on the page where the DOI leads"


def test_a_bundle_that_was_not_locked_when_the_platform_was_killed_is_locked_by_asking_again(
    world: World, crates: Crates
) -> None:
    made = crates.freezes.freeze(world.ada, CLUSTER, to=None, title=None)
    Freezing(space=world.space).thaw(world.ada, VOSPath.parse(FOLDER), "1")
    FrozenStore(database=world.database).put(replace(made, image_kept=[]))
    project = world.accounts.project(world.group.project)
    (image,) = world.fleet.images(EAST, project)
    world.fleet.protect_image(EAST, project, image.id, protected=False)
    with pytest.raises(Conflict, match="frozen already"):
        crates.freezes.freeze(world.ada, CLUSTER, to=None, title=None)
    with pytest.raises(Conflict):
        world.space.delete(world.ada, f"{FOLDER}/prov.json")
    with pytest.raises(Forbidden):
        world.fleet.delete_image(EAST, project, image.id)


def test_one_thing_at_a_time_is_done_to_a_cluster(
    world: World, crates: Crates, datacite: FakeDataCite
) -> None:
    """A button that is pressed twice mints no second DOI, and undoes nothing that the first has done."""
    crates.freezes.freeze(world.ada, CLUSTER, to=None, title=None)
    codes: list[str] = []

    def press_again() -> None:
        for act in (
            lambda: crates.freezes.freeze(world.ada, CLUSTER, to=None, title=None),
            lambda: crates.freezes.cite(world.ada, CLUSTER, publish=False),
            lambda: crates.freezes.unfreeze(world.ada, CLUSTER),
        ):
            with pytest.raises(Conflict) as refused:
                act()
            codes.append(refused.value.code)

    datacite.meanwhile = press_again
    crates.freezes.cite(world.ada, CLUSTER, publish=False)
    assert codes == ["freeze_under_way"] * 3
    assert len(datacite.dois) == 1
    datacite.meanwhile = lambda: None
    crates.freezes.unfreeze(world.ada, CLUSTER)


def test_a_draft_goes_with_the_freeze_and_a_registrar_that_is_down_is_named(
    world: World, crates: Crates, datacite: FakeDataCite
) -> None:
    crates.freezes.freeze(world.ada, CLUSTER, to=None, title=None)
    datacite.down = True
    with pytest.raises(Unavailable, match="no route"):
        crates.freezes.cite(world.ada, CLUSTER, publish=False)
    datacite.down = False
    crates.freezes.cite(world.ada, CLUSTER, publish=False)
    crates.freezes.unfreeze(world.ada, CLUSTER)
    assert datacite.dois == {}


class Dying:
    """VOSpace of a process that is killed at its third file: after that it does nothing more."""

    def __init__(self, space: CrateSpace) -> None:
        self._space = space
        self._left = 2

    def write(self, who: Principal, path: VOSPath, chunks: Iterator[bytes], size: int) -> None:
        if self._left == 0:
            self._left = -1
        self._left -= 1
        self._alive().write(who, path, chunks, size)

    def identity(self, who: Principal, path: VOSPath) -> str | None:
        return self._alive().identity(who, path)

    def make_folder(self, who: Principal, path: VOSPath) -> None:
        self._alive().make_folder(who, path)

    def delete(self, who: Principal, path: VOSPath) -> None:
        self._alive().delete(who, path)

    def thaw(self, who: Principal, path: VOSPath, name: str) -> int:
        return self._alive().thaw(who, path, name)

    def room(self, who: Principal, path: VOSPath) -> int | None:
        return self._alive().room(who, path)

    def _alive(self) -> CrateSpace:
        if self._left < 0:
            raise Killed
        return self._space


def killed_in_the_middle(world: World, crates: Crates) -> None:
    bundles = Bundles(
        exports=crates.exports,
        disks=crates.disks,
        space=Dying(CrateSpace(world.space)),
        store=FrozenStore(database=world.database),
    )
    crate = crates.exports.crate(world.ada, Target(cluster=CLUSTER))
    with pytest.raises(Killed):
        bundles.write(world.ada, VOSPath.parse(FOLDER), crate, with_image=False)
    assert 0 < len(InSpace(world).names()) <= 2


def test_what_a_kill_left_in_the_middle_goes_with_the_next_freeze(world: World, crates: Crates) -> None:
    killed_in_the_middle(world, crates)
    crates.freezes.freeze(world.ada, CLUSTER, to=None, title=None)
    assert verify(InSpace(world)).findings == []


def test_a_folder_that_took_the_place_of_what_a_kill_left_is_not_ours_to_delete(
    world: World, crates: Crates
) -> None:
    killed_in_the_middle(world, crates)
    world.space.delete(world.ada, FOLDER)
    world.clock.advance(timedelta(hours=1))
    world.space.make_container(world.ada, FOLDER)
    world.write(world.ada, f"{FOLDER}/mine.txt", b"another thing")
    with pytest.raises(Conflict) as there:
        crates.freezes.freeze(world.ada, CLUSTER, to=None, title=None)
    assert there.value.code == "duplicate_node"
    assert world.read(world.ada, f"{FOLDER}/mine.txt") == b"another thing"


def test_with_its_image_a_bundle_has_all_and_what_does_not_fit_leaves_nothing(
    world: World, crates: Crates
) -> None:
    frozen = crates.freezes.freeze(world.ada, CLUSTER, to=None, title=None, with_image=True)
    assert verify(InSpace(world)).findings == []
    assert world.read(world.ada, f"{FOLDER}/image/disk.qcow2") == b"bytes of the machine"
    assert crates.freezes.has_image(world.ada, frozen)
    crates.freezes.unfreeze(world.ada, CLUSTER)
    world.space.delete(world.ada, FOLDER)
    world.space.set_properties(world.admin, VOSPath.parse("/home/ada"), Change(quota=5))
    with pytest.raises(QuotaExceeded) as full:
        crates.freezes.freeze(world.ada, CLUSTER, to=None, title=None, with_image=True)
    assert (full.value.code, full.value.facts["needed"]) == ("no_room_to_freeze", "20 B")
    assert list(world.space.children(world.ada, "/home/ada/frozen")) == []
