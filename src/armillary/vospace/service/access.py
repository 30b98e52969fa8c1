"""From who asks to what they may do with the nodes that were found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from armillary.accounts.model import Principal
from armillary.base.errors import ArmillaryError, Conflict, Forbidden, Invalid, NotFound, Unauthorized
from armillary.base.ids import PersonId
from armillary.vospace.core.names import FROZEN
from armillary.vospace.core.permissions import Action, Asker, allowed
from armillary.vospace.model import Node, NodeKind
from armillary.vospace.paths import VOSPath

Who = Principal | Asker | None
"""Who asks: signed in, remembered in a pre-authorised URL, or a stranger."""

HOME_DEPTH = 2
"""Names in the path of a home: `/home/<user>`."""


class Access:
    """Decides with the groups of the people."""

    def __init__(
        self, *, groups: Callable[[PersonId], frozenset[str]], job: Callable[[str, PersonId], str]
    ) -> None:
        """Ask `groups` for the names of a person's groups, each time anew, and `job` whether somebody's job is at work."""
        self._groups = groups
        self._job = job

    def asker(self, who: Who) -> Asker | None:
        """Say who asks in the words of the decision."""
        if not isinstance(who, Principal):
            return replace(who, job=self._job(who.job, who.person_id)) if who and who.job else who
        return Asker(
            person_id=who.person.id,
            user_name=who.person.user_name,
            is_admin=who.person.is_admin,
            groups=self._groups(who.person.id),
            may_read=who.allows("vospace:read"),
            may_write=who.allows("vospace:write"),
            confined=who.of_job,
            credential=who.credential,
            job=self._job(who.job, who.person.id),
        )

    def allowed(self, asker: Asker | None, action: Action, way: Sequence[Node]) -> bool:
        """Whether `asker` may do it to the last node of `way`."""
        home = home_of(way)
        return allowed(asker, action, way[-1], home.owner_id if home else None)

    def require(self, asker: Asker | None, action: Action, way: Sequence[Node]) -> Node:
        """Return the last node of `way` if `asker` may do it.

        Raises:
            Unauthorized: nobody is signed in, which might help.
            Forbidden: with code `permission_denied`.
        """
        if not self.allowed(asker, action, way):
            raise denied(asker, action, way[-1].path)
        return way[-1]

    def find(
        self, asker: Asker | None, way: Sequence[Node], path: VOSPath, *, as_container: bool = False
    ) -> Sequence[Node]:
        """Return `way` if it leads to `path`.

        Raises:
            NotFound: with code `node_not_found`, or `container_not_found` for `as_container`, to those who may see
                what is there.
            Invalid: with code `link_found`, to them too; a link is in the way.
            Forbidden: to the others, so that nobody learns names by asking.
        """
        if len(way) == len(path.names) + 1:
            return way
        last = self.require(asker, Action.READ, way)
        if last.kind is NodeKind.LINK:
            raise Invalid(
                f"{last.path} is a link to {last.target}.",
                code="link_found",
                facts={"path": str(last.path), "target": last.target},
                remedy="Use the path of the target.",
            )
        raise _missing_container(path, last) if as_container else _missing(path, last)

    def find_within(self, asker: Asker | None, way: Sequence[Node], path: VOSPath) -> Sequence[Node]:
        """Return `way` as `find`, and say `container_not_found` when the containers above are missing."""
        return self.find(asker, way, path, as_container=len(way) < len(path.names))


def home_of(way: Sequence[Node]) -> Node | None:
    """Return the home on the way."""
    return way[HOME_DEPTH] if len(way) > HOME_DEPTH else None


def _missing(path: VOSPath, last: Node) -> NotFound:
    return NotFound(
        f"{path} does not exist.",
        code="node_not_found",
        facts={"path": str(path), "exists": str(last.path)},
        remedy=f"List {last.path} to see what is there.",
    )


def _missing_container(path: VOSPath, last: Node) -> NotFound:
    return NotFound(
        f"There is no container for {path}.",
        code="container_not_found",
        facts={"path": str(path), "exists": str(last.path)},
        remedy=f"Make what is missing below {last.path}.",
    )


def refuse_locked(node: Node) -> None:
    """Refuse to touch a locked node.

    Raises:
        Conflict: with code `node_locked`, or `node_frozen`.
    """
    frozen = node.properties.get(FROZEN)
    if frozen is not None:
        raise Conflict(
            f"{node.path} is frozen: it is kept as it is for {frozen}.",
            code="node_frozen",
            facts={"path": str(node.path), "frozen": frozen},
            remedy=f"Its owner lets it change again: armillary unfreeze {frozen}",
        )
    if node.is_locked:
        raise Conflict(
            f"{node.path} is locked.",
            code="node_locked",
            facts={"path": str(node.path)},
            remedy="Unlock it with vlock --unlock.",
        )


def denied(asker: Asker | None, action: Action, path: VOSPath) -> ArmillaryError:
    """Return the refusal that fits who asks."""
    facts = {"path": str(path), "action": action.value}
    if asker is None:
        return Unauthorized(
            f"{path} is not open to everybody.",
            code="unauthorized",
            facts=facts,
            remedy="Sign in: get a certificate with cadc-get-cert.",
        )
    return Forbidden(
        f"{asker.user_name} may not {action.value} {path}.",
        code="permission_denied",
        facts=facts,
        remedy="Ask its owner for access.",
    )
