"""What is deleted with a way back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from armillary.accounts.model import Principal
from armillary.base.clock import VirtualClock
from armillary.base.errors import Conflict, Forbidden, NotFound
from armillary.vospace.core.names import CAME_FROM
from armillary.vospace.core.properties import change_of
from armillary.vospace.model import Change
from armillary.vospace.service import Bins, VOSpaceService


@pytest.fixture
def bins(space: VOSpaceService, ada: Principal, bob: Principal) -> Bins:
    space.ensure_home(ada.person)
    space.ensure_home(bob.person)
    return Bins(space=space)


def used(space: VOSpaceService, who: Principal) -> int:
    return space.node(who, f"/home/{who.person.user_name}").used


def test_what_was_deleted_comes_back_as_it_was(bins: Bins, space: VOSpaceService, ada: Principal) -> None:
    space.make_container(ada, "/home/ada/run")
    space.put_bytes(ada, "/home/ada/run/a.fits", [b"abc"])
    binned = bins.put(ada, "/home/ada/run")
    with pytest.raises(NotFound):
        space.node(ada, "/home/ada/run")
    assert [(one.id, str(one.came_from), one.by) for one in bins.contents(ada, "/home/ada")] == [
        (binned, "/home/ada/run", "ada")
    ]
    bins.restore(ada, "/home/ada", binned)
    assert b"".join(space.open_bytes(ada, "/home/ada/run/a.fits").chunks) == b"abc"
    assert bins.contents(ada, "/home/ada") == []


def test_where_something_goes_back_to_is_nobodys_to_choose(
    bins: Bins, space: VOSpaceService, ada: Principal
) -> None:
    space.put_bytes(ada, "/home/ada/a", [b"abc"])
    folder = f"/home/ada/.bin/{bins.put(ada, '/home/ada/a')}"
    with pytest.raises(Forbidden):
        space.set_properties(
            ada, folder, lambda node: change_of([(CAME_FROM, "/home/ada/.ssh/authorized_keys")], node)
        )


def test_what_is_in_the_bin_counts_until_it_goes_for_good(
    bins: Bins, space: VOSpaceService, ada: Principal
) -> None:
    space.put_bytes(ada, "/home/ada/a", [b"x" * 100])
    bins.put(ada, "/home/ada/a")
    assert used(space, ada) == 100
    assert bins.empty(ada, "/home/ada") == 3
    assert used(space, ada) == 0
    assert bins.empty(ada, "/home/ada") == 0


def test_a_full_home_can_still_be_emptied_through_the_bin(
    bins: Bins, space: VOSpaceService, ada: Principal
) -> None:
    space.put_bytes(ada, "/home/ada/a", [b"x" * 100])
    space.ensure_home(ada.person)
    with space.records.writing() as tree:
        home = tree.walk(space.node(ada, "/home/ada").path)[-1]
        tree.charge(home, 2**40)
    binned = bins.put(ada, "/home/ada/a")
    bins.restore(ada, "/home/ada", binned)
    bins.put(ada, "/home/ada/a")
    assert bins.empty(ada, "/home/ada") > 0


def test_after_its_time_it_is_gone(
    bins: Bins, space: VOSpaceService, ada: Principal, clock: VirtualClock
) -> None:
    space.put_bytes(ada, "/home/ada/old", [b"1"])
    space.put_bytes(ada, "/home/ada/new", [b"2"])
    bins.put(ada, "/home/ada/old")
    clock.advance(timedelta(days=13))
    bins.put(ada, "/home/ada/new")
    bins.sweep()
    assert len(bins.contents(ada, "/home/ada")) == 2
    clock.advance(timedelta(days=2))
    bins.sweep()
    assert [one.node.name for one in bins.contents(ada, "/home/ada")] == ["new"]
    assert used(space, ada) == 1


def test_nothing_is_put_back_over_something_else(bins: Bins, space: VOSpaceService, ada: Principal) -> None:
    space.put_bytes(ada, "/home/ada/a", [b"old"])
    binned = bins.put(ada, "/home/ada/a")
    space.make_container(ada, "/home/ada/a")
    with pytest.raises(Conflict, match="exists already"):
        bins.restore(ada, "/home/ada", binned)
    space.delete(ada, "/home/ada/a")
    assert bins.restore(ada, "/home/ada", binned).length == 3


def test_the_folders_around_it_come_back_too(bins: Bins, space: VOSpaceService, ada: Principal) -> None:
    space.make_container(ada, "/home/ada/x/y", parents=True)
    space.put_bytes(ada, "/home/ada/x/y/a", [b"1"])
    binned = bins.put(ada, "/home/ada/x/y/a")
    space.delete(ada, "/home/ada/x")
    bins.restore(ada, "/home/ada", binned)
    assert space.node(ada, "/home/ada/x/y/a").length == 1


def test_who_deletes_in_a_folder_of_the_group_may_think_better_of_it_and_others_may_not(
    bins: Bins, space: VOSpaceService, ada: Principal, bob: Principal, eve: Principal
) -> None:
    space.make_container(ada, "/home/ada/team", Change(group_write=frozenset({"m51"})))
    space.put_bytes(ada, "/home/ada/team/a", [b"1"])
    binned = bins.put(bob, "/home/ada/team/a")
    with pytest.raises(Forbidden):
        bins.restore(eve, "/home/ada", binned)
    with pytest.raises(Forbidden):
        bins.contents(bob, "/home/ada")
    assert bins.contents(ada, "/home/ada")[0].by == "bob"
    bins.restore(bob, "/home/ada", binned)
    assert space.node(ada, "/home/ada/team/a").owner_name == "ada"


def test_what_is_locked_or_a_home_or_in_the_bin_is_not_binned(
    bins: Bins, space: VOSpaceService, ada: Principal
) -> None:
    space.make_container(ada, "/home/ada/x")
    space.put_bytes(ada, "/home/ada/x/a", [b"1"])
    space.set_properties(ada, "/home/ada/x/a", Change(is_locked=True))
    with pytest.raises(Conflict, match="locked"):
        bins.put(ada, "/home/ada/x")
    with pytest.raises(Forbidden):
        bins.put(ada, "/home/ada")
    space.put_bytes(ada, "/home/ada/b", [b"1"])
    binned = bins.put(ada, "/home/ada/b")
    with pytest.raises(Forbidden, match="already"):
        bins.put(ada, f"/home/ada/.bin/{binned}/b")
