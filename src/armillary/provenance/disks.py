"""The machine images of crates: their bytes out of a cloud that has them, and into one that is to have them."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from armillary.accounts.model import Principal, Project
from armillary.base.clock import Clock
from armillary.base.errors import ArmillaryError, Conflict, Forbidden, Invalid, NotFound, PreconditionFailed
from armillary.base.ids import CloudName, ImageId, PersonId, Sha512
from armillary.base.units import GiB
from armillary.crates.layout import Crate, Signed
from armillary.crates.record import ImageRecord
from armillary.crates.signing import Signature
from armillary.fleet.api import SCOPE as READ
from armillary.fleet.api import Memberships, choose_project
from armillary.fleet.machines_api import WRITE_SCOPE as WRITE
from armillary.fleet.model import COPY_MARK, PROJECT_MARK, FleetImage
from armillary.provenance.model import PublicKey

log = logging.getLogger(__name__)

IMPORT_MARK = "armillary_import"
"""Image property: the digest of what a crate brings, so that what was not finished is found again."""
BREAKS = 5
"""How often in a row the bytes may break off, without a new one."""
AT_ONCE = 4
"""images that come in at a time, one of a person: each holds a thread for as long as its sender takes"""
_OURS = {IMPORT_MARK, COPY_MARK, PROJECT_MARK}


class Fleet(Protocol):
    """The clouds' images: `FleetService`."""

    def clouds(self) -> Sequence[CloudName]: ...

    def images(self, cloud: CloudName, project: Project) -> list[FleetImage]: ...

    def image_bytes(
        self, cloud: CloudName, project: Project, image_id: ImageId, *, offset: int = 0
    ) -> Iterator[bytes]: ...

    def upload_image(
        self, cloud: CloudName, project: Project, *, like: FleetImage, chunks: Iterator[bytes]
    ) -> FleetImage: ...

    def delete_image(self, cloud: CloudName, project: Project, image_id: ImageId) -> None: ...


class Signer(Protocol):
    """Who vouches for what the platform says."""

    def sign(self, document: bytes) -> Signature:
        """Sign canonical bytes."""
        ...

    def published_keys(self) -> list[PublicKey]:
        """Return every key that ever signed."""
        ...


@dataclass(frozen=True, kw_only=True)
class Disk:
    """A crate with its image's record, and the copies that its bytes are read from."""

    crate: Crate
    project: Project
    copies: Sequence[FleetImage]

    @property
    def image(self) -> FleetImage:
        """The copy that is read first."""
        return self.copies[0]


@dataclass(frozen=True, kw_only=True)
class Brought:
    """Where a crate's image is now. `sent`: its bytes came just now; else it was there already."""

    image: FleetImage
    sent: bool


