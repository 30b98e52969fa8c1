"""Trust on first use: see a server's certificate before believing it."""

from __future__ import annotations

import hashlib
import socket
import ssl
import urllib.parse

from armillary.client.errors import Unreachable


def certificate_of(url: str) -> tuple[str, str]:
    """Return the certificate that a server shows, in PEM form, and its SHA-256 fingerprint.

    Nothing is verified: a person must compare the fingerprint with one that came by another way.
    """
    parts = urllib.parse.urlsplit(url)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    host, port = parts.hostname or "", parts.port or 443
    try:
        with (
            socket.create_connection((host, port), timeout=10) as connection,
            context.wrap_socket(connection, server_hostname=host) as secured,
        ):
            der = secured.getpeercert(binary_form=True)
    except OSError as error:
        raise Unreachable(f"no answer from {url}: {error}", remedy="Is the address right?") from error
    if not der:
        raise Unreachable(f"{url} shows no certificate", remedy="Is the address right?")
    digest = hashlib.sha256(der).hexdigest().upper()
    return ssl.DER_cert_to_PEM_cert(der), ":".join(digest[n : n + 2] for n in range(0, 64, 2))
