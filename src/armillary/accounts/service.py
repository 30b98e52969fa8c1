"""The accounts service: the one thing that other subjects ask about people, projects and credentials."""

from __future__ import annotations

from armillary.accounts.core.lockout import LockoutPolicy
from armillary.accounts.errands import Errands
from armillary.accounts.groups import Groups
from armillary.accounts.growing import Growing
from armillary.accounts.inviting import Inviting
from armillary.accounts.keys import Keys
from armillary.accounts.passwords import Passwords
from armillary.accounts.projects import Projects
from armillary.accounts.registration import Registration
from armillary.accounts.second_factor import SecondFactors
from armillary.accounts.standing import Standing
from armillary.accounts.store import AccountsStore

__all__ = ["AccountsService", "AccountsStore", "LockoutPolicy", "Passwords"]


class AccountsService(
    Registration, Growing, Errands, SecondFactors, Projects, Groups, Inviting, Standing, Keys
):
    """People, registration, projects, groups, tokens, certificates and application credentials.

    Made as `AccountsService(store=AccountsStore(engine=engine), clock=clock)`, after `store.create_all()`.
    Every method is one transaction, safe to call from several threads and processes at once. Look-ups that
    miss raise NotFound; bad input raises Invalid with `facts["field"]` and all findings in `facts["errors"]`.
    """
