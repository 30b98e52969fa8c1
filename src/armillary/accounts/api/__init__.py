"""Accounts over HTTP: who asks, our JSON API, and our error shape."""

from armillary.accounts.api.auth import Authenticator, principal_of
from armillary.accounts.api.errors import AsciiJSON, install_error_handlers
from armillary.accounts.api.people_services import group_authorities, people_services
from armillary.accounts.api.router import router

__all__ = [
    "AsciiJSON",
    "Authenticator",
    "group_authorities",
    "install_error_handlers",
    "people_services",
    "principal_of",
    "router",
]
