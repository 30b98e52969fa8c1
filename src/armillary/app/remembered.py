"""Answers about people that are asked for with every request, for as long as they hold."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from starlette.requests import HTTPConnection

from armillary.accounts.api import Authenticator
from armillary.accounts.model import Person, Principal
from armillary.app.tls import PEER_CERTIFICATE
from armillary.base.clock import Clock
from armillary.base.ids import PersonId

_SECONDS = 1.0
"""Another process may have written: no answer is older than this."""
_MOST = 1000

_BEFORE_CERTIFICATES = ("authorization", "x-cadc-delegationtoken", "cookie")

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")


class Remembered(Generic[_K, _V]):
    """A function whose answers hold until anything about accounts is written, and for a second at most.

    So what this process takes away is gone with the next request.
    """

    def __init__(self, ask: Callable[[_K], _V], *, changes: Callable[[], int], clock: Clock) -> None:
        """Remember what `ask` answers while `changes` stays the same; what it raises is not remembered."""
        self._ask = ask
        self._changes = changes
        self._clock = clock
        self._known: OrderedDict[_K, tuple[int, float, _V]] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, key: _K) -> _V:
        """Answer."""
        changes = self._changes()  # before the look: a write during it makes what we saw old
        now = self._clock.now().timestamp()
        with self._lock:
            known = self._known.get(key)
        if known is not None and known[0] == changes and 0 <= now - known[1] < _SECONDS:
            return known[2]
        answer = self._ask(key)
        with self._lock:
            self._known[key] = (changes, now, answer)
            self._known.move_to_end(key)
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
        return answer


class RememberingAuthenticator:
    """Answers who asks, as `Authenticator` does, but remembers who was there just now."""

    def __init__(self, *, authenticator: Authenticator, changes: Callable[[], int], clock: Clock) -> None:
        """Ask `authenticator` for all that is not remembered."""
        self._authenticator = authenticator
        self._headers = {
            "bearer": Remembered(authenticator.bearer, changes=changes, clock=clock),
            # a password costs a core for tens of milliseconds, and clients with a netrc send it with each request
            "basic": Remembered(authenticator.basic, changes=changes, clock=clock),
        }
        self._shown = Remembered(authenticator.shown, changes=changes, clock=clock)
        self._holder = Remembered(self._ask_holder, changes=changes, clock=clock)

    def find(self, connection: HTTPConnection, /) -> Principal | None:
        """See `Authenticator`."""
        scheme, _, value = connection.headers.get("authorization", "").partition(" ")
        remembered = self._headers.get(scheme.lower())
        if remembered is not None:
            return remembered(value.strip())
        der = connection.scope.get("state", {}).get(PEER_CERTIFICATE)
        if der and not any(name in connection.headers for name in _BEFORE_CERTIFICATES):
            return self._shown(der)
        return self._authenticator.find(connection)

    def holder(self, person_id: PersonId, credential: str, /) -> Person:
        """See `Authenticator`."""
        return self._holder((person_id, credential))

    def _ask_holder(self, who: tuple[PersonId, str]) -> Person:
        return self._authenticator.holder(*who)
