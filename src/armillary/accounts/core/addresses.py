"""How much strangers at one network address may try. Pure: moments in, moments out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, IPv6Network, ip_address

from armillary.accounts.core.lockout import Failures


@dataclass(frozen=True, kw_only=True)
class AddressPolicy:
    """So many tries in an hour, whichever names they are for; 0: no bound. They are forgotten evenly.

    It bounds who tries one password with many names, or registers again and again. An institute behind one address
    shares the bound, so it is far above what people need.
    """

    most: int
    span: timedelta = timedelta(hours=1)

    def after(self, before: Failures | None, now: datetime) -> Failures:
        """Return the record once there was one more try at `now`; `last_at` is up to when tries are forgotten."""
        each = self.span / max(1, self.most)
        count, since = 0, now
        if before is not None and now > before.last_at:
            gone = int((now - before.last_at) / each)
            if gone < before.count:
                count, since = before.count - gone, before.last_at + gone * each
        elif before is not None:
            count, since = before.count, before.last_at
        count += 1
        locked_until = since + each * (count - self.most + 1) if count >= self.most else None
        return Failures(count=count, last_at=since, locked_until=locked_until)


def counted_as(origin: str) -> str | None:
    """Return under what name tries from a network address are counted; None: they are not.

    Of IPv6 the /64 counts: who has one address has all of these. Loopback does not count: that is this computer
    itself, or a proxy that the settings do not name, and then everybody would be one.
    """
    try:
        address = ip_address(origin.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return counted_as(str(address.ipv4_mapped))
        return None if address.is_loopback else str(IPv6Network((address, 64), strict=False))
    return None if address.is_loopback else str(address)
