"""The users that jobs run as: one for each job that runs at once, with no password, no home and no login."""

from __future__ import annotations

import pwd
import subprocess
import threading
from dataclasses import dataclass

from armillary.guest.agent.basics import Fault

FIRST, LAST = 60_601, 61_100
"""User numbers: in a range that no distribution gives to anybody (systemd's UIDS-GIDS names it unused)."""


@dataclass(frozen=True)
class Account:
    """Who a job is on this machine."""

    name: str
    uid: int
    gid: int


class Slots:
    """Lends accounts: no two jobs have the same at once, so that a job can be ended by its user."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free: list[Account] = []
        self._made = 0

    def take(self) -> Account:
        """Return an account that no job has now. Raises Fault."""
        with self._lock:
            if self._free:
                return self._free.pop()
            self._made += 1
            uid = FIRST + self._made - 1
            if uid > LAST:
                raise Fault("worker_fault", "more jobs at once than there are users for them", retry=True)
            return account(uid, f"slot{self._made}")

    def give_back(self, account: Account) -> None:
        """Let the next job have it; nothing of the last one may run any more."""
        with self._lock:
            self._free.append(account)


def account(uid: int, name: str) -> Account:
    """Return the account of a number, made when it is missing. Raises Fault."""
    try:
        found = pwd.getpwuid(uid)
    except KeyError:
        try:
            pwd.getpwnam(name)
            name = f"armillary-{name}"  # somebody's own: HTCondor's documents use such names too
        except KeyError:
            pass
        why = _make(uid, name)
        try:
            found = pwd.getpwuid(uid)
        except KeyError:
            raise Fault("worker_fault", f"cannot make the user {name}: {why}", retry=True) from None
    return Account(found.pw_name, found.pw_uid, found.pw_gid)


def _make(uid: int, name: str) -> str:
    command = ["useradd", "--uid", str(uid), "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    command += ["--shell", "/usr/sbin/nologin", "--comment", "Armillary job", name]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except OSError as error:
        return str(error)
    return done.stderr.decode(errors="replace").strip()
