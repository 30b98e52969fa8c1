"""Access rules of application credentials, and pairs of keys for clients that sign."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from armillary.accounts.model import AccessRule, EC2Credential
from armillary.accounts.store.tables import access_rules, ec2_credentials
from armillary.base.ids import PersonId


class AccessRulesTable:
    """The access rules that people have made."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def add(self, rule: AccessRule) -> None:
        """Insert a rule."""
        self._db.execute(insert(access_rules).values(vars(rule)))

    def of_person(self, person_id: PersonId) -> list[AccessRule]:
        """The rules of a person, in the order of their paths."""
        query = select(access_rules).where(access_rules.c.person_id == person_id)
        query = query.order_by(access_rules.c.path, access_rules.c.method, access_rules.c.id)
        return [AccessRule(**row) for row in self._db.execute(query).mappings()]

    def remove(self, rule_id: str) -> None:
        """Delete a rule."""
        self._db.execute(delete(access_rules).where(access_rules.c.id == rule_id))


class EC2CredentialsTable:
    """Pairs of keys."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def add(self, credential: EC2Credential) -> None:
        """Insert a pair."""
        self._db.execute(insert(ec2_credentials).values(vars(credential)))

    def of_person(self, person_id: PersonId) -> list[EC2Credential]:
        """The pairs of a person."""
        query = select(ec2_credentials).where(ec2_credentials.c.person_id == person_id)
        query = query.order_by(ec2_credentials.c.access)
        return [EC2Credential(**row) for row in self._db.execute(query).mappings()]

    def remove(self, access: str) -> None:
        """Delete a pair."""
        self._db.execute(delete(ec2_credentials).where(ec2_credentials.c.access == access))
