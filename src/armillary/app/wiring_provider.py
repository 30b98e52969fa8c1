"""Makes the provider of OpenID Connect that the operator named."""

from __future__ import annotations

from armillary.app.settings import OidcTable
from armillary.base.clock import Clock
from armillary.portal.oidc import Provider


def build_provider(oidc: OidcTable, clock: Clock) -> Provider | None:
    """Return the provider of `[oidc]`; None without one."""
    if not oidc.client_secret_file:
        return None
    return Provider(
        issuer=oidc.issuer,
        client_id=oidc.client_id,
        client_secret=oidc.client_secret_file.read_text().strip(),
        label=oidc.label,
        clock=clock,
    )
