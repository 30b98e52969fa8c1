"""One platform on a database: two would place the same jobs and sweep each other's uploads."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine

from armillary.app.database import shown_url
from armillary.base.errors import Conflict

_KEY = 0x41524D494C4C4152


def hold_records(engine: Engine, *, wait: float = 5) -> Callable[[], None]:
    """Be the one platform of a database until the returned function is called, or this process ends.

    Tries for `wait` seconds: the server may not have noticed yet that another platform was killed. SQLite needs none of it: its file is in the home, which has a lock of its own.

    Raises:
        Conflict: another platform is.
    """
    if engine.dialect.name != "postgresql":
        return lambda: None
    taken = engine.raw_connection()
    connection: Any = taken.dbapi_connection
    taken.detach()  # it keeps its lock as long as it is open, and is not for others
    connection.autocommit = True
    end = time.monotonic() + wait
    while not connection.execute("SELECT pg_try_advisory_lock(%s)", (_KEY,)).fetchone()[0]:
        if time.monotonic() >= end:
            break
        time.sleep(0.1)
    else:
        return connection.close
    connection.close()
    raise Conflict(
        "another platform keeps its records in this database",
        code="records_in_use",
        facts={"database": shown_url(engine.url.render_as_string(hide_password=True))},
        remedy="stop it, or give this one a database of its own: database_url in armillary.toml",
    )
