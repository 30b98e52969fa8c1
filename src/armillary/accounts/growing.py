"""More for a project that is there: asked for where it is full, decided like any other request."""

from __future__ import annotations

import logging

from armillary.accounts.base_service import ServiceBase, need_person, need_project
from armillary.accounts.core.rules import Findings
from armillary.accounts.model import Allocation, Application, ApplicationState, Project, Role
from armillary.accounts.trail import changed_figures
from armillary.base.errors import Conflict, Forbidden
from armillary.base.ids import ApplicationId, PersonId, ProjectId, new_uuid

audit = logging.getLogger("armillary.audit")

REASON_MAX = 2000


class Growing(ServiceBase):
    """Takes requests for other allocations, and changes allocations."""

    def request_more(
        self, person_id: PersonId, project_id: ProjectId, *, requested: Allocation, reason: str
    ) -> Application:
        """File a request of a member for another allocation of a project; it waits for an administrator.

        Raises:
            Invalid: a field is wrong, or all figures are those that the project has.
            Forbidden: the person is no member of the project, or only a reader.
            Conflict: such a request of the project waits already.
        """
        findings = Findings()
        findings.allocation("requested", requested)
        findings.text("reason", reason, longest=REASON_MAX, lines=True)
        with self._store.write() as records:
            project = need_project(records, project_id)
            need_person(records, person_id)
            roles = {
                role for _, _, role in records.projects.grants(project_id=project_id, person_id=person_id)
            }
            if not any(Role.MEMBER in role.implied for role in roles):
                raise Forbidden(
                    "Only members of a project ask for more.",
                    code="role_too_weak",
                    facts={"project": project.name},
                    remedy="Ask an administrator of the project.",
                )
            findings.check(
                "requested.cores", requested != project.allocation, "The project has exactly this."
            )
            findings.settle()
            waiting = records.applications.find(state=ApplicationState.WAITING)
            if any(one.project_id == project_id for one in waiting):
                raise Conflict(
                    f"A request of project {project.name} waits already.",
                    code="more_is_asked",
                    facts={"project": project.name},
                    remedy="Wait until an administrator has decided on it.",
                )
            application = Application(
                id=ApplicationId(new_uuid()),
                person_id=person_id,
                project_name=project.name,
                requested=requested,
                reason=reason.strip(),
                state=ApplicationState.WAITING,
                submitted_at=self._clock.now(),
                project_id=project.id,
            )
            records.applications.add(application)
        return application

    def change_allocation(self, project_id: ProjectId, allocation: Allocation, *, by: PersonId) -> Project:
        """Let a project use more, or less, from now on; on every cloud, in batch and in VOSpace.

        What is in use above the new figures stays; nothing more begins until it fits.

        Raises:
            Forbidden: `by` does not administer the platform.
            Invalid: a figure is wrong.
        """
        findings = Findings()
        findings.allocation("allocation", allocation)
        findings.settle()
        with self._store.write() as records:
            who = need_person(records, by)
            if not who.is_admin:
                raise Forbidden("Only an administrator of the platform changes allocations.")
            project = need_project(records, project_id)
            records.projects.change(project_id, allocation=allocation)
            changed = need_project(records, project_id)
        changed_figures(f"{project.name}: allocation,", project.allocation, changed.allocation)
        audit.info(
            "project %s: allocation %s instead of %s, by %s",
            project.name,
            allocation,
            project.allocation,
            who.user_name,
        )
        return changed
