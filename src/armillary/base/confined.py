"""Bounds of a process of its own that reads what strangers made."""

from __future__ import annotations

import resource

_FILES = 64


def confine(*, memory: int) -> None:
    """Let this process have that many bytes of memory and few open files, write no file and leave no core. For good."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, _FILES))
