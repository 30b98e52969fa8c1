"""Groups that people make and share with: who is in them, who looks after them, and which groups are in groups."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from armillary.accounts.base_service import ServiceBase, need_person, storable
from armillary.accounts.core.group_rules import (
    GroupAction,
    GroupBrief,
    GroupDetail,
    Place,
    Places,
    Standing,
    is_group_name,
    may,
)
from armillary.accounts.core.rules import Findings
from armillary.accounts.group_names import need_free_group_name, retire_group_name
from armillary.accounts.model import Group, Person, Project, Role
from armillary.accounts.store import Records
from armillary.base.errors import Conflict, Forbidden, Invalid, NotFound, QuotaExceeded
from armillary.base.ids import PersonId, new_hex

DESCRIPTION_MAX = 2000
MOST_PEOPLE = 10_000
"""in one place of one group"""
MOST_GROUPS = 200
"""groups in one place of one group"""

audit = logging.getLogger("armillary.audit")


@dataclass(frozen=True, kw_only=True)
class _Named:
    """What a name stands for: a group, or a project, which is a group of its people."""

    id: str
    group: Group | None = None
    project: Project | None = None


class Sharing(ServiceBase):
    """Groups as people see them: by name, with an owner, administrators and members."""

    def groups_of(self, person_id: PersonId) -> frozenset[str]:
        """Return the names of all groups that a person is in: projects, groups, and groups around those.

        One statement on the records as they are: who was taken out a moment ago is not in them.
        """
        with self._store.read() as records:
            return records.places.names_of(person_id)

    def known_groups(self, names: frozenset[str]) -> frozenset[str]:
        """Return those of the names that are a group's or a project's."""
        with self._store.read() as records:
            return records.places.known(name for name in names if storable(name)) if names else frozenset()

    def groups_in_role(self, person: Person, role: str) -> list[GroupBrief]:
        """Return the groups, projects too, in which a person is `member`, `admin` or `owner`, by name."""
        with self._store.read() as records:
            found = records.places.by_role(role, person.id)
            for membership in records.projects.of_person(person.id) if role != "owner" else []:
                project = membership.project
                if project.enabled and (role == "member" or membership.role is Role.ADMIN):
                    found.append(_brief_of(project))
        return sorted((one for one in found if is_group_name(one.name)), key=lambda one: one.name)

    def every_group(self) -> list[GroupBrief]:
        """Return all groups and projects, by name, for an administrator."""
        with self._store.read() as records:
            found = records.places.every() + [_brief_of(project) for project in records.projects.all()]
        return sorted((one for one in found if is_group_name(one.name)), key=lambda one: one.name)

    def group_detail(self, name: str, *, by: Person) -> GroupDetail:
        """Return a group with all that is in it.

        Raises:
            NotFound: there is none.
            Forbidden: `by` is neither in it nor looks after it.
        """
        with self._store.read() as records:
            named = _named(records, name)
            _require(records, named, by, GroupAction.SEE)
            return _detail(records, named)

    def open_group(
        self,
        name: str,
        *,
        by: Person,
        description: str = "",
        members: Places | None = None,
        admins: Places | None = None,
    ) -> GroupDetail:
        """Make a group that `by` owns.

        Raises:
            Invalid: the name or the description is wrong.
            Conflict: the name is taken, or was and is never given again.
            QuotaExceeded: `by` owns as many groups as one may.
        """
        findings = Findings()
        findings.check("name", is_group_name(name), "A group's name is 1 to 128 letters, digits or ',._~-'.")
        _check_description(findings, description)
        findings.settle()
        now = self._clock.now()
        with self._store.write() as records:
            need_free_group_name(records, name)
            if not by.is_admin and records.places.owned_by(by.id) >= self._groups_each:
                raise QuotaExceeded(
                    f"You own {self._groups_each} groups already.",
                    code="too_many_groups",
                    facts={"limit": self._groups_each},
                    remedy="Delete one that nobody needs, or ask an administrator.",
                )
            group = Group(id=new_hex(), name=name, description=description)
            records.groups.add(group)
            records.places.own(group.id, by.id, now)
            for place, wanted in ((Place.MEMBER, members), (Place.ADMIN, admins)):
                _fill(records, group, place, wanted or Places())
            detail = _detail(records, _named(records, name))
        audit.info("group %s: made by %s", name, by.user_name)
        return detail

    def edit_group(
        self,
        name: str,
        *,
        by: Person,
        description: str | None = None,
        members: Places | None = None,
        admins: Places | None = None,
    ) -> GroupDetail:
        """Change what is given; lists of members and administrators are replaced whole.

        Raises:
            NotFound, Forbidden, Invalid, Conflict: as for the single changes; nothing is changed then.
        """
        findings = Findings()
        _check_description(findings, description or "")
        findings.settle()
        with self._store.write() as records:
            group = changeable(records, name, by)
            if description is not None:
                records.groups.change(group.id, description=description)
            for place, wanted in ((Place.MEMBER, members), (Place.ADMIN, admins)):
                if wanted is not None:
                    _fill(records, group, place, wanted)
            records.places.touch(group.id, self._clock.now())
            detail = _detail(records, _named(records, name))
        audit.info("group %s: changed by %s", name, by.user_name)
        return detail

    def put_into_group(
        self, name: str, place: Place, *, by: Person, person: PersonId | None = None, group: str | None = None
    ) -> None:
        """Put a person or a group into a place of a group; it may be there already.

        Raises:
            NotFound: the group, the person or the inner group does not exist.
            Forbidden: `by` does not look after the group, or it is a project's.
            Conflict: the group would be in itself, or there is no room.
        """
        with self._store.write() as records:
            target = changeable(records, name, by)
            if person is not None:
                need_person(records, person)
                records.places.put_person(target.id, place, person)
            if group is not None:
                _nest(records, target, place, group)
            need_room(records, target, place)
            records.places.touch(target.id, self._clock.now())
        audit.info("group %s: %s %s put in by %s", name, place.value, person or group, by.user_name)

    def take_out_of_group(
        self, name: str, place: Place, *, by: Person, person: PersonId | None = None, group: str | None = None
    ) -> None:
        """Take a person or a group out of a place. Everybody may take themselves out of the members.

        Raises:
            NotFound: the group does not exist, or this is not in it.
            Forbidden: `by` does not look after the group, or it is a project's.
        """
        with self._store.write() as records:
            leaving = place is Place.MEMBER and person == by.id
            target = changeable(records, name, by, GroupAction.LEAVE if leaving else GroupAction.CHANGE)
            if person is not None:
                if not records.places.has_person(target.id, place, person):
                    raise _not_inside(name, place, person)
                records.places.drop_person(target.id, place, person)
            if group is not None:
                if group not in records.places.groups(target.id, place):
                    raise _not_inside(name, place, group)
                inner = _named(records, group)
                records.places.drop_group(target.id, place, inner.id, is_project=inner.group is None)
            records.places.touch(target.id, self._clock.now())
        audit.info("group %s: %s %s taken out by %s", name, place.value, person or group, by.user_name)

    def close_group(self, name: str, *, by: Person) -> None:
        """Delete a group for ever: nobody gets its name again, since nodes may carry it still.

        Raises:
            NotFound: there is none.
            Forbidden: `by` does not own it.
        """
        with self._store.write() as records:
            group = changeable(records, name, by, GroupAction.DELETE)
            retire_group_name(records, group.name, group.id, at=self._clock.now())
            records.groups.remove(group.id)
        audit.info("group %s: deleted by %s", name, by.user_name)


def _brief_of(project: Project) -> GroupBrief:
    return GroupBrief(name=project.name, description=project.description, owner_name=None, is_project=True)


def _check_description(findings: Findings, description: str) -> None:
    findings.text("description", description, longest=DESCRIPTION_MAX, required=False, lines=True)


def _named(records: Records, name: str) -> _Named:
    """What a name stands for; a project goes before a group of an older version that has its name."""
    if storable(name):
        project = records.projects.by_name(name)
        if project is not None:
            return _Named(id=project.id, project=project)
        for group in records.groups.find(name=name):
            return _Named(id=group.id, group=group)
    raise NotFound(
        f"There is no group {name[:128]!r}.",
        code="group_not_found",
        facts={"group": name[:128]},
        remedy="Check the name.",
    )


def _standing(records: Records, named: _Named, by: Person) -> Standing:
    if named.group is not None:
        return records.places.standing(named.id, by)
    mine = [m.role for m in records.projects.of_person(by.id) if m.project.id == named.id]
    return Standing(is_member=bool(mine), is_admin=Role.ADMIN in mine, is_operator=by.is_admin)


def _require(records: Records, named: _Named, by: Person, action: GroupAction) -> None:
    name = named.group.name if named.group else named.project.name if named.project else ""
    is_project = named.group is None
    if may(_standing(records, named, by), action, is_project=is_project):
        return
    if is_project and action is not GroupAction.SEE:
        raise Forbidden(
            f"{name} is the group of a project, which changes with the project.",
            code="group_of_project",
            facts={"group": name},
            remedy=f"Use: armillary project add {name} USER",
        )
    raise Forbidden(
        f"{by.user_name} may not {action.value} the group {name}.",
        code="permission_denied",
        facts={"group": name, "action": action.value},
        remedy="Ask its owner.",
    )


def changeable(records: Records, name: str, by: Person, action: GroupAction = GroupAction.CHANGE) -> Group:
    """Return the group if `by` may do this to it; raises NotFound, Forbidden."""
    named = _named(records, name)
    _require(records, named, by, action)
    assert named.group is not None, "a project's group is never changeable"
    return named.group


def _detail(records: Records, named: _Named) -> GroupDetail:
    project = named.project
    if project is not None:
        members = records.projects.members(project.id)
        return GroupDetail(
            name=project.name,
            description=project.description,
            owner=None,
            is_project=True,
            created_at=project.created_at,
            changed_at=None,
            members=tuple(m.person for m in members),
            member_groups=(),
            admins=tuple(m.person for m in members if m.role is Role.ADMIN),
            admin_groups=(),
        )
    assert named.group is not None, "a name is a group's or a project's"
    owner, created_at, changed_at = records.places.owner(named.id) or (None, None, None)
    return GroupDetail(
        name=named.group.name,
        description=named.group.description,
        owner=owner,
        is_project=False,
        created_at=created_at,
        changed_at=changed_at,
        members=tuple(records.places.people(named.id, Place.MEMBER)),
        member_groups=tuple(records.places.groups(named.id, Place.MEMBER)),
        admins=tuple(records.places.people(named.id, Place.ADMIN)),
        admin_groups=tuple(records.places.groups(named.id, Place.ADMIN)),
    )


def _fill(records: Records, target: Group, place: Place, wanted: Places) -> None:
    """Make a place hold exactly what is wanted."""
    present = {person.id for person in records.places.people(target.id, place)}
    newcomers = wanted.people - present
    for person_id in newcomers - records.people.existing(newcomers):
        need_person(records, person_id)  # says that there is none
    records.places.put_people(target.id, place, newcomers)
    records.places.drop_people(target.id, place, present - wanted.people)
    inside = frozenset(records.places.groups(target.id, place))
    for name in inside - wanted.groups:
        gone = _named(records, name)
        records.places.drop_group(target.id, place, gone.id, is_project=gone.group is None)
    for name in sorted(wanted.groups - inside):
        _nest(records, target, place, name)
    need_room(records, target, place)


def _nest(records: Records, target: Group, place: Place, name: str) -> None:
    inner = _named(records, name)
    # one writer at a time: two could close a circle together
    if place is Place.MEMBER and inner.group is not None and records.places.is_within(target.id, inner.id):
        raise Conflict(
            f"{target.name} would be in itself: its members are members of {name} already.",
            code="group_circle",
            facts={"group": target.name, "inner": name},
            remedy="Put the people in, or make a group that both are in.",
        )
    records.places.put_group(target.id, place, inner.id, is_project=inner.group is None)


def need_room(records: Records, target: Group, place: Place) -> None:
    """Raise Invalid if there are more in a place of a group than may be."""
    limits = {"people": MOST_PEOPLE, "groups": MOST_GROUPS}
    for what, count in records.places.counts(target.id, place).items():
        if count > limits[what]:
            raise Invalid(
                f"A group has at most {limits[what]} {what} as {place.value}s.",
                code="group_full",
                facts={"field": what, "limit": limits[what]},
                remedy="Make several groups, and a group of them.",
            )


def _not_inside(name: str, place: Place, what: str) -> NotFound:
    return NotFound(
        f"This is no {place.value} of {name}.",
        code="member_not_found",
        facts={"group": name, place.value: what},
        remedy="Look who is in it.",
    )
