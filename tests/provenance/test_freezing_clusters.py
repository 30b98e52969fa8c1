"""Clusters that are kept for ever, and cited."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping

import pytest
from recorded_world import World
from test_crates_of_jobs import CATALOGUE, IMAGE, count, crates_of

from armillary.app.wiring_crates import Crates
from armillary.base.errors import Conflict, Forbidden, NotFound, Unavailable
from armillary.base.ids import CloudName, ClusterId
from armillary.crates.verify import verify
from armillary.provenance.doi import JSON_API, DataCite
from armillary.vospace.model import Change
from armillary.vospace.paths import VOSPath

EAST = CloudName("east")
FOLDER = "/home/ada/frozen/cluster-1"


class FakeDataCite:
    """Answers as DataCite's REST API does, for the calls that we make."""

    def __init__(self) -> None:
        self.dois: dict[str, dict[str, object]] = {}
        self.down = False

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        assert url.startswith("https://api.example.org/dois")
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
