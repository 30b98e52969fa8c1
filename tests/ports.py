"""Ports for servers that are told theirs before they start."""

from __future__ import annotations

import socket

_held: list[socket.socket] = []


def free_port(address: str = "127.0.0.1") -> int:
    """Return a port of this computer that is nobody's, and given to nobody else while this process lives.

    We hold it without listening. Whoever asks the kernel for any port, as other tests beside us do every second, is
    given another; a server that is told this one may have it, since servers say SO_REUSEADDR.
    """
    holds = socket.socket()
    holds.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holds.bind((address, 0))
    _held.append(holds)
    return int(holds.getsockname()[1])
