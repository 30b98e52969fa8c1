"""Links into groups: whoever has one, and signs in, may come in, until it expires or is used up."""

from __future__ import annotations

import logging
from datetime import timedelta

from armillary.accounts.base_service import need_person, storable
from armillary.accounts.core.group_rules import Invitation, Place
from armillary.accounts.core.rules import Findings
from armillary.accounts.model import Person
from armillary.accounts.passwords import hash_secret
from armillary.accounts.sharing import Sharing, changeable, need_room
from armillary.base.errors import Conflict, NotFound
from armillary.base.ids import new_hex, new_secret

LONGEST = timedelta(days=90)
MOST = 50
"""invitations of one group at a time"""
MOST_USES = 10_000

audit = logging.getLogger("armillary.audit")


class Inviting(Sharing):
    """Makes links, shows what is behind one, and lets people in."""

    def invite(
        self,
        name: str,
        *,
        by: Person,
        place: Place = Place.MEMBER,
        lifetime: timedelta = timedelta(days=7),
        uses: int | None = 1,
    ) -> tuple[Invitation, str]:
        """Return an invitation into a group and its secret, kept nowhere as it is. `uses` None: as many as come.

        Raises:
            NotFound: there is no such group.
            Forbidden: `by` does not look after the group, or it is a project's.
            Invalid: it would be good for too long, or too often.
            Conflict: the group has too many invitations.
        """
        findings = Findings()
        findings.check(
            "days", timedelta(0) < lifetime <= LONGEST, f"A link is good for 1 to {LONGEST.days} days."
        )
        findings.check(
            "uses", uses is None or 0 < uses <= MOST_USES, f"A link is good for 1 to {MOST_USES} people."
        )
        findings.settle()
        now, secret = self._clock.now(), new_secret()
        with self._store.write() as records:
            group = changeable(records, name, by)
            records.invitations.sweep(now)
            if len(records.invitations.of_group(group.id, now)) >= MOST:
                raise Conflict(
                    f"{name} has {MOST} invitations already.",
                    code="too_many_invitations",
                    facts={"group": name, "limit": MOST},
                    remedy="Take some back.",
                )
            made = Invitation(
                id=new_hex(),
                group=group.name,
                place=place,
                made_by=by.user_name,
                made_at=now,
                expires_at=now + lifetime,
                uses_left=uses,
                used=0,
            )
            records.invitations.add(made, group_id=group.id, secret_hash=hash_secret(secret))
        audit.info("group %s: invitation %s made by %s", name, made.id, by.user_name)
        return made, secret

    def invitations(self, name: str, *, by: Person) -> list[Invitation]:
        """Return the invitations of a group that can still be used. Raises as `invite`."""
        with self._store.read() as records:
            group = changeable(records, name, by)
            return records.invitations.of_group(group.id, self._clock.now())

    def invitation(self, secret: str) -> Invitation:
        """Return what is behind a link. Raises NotFound `invitation_over`."""
        with self._store.read() as records:
            return _need(records.invitations.by_secret(_hash(secret), self._clock.now()))

    def accept_invitation(self, secret: str, *, who: Person) -> str:
        """Come in; return the group's name. Who is there already uses nothing up. Raises NotFound `invitation_over`."""
        now = self._clock.now()
        with self._store.write() as records:
            found = _need(records.invitations.by_secret(_hash(secret), now))
            need_person(records, who.id)
            (group,) = records.groups.find(name=found.group)
            if not records.places.has_person(group.id, found.place, who.id):
                records.places.put_person(group.id, found.place, who.id)
                need_room(records, group, found.place)
                records.places.touch(group.id, now)
                records.invitations.use(found.id)
        audit.info("group %s: %s came in by invitation %s", found.group, who.user_name, found.id)
        return found.group

    def take_back_invitation(self, name: str, invitation_id: str, *, by: Person) -> None:
        """Make a link lead nowhere. Raises as `invite`, and NotFound `invitation_over`."""
        with self._store.write() as records:
            group = changeable(records, name, by)
            if not (storable(invitation_id) and records.invitations.remove(group.id, invitation_id)):
                raise _over()
        audit.info("group %s: invitation %s taken back by %s", name, invitation_id, by.user_name)


def _hash(secret: str) -> str:
    return hash_secret(secret[:200])


def _need(found: Invitation | None) -> Invitation:
    if found is None:
        raise _over()
    return found


def _over() -> NotFound:
    return NotFound(
        "This invitation is used up, has expired, or was taken back.",
        code="invitation_over",
        remedy="Ask whoever sent it for a new one.",
    )
