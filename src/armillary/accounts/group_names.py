"""The names of groups: one space for groups and projects, and none is given twice (GMS 1.0).

A name stands on nodes of the VOSpace. Given to somebody else later, it would open them to strangers.
"""

from __future__ import annotations

from datetime import datetime

from armillary.accounts.store import Records
from armillary.base.errors import Conflict


def need_free_group_name(records: Records, name: str, *, holder_id: str | None = None) -> None:
    """Raise Conflict if a group or a project has the name, had it, or is asked for under it.

    `holder_id` may have back what was its own.
    """
    taken = bool(records.groups.find(name=name)) or records.projects.by_name(name) is not None
    if taken or records.applications.name_is_waiting(name):
        raise Conflict(
            f"The group name {name!r} is taken.",
            code="group_name_taken",
            facts={"field": "name", "name": name},
            remedy="Choose another name.",
        )
    retired = records.places.retired(name)
    if retired is not None and retired[0] != holder_id:
        raise Conflict(
            f"The name {name!r} was another group's, and names are not given again.",
            code="group_name_used",
            facts={"field": "name", "name": name},
            remedy="Choose another name.",
        )


def is_name_of_a_group(records: Records, name: str) -> bool:
    """Whether a name is, or was, that of a group that is no project: no project may have it."""
    retired = records.places.retired(name)
    return bool(records.groups.find(name=name)) or (retired is not None and not retired[1])


def retire_group_name(
    records: Records, name: str, holder_id: str, *, at: datetime, is_project: bool = False
) -> None:
    """Remember a name that its group or project gives up, so that no other gets it."""
    records.places.retire(name, holder_id, is_project=is_project, at=at)
