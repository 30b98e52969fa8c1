"""One transaction at a time: everything that a service does inside `write()` happens whole or not at all."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

from armillary.accounts.store.certificates import CertificatesTable
from armillary.accounts.store.groups import GroupsTable
from armillary.accounts.store.invitations import InvitationsTable
from armillary.accounts.store.keys import AccessRulesTable, EC2CredentialsTable
from armillary.accounts.store.people import PeopleTable
from armillary.accounts.store.places import PlacesTable
from armillary.accounts.store.projects import ApplicationsTable, ProjectsTable
from armillary.accounts.store.proofs import ErrandsTable, IdentitiesTable, ProofsTable
from armillary.accounts.store.tables import metadata
from armillary.accounts.store.tokens import CredentialsTable, TokensTable


class Records:
    """The tables as one open transaction sees them."""

    def __init__(self, *, connection: Connection) -> None:
        self.people = PeopleTable(connection)
        self.projects = ProjectsTable(connection)
        self.applications = ApplicationsTable(connection)
        self.tokens = TokensTable(connection)
        self.certificates = CertificatesTable(connection)
        self.credentials = CredentialsTable(connection)
        self.groups = GroupsTable(connection)
        self.places = PlacesTable(connection)
        self.invitations = InvitationsTable(connection)
        self.rules = AccessRulesTable(connection)
        self.ec2 = EC2CredentialsTable(connection)
        self.proofs = ProofsTable(connection)
        self.errands = ErrandsTable(connection)
        self.identities = IdentitiesTable(connection)


class AccountsStore:
    """Opens transactions on the database of accounts.

    Args:
        engine: made by `armillary.app.database.make_engine`, so that a write transaction holds the write lock
            from its start: what it has read is still so when it writes.
    """

    def __init__(self, *, engine: Engine) -> None:
        self._writer = engine
        self._reader = engine.execution_options(readonly=True)
        self.writes = 0
        """How many transactions of this process have written: what was read before the last may be outdated."""

    def create_all(self) -> None:
        """Make the tables that are not there yet."""
        metadata.create_all(self._writer)

    @contextmanager
    def write(self) -> Generator[Records]:
        """Open a transaction that commits at the end of the block, or rolls back if it raises."""
        with self._writer.begin() as connection:
            yield Records(connection=connection)
        self.writes += 1  # two at once may count as one; to whoever compares, both are a change

    @contextmanager
    def read(self) -> Generator[Records]:
        """Open a transaction that only reads, and sees one moment."""
        with self._reader.connect() as connection:
            yield Records(connection=connection)
