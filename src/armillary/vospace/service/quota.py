"""How much a home may hold. Only new bytes are ever refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from armillary.base.errors import QuotaExceeded
from armillary.base.ids import PersonId
from armillary.base.units import GiB, format_size
from armillary.vospace.model import Node
from armillary.vospace.ports import Tree
from armillary.vospace.service.access import home_of

QuotaOf = Callable[[PersonId], GiB | None]
"""What a person's allocations grant; None: no limit."""


class Quota:
    """Counts bytes against homes."""

    def __init__(self, *, granted: QuotaOf) -> None:
        """Ask `granted` for homes that have no quota of their own."""
        self._granted = granted

    def limit(self, home: Node) -> int | None:
        """Return how many bytes a home may hold; None: no limit."""
        if home.quota is not None:
            return home.quota
        granted = self._granted(home.owner_id)
        return None if granted is None else granted * 2**30

    def room(self, way: Sequence[Node], freed: int) -> int | None:
        """Return how many bytes fit at the end of `way` when `freed` ones are replaced; None: no limit."""
        home = home_of(way)
        limit = self.limit(home) if home else None
        if home is None or limit is None:
            return None
        return max(freed, limit - home.used + freed)

    def charge(self, tree: Tree, way: Sequence[Node], octets: int) -> None:
        """Count `octets` more (or fewer) for the home on `way`.

        Raises:
            QuotaExceeded: there are more than before, and they do not fit.
        """
        home = home_of(way)
        if home is None or octets == 0:
            return
        used = tree.charge(home, octets)
        limit = self.limit(home)
        if octets > 0 and limit is not None and used > limit:
            raise over_quota(home, limit, used - octets, octets)

    def check(self, way: Sequence[Node], octets: int) -> None:
        """Refuse early what will not fit.

        Raises:
            QuotaExceeded: `octets` more would be too many.
        """
        home = home_of(way)
        limit = self.limit(home) if home else None
        if home is not None and limit is not None and octets > 0 and home.used + octets > limit:
            raise over_quota(home, limit, home.used, octets)


def over_quota(home: Node, limit: int, used: int, needed: int) -> QuotaExceeded:
    """Return the refusal with its figures, in bytes."""
    return QuotaExceeded(
        f"{home.path} holds {format_size(used)} of {format_size(limit)}; "
        f"{format_size(needed)} more do not fit.",
        facts={"home": str(home.path), "quota": limit, "used": used, "needed": needed},
        remedy="Delete files, or ask for more storage.",
    )
