"""What fills a home that is full, named where it refuses: whoever reads the refusal knows what to delete."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from armillary.base.errors import QuotaExceeded
from armillary.base.units import format_size
from armillary.vospace.core.permissions import Asker
from armillary.vospace.paths import VOSPath

if TYPE_CHECKING:
    from armillary.vospace.service.base import TreeService

NAMED = 3
MOST_NODES = 20_000
"""Nodes that are looked at: some hundredths of a second. With more the sizes are lower bounds."""


@contextmanager
def naming_the_largest(space: TreeService, asker: Asker | None) -> Generator[None]:
    """Have a refusal for want of room name the largest files and folders at the top of the home, with bytes.

    Only to the home's owner, with a credential that may read: to others it would tell the names of what is not theirs.
    Not to the bearer of a pre-authorised address either: one for writing tells nothing.
    Goes around a transaction, not into it: to count takes a while.

    Raises:
        QuotaExceeded: what was raised inside, with `largest` among its facts.
    """
    try:
        yield
    except QuotaExceeded as error:
        raise _with_the_largest(space, asker, error) from error.__cause__


def _with_the_largest(space: TreeService, asker: Asker | None, error: QuotaExceeded) -> QuotaExceeded:
    if asker is None or asker.is_bearer or not asker.may_read or "home" not in error.facts:
        return error
    path = VOSPath.parse(str(error.facts["home"]))
    with space.records.reading() as tree:
        way = tree.walk(path)
        if len(way) <= len(path.names) or way[-1].owner_id != asker.person_id:
            return error
        heaviest = [weight for weight in tree.weights(way[-1], MOST_NODES) if weight.octets][:NAMED]
    if not heaviest:
        return error
    named = ", ".join(
        f"{_plain(weight.name)}{'/' if weight.is_container else ''} ({format_size(weight.octets)})"
        for weight in heaviest
    )
    largest = [
        {"path": str(path / weight.name), "folder": weight.is_container, "bytes": weight.octets}
        for weight in heaviest
    ]
    return QuotaExceeded(
        f"{error.message} The largest there: {named}.",
        facts={**error.facts, "largest": largest},
        remedy=error.remedy,
    )


def _plain(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name)
