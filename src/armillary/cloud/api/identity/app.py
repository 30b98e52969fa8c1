"""Identity as one application."""

from __future__ import annotations

from fastapi import Depends, FastAPI
from starlette.types import ASGIApp

from armillary.accounts.service import AccountsService
from armillary.base.clock import Clock
from armillary.cloud.api.auth import KeystoneAuth
from armillary.cloud.api.identity.catalog import Catalog
from armillary.cloud.api.identity.router import router
from armillary.cloud.api.openapi.document import publish
from armillary.cloud.api.policy import identity as policy
from armillary.cloud.api.policy.gate import gate
from armillary.cloud.api.shared import RequestIds


def identity_app(
    *,
    accounts: AccountsService,
    catalog: Catalog,
    clock: Clock,
    auth: KeystoneAuth,
    prefix: str = "/identity",
) -> ASGIApp:
    """Identity v3 under `prefix`; the catalog says where clients find it."""
    decide = gate(service="identity", prefix=prefix, rows=policy.ROWS)
    app = FastAPI(title="Identity", openapi_url=None, redirect_slashes=False, dependencies=[Depends(decide)])
    app.state.authenticate = auth.principal
    publish(app, service="identity", prefix=prefix, rows=policy.ROWS)
    whole = router(accounts=accounts, catalog=catalog, clock=clock, auth=auth, prefix=prefix, decide=decide)
    app.routes.extend(whole.routes)  # included, each would be built a second time
    return RequestIds(app)
