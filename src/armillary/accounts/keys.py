"""What people keep beside their application credentials: access rules for them, and pairs of keys that sign."""

from __future__ import annotations

from collections.abc import Sequence

from armillary.accounts.application_credentials import ApplicationCredentials
from armillary.accounts.model import AccessRule, EC2Credential
from armillary.base.errors import Conflict, Forbidden, NotFound
from armillary.base.ids import PersonId, ProjectId, new_hex

MOST_PER_PERSON = 100


class Keys(ApplicationCredentials):
    """Lists and deletes access rules; makes, lists and deletes pairs of keys."""

    def access_rules_of(self, person_id: PersonId) -> Sequence[AccessRule]:
        """Return the access rules of a person."""
        with self._store.read() as records:
            return records.rules.of_person(person_id)

    def delete_access_rule(self, person_id: PersonId, rule_id: str) -> None:
        """Delete an access rule.

        Raises:
            NotFound: the person has no such rule.
            Forbidden: an application credential is limited to it.
        """
        with self._store.write() as records:
            if rule_id not in {rule.id for rule in records.rules.of_person(person_id)}:
                raise NotFound(
                    "There is no such access rule.", code="access_rule_not_found", facts={"rule": rule_id}
                )
            for credential in records.credentials.find(person_id=person_id):
                if rule_id in (credential.rule_ids or ()):
                    raise Forbidden(
                        f"The application credential {credential.name} is limited to this access rule.",
                        code="access_rule_in_use",
                        facts={"rule": rule_id, "application_credential": credential.id},
                        remedy="Delete the application credential first.",
                    )
            records.rules.remove(rule_id)

    def create_ec2_credential(self, person_id: PersonId, project_id: ProjectId) -> EC2Credential:
        """Make a pair of keys for a person in a project.

        Raises:
            Forbidden: the person has no role in the project.
            Conflict: there are too many pairs.
        """
        made = EC2Credential(access=new_hex(), secret=new_hex(), person_id=person_id, project_id=project_id)
        with self._store.write() as records:
            self._principal(records, person_id, project_id)
            if len(records.ec2.of_person(person_id)) >= MOST_PER_PERSON:
                raise Conflict(
                    f"There are {MOST_PER_PERSON} pairs of keys of this person.",
                    code="too_many_keys",
                    facts={"limit": MOST_PER_PERSON},
                    remedy="Delete some that are not used.",
                )
            records.ec2.add(made)
        return made

    def ec2_credentials_of(self, person_id: PersonId) -> list[EC2Credential]:
        """Return the pairs of keys of a person."""
        with self._store.read() as records:
            return records.ec2.of_person(person_id)

    def delete_ec2_credential(self, person_id: PersonId, access: str) -> None:
        """Delete a pair of keys; raises NotFound."""
        with self._store.write() as records:
            if access not in {pair.access for pair in records.ec2.of_person(person_id)}:
                raise NotFound(
                    "There is no such pair of keys.",
                    code="ec2_credential_not_found",
                    facts={"access": access},
                )
            records.ec2.remove(access)
