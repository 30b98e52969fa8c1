"""What the bytes of an image turn out to be, held against what was said of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from armillary.base.errors import Invalid
from armillary.cloud.core.qcow2 import ImageRefused, ImageUnrecognised, inspect, inspect_raw
from armillary.cloud.images.blobs import Content
from armillary.cloud.images.model import BOOTABLE_DISK_FORMATS, Declared

FROM_OTHER_CONTENT = "owner_specified."
"""Prefix of the properties in which openstacksdk notes digests of what it uploaded."""


def look_at(disk_format: str | None, content: Content) -> tuple[int | None, str]:
    """Return the size of the disk that a content holds, and why no machine can be made from it, if so.

    Formats that no machine is made from are taken as they are: nothing here ever opens them.

    Raises:
        Invalid: it is another format under a false name, or not a safe image.
    """
    if disk_format not in BOOTABLE_DISK_FORMATS:
        return None, ""
    try:
        if disk_format == "qcow2":
            return inspect(content.start, length=content.length).virtual_size, ""
        return inspect_raw(content.start, length=content.length), ""
    except ImageUnrecognised as error:
        return None, str(error)
    except ImageRefused as error:
        raise Invalid(
            f"The image is refused: {error}",
            code="image_refused",
            facts={"disk_format": disk_format, "reason": str(error)},
        ) from error


def noted_digests(properties: Mapping[str, str]) -> Declared:
    """Return the digests that openstacksdk notes as properties before it uploads; some are empty."""
    prefix = f"{FROM_OTHER_CONTENT}openstack."
    return Declared(
        md5=properties.get(f"{prefix}md5") or None, sha256=properties.get(f"{prefix}sha256") or None
    )


def merged(declared: Declared, noted: Declared) -> Declared:
    """Return what a sender said in one way or the other.

    Raises:
        Invalid: it said two different things.
    """
    for name in ("md5", "sha256"):
        one, other = getattr(declared, name), getattr(noted, name)
        if one and other and one.lower() != other.lower():
            raise Invalid(f"Two different values of {name} were declared", code="image_digest_mismatch")
    return replace(declared, md5=declared.md5 or noted.md5, sha256=declared.sha256 or noted.sha256)
