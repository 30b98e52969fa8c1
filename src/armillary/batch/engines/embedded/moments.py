"""What time it is: the database's, so that leases mean the same to all processes that share it."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection

from armillary.base.clock import Clock, SystemClock


def moment(db: Connection, clock: Clock) -> datetime:
    """Return the present moment of a transaction.

    On PostgreSQL that is the server's, after the lock of all writers was got: two hosts whose clocks differ never
    disagree about the end of a lease. SQLite runs inside of this process and asks the same clock as we do. A clock
    that is not this machine's (a virtual one of a test or a simulation) rules instead.
    """
    if isinstance(clock, SystemClock) and db.dialect.name == "postgresql":
        return db.exec_driver_sql("SELECT clock_timestamp()").scalar_one().astimezone(UTC)
    return clock.now()
