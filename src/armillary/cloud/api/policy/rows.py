"""What a row of the table says. The rooms beside this one are the table, a service each."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from armillary.accounts.model import Principal, Role


class Least(Enum):
    """The least that somebody must be. Each implies the ones before it, but for `auditor`."""

    ANYONE = "anyone"
    """no token is asked for"""
    USER = "user"
    """any good token, whatever it is scoped to: the service looks whether the thing is the user's own"""
    READER = "reader"
    MEMBER = "member"
    MANAGER = "manager"
    AUDITOR = "auditor"
    """a reader of the system, or of the domain: of Identity alone; no role in a project makes one"""
    ADMIN = "admin"
    """an administrator of the cloud"""

    def met_by(self, who: Principal) -> bool:
        """Whether a bearer of a token is that much."""
        if who.is_cloud_admin:
            return True
        if self is Least.AUDITOR:
            scoped = who.token is not None and who.token.cloud_scope is not None
            return scoped and Role.READER in who.roles
        if self in _ROLES:
            return who.project is not None and _ROLES[self] in who.roles
        return self is not Least.ADMIN


_ROLES = {Least.READER: Role.READER, Least.MEMBER: Role.MEMBER, Least.MANAGER: Role.MANAGER}
ANYONE, USER, READER, MEMBER, MANAGER, AUDITOR, ADMIN = Least


class Row(NamedTuple):
    """One endpoint, or one action of an endpoint that takes its name from the body."""

    method: str
    """GET is for HEAD too; * is for all methods."""
    path: str
    """The route's template, without the prefix of the service."""
    rule: str
    """The name that OpenStack gives the rule; empty where it has none."""
    least: Least
    says: str
    """What it does, for people."""
    action: str = ""
    """The one property of the body of an action."""
    project: bool = False
    """Whether even an administrator's token needs a project in its scope."""
    foreign: int = 0
    """What everybody but an administrator is answered for what another project, or user, has; 0 where no such
    thing can be named, or where all see it."""
    gives: tuple[int, ...] = ()
    """The statuses of success, where the route does not name its only one."""
    refuses: tuple[int, ...] = ()
    """Refusals that its kind does not usually have."""
    media_type: str = ""
    """What it answers in, if it is not JSON."""
