"""Which extra specs a flavor may have: Nova has checked names and values of its own since 2.86.

Specs of other namespaces are the operator's, and are not looked at. None of them changes a machine of ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from armillary.base.errors import Invalid

_KEY = re.compile(r"[a-zA-Z0-9-_:. ]{1,255}")
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "hw:cpu_policy": ("dedicated", "shared", "mixed"),
    "hw:cpu_thread_policy": ("prefer", "isolate", "require"),
    "hw:emulator_threads_policy": ("isolate", "share"),
    "hw:mem_page_size": (),
    "hw:pci_numa_affinity_policy": ("required", "preferred", "legacy", "socket"),
    "hw:watchdog_action": ("none", "pause", "poweroff", "reset", "disabled"),
    "hw:vif_multiqueue_enabled": (),
    "hw:boot_menu": (),
    "hw:cpu_realtime": (),
    "hw:cpu_realtime_mask": (),
    "hw:cpu_dedicated_mask": (),
    "hw:hide_hypervisor_id": (),
    "hw:locked_memory": (),
    "hw:mem_encryption": (),
    "hw:pmem": (),
    "hw:pci_passthrough": (),
    "hw:serial_port_count": (),
    "hw:tpm_model": ("tpm-tis", "tpm-crb"),
    "hw:tpm_version": ("1.2", "2.0"),
    "hw:viommu_model": ("intel", "smmuv3", "virtio", "auto"),
    "hw:virtio_packed_ring": (),
    "hw:numa_nodes": (),
    "hw_rng:allowed": (),
    "hw_rng:rate_bytes": (),
    "hw_rng:rate_period": (),
    "hw_video:ram_max_mb": (),
}
"""names that Nova knows, with the values of those that have few; empty: any"""
_FAMILIES = re.compile(
    r"hw:(cpu_(max_)?(sockets|cores|threads)|numa_(cpus|mem)\.\d+|pci_passthrough.*|maxphysaddr_(mode|bits))"
)
_OURS = ("hw", "hw_rng", "hw_video")


def check_specs(specs: Mapping[str, str], *, version: int) -> None:
    """Refuse specs that Nova would refuse.

    Raises:
        Invalid: in Nova's words.
    """
    for key, value in specs.items():
        if _KEY.fullmatch(key) is None:
            raise Invalid(
                f"Invalid input for field/attribute extra_specs. Value: {str(dict(specs))[:255]}. '{key}' does not match "
                "any of the regexes: '^[a-zA-Z0-9-_:. ]{1,255}$'",
                code="invalid_extra_spec",
            )
        if version < 86 or key.partition(":")[0] not in _OURS or ":" not in key or _FAMILIES.fullmatch(key):
            continue
        choices = _CHOICES.get(key)
        if choices is None:
            raise Invalid(
                f"Validation failed; extra spec '{key}' does not appear to be a valid extra spec.",
                code="invalid_extra_spec",
            )
        if choices and value not in choices:
            raise Invalid(
                f"Validation failed; '{value}' is not one of: {', '.join(choices)}.",
                code="invalid_extra_spec",
            )
