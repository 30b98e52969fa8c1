"""Who sees and changes which image."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from armillary.accounts.model import Principal, Role
from armillary.base.errors import Conflict, Forbidden, Invalid, NotFound
from armillary.cloud.images.model import MemberStatus, Query, Visibility
from armillary.cloud.images.rules import Change

if TYPE_CHECKING:
    from conftest import Bench


def names(bench: Bench, who: Principal, **query: object) -> list[str | None]:
    found, _ = bench.images.list(who, Query(**query))  # pyright: ignore[reportArgumentType]
    return [image.name for image in found]


def test_a_private_image_does_not_exist_for_others(bench: Bench, ada: Principal, bob: Principal) -> None:
    image = bench.active(ada, visibility="private")
    with pytest.raises(NotFound):
        bench.images.show(bob, image.id)
    with pytest.raises(NotFound):
        bench.images.delete(bob, image.id)
    assert names(bench, bob) == []
    assert names(bench, ada) == ["base"]


def test_a_reader_reads_and_changes_nothing(
    bench: Bench, ada: Principal, someone: Callable[..., Principal]
) -> None:
    image = bench.active(ada)
    reader = someone("rita", role=Role.READER)
    assert bench.images.show(reader, image.id).name == "base"
    for attempt in (
        lambda: bench.queued(reader),
        lambda: bench.images.delete(reader, image.id),
        lambda: bench.images.update(reader, image.id, [Change(op="replace", name="name", value="x")]),
    ):
        with pytest.raises(Forbidden):
            attempt()


def test_only_an_administrator_makes_an_image_public(
    bench: Bench, ada: Principal, bob: Principal, someone: Callable[..., Principal]
) -> None:
    image = bench.active(ada)
    publish = [Change(op="replace", name="visibility", value="public")]
    with pytest.raises(Forbidden):
        bench.images.update(ada, image.id, publish)
    with pytest.raises(Forbidden):
        bench.queued(ada, visibility="public")
    bench.images.update(someone("root", admin=True), image.id, publish)
    assert names(bench, bob) == ["base"]
    with pytest.raises(Forbidden):
        bench.images.delete(bob, image.id)


def test_a_community_image_is_used_by_all_and_listed_when_asked_for(
    bench: Bench, ada: Principal, bob: Principal
) -> None:
    image = bench.active(ada, visibility="community")
    assert bench.images.resolve_bootable(bob, image.id)
    assert names(bench, bob) == []
    assert names(bench, bob, visibility=Visibility.COMMUNITY) == ["base"]


def test_a_shared_image_is_listed_once_the_other_project_accepted_it(
    bench: Bench, ada: Principal, bob: Principal
) -> None:
    image = bench.active(ada)
    sharing = bench.images.sharing
    with pytest.raises(NotFound):
        bench.images.show(bob, image.id)
    assert sharing.add(ada, image.id, "ngc253").status is MemberStatus.PENDING
    assert bench.images.show(bob, image.id).id == image.id
    assert names(bench, bob) == []
    assert names(bench, bob, member_status=None) == ["base"]
    sharing.answer(bob, image.id, "ngc253", "accepted")
    assert names(bench, bob) == ["base"]
    assert names(bench, bob, visibility=Visibility.SHARED) == ["base"]
    sharing.remove(ada, image.id, "ngc253")
    with pytest.raises(NotFound):
        bench.images.show(bob, image.id)


def test_each_side_does_its_own_part_of_sharing(bench: Bench, ada: Principal, bob: Principal) -> None:
    image = bench.active(ada)
    sharing = bench.images.sharing
    sharing.add(ada, image.id, "ngc253")
    with pytest.raises(Conflict):
        sharing.add(ada, image.id, "ngc253")
    with pytest.raises(Forbidden):
        sharing.answer(ada, image.id, "ngc253", "accepted")
    with pytest.raises(Forbidden):
        sharing.add(bob, image.id, "others")
    with pytest.raises(Invalid):
        sharing.answer(bob, image.id, "ngc253", "perhaps")
    bench.images.update(ada, image.id, [Change(op="replace", name="visibility", value="private")])
    with pytest.raises(Forbidden):
        sharing.members(ada, image.id)


def test_a_protected_image_is_not_deleted(bench: Bench, ada: Principal) -> None:
    image = bench.active(ada, protected=True)
    with pytest.raises(Forbidden, match="protected"):
        bench.images.delete(ada, image.id)
    bench.images.update(ada, image.id, [Change(op="replace", name="protected", value=False)])
    bench.images.delete(ada, image.id)


def test_a_deactivated_image_is_not_downloaded(bench: Bench, ada: Principal) -> None:
    image = bench.active(ada)
    bench.images.set_active(ada, image.id, False)
    with pytest.raises(Forbidden, match="deactivated"):
        bench.images.open(ada, image.id)
    bench.images.set_active(ada, image.id, True)
    assert bench.images.open(ada, image.id)[1] is not None
    with pytest.raises(Forbidden):
        bench.images.set_active(ada, bench.queued(ada).id, False)


def test_a_list_comes_in_pages_without_gaps(bench: Bench, ada: Principal) -> None:
    for number in range(5):
        bench.queued(ada, name=f"n{number}")
    first, more = bench.images.list(ada, Query(limit=2, sort=(("name", False),)))
    assert ([image.name for image in first], more) == (["n0", "n1"], True)
    rest, more = bench.images.list(ada, Query(limit=10, sort=(("name", False),), marker=first[-1].id))
    assert ([image.name for image in rest], more) == (["n2", "n3", "n4"], False)


def test_a_marker_that_is_no_image_is_refused(bench: Bench, ada: Principal) -> None:
    with pytest.raises(Invalid):
        bench.images.list(ada, Query(marker="nope"))  # pyright: ignore[reportArgumentType]
