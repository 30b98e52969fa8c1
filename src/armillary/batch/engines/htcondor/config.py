"""HTCondor's configuration of us as a client of a pool."""

from __future__ import annotations

from pathlib import Path

_CONFIG = """\
CONDOR_HOST = {host}
COLLECTOR_HOST = {collector}
TRUST_DOMAIN = {trust_domain}
SEC_TOKEN_DIRECTORY = {tokens}
SEC_CLIENT_AUTHENTICATION = REQUIRED
SEC_CLIENT_AUTHENTICATION_METHODS = IDTOKENS
SEC_CLIENT_ENCRYPTION = REQUIRED
SEC_CLIENT_INTEGRITY = REQUIRED
ENABLE_IPV6 = False
"""


def condor_config(*, collector: str, trust_domain: str, tokens: Path) -> str:
    """Return it. `collector` is `host:port`, `tokens` a folder that only we may read, with our token."""
    host = collector.rpartition(":")[0] or collector
    return _CONFIG.format(host=host, collector=collector, trust_domain=trust_domain, tokens=tokens)
