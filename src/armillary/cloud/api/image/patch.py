"""JSON patches of images, in the two media types that Image v2 knows, and in RFC 6902's, which general clients send."""

from __future__ import annotations

from typing import Any, cast

from armillary.base.errors import ArmillaryError, Invalid
from armillary.cloud.images.rules import Change

MEDIA_TYPES = (
    "application/openstack-images-v2.1-json-patch",
    "application/openstack-images-v2.0-json-patch",
    "application/json-patch+json",
)
_OPS = ("add", "replace", "remove")


class WrongMediaType(ArmillaryError):
    """The body is of a type that this call does not take."""

    code = "unsupported_media_type"
    status = 415

    def __init__(self, media_type: str) -> None:
        """Name the type that came."""
        super().__init__(f"The request media type {media_type} is not supported by this server.")


def changes_from(body: Any, media_type: str) -> list[Change]:
    """Return the steps of a patch.

    Raises:
        WrongMediaType: it is not declared as a patch of images.
        Invalid: it is none.
    """
    if media_type not in MEDIA_TYPES:
        raise WrongMediaType(media_type or "application/octet-stream")
    if not isinstance(body, list):
        raise Invalid("Request body must be a JSON array of operation objects.")
    old = media_type == MEDIA_TYPES[1]
    return [_change(step, old=old) for step in cast("list[Any]", body)]


def _change(step: Any, *, old: bool) -> Change:
    if not isinstance(step, dict):
        raise Invalid("Operations must be JSON objects.")
    fields = cast("dict[str, Any]", step)
    if old:
        op = next((name for name in _OPS if name in fields), None)
        path = fields.get(op) if op else None
    else:
        op, path = fields.get("op"), fields.get("path")
    if op not in _OPS:
        raise Invalid(f"Operations must be one of: {', '.join(_OPS)}.")
    if not isinstance(path, str):
        raise Invalid("Unable to find 'path' in JSON Schema change")
    if op != "remove" and "value" not in fields:
        raise Invalid("Unable to find 'value' in JSON Schema change")
    name, at = _pointer(path)
    return Change(op=cast("str", op), name=name, value=fields.get("value"), at=at)


def _pointer(path: str) -> tuple[str, str | None]:
    """Read a JSON pointer to an attribute, or to one tag."""
    if not path.startswith("/"):
        raise Invalid(f'Pointer `{path}` does not start with "/".')
    tokens = [token.replace("~1", "/").replace("~0", "~") for token in path[1:].split("/")]
    if not all(tokens):
        raise Invalid(f'Pointer `{path}` contains adjacent "/", or ends with one.')
    if len(tokens) == 1:
        return tokens[0], None
    if len(tokens) == 2 and tokens[0] in ("tags", "locations"):
        return tokens[0], tokens[1]
    raise Invalid(f"Invalid JSON pointer for this resource: '{path}'")
