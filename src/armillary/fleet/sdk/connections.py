"""Connections to clouds: one per cloud and project, made when first used, shared by all threads."""

from __future__ import annotations

import importlib
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

from armillary.accounts.model import Project
from armillary.fleet.model import FleetCloud

KEPT = 64
"""Connections kept; each holds a token, a catalogue and a small pool of sockets."""
TIMEOUT_SECONDS = 120
"""Without a byte for so long, a cloud counts as silent."""


class Connections:
    """Hands out `openstack.connection.Connection`s.

    keystoneauth fetches a new token by itself when a cloud answers 401 or the old one is about to expire; its
    sessions and plugins may be used by many threads. The SDK has no usable types here, hence `Any`.
    """

    def __init__(self, *, clouds_yaml: Path) -> None:
        self._clouds_yaml = clouds_yaml
        self._lock = threading.Lock()
        self._open: OrderedDict[tuple[str, str | None], Any] = OrderedDict()

    def get(self, cloud: FleetCloud, project: Project | None) -> Any:
        """Return the connection for `cloud`, scoped to `project` where the cloud knows our projects."""
        project_id = str(project.id) if project and cloud.per_project else None
        key = (str(cloud.name), project_id)
        with self._lock:
            connection = self._open.get(key)
            if connection is None:
                connection = self._open[key] = self._connect(str(cloud.name), project_id)
            self._open.move_to_end(key)
            while len(self._open) > KEPT:
                self._open.popitem(last=False)
            return connection

    def _connect(self, name: str, project_id: str | None) -> Any:
        # half a second and tens of MiB: paid by the first call to a cloud, not by the start of the platform
        loader: Any = importlib.import_module("openstack.config")
        connections: Any = importlib.import_module("openstack.connection")
        config = loader.OpenStackConfig(config_files=[str(self._clouds_yaml)], load_envvars=False)
        scope: dict[str, Any] = {"auth": {"project_id": project_id}} if project_id else {}
        region = config.get_one(cloud=name, api_timeout=TIMEOUT_SECONDS, **scope)
        return connections.Connection(config=region, app_name="armillary")
