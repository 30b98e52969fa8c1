"""The little of VOSpace that the command line needs; files themselves go by the stock vcp, vls and vmkdir."""

from __future__ import annotations

from armillary.client.http import Armillary


class VOSpace:
    """Short-lived certificates for the stock VOSpace clients."""

    def __init__(self, *, http: Armillary) -> None:
        self._http = http

    def certificate(self, *, days: float = 1.0) -> bytes:
        """Return a client certificate with its key, in PEM form, as `cadc-get-cert` would."""
        data, _ = self._http.read_bytes("/cred/generate", daysValid=days)
        return data
