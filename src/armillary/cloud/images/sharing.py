"""Sharing an image with other projects: the owner offers, each project accepts for itself."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, Engine

from armillary.accounts.model import Principal
from armillary.base.clock import Clock
from armillary.base.errors import Conflict, Forbidden, Invalid, NotFound, TooLarge
from armillary.cloud.access import allow_writing, sees
from armillary.cloud.images.blobs import Blobs
from armillary.cloud.images.model import Image, Member, MemberStatus, Visibility
from armillary.cloud.images.reading import ImageReading
from armillary.cloud.images.store import MEMBERS, members

MOST_MEMBERS = 128


class ImageSharing(ImageReading):
    """Members of images."""

    def __init__(self, *, engine: Engine, blobs: Blobs, clock: Clock) -> None:
        """Keep members beside the images."""
        super().__init__(engine=engine, blobs=blobs)
        self._clock = clock

    def members(self, principal: Principal, image_id: str) -> list[Member]:
        """Return the members: all of them for the owner, its own entry for a member.

        Raises:
            NotFound: no such image for this principal.
            Forbidden: the image is not shared.
        """
        with self._reading() as connection:
            image = self._shared(connection, principal, image_id)
            found = MEMBERS.find(connection, members.c.image_id == image.id)
        project = principal.project.id if principal.project else ""
        return [m for m in found if sees(principal, image.project_id) or m.member_id == project]

    def member(self, principal: Principal, image_id: str, member_id: str) -> Member:
        """Return one member.

        Raises:
            NotFound: there is none, for this principal.
        """
        for member in self.members(principal, image_id):
            if member.member_id == member_id:
                return member
        raise _no_member(image_id, member_id)

    def add(self, principal: Principal, image_id: str, member_id: str) -> Member:
        """Offer the image to a project.

        Raises:
            Conflict: it is a member already.
            Forbidden: the image is not shared, or not the principal's.
            TooLarge: there are too many members.
        """
        if not member_id or len(member_id) > 255:
            raise Invalid(
                "Member can't be empty" if not member_id else "A member's id has at most 255 characters"
            )
        now = self._clock.now()
        with self._engine.begin() as connection:
            image = self._owned(connection, principal, image_id, "add_member")
            _check_shared(image)
            if MEMBERS.get(connection, image.id, member_id) is not None:
                raise Conflict(
                    f"Member {member_id} is duplicated for image {image.id}", code="image_member_exists"
                )
            if len(MEMBERS.find(connection, members.c.image_id == image.id)) >= MOST_MEMBERS:
                raise TooLarge(
                    "The limit has been exceeded on the number of allowed image members for this image. "
                    f"Maximum: {MOST_MEMBERS}"
                )
            new = Member(
                image_id=image.id,
                member_id=member_id,
                status=MemberStatus.PENDING,
                created_at=now,
                updated_at=now,
            )
            return MEMBERS.add(connection, new)

    def answer(self, principal: Principal, image_id: str, member_id: str, status: str) -> Member:
        """Accept or reject an offer, for the project of the principal.

        Raises:
            Invalid: not a status.
            Forbidden: another project's offer.
        """
        choices = [s.value for s in MemberStatus]
        if status not in choices:
            raise Invalid('Incorrect request: Status must be "pending", "accepted" or "rejected".')
        with self._engine.begin() as connection:
            image = self._shared(connection, principal, image_id)
            project = allow_writing(principal, "modify_member")
            member = MEMBERS.get(connection, image.id, member_id)
            if member is None:
                raise _no_member(image_id, member_id)
            if member_id != project.id and not principal.is_cloud_admin:
                raise Forbidden(
                    "You are not authorized to complete modify_member action.",
                    code="image_of_another_project",
                    remedy="The project that the image is offered to accepts it.",
                )
            answered = replace(member, status=MemberStatus(status), updated_at=self._clock.now())
            MEMBERS.save(connection, answered)
            return answered

    def remove(self, principal: Principal, image_id: str, member_id: str) -> None:
        """Take the image back from a project.

        Raises:
            NotFound: it is no member.
            Forbidden: not the principal's image.
        """
        with self._engine.begin() as connection:
            image = self._owned(connection, principal, image_id, "delete_member")
            _check_shared(image)
            if not MEMBERS.remove(
                connection, members.c.image_id == image.id, members.c.member_id == member_id
            ):
                raise _no_member(image_id, member_id)

    def _shared(self, connection: Connection, principal: Principal, image_id: str) -> Image:
        image = self._seen(connection, principal, image_id)
        _check_shared(image)
        return image


def _check_shared(image: Image) -> None:
    if image.visibility is not Visibility.SHARED:
        raise Forbidden(
            "Only shared images have members.",
            code="image_not_shared",
            remedy="Set its visibility to shared.",
        )


def _no_member(image_id: str, member_id: str) -> NotFound:
    return NotFound(
        f"{member_id} not found in the member list of the image {image_id}.", code="no_such_image_member"
    )
