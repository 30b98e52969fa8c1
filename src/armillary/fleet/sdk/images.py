"""The images of one OpenStack cloud (Glance v2)."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from armillary.accounts.model import Project
from armillary.base.clock import from_iso
from armillary.base.errors import Invalid, NotFound, PreconditionFailed, Unavailable
from armillary.base.ids import CloudName, ImageId, ServerId, Sha512
from armillary.base.units import GiB
from armillary.fleet.model import PROJECT_MARK, FleetCloud, FleetImage
from armillary.fleet.sdk.connections import Connections
from armillary.fleet.sdk.errors import refusals

CHUNK = 2**20
GLANCE_OWN = frozenset(
    [
        "id",
        "name",
        "status",
        "visibility",
        "size",
        "virtual_size",
        "checksum",
        "os_hash_algo",
        "os_hash_value",
        "os_hidden",
        "owner",
        "protected",
        "tags",
        "created_at",
        "updated_at",
        "file",
        "self",
        "schema",
        "locations",
        "location",
        "direct_url",
        "url",
        "stores",
        "store",
        "container_format",
        "disk_format",
        "min_disk",
        "min_ram",
        "metadata",
        "data",
        "data_copied_bytes",
        "is_hidden",
    ]
)
"""What Glance itself says of an image; everything else is a property that people gave it."""
NOT_COPIED_PREFIXES = ("owner_specified.openstack.", "os_glance_")


class SizedStream:
    """Pieces of bytes whose total is known: the upload has a Content-Length and a short one is noticed."""

    def __init__(self, chunks: Iterator[bytes], size: int) -> None:
        self._chunks = chunks
        self._size = size
        self._hash = hashlib.sha512()

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        sent = 0
        for chunk in self._chunks:
            self._hash.update(chunk)
            sent += len(chunk)
            yield chunk
        if sent != self._size:
            # raising ends the connection: the cloud would wait for the rest until somebody's patience ends
            raise Unavailable(
                f"The image broke off after {sent} of {self._size} bytes.",
                code="image_broke_off",
                facts={"sent": sent, "size": self._size},
                remedy="It is copied again the next time that it is needed.",
            )

    def sha512(self) -> str:
        """The digest of what has passed through."""
        return self._hash.hexdigest()


class SdkImages:
    """Implements `CloudImages` with openstacksdk."""

    def __init__(self, *, cloud: FleetCloud, connections: Connections) -> None:
        self._cloud = cloud
        self._connections = connections

    def images(self, project: Project) -> list[FleetImage]:
        """Every image that the project may use, newest first."""
        with refusals(self._cloud.name):
            glance = self._connections.get(self._cloud, project).image
            usable = [image for image in glance.images() if self._usable(glance, image, project)]
            return sorted(
                (to_image(self._cloud.name, image) for image in usable),
                key=lambda i: i.created_at,
                reverse=True,
            )

    def open(self, project: Project, image_id: ImageId, *, offset: int = 0) -> Iterator[bytes]:
        """The image's bytes, in pieces."""
        with refusals(self._cloud.name):
            glance = self._connections.get(self._cloud, project).image
            headers = {"Range": f"bytes={offset}-"} if offset else {}
            with glance.get(f"/images/{image_id}/file", stream=True, headers=headers) as reply:
                if reply.status_code not in (200, 206):
                    raise NotFound(
                        f"Image {image_id} has no bytes on {self._cloud.name}.", code="image_not_found"
                    )
                # a cloud that does not know ranges sends all of it again
                skip = offset if reply.status_code == 200 else 0
                for chunk in reply.iter_content(CHUNK):
                    if skip >= len(chunk):
                        skip -= len(chunk)
                        continue
                    yield chunk[skip:]
                    skip = 0

    def upload(self, project: Project, like: FleetImage, chunks: Iterator[bytes]) -> FleetImage:
        """Make an image like another from `chunks`; whole and verified, or not at all."""
        with refusals(self._cloud.name):
            glance = self._connections.get(self._cloud, project).image
            created = self._create(glance, project, like)
            kept = False
            try:
                body = SizedStream(chunks, like.size)
                reply = glance.put(
                    f"/images/{created}/file",
                    data=body,
                    headers={"Content-Type": "application/octet-stream", "Accept": ""},
                )
                if reply.status_code >= 300:
                    raise Invalid(f"Cloud {self._cloud.name} refused the image: {reply.text[:500]}")
                there = to_image(self._cloud.name, glance.get_image(created))
                self._verify(like, body.sha512(), there)
                kept = True
                return there
            finally:
                if not kept:  # whatever went wrong, a half image must not be found by its name later
                    glance.delete_image(created, ignore_missing=True)

    def snapshot(
        self, project: Project, server_id: ServerId, name: str, properties: Mapping[str, str]
    ) -> ImageId:
        """Begin an image of the server's disk."""
        with refusals(self._cloud.name):
            connection = self._connections.get(self._cloud, project)
            marks = (
                dict(properties) if self._cloud.per_project else {**properties, PROJECT_MARK: str(project.id)}
            )
            server = connection.compute.get_server(str(server_id))
            return ImageId(str(server.create_image(connection.compute, name, marks)))

    def delete(self, project: Project, image_id: ImageId) -> None:
        """Remove the image; unknown ids are fine."""
        with refusals(self._cloud.name):
            self._connections.get(self._cloud, project).image.delete_image(str(image_id), ignore_missing=True)

    def _usable(self, glance: Any, image: Any, project: Project) -> bool:
        if image.visibility in ("public", "community"):
            return True
        if not self._cloud.per_project:
            return _properties(image).get(PROJECT_MARK, str(project.id)) == str(project.id)
        if str(image.owner_id) == str(project.id):
            return True
        # an administrator's credential sees every image: ask whether this one is shared with the project
        return image.visibility == "shared" and any(
            str(member.member_id or member.id) == str(project.id) and member.status == "accepted"
            for member in glance.members(image)
        )

    def _create(self, glance: Any, project: Project, like: FleetImage) -> str:
        """Register an image, and return its id.

        Names and properties are people's, or a stranger's, whose crate an image came with. So this is Glance's own
        request: the SDK's `create_image` takes a name or a property `filename` for a file of this machine to upload,
        and other properties for arguments of its own.
        """
        theirs = {key: value for key, value in like.properties.items() if _is_copied(key)}
        if not self._cloud.per_project:
            theirs[PROJECT_MARK] = str(project.id)
        image = {
            **theirs,
            "name": like.name,
            "disk_format": like.disk_format,
            "container_format": "bare",
            "min_disk": int(like.min_disk),
            "visibility": self._cloud.image_visibility,
        }
        reply = glance.post("/images", json=image)
        sdk: Any = importlib.import_module("openstack.exceptions")
        sdk.raise_from_response(
            reply
        )  # as the SDK's own calls do: a quota is a quota, and a fault of an hour no refusal
        return str(reply.json()["id"])

    def _verify(self, like: FleetImage, sent: str, there: FleetImage) -> None:
        if there.status == "active" and sent == like.sha512 and there.sha512 in (sent, None):
            return
        raise PreconditionFailed(
            f"The copy of image {like.name} from {like.cloud} to {self._cloud.name} is not the same.",
            code="image_copy_differs",
            facts={"expected": like.sha512, "sent": sent, "stored": there.sha512, "status": there.status},
            remedy="It is copied again the next time that it is needed.",
        )


