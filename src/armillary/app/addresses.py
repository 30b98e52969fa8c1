"""Where the platform is reached: from this computer, and from the machines of its clouds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from armillary.base.ids import CloudName

GUEST_HOST = "armillary.internal"
"""Our name inside the machines of embedded clouds: their gateway, which is this computer."""


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """The ports that were bound, and the URLs that follow from them."""

    https_port: int
    http_port: int
    cloud_ports: Mapping[CloudName, int]
    inside_port: int = 0

    @property
    def url(self) -> str:
        """With TLS: APIs, VOSpace and portal."""
        return f"https://localhost:{self.https_port}"

    @property
    def portal_url(self) -> str:
        """Without TLS, for a browser on this computer."""
        return f"http://localhost:{self.http_port}"

    @property
    def inside_pattern(self) -> str:
        """Pages of people's machines, with a star in place of a machine's label."""
        return f"http://*.localhost:{self.inside_port}"

    @property
    def guest_url(self) -> str:
        """As machines of embedded clouds see us."""
        return f"https://{GUEST_HOST}:{self.https_port}"

    def cloud_url(self, name: CloudName) -> str:
        """The root of an embedded cloud's services."""
        return f"http://127.0.0.1:{self.cloud_ports[name]}"

    def auth_url(self, name: CloudName) -> str:
        """What belongs into `clouds.yaml` for an embedded cloud."""
        return f"{self.cloud_url(name)}/identity/v3"
