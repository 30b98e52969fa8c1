"""Where the service itself may go on behalf of a user: a user must not make it ask what only it can reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from armillary.base.errors import Forbidden, Invalid

_NAT64 = ip_network("64:ff9b::/96")
_PORTS = {"http": 80, "https": 443}

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, kw_only=True)
class Place:
    """An address of the web, taken apart. `request` is what is asked of the server: path and query."""

    scheme: str
    host: str
    port: int
    request: str

    @property
    def netloc(self) -> str:
        """The host as a Host header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def place_of(url: str) -> Place:
    """Read an address.

    Raises:
        Invalid: it is not one of http or https, or brings a password along.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode()
    except ValueError as error:
        raise _no_address(url) from error
    odd = any(letter <= " " or letter > "~" for letter in url)
    if parts.scheme not in _PORTS or not host or odd or "@" in parts.netloc or port == 0:
        raise _no_address(url)
    return Place(scheme=parts.scheme, host=host, port=port or _PORTS[parts.scheme], request=_request(parts))


def open_addresses(
    place: Place,
    addresses: Sequence[Address],
    own: Sequence[Address],
    allowed: Sequence[str],
    *,
    setting: str = "the settings",
) -> Sequence[Address]:
    """Return those of the addresses that a host has to which we may go.

    `own` are those among them that are this machine. What the operator has allowed by name, by `name:port`, by
    address or by network (in `setting`) is open whatever it is; else only what everybody on the Internet can reach.

    Raises:
        Forbidden: there is none (code `host_not_allowed`).
    """
    by_name = place.host in allowed or f"{place.host}:{place.port}" in allowed
    found = [
        address
        for address in addresses
        if by_name or _is_listed(address, place.port, allowed) or (is_public(address) and address not in own)
    ]
    if not found:
        raise Forbidden(
            f"The service does not go to {place.host}.",
            code="host_not_allowed",
            facts={"host": place.host, "port": place.port},
            remedy=f"Ask an administrator to allow it, in {setting}.",
        )
    return found


def is_public(address: Address) -> bool:
    """Whether an address is one of the Internet, also when it is wrapped into another one."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address.teredo is not None:
            return False
        if inner is None and address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast


def _is_listed(address: Address, port: int, allowed: Sequence[str]) -> bool:
    for entry in allowed:
        if entry in {f"{address}:{port}", f"[{address}]:{port}"}:
            return True
        try:
            if address in ip_network(entry):
                return True
        except ValueError:
            continue  # a name
    return False


def addresses_of(texts: Sequence[str]) -> Sequence[Address]:
    """Read addresses as the resolver gives them, which may name an interface after a per cent sign."""
    return list(dict.fromkeys(ip_address(text.partition("%")[0]) for text in texts))


def _request(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _no_address(url: str) -> Invalid:
    return Invalid(
        "An endpoint is the address of http or https, escaped, without a password.",
        code="invalid_argument",
        facts={"field": "endpoint", "url": url[:200]},
        remedy="Correct the endpoint.",
    )
