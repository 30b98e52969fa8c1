"""The way out: connections to other services on behalf of a user.

The name of a host is looked up once, and the connection goes to the address that was judged: a name server that
answers differently the second time gains nothing.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from typing import Protocol

from armillary.base.places import Address, Place, addresses_of, open_addresses


class Resolver(Protocol):
    """Looks up names."""

    def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a host; raises OSError when it has none."""
        ...


def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the machine's resolver."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class JudgedConnection(http.client.HTTPConnection):
    """A connection to one address that was judged, whatever the name says now."""

    def __init__(self, place: Place, address: Address, tls: ssl.SSLContext | None, seconds: float) -> None:
        super().__init__(place.host, place.port, timeout=seconds)
        raw = socket.create_connection((str(address), place.port), timeout=seconds)
        self._wire = raw
        try:
            self.sock = raw
            if tls is not None:
                self.sock = self._wire = tls.wrap_socket(raw, server_hostname=place.host)
        except BaseException:
            raw.close()
            raise

    def cut(self) -> None:
        """End the connection, from any thread; whoever reads from it sees its end."""
        with suppress(OSError):
            self._wire.shutdown(socket.SHUT_RDWR)

    def connect(self) -> None:
        """Stay with the connection there is: another lookup of the name would not be judged."""
        raise ConnectionError("the connection was closed")


class Outward:
    """Goes to the Internet, and to what the operator has allowed besides: names, addresses, networks."""

    def __init__(
        self,
        *,
        allowed: Sequence[str] = (),
        setting: str = "the settings",
        resolver: Resolver = resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`setting` names, for people, where the operator allows more."""
        self._allowed = tuple(allowed)
        self._setting = setting
        self._resolver = resolver
        self._given_tls = tls

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        # Reading all authorities of the system takes longer than a small request: only who goes there waits.
        return self._given_tls or ssl.create_default_context()

    def connect(self, place: Place, *, seconds: float) -> JudgedConnection:
        """Connect to the first of the addresses that are open to us and answer.

        Raises:
            Forbidden: none is open (code `host_not_allowed`).
            OSError: none answers.
        """
        found = addresses_of(self._resolver(place.host, place.port))
        own = [address for address in found if _is_here(address)]
        tls = self._tls if place.scheme == "https" else None
        failure: OSError | None = None
        for address in open_addresses(place, found, own, self._allowed, setting=self._setting):
            try:
                return JudgedConnection(place, address, tls, seconds)
            except OSError as error:
                failure = error
        raise failure or OSError("it has no address")


def _is_here(address: Address) -> bool:
    """Whether an address is this machine's: only those can be bound."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(address), 0))
        except OSError:
            return False
        return True