def to_image(cloud: CloudName, image: Any) -> FleetImage:
    """Read the SDK's image."""
    digest = image.hash_value if image.hash_algo == "sha512" else None
    return FleetImage(
        id=ImageId(str(image.id)),
        name=str(image.name or ""),
        cloud=cloud,
        sha512=Sha512(str(digest)) if digest else None,
        size=int(image.size or 0),
        min_disk=GiB(int(image.min_disk or 0)),
        status=str(image.status),
        visibility=str(image.visibility),
        owner=str(image.owner_id or ""),
        disk_format=str(image.disk_format or ""),
        created_at=from_iso(str(image.created_at)),
        properties=_properties(image),
        is_protected=bool(image.is_protected),
    )


def _properties(image: Any) -> dict[str, str]:
    # the SDK sorts properties that it knows (hw_disk_bus, os_distro, …) among its own attributes
    raw: dict[str, Any] = image.to_dict(headers=False, computed=False, original_names=True, ignore_none=True)
    others: dict[str, Any] = raw.pop("properties", None) or {}
    known = {key: value for key, value in {**raw, **others}.items() if key not in GLANCE_OWN}
    return {key: str(value) for key, value in known.items() if isinstance(value, str | int | float)}


def _is_copied(key: str) -> bool:
    return key not in GLANCE_OWN and not key.startswith(NOT_COPIED_PREFIXES)
