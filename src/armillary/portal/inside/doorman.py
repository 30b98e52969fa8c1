"""Says who may go inside which machine, when a session begins and again while it lasts."""

from __future__ import annotations

import logging

from armillary.accounts.model import Membership, Role, TokenKind
from armillary.accounts.service import AccountsService
from armillary.base.errors import Conflict, Forbidden
from armillary.base.ids import ProjectId
from armillary.fleet.model import WORKER_MARK, FleetServer
from armillary.fleet.service import FleetService
from armillary.portal.inside.tickets import Kind, Pass, Place

audit = logging.getLogger("armillary.audit")


class Doorman:
    """Asks accounts and the fleet."""

    def __init__(self, *, accounts: AccountsService, fleet: FleetService) -> None:
        self._accounts = accounts
        self._fleet = fleet

    def admit(self, session: str, membership: Membership, place: Place, kind: Kind) -> Pass:
        """Return what a member's session may open.

        Raises:
            NotFound: the project has no such machine.
            Forbidden: a reader only looks.
            Conflict: the machine is a worker, where other people's jobs run with their credentials.
        """
        who = self._accounts.check_token(session, kinds=frozenset({TokenKind.SESSION}))
        _need_member(membership)
        server = self._fleet.server(place.cloud, place.project, place.server_id)
        need_own(server)
        return Pass(
            person=who.person.id, user_name=who.person.user_name, session=session, place=place, kind=kind
        )

    def still(self, what: Pass) -> None:
        """Check that what was allowed is allowed still.

        Raises:
            Unauthorized: the session has ended.
            Forbidden: the person is no member of the project any more.
        """
        self._accounts.check_token(what.session, kinds=frozenset({TokenKind.SESSION}))
        _need_member(self._membership(what, what.place.project.id))

    def _membership(self, what: Pass, project: ProjectId) -> Membership | None:
        mine = self._accounts.projects_of(what.person)
        return next((m for m in mine if m.project.id == project), None)


def need_own(server: FleetServer) -> None:
    """Refuse workers.

    Raises:
        Conflict: code `machine_is_worker`.
    """
    if WORKER_MARK in server.metadata:
        raise Conflict(
            "This machine is a worker: jobs of several people run there with their credentials.",
            code="machine_is_worker",
            remedy="Go into a job of yours with `armillary ssh JOB`.",
        )


def _need_member(membership: Membership | None) -> None:
    if membership is None or membership.role is Role.READER:
        raise Forbidden(
            "Only members of the project may go inside its machines.",
            code="members_only",
            remedy="Ask an administrator of the project to make you a member.",
        )
