"""Identity v3 over the accounts service, in Keystone's own words."""

from armillary.cloud.api.identity.catalog import Catalog, CatalogService
from armillary.cloud.api.identity.router import router

__all__ = ["Catalog", "CatalogService", "router"]
