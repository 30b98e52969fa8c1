"""Whose work jobs are: who submitted them, also when somebody else of the project keeps and cites them."""

from __future__ import annotations

from typing import Protocol

from armillary.accounts.model import Person
from armillary.base.errors import NotFound
from armillary.base.ids import ClusterId, PersonId
from armillary.crates.record import Person as Recorded


class Owners(Protocol):
    """The records: `provenance.service.Provenance`."""

    def owner_of(self, cluster: ClusterId) -> Recorded | None:
        """Return who submitted a cluster, whoever asks."""
        ...


class People(Protocol):
    """The accounts."""

    def person(self, person_id: PersonId) -> Person:
        """Return a person. Raises NotFound."""
        ...


class Authors:
    """Names them in full, as long as they have an account here."""

    def __init__(self, *, owners: Owners, people: People) -> None:
        self._owners = owners
        self._people = people

    def of(self, cluster: ClusterId) -> str:
        """Return the author of what was made by a cluster's jobs, of which there is a record. Show it with what may be seen."""
        owner = self._owners.owner_of(cluster)
        assert owner is not None, "what is kept was written down"
        try:
            return self._people.person(PersonId(owner.id or "")).full_name or owner.name
        except NotFound:
            return owner.name
