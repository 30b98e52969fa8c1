"""Accounts over HTTP: who asks, our JSON API, and our error shape."""

from armillary.accounts.api.auth import SESSION_COOKIE, Authenticator, principal_of
from armillary.accounts.api.errors import AsciiJSON, install_error_handlers
from armillary.accounts.api.router import router

__all__ = [
    "SESSION_COOKIE",
    "AsciiJSON",
    "Authenticator",
    "install_error_handlers",
    "principal_of",
    "router",
]
