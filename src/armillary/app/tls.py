"""TLS for the platform: uvicorn with optional client certificates, which the applications can see."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import uvicorn

from armillary.app.protocol import PiecesProtocol

if TYPE_CHECKING:
    from starlette.types import ASGIApp

PEER_CERTIFICATE = "peer_certificate"
"""Where applications find the client certificate (DER, or None): `scope["state"][PEER_CERTIFICATE]`."""


class PeerCertProtocol(PiecesProtocol):
    """HTTP over one connection, which remembers the certificate that the client showed in the handshake.

    TCP_NODELAY is set: the VOSpace clients talk in many small requests, and Nagle's algorithm with delayed
    acknowledgements costs them 40 ms on each.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Take over a connection whose handshake is done."""
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family in {socket.AF_INET, socket.AF_INET6}:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        secured = cast("ssl.SSLObject | None", transport.get_extra_info("ssl_object"))
        certificate = secured.getpeercert(binary_form=True) if secured is not None else None
        # A copy: the state that uvicorn hands in is shared by all connections.
        self.app_state: dict[str, Any] = {**self.app_state, PEER_CERTIFICATE: certificate}
        super().connection_made(transport)


_NO_CHECK_TIME = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which the module `ssl` has no name for"""


LARGEST_MESSAGE = 1 << 20
"""Octets of a WebSocket's message: nobody types a mebibyte"""
KEEP_ALIVE = 75
"""Seconds that a connection may rest. Stock clients look every few seconds, over the same one: were it closed at just that
moment, they would take the reset for a failure."""


class _Config(uvicorn.Config):
    def load(self) -> None:
        super().load()
        if self.ssl is not None:
            # An expired certificate would end the handshake, and the stock clients would say "Connection aborted".
            # `accounts.certificates` refuses it, with words.
            self.ssl.verify_flags |= _NO_CHECK_TIME


def server_config(
    app: ASGIApp,
    host: str,
    port: int,
    certfile: Path | str | None = None,
    keyfile: Path | str | None = None,
    ca_certs: Path | str | None = None,
) -> uvicorn.Config:
    """Return the configuration of one of our servers: with TLS when there is a certificate, plain otherwise.

    A client certificate is asked for, not demanded; one that `ca_certs` did not sign ends the handshake. Whether it
    has expired is left to the application.
    """
    return _Config(
        cast("Any", app),
        host=host,
        port=port,
        http=PeerCertProtocol,
        ssl_certfile=certfile,
        ssl_keyfile=keyfile,
        ssl_ca_certs=str(ca_certs) if ca_certs else None,
        ssl_cert_reqs=ssl.CERT_OPTIONAL if ca_certs else ssl.CERT_NONE,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        ws="websockets-sansio",
        ws_max_size=LARGEST_MESSAGE,
        ws_per_message_deflate=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=5,
    )
