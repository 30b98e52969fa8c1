"""The demo's accounts: made on its first run, kept with their passwords in the platform's directory."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from armillary.base.errors import Unavailable


@dataclass(frozen=True, kw_only=True)
class DemoAccounts:
    """Who plays in the demo."""

    admin: str
    admin_password: str
    user: str
    user_password: str
    project: str


def load_accounts(home: Path, *, one_time_password: str | None) -> DemoAccounts:
    """Return the demo's accounts, made new when the platform is.

    Args:
        home: the platform's directory.
        one_time_password: the first administrator's, if the platform was started for the first time just now.

    Raises:
        Unavailable: the platform has an administrator whose password the demo does not know.
    """
    file = home / "demo" / "accounts.json"
    try:
        known = DemoAccounts(**json.loads(file.read_text()))
    except FileNotFoundError:
        password = one_time_password or os.environ.get("ARMILLARY_ADMIN_PASSWORD")
        if password is None:
            raise Unavailable(
                "this platform was set up without the demo, which needs an administrator to approve its project",
                code="no_admin_password",
                remedy="set ARMILLARY_ADMIN_PASSWORD, or use another directory: ARMILLARY_HOME=~/armillary-demo",
            ) from None
        known = DemoAccounts(
            admin="admin",
            admin_password=password,
            user="astro",
            user_password=secrets.token_urlsafe(12),
            project="m51-survey",
        )
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as out:
            json.dump(asdict(known), out, indent=2)
    return known
