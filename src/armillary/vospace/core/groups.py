"""With which groups a node can be shared: those of our own group service, under any of its names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from armillary.base.errors import Invalid
from armillary.vospace.core.names import CORE
from armillary.vospace.model import Change, Node


def group_services(authorities: Iterable[str]) -> frozenset[str]:
    """Return the names of our group service, given those of the space (`authority/service`)."""
    owners = {authority.partition("/")[0] for authority in authorities}
    return frozenset(f"ivo://{owner}/{name}" for owner in owners for name in ("gms", "ac"))


def with_own_groups(change: Change, services: frozenset[str]) -> Change:
    """Return the change with the bare names of our groups in it.

    Raises:
        Invalid: a group is somebody else's, whose members we do not know.
    """
    return replace(
        change,
        group_read=_own(change.group_read, services, "groupread"),
        group_write=_own(change.group_write, services, "groupwrite"),
    )


def _own(names: frozenset[str] | None, services: frozenset[str], field: str) -> frozenset[str] | None:
    if names is None:
        return None
    found: set[str] = set()
    for word in names:
        service, query, name = word.rpartition("?")
        if query and service not in services:
            raise Invalid(
                f"{word[:200]} is not a group of this service.",
                code="invalid_argument",
                facts={"field": CORE + field, "group": word[:200]},
                remedy="Share with a group of ours: armillary group list",
            )
        found.add(name)
    return frozenset(found)


def new_groups(change: Change, node: Node) -> frozenset[str]:
    """Return the groups that a change adds to a node. Those that stand on it already may have been deleted."""
    reading = (change.group_read or frozenset()) - node.sharing.group_read
    return reading | ((change.group_write or frozenset()) - node.sharing.group_write)


def unknown_groups(names: Iterable[str]) -> Invalid:
    """Return the refusal for groups that do not exist."""
    listed = sorted(names)
    return Invalid(
        f"There is no group {', '.join(listed)}.",
        code="invalid_argument",
        facts={"field": CORE + "groupread", "groups": listed},
        remedy="Make it first (armillary group create, cadc-groups create), or check the name.",
    )
