"""The simulator, small: what holds for a million jobs holds for two thousand."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def scale() -> ModuleType:
    bench = Path(__file__).parents[2] / "bench"
    file = bench / "scale.py"
    spec = importlib.util.spec_from_file_location("bench_scale", file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_scale"] = module  # dataclasses look their module up
    sys.path.insert(0, str(bench))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(bench))
    return module


def test_no_job_is_lost_or_runs_twice_no_quota_is_passed_and_no_machine_is_left_in_bad_weather(
    scale: ModuleType,
) -> None:
    result = scale.Simulation(jobs=2000, clouds=5, cores=60, projects=2, seed=1).run()
    assert result.problems == []
    assert result.figures["jobs lost"] == 0
    assert result.figures["fair-share error, end %"] < 10
    assert result.figures["cost over bound"] < 1.6
