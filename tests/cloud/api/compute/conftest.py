"""Two people of two projects and an administrator, on one cloud."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def ada(common_member_of):
    return common_member_of("m51", "ada")


@pytest.fixture(scope="module")
def bob(common_member_of):
    return common_member_of("ngc253", "bob")


@pytest.fixture(scope="module")
def root(common_root):
    return common_root
