from __future__ import annotations

import pytest
from neutron import Neutron


@pytest.fixture
def neutron(ada) -> Neutron:
    """A member of a project."""
    return Neutron(ada)


@pytest.fixture
def others(bob) -> Neutron:
    """A member of another project."""
    return Neutron(bob)


@pytest.fixture
def operator(root) -> Neutron:
    """An administrator."""
    return Neutron(root)
