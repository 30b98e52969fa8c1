"""Argon2 for what people remember, SHA-256 for what machines keep."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Generator
from contextlib import contextmanager

import argon2
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from armillary.accounts.core.rules import PASSWORD_MAX, normal_password
from armillary.base.errors import Unavailable


def hash_secret(secret: str) -> str:
    """Return the form in which a random secret is kept: with 256 bits of entropy a fast hash will do."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class Passwords:
    """Hashes and checks passwords with Argon2id.

    Args:
        time_cost, memory_cost, parallelism: Argon2's own (KiB). The defaults are those of OWASP's Password Storage
            Cheat Sheet: one core and 19 MiB to a sign-in, so that scripts that sign in at every command, and
            a flood of them, leave the machine to its guests.
        at_once: how many hashes may be computed side by side. Each takes `memory_cost`; more requests wait,
            so that a flood of sign-ins cannot exhaust the machine, nor guess in parallel past the lock-out.
        remembered: how many right passwords are known again without hashing. Clients with a password in `~/.netrc`
            send it with each request, eight of them to a file. What is kept in memory is a digest under a key that
            dies with the process; another hash, as after a change of the password, is another entry.
        waiting: how many may wait for their turn. Those after them are sent away with Unavailable: each holds
            a thread, and the platform has other things to do with its threads.
    """

    def __init__(
        self,
        *,
        time_cost: int = 2,
        memory_cost: int = 19456,
        parallelism: int = 1,
        at_once: int = 2,
        waiting: int = 20,
        remembered: int = 1000,
    ) -> None:
        hasher = Argon2Hasher(time_cost=time_cost, memory_cost=memory_cost, parallelism=parallelism)
        self._hasher = hasher
        self._hashes = PasswordHash((hasher,))
        self._gate = threading.BoundedSemaphore(at_once)
        self._hall = threading.BoundedSemaphore(at_once + waiting)
        self._key = secrets.token_bytes(32)
        self._most_remembered = remembered
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._right_lock = threading.Lock()
        # A well-formed hash of nothing: checking a password against it costs what a real check costs.
        salt, digest = (
            base64.b64encode(secrets.token_bytes(n)).decode().rstrip("=")
            for n in (argon2.DEFAULT_RANDOM_SALT_LENGTH, argon2.DEFAULT_HASH_LENGTH)
        )
        self._nobody = f"$argon2id$v=19$m={memory_cost},t={time_cost},p={parallelism}${salt}${digest}"

    def hash(self, password: str) -> str:
        """Return the hash to keep for `password`."""
        with self._turn():
            return self._hashes.hash(normal_password(password))

    def verify(self, password: str, kept: str | None) -> bool:
        """Whether `password` is the one of `kept`; without `kept` it takes as long and is False."""
        # Over-long or unencodable input is no password of anybody: it is replaced, not hashed as it is.
        usable = len(password) <= PASSWORD_MAX and _encodable(password)
        text = normal_password(password) if usable else ""
        mark = self._mark(text, kept) if usable and kept is not None else None
        if mark is not None and self._is_remembered(mark):
            return True
        with self._turn():
            right = self._hashes.verify(text, kept or self._nobody)
        if right and mark is not None:
            self._remember(mark)
        return right and usable and kept is not None

    def _mark(self, text: str, kept: str) -> bytes:
        return hmac.digest(self._key, f"{kept}\0{text}".encode(), "sha256")

    def _is_remembered(self, mark: bytes) -> bool:
        with self._right_lock:
            if mark not in self._right:
                return False
            self._right.move_to_end(mark)
            return True

    def _remember(self, mark: bytes) -> None:
        with self._right_lock:
            self._right[mark] = None
            if len(self._right) > self._most_remembered:
                self._right.popitem(last=False)

    @contextmanager
    def _turn(self) -> Generator[None]:
        if not self._hall.acquire(blocking=False):
            raise Unavailable(
                "Too many people are signing in at this moment.",
                code="sign_in_busy",
                facts={"retry_after": 2},
                remedy="Try again in a few seconds.",
            )
        try:
            with self._gate:
                yield
        finally:
            self._hall.release()

    def outdated(self, kept: str) -> bool:
        """Whether `kept` was made with other cost parameters than ours."""
        return self._hasher.check_needs_rehash(kept)

    def hash_chosen_secret(self, secret: str) -> str:
        """Return the form to keep of a secret that a person chose (an application credential's)."""
        return self.hash(secret)

    def verify_secret(self, secret: str, kept: str | None) -> bool:
        """Check a machine's secret against `kept`, made by `hash_secret` or by `hash_chosen_secret`."""
        if kept is not None and not kept.startswith("$"):
            return hmac.compare_digest(hash_secret(secret), kept)
        return self.verify(secret, kept)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
