"""Glance's rules for an image's attributes, and for changes to them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from armillary.base.errors import Conflict, Forbidden, Invalid, TooLarge
from armillary.cloud.images.model import CONTAINER_FORMATS, DISK_FORMATS, Image, Status, Visibility

READ_ONLY = frozenset(
    (
        "created_at",
        "updated_at",
        "status",
        "checksum",
        "size",
        "virtual_size",
        "direct_url",
        "self",
        "file",
        "schema",
        "stores",
        "id",
        "os_hash_algo",
        "os_hash_value",
    )
)
RESERVED = frozenset(
    (
        "owner",
        "deleted",
        "deleted_at",
        "locations",
        "is_public",
        "member",
        "members",
        "store_id",
        "os_glance_fault",
    )
)
BASE = frozenset(
    (
        "name",
        "visibility",
        "disk_format",
        "container_format",
        "min_disk",
        "min_ram",
        "protected",
        "os_hidden",
        "tags",
    )
)
MOST_PROPERTIES = 128
MOST_TAGS = 128


@dataclass(frozen=True, kw_only=True)
class Change:
    """One step of a JSON patch: what to do to which attribute, `tags` and properties included."""

    op: str
    name: str
    value: Any = None
    at: str | None = None
    """For `tags`: where in the list; None means the whole."""


def checked(name: str, value: Any) -> Any:
    """Return the value of an attribute as it is kept.

    Raises:
        Invalid: in the words of Glance's schema.
    """
    check = _CHECKS.get(name)
    if check is not None:
        return check(name, value)
    _require(isinstance(value, str), value, "'string'")
    if not name or len(name) > 255:
        raise Invalid("A property's name has 1 to 255 characters")
    return value


def _name(_: str, value: Any) -> str | None:
    _require(value is None or isinstance(value, str), value, "'null', 'string'")
    if value is not None and len(value) > 255:
        raise _schema(f"{value!r} is too long")
    return value


def _visibility(_: str, value: Any) -> Visibility:
    choices = ["community", "public", "private", "shared"]
    if value not in choices:
        raise _schema(f"{value!r} is not one of {choices}")
    return Visibility(value)


def _format(name: str, value: Any) -> str | None:
    known = [None, *(DISK_FORMATS if name == "disk_format" else CONTAINER_FORMATS)]
    if value not in known:
        raise _schema(f"{value!r} is not one of {known}")
    return value


def _amount(name: str, value: Any) -> int:
    _require(isinstance(value, int) and not isinstance(value, bool), value, "'integer'")
    if value < 0:
        raise Invalid(f"Invalid value '{value}' for parameter '{name}': Cannot be a negative value")
    if value >= 2**31:
        raise Invalid(f"Invalid value '{value}' for parameter '{name}': it must be between 0 and 2147483647")
    return value


def _flag(_: str, value: Any) -> bool:
    _require(isinstance(value, bool), value, "'boolean'")
    return value


def _tags(_: str, value: Any) -> tuple[str, ...]:
    _require(isinstance(value, list), value, "'array'")
    for tag in value:
        _require(isinstance(tag, str), tag, "'string'")
        if len(tag) > 255:
            raise _schema(f"{tag!r} is too long")
    tags = tuple(dict.fromkeys(value))
    if len(tags) > MOST_TAGS:
        raise TooLarge(
            f"The limit has been exceeded on the number of allowed image tags. Maximum: {MOST_TAGS}"
        )
    return tags


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "name": _name,
    "visibility": _visibility,
    "disk_format": _format,
    "container_format": _format,
    "min_disk": _amount,
    "min_ram": _amount,
    "protected": _flag,
    "os_hidden": _flag,
    "tags": _tags,
}


def _require(holds: bool, value: Any, kinds: str) -> None:
    if not holds:
        raise _schema(f"{value!r} is not of type {kinds}")


def _schema(problem: str) -> Invalid:
    return Invalid(f"Provided object does not match schema 'image': {problem}", code="image_schema")


def check_writable(name: str, *, is_admin: bool) -> None:
    """Refuse the attributes that no client may set.

    Raises:
        Forbidden: in Glance's words.
    """
    if name in READ_ONLY:
        raise Forbidden(f"Attribute '{name}' is read-only.", code="image_attribute_read_only")
    if (name in RESERVED and not (is_admin and name == "owner")) or name.startswith("os_glance_"):
        raise Forbidden(f"Attribute '{name}' is reserved.", code="image_attribute_reserved")


def check_properties(properties: Mapping[str, str]) -> None:
    """Refuse too many.

    Raises:
        TooLarge: there are more than an image may have.
    """
    if len(properties) > MOST_PROPERTIES:
        raise TooLarge(
            "The limit has been exceeded on the number of allowed image properties. "
            f"Maximum: {MOST_PROPERTIES}"
        )


def apply(image: Image, changes: Sequence[Change], *, is_admin: bool) -> Image:
    """Return the image as a patch makes it, all of it or nothing.

    Raises:
        Forbidden: an attribute may not be changed so.
        Conflict: one that should be there is not.
        Invalid: a value is none.
    """
    for change in changes:
        check_writable(change.name, is_admin=is_admin)
        if change.name == "tags":
            image = _apply_to_tags(image, change)
        elif change.name in BASE:
            image = _apply_to_base(image, change)
        elif change.name == "owner":
            image = replace(image, project_id=checked("owner", change.value))
        else:
            image = _apply_to_property(image, change)
    check_properties(image.properties)
    return image


def _apply_to_base(image: Image, change: Change) -> Image:
    if change.op == "remove":
        raise Forbidden(f"Property {change.name} may not be removed.", code="image_attribute_needed")
    if change.name in ("disk_format", "container_format") and image.status is not Status.QUEUED:
        raise Forbidden(f"Attribute {change.name} can be only replaced for a queued image.")
    return replace(image, **{change.name: checked(change.name, change.value)})


def _apply_to_property(image: Image, change: Change) -> Image:
    properties = dict(image.properties)
    if change.op in ("replace", "remove") and change.name not in properties:
        raise Conflict(f"Property {change.name} does not exist.", code="no_such_image_property")
    if change.op == "remove":
        del properties[change.name]
    else:
        properties[change.name] = checked(change.name, change.value)
    return replace(image, properties=properties)


def _apply_to_tags(image: Image, change: Change) -> Image:
    tags = list(image.tags)
    if change.at is None:
        if change.op == "remove":
            raise Forbidden("Property tags may not be removed.", code="image_attribute_needed")
        return replace(image, tags=checked("tags", change.value))
    if change.op == "add":
        place = len(tags) if change.at == "-" else _place(change.at, len(tags) + 1)
        tags.insert(place, change.value)
    else:
        place = _place(change.at, len(tags))
        if change.op == "remove":
            del tags[place]
        else:
            tags[place] = change.value
    return replace(image, tags=checked("tags", tags))


def _place(text: str, end: int) -> int:
    if not text.isdigit() or int(text) >= end:
        raise Conflict(f"There is no tag at {text}.")
    return int(text)
