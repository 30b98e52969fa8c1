"""VOSpace 2.1 over HTTP, for the stock clients: registry, nodes, transfers and files."""

from armillary.vospace.api.context import Authenticator, Settings
from armillary.vospace.api.router import router

__all__ = ["Authenticator", "Settings", "router"]
