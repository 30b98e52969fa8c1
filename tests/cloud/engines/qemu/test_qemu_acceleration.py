"""KVM is believed only after a kernel ran under it; a small script stands for QEMU here."""

from pathlib import Path

import pytest

from armillary.cloud.engines.qemu.accelerate import probe

LIVES = 'echo "Linux version 6.1"; echo "Run /init as init process"; sleep 30'
HANGS = 'echo "Booting from ROM..."; sleep 30'
FAILS = 'echo "qemu: failed to set MSR 0x10a" >&2; exit 1'


class Bench:
    def __init__(self, folder: Path) -> None:
        self.kernel, self.cache, self.device = folder / "vmlinuz", folder / "probe.json", folder / "kvm"
        self.binary, self.count = folder / "qemu", folder / "count"
        self.kernel.write_bytes(b"a kernel")
        self.device.write_bytes(b"")

    def probe(self, does: str, *, seconds: float = 30):
        self.binary.write_text(
            f'#!/bin/sh\n[ "$1" = --version ] && echo "QEMU 7.2" && exit\necho x >> {self.count}\n{does}\n'
        )
        self.binary.chmod(0o755)
        kernel = self.kernel if self.kernel.exists() else None
        return probe(
            kernel=kernel, cache=self.cache, binary=str(self.binary), device=self.device, seconds=seconds
        )

    @property
    def runs(self) -> int:
        return len(self.count.read_text().splitlines()) if self.count.exists() else 0


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_a_kernel_that_runs_speaks_for_kvm(bench):
    found = bench.probe(LIVES)
    assert (found.kind, found.probed) == ("kvm", True)


def test_a_kernel_that_hangs_speaks_against_it(bench):
    found = bench.probe(HANGS, seconds=0.4)
    assert (found.kind, found.probed) == ("tcg", True)
    assert "no life" in found.reason


def test_qemus_own_complaint_is_the_reason(bench):
    found = bench.probe(FAILS)
    assert found.kind == "tcg"
    assert "failed to set MSR" in found.reason


def test_the_answer_is_kept(bench):
    assert bench.probe(LIVES) == bench.probe(LIVES)
    assert bench.runs == 1


def test_another_kernel_asks_again(bench):
    bench.probe(LIVES)
    bench.kernel.write_bytes(b"another kernel")
    assert bench.probe(FAILS).kind == "tcg"
    assert bench.runs == 2


def test_a_damaged_memory_of_the_answer_asks_again(bench):
    bench.probe(LIVES)
    bench.cache.write_text("{")
    assert bench.probe(LIVES).kind == "kvm"


def test_without_a_device_nothing_is_tried(bench):
    bench.device.unlink()
    found = bench.probe(LIVES)
    assert (found.kind, found.probed, bench.runs) == ("tcg", False, 0)


def test_without_a_kernel_kvm_is_not_believed(bench):
    bench.kernel.unlink()
    found = bench.probe(LIVES)
    assert (found.kind, found.probed) == ("tcg", False)
    assert "untested" in found.reason
