"""Whether the access rules of an application credential let a request pass: Identity v3's, as Keystone's middleware reads them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from armillary.accounts.model import AccessRule

SERVICES = {
    "/identity": frozenset({"identity"}),
    "/image": frozenset({"image"}),
    "/compute": frozenset({"compute"}),
    "/network": frozenset({"network"}),
    "/volume": frozenset({"volume", "volumev2", "volumev3", "block-storage"}),
}
"""What rules may call the service behind each prefix of our paths; they name paths without it."""


def permitted(rules: Sequence[AccessRule], *, method: str, path: str) -> bool:
    """Whether one of the rules names this request.

    Args:
        rules: those of the credential; with none, nothing passes.
        method: of the request.
        path: of the request, with the prefix of its service.
    """
    prefix = next((known for known in SERVICES if path.startswith(known + "/")), "")
    services, rest = SERVICES.get(prefix, frozenset[str]()), path.removeprefix(prefix)
    return any(
        rule.service in services and rule.method == method and _pattern(rule.path).fullmatch(rest)
        for rule in rules
    )


@lru_cache(maxsize=1024)
def _pattern(path: str) -> re.Pattern[str]:
    """`**` stands for anything, `*` and `{name}` for one part of a path."""
    parts = re.split(r"(\*\*|\*|\{[^{}]*\})", path)
    wild = {"**": ".*"}
    return re.compile(
        "".join(wild.get(part, "[^/]+") if index % 2 else re.escape(part) for index, part in enumerate(parts))
    )
