"""Image v2 over the image service, in Glance's own words."""

from armillary.cloud.api.image.app import image_app
from armillary.cloud.api.image.router import router

__all__ = ["image_app", "router"]
