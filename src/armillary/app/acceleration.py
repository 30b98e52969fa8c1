"""Which acceleration the machines of this computer get: what the operator said, or what a kernel showed."""

from __future__ import annotations

from pathlib import Path

from armillary.app.settings import Settings
from armillary.cloud.engines.qemu.accelerate import Acceleration, probe


def kernel_at_hand(cache: Path) -> Path | None:
    """The stock kernel of the base image that was built last, if there is one."""
    kernels = sorted((cache / "images").glob("*/vmlinuz"), key=lambda kernel: kernel.stat().st_mtime)
    return kernels[-1] if kernels else None


def choose_acceleration(settings: Settings) -> Acceleration:
    """KVM where a stock kernel was seen to run under it, else TCG; the settings may force either."""
    if settings.accelerator != "auto":
        return Acceleration(kind=settings.accelerator, reason="the settings say so", probed=False)
    return probe(kernel=kernel_at_hand(settings.cache), cache=settings.cache / "acceleration.json")
