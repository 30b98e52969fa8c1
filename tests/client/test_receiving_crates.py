"""Crates on their way here: whole, or nothing of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from armillary.base.errors import Conflict
from armillary.client.crates import Crates
from armillary.client.errors import Unreachable
from armillary.client.http import Armillary


def crates(octets: int, body: Iterator[bytes]) -> Crates:
    """A platform that sends this as every crate."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        assert request.url.params["image"] == "true"
        return httpx2.Response(200, headers={"X-Armillary-Octets": str(octets)}, content=body)

    return Crates(http=Armillary(url="https://cloud.example", transport=httpx2.MockTransport(answer)))


def broken() -> Iterator[bytes]:
    yield b"half of "
    raise httpx2.RemoteProtocolError("peer closed connection")


def test_how_far_it_is_is_told(tmp_path: Path) -> None:
    told: list[int] = []

    def begin(total: int) -> Callable[[int], None]:
        told.append(total)
        return told.append

    crates(8, iter([b"the ", b"zip!"])).receive("12", tmp_path / "x.zip", image=True, begin=begin)
    assert (tmp_path / "x.zip").read_bytes() == b"the zip!"
    assert (told[0], sum(told[1:])) == (8, 8)


def test_what_does_not_fit_on_the_disk_is_not_begun(tmp_path: Path) -> None:
    with pytest.raises(Conflict) as refused:
        crates(1 << 60, iter([b"much"])).receive("12", tmp_path / "x.zip", image=True)
    assert (refused.value.code, refused.value.facts["needed"]) == ("no_room", 1 << 60)
    assert list(tmp_path.iterdir()) == []


def test_what_breaks_off_leaves_nothing_and_what_was_there_before_stays(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"of last week")
    with pytest.raises(Unreachable):
        crates(99, broken()).receive("12", tmp_path / "x.zip", image=True)
    assert [place.name for place in tmp_path.iterdir()] == ["x.zip"]
    assert (tmp_path / "x.zip").read_bytes() == b"of last week"
