"""Makes what knows people, their projects and groups."""

from __future__ import annotations

from sqlalchemy import Engine

from armillary.accounts.core.addresses import AddressPolicy
from armillary.accounts.service import AccountsService, AccountsStore
from armillary.accounts.turnstile import Attempt
from armillary.app.settings_tables import LimitsTable
from armillary.base.clock import Clock


def build_accounts(*, limits: LimitsTable, database: Engine, clock: Clock) -> AccountsService:
    """Make it over its records."""
    store = AccountsStore(engine=database)
    store.create_all()
    return AccountsService(
        store=store,
        clock=clock,
        groups_each=limits.groups_per_person,
        addresses={
            Attempt.PROOF: AddressPolicy(most=limits.wrong_sign_ins_per_hour),
            Attempt.REQUEST: AddressPolicy(most=limits.requests_of_strangers_per_hour),
        },
    )
