"""Jobs are named as people write them, and what names none says how."""

from __future__ import annotations

from typing import Any

import pytest

from armillary.base.errors import Invalid
from armillary.client.targets import is_target, read_target


@pytest.mark.parametrize(
    ("text", "selection"),
    [
        ("12", {"cluster": 12}),
        ("13.4", {"job": "13.4"}),
        ("14.0-99", {"job": "14.0", "last_proc": 99}),
        ("14.3-14.9", {"job": "14.3", "last_proc": 9}),
        ("14.7-7", {"job": "14.7"}),
    ],
)
def test_what_is_meant(text: str, selection: dict[str, Any]):
    assert read_target(text).selection() == selection


@pytest.mark.parametrize("text", ["", "x", "1.", ".1", "1.2.3", "14.9-3", "14.0-15.3", "-3", "1" * 20, "١٢"])
def test_what_names_no_jobs_is_refused_with_a_remedy(text: str):
    with pytest.raises(Invalid) as refused:
        read_target(text)
    assert refused.value.remedy


def test_a_part_of_a_cluster_has_its_ends_and_nothing_beyond():
    part = read_target("14.3-5")
    assert [part.has({"cluster": 14, "proc": proc}) for proc in (2, 3, 5, 6)] == [False, True, True, False]
    assert not part.has({"cluster": 15, "proc": 4})


def test_people_are_no_jobs():
    assert not is_target("vera")
    assert is_target("12.0")
