"""Bounds of a process of its own that reads what strangers made."""

from __future__ import annotations

import resource
import sys
from typing import Any

_FILES = 64
_OUTWARD = frozenset({"socket.connect", "socket.getaddrinfo", "socket.sendto", "urllib.Request"})
"""Audit events of libraries that follow an address, also a `file:`, which stands in what they read."""


def confine(*, memory: int) -> None:
    """Let this process have that many bytes of memory and few open files, and write no file, leave no core, follow no address.

    For good, and for its Python code: what is refused raises OSError there.
    """
    sys.addaudithook(_stay)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, _FILES))


def _stay(event: str, _arguments: tuple[Any, ...]) -> None:
    if event in _OUTWARD:
        raise PermissionError(f"{event} is not for this process")
