"""What projects may keep in block storage, and what they do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, func, select

from armillary.accounts.model import Principal
from armillary.base.errors import Invalid, NotFound, TooLarge
from armillary.base.ids import ProjectId
from armillary.cloud import store
from armillary.cloud.access import allow_administering, project_of
from armillary.cloud.volumes.ports import Projects
from armillary.cloud.volumes.store import TYPES, backups, counted, snapshots, volumes

_SERVICE = "volume"
MOST_VOLUMES = 100
_KINDS = ("volumes", "gigabytes", "snapshots")
"""What is also limited by volume type, as `volumes_<type>`."""


class OverLimit(TooLarge):
    """A project has no quota left for what it asks; Cinder answers 413."""

    code = "over_limit"


class VolumeQuotas:
    """Limits by project: those that an administrator set, else those that follow from the project's allocation."""

    def __init__(self, *, engine: Engine, projects: Projects) -> None:
        self._engine = engine
        self._projects = projects

    # what requests are held against

    def charge_volume(
        self, connection: Connection, project_id: ProjectId, *, size: int, type_name: str, count: int = 1
    ) -> None:
        """Let a new volume pass, or with `count` 0 the growth of one.

        Raises:
            OverLimit: in Cinder's words.
        """
        limits, used = self._limits(connection, project_id), used_by(connection, project_id)
        self._charge_gigabytes(limits, used, size, type_name)
        for name in ("volumes", f"volumes_{type_name}"):
            limit = limits[name]
            if count and 0 <= limit < used.get(name, 0) + count:
                raise OverLimit(
                    f"VolumeLimitExceeded: Maximum number of volumes allowed ({limit}) exceeded for quota '{name}'.",
                    remedy="Delete volumes, or ask an administrator for more.",
                )

    def check_size(self, connection: Connection, project_id: ProjectId, size: int) -> None:
        """Raises OverLimit if no volume may be so large."""
        most = self._limits(connection, project_id)["per_volume_gigabytes"]
        if 0 <= most < size:
            raise OverLimit(
                f"VolumeSizeExceedsLimit: Requested volume size {size}G is larger than maximum allowed limit {most}G."
            )

    def charge_snapshot(
        self, connection: Connection, project_id: ProjectId, *, size: int, type_name: str
    ) -> None:
        """Let a new snapshot pass; raises OverLimit."""
        limits, used = self._limits(connection, project_id), used_by(connection, project_id)
        self._charge_gigabytes(limits, used, size, type_name)
        for name in ("snapshots", f"snapshots_{type_name}"):
            limit = limits[name]
            if 0 <= limit < used.get(name, 0) + 1:
                raise OverLimit(
                    f"SnapshotLimitExceeded: Maximum number of snapshots allowed ({limit}) exceeded"
                )

    def charge_backup(self, connection: Connection, project_id: ProjectId, *, size: int) -> None:
        """Let a new backup pass; raises OverLimit."""
        limits, used = self._limits(connection, project_id), used_by(connection, project_id)
        limit, has = limits["backup_gigabytes"], used["backup_gigabytes"]
        if 0 <= limit < has + size:
            raise OverLimit(
                "VolumeBackupSizeExceedsAvailableQuota: Requested backup exceeds allowed Backup gigabytes quota. "
                f"Requested {size}G, quota is {limit}G and {has}G has been consumed."
            )
        if 0 <= limits["backups"] < used["backups"] + 1:
            raise OverLimit(
                f"BackupLimitExceeded: Maximum number of backups allowed ({limits['backups']}) exceeded"
            )

    def _charge_gigabytes(
        self, limits: Mapping[str, int], used: Mapping[str, int], size: int, type_name: str
    ) -> None:
        for name in ("gigabytes", f"gigabytes_{type_name}"):
            limit, has = limits[name], used.get(name, 0)
            if 0 <= limit < has + size:
                raise OverLimit(
                    f"VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed {name} quota. "
                    f"Requested {size}G, quota is {limit}G and {has}G has been consumed.",
                    facts={"requested_gib": size, "quota_gib": limit, "used_gib": has},
                )

    # what people see

    def limits_and_use(self, principal: Principal, project_id: str) -> Mapping[str, tuple[int, int]]:
        """Limit and use by quota; another project's are for administrators."""
        self._allow(principal, project_id, "volume_extension:quotas:show")
        known = ProjectId(project_id)
        with self._engine.execution_options(readonly=True).connect() as connection:
            limits, used = self._limits(connection, known), used_by(connection, known)
        return {name: (limit, used.get(name, 0)) for name, limit in limits.items()}

    def defaults(self, principal: Principal, project_id: str) -> Mapping[str, int]:
        """The quotas of a project for which nobody set any."""
        self._allow(principal, project_id, "volume_extension:quotas:show")
        with self._engine.execution_options(readonly=True).connect() as connection:
            return self._defaults(connection, ProjectId(project_id))

    def set(self, project_id: str, amounts: Mapping[str, Any]) -> Mapping[str, int]:
        """Change quotas.

        Raises:
            Invalid: there is no such quota, or it would be below -1.
        """
        known = ProjectId(project_id)
        with self._engine.begin() as connection:
            limits = self._limits(connection, known)
            unknown = [name for name in amounts if name not in limits]
            if unknown:
                raise Invalid(
                    f"Invalid input received: Bad key(s) in quota set: {', '.join(unknown)}",
                    code="unknown_quota",
                )
            store.set_quota_overrides(connection, project_id, _SERVICE, amounts)
            return self._limits(connection, known)

    def reset(self, project_id: str) -> None:
        """Return a project to its defaults."""
        with self._engine.begin() as connection:
            store.clear_quota_overrides(connection, project_id, _SERVICE)

    def _allow(self, principal: Principal, project_id: str, action: str) -> None:
        if project_id != project_of(principal).id:
            allow_administering(principal, action)

    def _limits(self, connection: Connection, project_id: ProjectId) -> dict[str, int]:
        overrides = store.quota_overrides(connection, project_id, _SERVICE)
        return {**self._defaults(connection, project_id), **overrides}

    def _defaults(self, connection: Connection, project_id: ProjectId) -> dict[str, int]:
        try:
            granted = int(self._projects.project(project_id).allocation.disk)
        except NotFound:
            granted = 0  # Cinder keeps quotas for projects that it has never heard of
        general = {
            "volumes": MOST_VOLUMES,
            "snapshots": MOST_VOLUMES,
            "gigabytes": granted,
            "backups": MOST_VOLUMES,
            "backup_gigabytes": granted,
            "per_volume_gigabytes": -1,
            "groups": 10,
        }
        names = [kind.name for kind in TYPES.find(connection)]
        return general | {f"{kind}_{name}": -1 for name in names for kind in _KINDS}


def used_by(connection: Connection, project_id: ProjectId) -> dict[str, int]:
    """What a project has, in the words of its quotas."""
    many, gigabytes = counted(connection, volumes, project_id)
    shots, of_shots = counted(connection, snapshots, project_id)
    copies, of_copies = counted(connection, backups, project_id)
    used = {
        "volumes": many,
        "snapshots": shots,
        "gigabytes": gigabytes + of_shots,
        "backups": copies,
        "backup_gigabytes": of_copies,
    }
    for name, number, size in _by_type(connection, project_id):
        used[f"volumes_{name}"] = number
        used[f"gigabytes_{name}"] = size
    return used


def _by_type(connection: Connection, project_id: ProjectId) -> list[tuple[str, int, int]]:
    names = {kind.id: kind.name for kind in TYPES.find(connection)}
    query = (
        select(volumes.c.volume_type_id, func.count(), func.sum(volumes.c.size))
        .where(volumes.c.project_id == project_id)
        .group_by(volumes.c.volume_type_id)
    )
    return [(names.get(row[0], ""), int(row[1]), int(row[2])) for row in connection.execute(query)]
