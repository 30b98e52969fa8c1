"""From a stranger to a project: registration, applications, and their decision."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from armillary.accounts.base_service import (
    need_application,
    need_free_project_name,
    need_free_user_name,
    need_person,
    need_project,
)
from armillary.accounts.core.rules import Findings
from armillary.accounts.identities import Identities
from armillary.accounts.model import Allocation, Application, ApplicationState, Person, Project, Role
from armillary.accounts.store import Records
from armillary.accounts.trail import changed, changed_figures
from armillary.accounts.turnstile import Attempt
from armillary.base.errors import Conflict, Forbidden
from armillary.base.ids import ApplicationId, PersonId, ProjectId, new_hex, new_uuid

REASON_MAX = 2000
WAITING_MAX = 5
"""Applications of one person that may wait at once."""


class Registration(Identities):
    """Registers people and decides on their applications for projects."""

    def register(
        self,
        *,
        user_name: str,
        full_name: str,
        email: str,
        institute: str,
        password: str | None,
        project_name: str,
        requested: Allocation,
        reason: str,
        locale: str = "en",
        identity: tuple[str, str] | None = None,
        origin: str = "",
    ) -> Application:
        """Make a person who can sign in at once, and an application that waits for an administrator.

        With an `identity` (issuer and subject) they sign in with that, and a password is not needed.

        Raises:
            Invalid: `facts["errors"]` has a message for each field that is wrong.
            Conflict: the user name, address or project name is taken; nothing was made.
            TooManyRequests: too many registrations came from the network address `origin`.
        """
        with self._store.write() as records:  # in a transaction of its own: refused ones count, too
            self._turnstile.need_turn(records, Attempt.REQUEST, origin)
            self._turnstile.count(records, Attempt.REQUEST, origin)
        findings = Findings()
        findings.user_name(user_name)
        findings.text("full_name", full_name, longest=200)
        findings.email(email)
        findings.text("institute", institute, longest=200)
        if identity is None or password is not None:
            findings.password(password or "", user_name=user_name)
        findings.locale(locale)
        _check_request(findings, project_name, requested, reason)
        findings.settle()
        # outside of the transaction: it is slow by design
        hashed = self._passwords.hash(password) if password is not None else None
        now = self._clock.now()
        person = Person(
            id=PersonId(new_hex()),
            user_name=user_name,
            full_name=full_name.strip(),
            email=email,
            institute=institute.strip(),
            is_admin=False,
            enabled=True,
            created_at=now,
            locale=locale,
        )
        with self._store.write() as records:
            need_free_user_name(records, user_name)
            if records.people.by_email(email) is not None:
                raise Conflict(
                    "Somebody is registered with this e-mail address.",
                    code="email_taken",
                    facts={"field": "email"},
                    remedy="Sign in, or register with another address.",
                )
            records.people.add(person, password_hash=hashed)
            if identity is not None:
                self._add_identity(records, person, *identity)
            return self._apply(records, person, project_name, requested, reason)

    def request_project(
        self, person_id: PersonId, *, project_name: str, requested: Allocation, reason: str
    ) -> Application:
        """File an application of a person for one more project.

        Raises:
            Invalid: a field is wrong.
            Conflict: the project name is taken, or too many applications of this person wait.
        """
        findings = Findings()
        _check_request(findings, project_name, requested, reason)
        findings.settle()
        with self._store.write() as records:
            person = need_person(records, person_id)
            waiting = records.applications.find(state=ApplicationState.WAITING, person_id=person_id)
            if len(waiting) >= WAITING_MAX:
                raise Conflict(
                    f"{len(waiting)} of your applications wait already.",
                    code="too_many_applications",
                    facts={"waiting": len(waiting), "limit": WAITING_MAX},
                    remedy="Wait until an administrator has decided on them.",
                )
            return self._apply(records, person, project_name, requested, reason)

    def _apply(
        self, records: Records, person: Person, project_name: str, requested: Allocation, reason: str
    ) -> Application:
        need_free_project_name(records, project_name)
        application = Application(
            id=ApplicationId(new_uuid()),
            person_id=person.id,
            project_name=project_name,
            requested=requested,
            reason=reason.strip(),
            state=ApplicationState.WAITING,
            submitted_at=self._clock.now(),
        )
        records.applications.add(application)
        return application

    def application(self, application_id: ApplicationId) -> Application:
        """Return an application; raises NotFound."""
        with self._store.read() as records:
            return need_application(records, application_id)

    def applications(self, state: ApplicationState | None = None) -> list[Application]:
        """Return applications in a state, or all, oldest first."""
        with self._store.read() as records:
            return records.applications.find(state=state)

    def decided_since(self, moment: datetime) -> list[Application]:
        """Return the applications that were decided at a moment or later."""
        with self._store.read() as records:
            return records.applications.find(decided_since=moment)

    def last_decided(self, most: int) -> list[Application]:
        """Return applications that were decided, the latest first."""
        with self._store.read() as records:
            return records.applications.last_decided(most)

    def applications_of(self, person_id: PersonId) -> list[Application]:
        """Return the applications of a person, oldest first."""
        with self._store.read() as records:
            return records.applications.find(person_id=person_id)

    def approve(
        self, application_id: ApplicationId, *, by: PersonId, granted: Allocation | None = None
    ) -> Project:
        """Make the project with the granted figures (or those asked for); the applicant administers it.

        A request for more changes the allocation of its project instead.

        Raises:
            Conflict: it was decided before, by whomever, or a project took the name meanwhile.
            NotFound: the project that should have more is gone.
            Forbidden: `by` does not administer the platform.
        """
        if granted is not None:
            findings = Findings()
            findings.allocation("granted", granted)
            findings.settle()
        now = self._clock.now()
        with self._store.write() as records:
            application = _open_application(records, application_id, by)
            allocation = granted or application.requested
            if application.project_id is not None:
                before = need_project(records, application.project_id)
                records.projects.change(application.project_id, allocation=allocation)
                project = need_project(records, application.project_id)
                changed_figures(f"{project.name}: allocation,", before.allocation, project.allocation)
            else:
                need_free_project_name(records, application.project_name, waiting_too=False)
                project = Project(
                    id=ProjectId(new_hex()),
                    name=application.project_name,
                    description=application.reason,
                    allocation=allocation,
                    enabled=True,
                    created_at=now,
                )
                records.projects.add(project)
                records.projects.grant(project.id, application.person_id, Role.ADMIN)
                for name, figure in vars(allocation).items():
                    changed(f"{project.name}: allocation, {name}", None, figure)
            records.applications.replace(
                replace(
                    application,
                    state=ApplicationState.APPROVED,
                    decided_at=now,
                    decided_by=by,
                    granted=project.allocation,
                    project_id=project.id,
                )
            )
            return project

    def decline(self, application_id: ApplicationId, *, by: PersonId, reason: str) -> Application:
        """Decline an application with a reason that the applicant reads.

        Raises:
            Conflict: it was decided before.
            Forbidden: `by` does not administer the platform.
            Invalid: there is no reason.
        """
        findings = Findings()
        findings.text("reason", reason, longest=REASON_MAX, lines=True)
        findings.settle()
        with self._store.write() as records:
            declined = replace(
                _open_application(records, application_id, by),
                state=ApplicationState.DECLINED,
                decided_at=self._clock.now(),
                decided_by=by,
                decision_reason=reason.strip(),
            )
            records.applications.replace(declined)
            return declined


def _check_request(findings: Findings, project_name: str, requested: Allocation, reason: str) -> None:
    findings.project_name(project_name)
    findings.allocation("requested", requested)
    findings.text("reason", reason, longest=REASON_MAX, lines=True)


def _open_application(records: Records, application_id: ApplicationId, by: PersonId) -> Application:
    if not need_person(records, by).is_admin:
        raise Forbidden("Only an administrator of the platform decides on applications.")
    application = need_application(records, application_id)
    if application.state is not ApplicationState.WAITING:
        raise Conflict(
            f"This application was {application.state} before.",
            code="application_decided",
            facts={"application": application_id, "state": application.state.value},
            remedy="Reload the list of applications.",
        )
    return application
