"""The volume service. It has no storage yet: quotas say so, lists are empty, and creating is refused in plain words."""

from __future__ import annotations

from armillary.accounts.model import Principal
from armillary.base.errors import TooLarge
from armillary.cloud.access import allow_writing

VOLUME_TYPE_ID = "2f0f5a34-98f3-5c0e-9d53-6f1d1ad5a1d0"
QUOTAS = {
    "volumes": 0,
    "snapshots": 0,
    "gigabytes": 0,
    "backups": 0,
    "backup_gigabytes": 0,
    "per_volume_gigabytes": -1,
    "groups": 0,
}


class VolumeService:
    """Block storage, for later."""

    def create(self, principal: Principal, size: int) -> None:
        """Refuse, as a cloud whose quota is nought does.

        Raises:
            TooLarge: always.
        """
        allow_writing(principal, "volume:create")
        raise TooLarge(
            f"VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. "
            f"Requested {size}G, quota is 0G and 0G has been consumed.",
            code="over_limit",
            remedy="This cloud offers no volumes; keep data on a server's disks or in VOSpace.",
        )
