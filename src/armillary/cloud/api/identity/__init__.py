"""Identity v3 over the accounts service, in Keystone's own words."""

from armillary.cloud.api.identity.catalog import Catalog, CatalogService

__all__ = ["Catalog", "CatalogService"]
