"""The key that signs records: made at the first start, kept in the platform's home, and changed when somebody wants to."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from armillary.base.clock import Clock
from armillary.base.errors import Unavailable
from armillary.base.ids import new_hex
from armillary.crates.signing import Signature, key_id, public_pem, sign
from armillary.provenance.model import PublicKey

_CURRENT = "current"


class Published(Protocol):
    """Where public keys are published."""

    def publish(self, key: PublicKey) -> None: ...

    def public_keys(self) -> list[PublicKey]: ...


class PlatformKeys:
    """Keys in a folder: `ID.pem` is a private key (0600), `current` names the one that signs.

    Two processes that start at once agree on one: whoever names it first wins. After `rotate`, also by another process,
    the next signature is the new key's; the old one's stay good, and its public half stays published.
    """

    def __init__(self, *, folder: Path, published: Published, clock: Clock) -> None:
        """Make the first key of `folder`, unless one is named there. Nothing is read yet: a key that was lost can be changed."""
        self._folder = folder
        self._published = published
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, Ed25519PrivateKey] = {}
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not (folder / _CURRENT).exists():
            self._name(self._make(), first=True)
            self.current()

    def current(self) -> Ed25519PrivateKey:
        """Return the key that signs now; from its first use on it is published.

        Raises:
            Unavailable: it cannot be read, code `signing_key_missing`.
        """
        with self._lock:
            name = self._current_name()
            if name not in self._known:
                key = self._load(name)
                self._publish(key)
                self._known[name] = key
            return self._known[name]

    def sign(self, document: bytes) -> Signature:
        """Sign canonical bytes."""
        return sign(document, key=self.current())

    def rotate(self) -> PublicKey:
        """Sign with a new key from now on; returns its public half."""
        name = self._make()
        made = self._publish(self._load(name))
        self._name(name, first=False)
        return made

    def public(self) -> list[PublicKey]:
        """Return all keys that ever signed, the oldest first."""
        current = self._current_name()
        return [replace(key, current=key.id == current) for key in self._published.public_keys()]

    def _current_name(self) -> str:
        place = self._folder / _CURRENT
        try:
            return place.read_text().strip()
        except (OSError, ValueError) as error:
            raise _missing(place) from error

    def _publish(self, key: Ed25519PrivateKey) -> PublicKey:
        public = key.public_key()
        made = PublicKey(id=key_id(public), pem=public_pem(public), since=self._clock.now())
        self._published.publish(made)
        return made

    def _make(self) -> str:
        key = Ed25519PrivateKey.generate()
        name = key_id(key.public_key())
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
        _write(self._folder / f"{name}.pem", key.private_bytes(*form, serialization.NoEncryption()))
        return name

    def _name(self, name: str, *, first: bool) -> None:
        fresh = self._folder / f".{new_hex()}"
        _write(fresh, name.encode())
        try:
            if first:
                os.link(fresh, self._folder / _CURRENT)
            else:
                os.replace(fresh, self._folder / _CURRENT)  # noqa: PTH105 - beside `os.link`
        except FileExistsError:
            (self._folder / f"{name}.pem").unlink()  # another process was first
        finally:
            fresh.unlink(missing_ok=True)

    def _load(self, name: str) -> Ed25519PrivateKey:
        file = self._folder / f"{name}.pem"
        try:
            key = serialization.load_pem_private_key(file.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise _missing(file) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise _missing(file)
        return key


def _missing(file: Path) -> Unavailable:
    return Unavailable(
        f"the key that signs records cannot be read: {file}",
        code="signing_key_missing",
        facts={"file": str(file)},
        remedy="Restore it from a backup of the platform's home, or make a new one: armillary signing-key rotate.",
    )


def _write(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
