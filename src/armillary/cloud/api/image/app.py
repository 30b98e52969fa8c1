"""Image as one application."""

from __future__ import annotations

from fastapi import Depends, FastAPI
from starlette.types import ASGIApp

from armillary.cloud.api.auth import KeystoneAuth
from armillary.cloud.api.image.router import router
from armillary.cloud.api.openapi.document import publish
from armillary.cloud.api.policy import image as policy
from armillary.cloud.api.policy.gate import gate
from armillary.cloud.api.shared import RequestIds
from armillary.cloud.images.service import ImageService


def image_app(*, images: ImageService, auth: KeystoneAuth, base_url: str, prefix: str = "") -> ASGIApp:
    """Image v2 under `prefix`; `base_url` is where clients find it, the prefix included."""
    decide = gate(service="image", prefix=prefix, rows=policy.ROWS)
    app = FastAPI(title="Image", openapi_url=None, redirect_slashes=False, dependencies=[Depends(decide)])
    app.state.authenticate = auth.principal
    publish(app, service="image", prefix=prefix, rows=policy.ROWS)
    app.include_router(router(images=images, base_url=base_url), prefix=prefix)
    return RequestIds(app)
