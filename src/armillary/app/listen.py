"""Sockets that the platform listens on, bound before anything else starts."""

from __future__ import annotations

import socket

from armillary.base.errors import Conflict


def bind(host: str, port: int, *, what: str) -> socket.socket:
    """Return a listening-ready TCP socket; port 0 takes a free one.

    Raises:
        Conflict: somebody else has the port, or the address is not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise Conflict(
            f"{what} cannot listen on {host}:{port}: {error.strerror}",
            code="port_taken",
            facts={"host": host, "port": port},
            remedy="stop the program that has the port, or set another one in armillary.toml",
        ) from error
    return sock


def port_of(sock: socket.socket) -> int:
    """The TCP port that a bound socket has."""
    port = sock.getsockname()[1]
    assert isinstance(port, int)
    return port