class Disks:
    """Members of a project take its images along with a crate, and bring them into its clouds."""

    def __init__(
        self, *, fleet: Fleet, memberships: Memberships, signer: Signer, clock: Clock, platform: str
    ) -> None:
        self._fleet = fleet
        self._memberships = memberships
        self._signer = signer
        self._clock = clock
        self._platform = platform
        self._lock = threading.Lock()
        self._coming: dict[tuple[CloudName, str], PersonId] = {}

    def disk(self, who: Principal, crate: Crate, *, project: str | None = None) -> Disk:
        """Return the crate with a signed record of its image, whose bytes `chunks` then yields.

        Raises:
            Forbidden: the credential is not for looking at clouds.
            NotFound: the caller is no member of the project.
            Conflict: no cloud that answers has the image, code `image_gone`.
        """
        chosen = self._project(who, crate, project, scope=READ)
        sha512 = crate.cluster.document.image.sha512
        copies, silent = self._copies(chosen, sha512)
        if not copies:
            raise silent or Conflict(
                f"no cloud has the machine image any more: sha512 {sha512[:16]}…",
                code="image_gone",
                facts={"sha512": sha512, "project": chosen.name},
                remedy="Leave it out, or bring it back by importing a crate that has it: armillary import CRATE",
            )
        image = copies[0]
        record = ImageRecord(
            platform=self._platform,
            name=image.name or crate.cluster.document.image.name,
            sha512=sha512,
            size=image.size,
            disk_format=image.disk_format or "raw",
            min_disk_gib=int(image.min_disk),
            properties={key: value for key, value in sorted(image.properties.items()) if key not in _OURS},
        )
        data = record.canonical()
        signature = self._signer.sign(data)
        keys = {key.id: key.pem for key in self._signer.published_keys() if key.id == signature.key}
        signed = Signed(document=record, data=data, signature=signature)
        return Disk(
            crate=replace(crate, image=signed, keys={**crate.keys, **keys}), project=chosen, copies=copies
        )

    def chunks(self, disk: Disk) -> Iterator[bytes]:
        """Yield the image's bytes; where a cloud breaks off, it or the next one goes on.

        Raises:
            PreconditionFailed: they are not those of the digest, code `image_bytes_differ`: after the last of them.
        """
        seen = hashlib.sha512()
        done = turn = idle = 0
        while done < disk.image.size:
            image = disk.copies[turn % len(disk.copies)]
            try:
                for chunk in self._fleet.image_bytes(image.cloud, disk.project, image.id, offset=done):
                    seen.update(chunk)
                    done += len(chunk)
                    idle = 0
                    yield chunk
                break
            except ArmillaryError as error:
                turn, idle = turn + 1, idle + 1
                if idle > BREAKS:
                    raise
                log.info("image %s from %s: %s; going on at %d", image.id, image.cloud, error.message, done)
        if seen.hexdigest() != disk.image.sha512:
            raise PreconditionFailed(
                "What the clouds give for this image is not the image: its digest is another.",
                code="image_bytes_differ",
                facts={"expected": disk.image.sha512, "found": seen.hexdigest(), "size": done},
                remedy="Delete the copy there; it is copied again from a cloud that has it whole.",
            )

    def there(self, who: Principal, crate: Crate, *, project: str | None = None) -> list[FleetImage]:
        """Return the copies of a crate's image that the project has already."""
        chosen = self._project(who, crate, project, scope=READ)
        return self._copies(chosen, crate.cluster.document.image.sha512)[0]

    def bring(
        self,
        who: Principal,
        crate: Crate,
        *,
        project: str | None,
        cloud: str | None,
        chunks: Iterator[bytes],
    ) -> Brought:
        """Have the image of a crate on a cloud: the one that is named, or the first that answers. Whole, or not at all.

        Raises:
            NotFound: the crate came without an image, code `no_image_in_crate`; no such cloud or project.
            Conflict: the same image is coming in already, or too many are, code `images_under_way`.
            PreconditionFailed: the bytes are not those of the digest.
        """
        chosen = self._project(who, crate, project, scope=WRITE)
        if crate.image is None:
            raise NotFound(
                "this crate was imported without its machine image",
                code="no_image_in_crate",
                remedy="Import a crate that was exported --with-image.",
            )
        record = crate.image.document
        copies, silent = self._copies(chosen, record.sha512, cloud)
        if copies:
            return Brought(image=copies[0], sent=False)
        place = self._place(chosen, cloud, silent)
        with self._alone(place, record.sha512, who.person.id):
            self._sweep(place, chosen, record.sha512)
            like = FleetImage(
                id=ImageId(""),
                name=record.name,
                cloud=place,
                sha512=Sha512(record.sha512),
                size=record.size,
                min_disk=GiB(record.min_disk_gib),
                status="active",
                visibility="private",
                owner=str(chosen.id),
                disk_format=record.disk_format,
                created_at=self._clock.now(),
                properties={**_given(record), IMPORT_MARK: record.sha512},
            )
            return Brought(image=self._fleet.upload_image(place, chosen, like=like, chunks=chunks), sent=True)

    def _project(self, who: Principal, crate: Crate, name: str | None, *, scope: str) -> Project:
        """Return the project that is named; else the one that the jobs ran for, if it is the caller's; else the only one."""
        if not who.allows(scope):
            raise Forbidden(
                "This credential is not for machine images.",
                code="scope_missing",
                facts={"scope": scope},
                remedy="Sign in, or make a token without limits.",
            )
        if name is None:
            theirs = crate.cluster.document.project.name
            if any(theirs == one.project.name for one in self._memberships.projects_of(who.person.id)):
                name = theirs
        return choose_project(self._memberships, who, name)

    def _copies(
        self, project: Project, sha512: str, only: str | None = None
    ) -> tuple[list[FleetImage], ArmillaryError | None]:
        """Return the image on each cloud that has it, and why one did not answer."""
        found: list[FleetImage] = []
        silent: ArmillaryError | None = None
        for cloud in self._fleet.clouds():
            if only not in (None, cloud):
                continue
            try:
                images = self._fleet.images(cloud, project)
            except ArmillaryError as error:
                silent = error
                continue
            found += [one for one in images if one.sha512 == sha512 and one.status == "active"][:1]
        return found, silent

    def _place(self, project: Project, cloud: str | None, silent: ArmillaryError | None) -> CloudName:
        known = self._fleet.clouds()
        if cloud is not None:
            if cloud not in known:
                raise NotFound(
                    f"there is no cloud {cloud}",
                    code="cloud_not_found",
                    facts={"cloud": cloud, "clouds": [str(one) for one in known]},
                    remedy="See: armillary clouds",
                )
            if silent:
                raise silent
            return CloudName(cloud)
        for one in known:
            try:
                self._fleet.images(one, project)
            except ArmillaryError as error:
                silent = error
            else:
                return one
        raise silent or Invalid("this platform has no clouds")

    @contextmanager
    def _alone(self, cloud: CloudName, sha512: str, person: PersonId) -> Generator[None]:
        with self._lock:
            theirs = person in self._coming.values()
            if theirs or (cloud, sha512) in self._coming or len(self._coming) >= AT_ONCE:
                raise Conflict(
                    "machine images are coming in already",
                    code="images_under_way",
                    facts={"cloud": cloud, "under_way": len(self._coming), "at_once": AT_ONCE},
                    remedy="Try again when they are there.",
                )
            self._coming[cloud, sha512] = person
        try:
            yield
        finally:
            with self._lock:
                del self._coming[cloud, sha512]

    def _sweep(self, cloud: CloudName, project: Project, sha512: str) -> None:
        """Remove what we did not live to finish: it would never become active."""
        for image in self._fleet.images(cloud, project):
            if image.status != "active" and image.properties.get(IMPORT_MARK) == sha512:
                log.warning("image %s on %s was not brought to its end; deleting it", image.id, cloud)
                self._fleet.delete_image(cloud, project, image.id)


def _given(record: ImageRecord) -> dict[str, str]:
    """Return what another platform says of an image, without the marks by which we know our own."""
    return {key: value for key, value in record.properties.items() if key not in _OURS}
