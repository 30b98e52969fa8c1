"""A submit's number, written where its jobs ask for it: it is known only once the submit is queued."""

from __future__ import annotations

import re
from typing import Any, TypeVar, cast

T = TypeVar("T")

_MARK = re.compile(r"\$\(Cluster(?:Id)?\)")


def numbered(value: T, cluster: int) -> T:
    """Return a copy of a JSON value with the number for each `$(Cluster)` and `$(ClusterId)`, in keys too.

    Exactly these two marks, and once: what a replacement makes is not looked at again.
    """
    done: Any = value
    if isinstance(value, str):
        done = _MARK.sub(str(cluster), value)
    elif isinstance(value, list):
        done = [numbered(one, cluster) for one in cast("list[Any]", value)]
    elif isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        done = {numbered(key, cluster): numbered(one, cluster) for key, one in items}
    return done
