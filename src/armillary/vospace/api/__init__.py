"""VOSpace 2.1 over HTTP, for the stock clients: registry, nodes, transfers, files and credentials."""

from armillary.vospace.api.context import Authenticator, ClientCertificates, Settings
from armillary.vospace.api.router import router

__all__ = ["Authenticator", "ClientCertificates", "Settings", "router"]
