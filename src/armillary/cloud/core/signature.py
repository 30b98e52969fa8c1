"""How a switch vouches for the guest whose question it carries, as Neutron's metadata proxy does. Pure."""

from __future__ import annotations

import hashlib
import hmac


def sign(secret: str, server_id: str) -> str:
    """Return the signature over a server's id of whoever knows the secret."""
    return hmac.new(secret.encode(), server_id.encode(), hashlib.sha256).hexdigest()
