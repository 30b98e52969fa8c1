"""What is frozen stays as it is, whatever anybody does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from armillary.accounts.model import Principal
from armillary.base.errors import ArmillaryError, Conflict, Forbidden
from armillary.vospace.core.names import FROZEN
from armillary.vospace.model import Change, Node
from armillary.vospace.paths import VOSPath
from armillary.vospace.service import Bins, VOSpaceService
from armillary.vospace.service.branches import Branches
from armillary.vospace.service.freezing import Freezing

FOLDER = "/home/ada/kept/m51"
PLACES = ["/home/ada/kept", FOLDER, f"{FOLDER}/a.cat", f"{FOLDER}/in", f"{FOLDER}/in/b.cat", "/home/ada/free"]


@pytest.fixture
def freezing(space: VOSpaceService, ada: Principal) -> Freezing:
    space.ensure_home(ada.person)
    space.make_container(ada, f"{FOLDER}/in", parents=True)
    space.put_bytes(ada, f"{FOLDER}/a.cat", [b"seven"])
    space.put_bytes(ada, f"{FOLDER}/in/b.cat", [b"eight"])
    space.make_container(ada, "/home/ada/free")
    return Freezing(space=space)


def state(space: VOSpaceService, who: Principal) -> list[tuple[str, str | None, bool]]:
    """All that is kept: paths, bytes, locks."""
    found: list[Node] = [space.node(who, FOLDER)]
    found += [node for place in (FOLDER, f"{FOLDER}/in") for node in space.children(who, place)]
    return [(str(node.path), node.blob, node.is_locked) for node in found]


def branch_delete(space: VOSpaceService, who: Principal, at: str, to: str) -> None:
    asker = space.access.asker(who)
    assert asker
    Branches(space=space).delete(asker, VOSPath.parse(at), lambda _: None)


def branch_unlock(space: VOSpaceService, who: Principal, at: str, to: str) -> None:
    asker = space.access.asker(who)
    assert asker
    Branches(space=space).change(asker, VOSPath.parse(at), Change(is_locked=False), lambda _: None)


Deed = Callable[[VOSpaceService, Principal, str, str], object]
DEEDS: list[Deed] = [
    lambda space, who, at, to: space.delete(who, at),
    lambda space, who, at, to: Bins(space=space).put(who, at),
    lambda space, who, at, to: space.move(who, at, to),
    lambda space, who, at, to: space.move(who, at, "/home/ada/.null"),
    lambda space, who, at, to: space.copy(who, at, to),
    lambda space, who, at, to: space.put_bytes(who, at, [b"other"]),
    lambda space, who, at, to: space.put_bytes(who, f"{at}/new", [b"more"]),
    lambda space, who, at, to: space.make_container(who, f"{at}/folder"),
    lambda space, who, at, to: space.make_link(who, f"{at}/link", "https://example.org"),
    lambda space, who, at, to: space.set_properties(who, at, Change(is_locked=False)),
    lambda space, who, at, to: space.set_properties(who, at, Change(content_type="text/plain")),
    lambda space, who, at, to: space.set_properties(who, at, Change(properties={FROZEN: None})),
    branch_delete,
    branch_unlock,
]


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    deeds=st.lists(
        st.tuples(st.sampled_from(range(len(DEEDS))), st.sampled_from(PLACES), st.sampled_from(PLACES), st.booleans()),
        max_size=8,
    )
)  # fmt: skip
def test_nothing_that_anybody_does_changes_what_is_frozen(
    freezing: Freezing,
    space: VOSpaceService,
    ada: Principal,
    root: Principal,
    deeds: list[tuple[int, str, str, bool]],
) -> None:
    freezing.freeze(ada, VOSPath.parse(FOLDER), "12")
    before = state(space, ada)
    for deed, at, to, by_root in deeds:
        try:
            DEEDS[deed](space, root if by_root else ada, at, to)
        except ArmillaryError:
            continue
    assert state(space, ada) == before
    assert b"".join(space.open_bytes(ada, f"{FOLDER}/a.cat").chunks) == b"seven"


def test_the_refusal_says_how_to_thaw(freezing: Freezing, space: VOSpaceService, ada: Principal) -> None:
    assert freezing.freeze(ada, VOSPath.parse(FOLDER), "12") == 4
    for place in ("/home/ada/kept", f"{FOLDER}/a.cat"):
        with pytest.raises(Conflict) as refused:
            space.delete(ada, place)
        assert refused.value.code == "node_frozen"
        assert "armillary unfreeze 12" in refused.value.remedy


def test_what_is_frozen_can_be_shared_and_copied(
    freezing: Freezing, space: VOSpaceService, ada: Principal
) -> None:
    freezing.freeze(ada, VOSPath.parse(FOLDER), "12")
    assert space.set_properties(ada, FOLDER, Change(is_public=True)).sharing.is_public
    space.copy(ada, FOLDER, "/home/ada/free")
    space.put_bytes(ada, "/home/ada/free/m51/a.cat", [b"nine"])
    assert FROZEN not in space.node(ada, "/home/ada/free/m51").properties


def test_what_has_thawed_can_be_deleted_and_others_may_not_thaw_it(
    freezing: Freezing, space: VOSpaceService, ada: Principal, bob: Principal
) -> None:
    freezing.freeze(ada, VOSPath.parse(FOLDER), "12")
    with pytest.raises(Forbidden):
        freezing.thaw(bob, VOSPath.parse(FOLDER), "12")
    assert freezing.thaw(ada, VOSPath.parse(FOLDER), "another") == 0
    assert freezing.thaw(ada, VOSPath.parse(FOLDER), "12") == 4
    space.delete(ada, "/home/ada/kept")
