"""Who may do what to a node: one decision, from the node alone.

The containers above do not count for reading, so that a folder can be shared without opening the home
around it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from armillary.base.ids import PersonId
from armillary.vospace.model import Node

SYSTEM_OWNER = PersonId("")
"""Owner of the top and of `/home`: everybody who is signed in may look, nobody may write."""


class Action(StrEnum):
    """What is asked for."""

    READ = "read"
    WRITE = "write"
    SHARE = "share"


@dataclass(frozen=True, kw_only=True)
class Asker:
    """Who asks, with what their credential leaves them.

    `confined` is a job's credential: it reaches the homes of its own person and nothing else. `credential` names what
    was signed in with, for what is promised on the strength of it. `job` is the name of the job whose credential it is.
    `is_bearer`: of a pre-authorised address, who may be anybody that was given it.
    """

    person_id: PersonId
    user_name: str
    is_admin: bool = False
    groups: frozenset[str] = frozenset()
    may_read: bool = True
    may_write: bool = True
    confined: bool = False
    credential: str = ""
    job: str = ""
    is_bearer: bool = field(default=False, compare=False)


def allowed(asker: Asker | None, action: Action, node: Node, home_owner: PersonId | None) -> bool:
    """Decide.

    `asker` is None for a stranger; `home_owner` owns the home that the node is in, if it is in one.
    """
    if action is Action.READ and node.sharing.is_public:
        return asker is None or _within_limits(asker, action, home_owner)
    if asker is None or not _within_limits(asker, action, home_owner):
        return False
    if node.owner_id == SYSTEM_OWNER:
        return action is Action.READ
    if asker.is_admin or asker.person_id in {node.owner_id, home_owner}:
        return True
    if action is Action.SHARE:
        return False
    groups = node.sharing.group_write
    if action is Action.READ:
        groups |= node.sharing.group_read
    return not groups.isdisjoint(asker.groups)


def _within_limits(asker: Asker, action: Action, home_owner: PersonId | None) -> bool:
    if not (asker.may_read if action is Action.READ else asker.may_write):
        return False
    inside = home_owner == asker.person_id or (home_owner is None and action is Action.READ)
    return inside or not asker.confined
