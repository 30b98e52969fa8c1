"""A home that is full: the refusal names what fills it, to those who may see that."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from armillary.accounts.model import Principal
from armillary.base.clock import VirtualClock
from armillary.base.errors import QuotaExceeded
from armillary.base.units import GiB
from armillary.vospace.model import Change
from armillary.vospace.paths import VOSPath
from armillary.vospace.service import Grants, VOSpaceService
from armillary.vospace.service.resumable import ResumableUploads


@pytest.fixture
def full(space: VOSpaceService, ada: Principal) -> None:
    """Ada's home: five files and folders in it, and no room for more."""
    for name, files in (("run", 3), ("raw \u202e images", 2), ("empty", 0)):
        space.make_container(ada, VOSPath(("home", "ada", name)))
        for number in range(files):
            space.put_bytes(ada, VOSPath(("home", "ada", name, str(number))), [b"x" * 1024])
    for name, length in (("small", 1), ("smaller.cat", 512)):
        space.put_bytes(ada, f"/home/ada/{name}", [b"x" * length])
    space.ensure_home(ada.person, GiB(0))


LARGEST = "The largest there: run/ (3 KiB), raw ? images/ (2 KiB), smaller.cat (512 B)."


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("length", [None, 4])
def test_the_refusal_of_a_file_names_the_largest_folders(
    space: VOSpaceService, ada: Principal, length: int | None
) -> None:
    with pytest.raises(QuotaExceeded) as refused:
        space.put_bytes(ada, "/home/ada/new", [b"data"], length=length)
    assert refused.value.message.endswith(LARGEST)
    assert refused.value.facts["largest"][0] == {"path": "/home/ada/run", "folder": True, "bytes": 3072}
    assert len(refused.value.facts["largest"]) == 3


@pytest.mark.usefixtures("full")
def test_so_do_those_of_copies_and_of_resumable_uploads(space: VOSpaceService, ada: Principal) -> None:
    with pytest.raises(QuotaExceeded, match=r"largest there: run/"):
        space.copy(ada, "/home/ada/run", "/home/ada/again")
    with pytest.raises(QuotaExceeded, match=r"largest there: run/"):
        ResumableUploads(service=space).create(ada, VOSPath(("home", "ada", "new")), length=4)


@pytest.mark.usefixtures("full")
def test_guests_and_tokens_that_may_not_read_are_told_no_names(
    space: VOSpaceService, ada: Principal, bob: Principal, a_token: Callable[..., Principal]
) -> None:
    space.set_properties(ada, "/home/ada/empty", Change(group_write=frozenset({"m51"})))
    for who in (bob, a_token("ada", "vospace:write")):
        with pytest.raises(QuotaExceeded) as refused:
            space.put_bytes(who, "/home/ada/empty/new", [b"data"])
        assert "largest" not in refused.value.facts
        assert "run" not in refused.value.message


@pytest.mark.usefixtures("full")
def test_the_bearer_of_an_address_for_writing_is_told_no_names(
    space: VOSpaceService, ada: Principal, clock: VirtualClock
) -> None:
    """It may be in anybody's hands; what it is for says nothing of the rest of the home."""
    grants = Grants(
        key=b"k" * 32, clock=clock, lifetime=timedelta(hours=1),
        groups=lambda _person: frozenset(), holder=lambda _person, _credential: ada.person,
    )  # fmt: skip
    path = VOSPath(("home", "ada", "new"))
    slip = grants.issue("write", path, space.access.asker(ada))
    bearer = grants.read(slip, frozenset({"write"})).asker
    assert bearer
    for write in (
        lambda: space.put_bytes(bearer, path, [b"data"]),
        lambda: space.put_bytes(bearer, path, [b"data"], length=4),
        lambda: ResumableUploads(service=space).create(bearer, path, length=4),
    ):
        with pytest.raises(QuotaExceeded) as refused:
            write()
        assert "largest" not in refused.value.facts
        assert "run" not in refused.value.message


def test_a_home_that_was_given_no_room_names_nothing(space: VOSpaceService, ada: Principal) -> None:
    space.ensure_home(ada.person, GiB(0))
    with pytest.raises(QuotaExceeded) as refused:
        space.put_bytes(ada, "/home/ada/new", [b"data"])
    assert refused.value.message == "/home/ada holds 0 B of 0 B; 4 B more do not fit."
