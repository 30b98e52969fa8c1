"""Groups of people, who are given roles together (Identity v3)."""

from __future__ import annotations

from armillary.accounts.base_service import ServiceBase, need_person, need_project, storable
from armillary.accounts.core.rules import Findings
from armillary.accounts.group_names import need_free_group_name, retire_group_name
from armillary.accounts.model import Group, GroupGrant, Person
from armillary.accounts.store import Records
from armillary.accounts.trail import changed
from armillary.base.errors import NotFound
from armillary.base.ids import PersonId, new_hex

DESCRIPTION_MAX = 2000


class Groups(ServiceBase):
    """Makes groups, puts people into them, and gives them roles."""

    def group(self, group_id: str) -> Group:
        """Return a group; raises NotFound."""
        with self._store.read() as records:
            return _need(records, group_id)

    def groups(self) -> list[Group]:
        """Return every group, by name."""
        with self._store.read() as records:
            return records.groups.find()

    def groups_with(self, person_id: PersonId) -> list[Group]:
        """Return the groups that a person is in, by name."""
        with self._store.read() as records:
            return records.groups.of_person(person_id)

    def create_group(self, name: str, description: str = "") -> Group:
        """Make an empty group.

        Raises:
            Invalid: a field is wrong.
            Conflict: the name is taken, or was another group's.
        """
        _check(name, description)
        group = Group(id=new_hex(), name=name, description=description)
        with self._store.write() as records:
            need_free_group_name(records, name)
            records.groups.add(group)
        return group

    def update_group(
        self, group_id: str, *, name: str | None = None, description: str | None = None
    ) -> Group:
        """Change what is given; raises as `create_group`, and NotFound."""
        _check(name, description)
        given = {"name": name, "description": description}
        changes = {field: value for field, value in given.items() if value is not None}
        with self._store.write() as records:
            group = _need(records, group_id)
            if name is not None and name != group.name:
                need_free_group_name(records, name, holder_id=group_id)
                retire_group_name(records, group.name, group_id, at=self._clock.now())
            if changes:
                records.groups.change(group_id, **changes)
            return _need(records, group_id)

    def delete_group(self, group_id: str) -> None:
        """Delete a group; its members lose the roles that they had through it at once."""
        with self._store.write() as records:
            group = _need(records, group_id)
            retire_group_name(records, group.name, group_id, at=self._clock.now())
            records.groups.remove(group_id)

    def group_members(self, group_id: str) -> list[Person]:
        """Return the people of a group, by user name; raises NotFound."""
        with self._store.read() as records:
            _need(records, group_id)
            return records.groups.members(group_id)

    def add_to_group(self, group_id: str, person_id: PersonId) -> None:
        """Put a person into a group, who may be there already."""
        with self._store.write() as records:
            _need(records, group_id)
            need_person(records, person_id)
            records.groups.put(group_id, person_id)

    def remove_from_group(self, group_id: str, person_id: PersonId) -> None:
        """Take a person out of a group; raises NotFound if the person is not in it."""
        with self._store.write() as records:
            _need(records, group_id)
            if not records.groups.has(group_id, person_id):
                raise NotFound(
                    "This person is not in the group.",
                    code="member_not_found",
                    facts={"group": group_id, "person": person_id},
                )
            records.groups.drop(group_id, person_id)

    def group_grants(self, group_id: str | None = None) -> list[GroupGrant]:
        """Return the single grants to a group, or to all groups."""
        with self._store.read() as records:
            return records.groups.grants(group_id)

    def grant_to_group(self, given: GroupGrant) -> None:
        """Give a role to the members of a group; they may have it already."""
        with self._store.write() as records:
            group, place = _need(records, given.group_id), _place(records, given)
            there = given in records.groups.grants(given.group_id)
            records.groups.grant(given)
            changed(f"{place}: role of the group {group.name}", given.role if there else None, given.role)

    def revoke_from_group(self, given: GroupGrant) -> None:
        """Take a role from the members of a group; raises NotFound if they were not given it."""
        with self._store.write() as records:
            if given not in records.groups.grants(given.group_id):
                raise NotFound(
                    "This group does not have that role there.",
                    code="grant_not_found",
                    facts={"group": given.group_id, "role": given.role.value},
                )
            records.groups.revoke(given)
            group, place = _need(records, given.group_id), _place(records, given)
            changed(f"{place}: role of the group {group.name}", given.role, None)


def _check(name: str | None, description: str | None) -> None:
    findings = Findings()
    if name is not None:
        findings.text("name", name, longest=64)
    findings.text("description", description or "", longest=DESCRIPTION_MAX, required=False, lines=True)
    findings.settle()


def _place(records: Records, given: GroupGrant) -> str:
    """Return the name of what a role is given in."""
    if given.project_id is not None:
        return need_project(records, given.project_id).name
    return str(given.cloud_scope)


def _need(records: Records, group_id: str) -> Group:
    found = records.groups.find(group_id=group_id) if storable(group_id) else []
    if not found:
        raise NotFound("There is no such group.", code="group_not_found", facts={"group": group_id})
    return found[0]
