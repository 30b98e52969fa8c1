from __future__ import annotations

import pytest
from shelf import Shelf


@pytest.fixture
def shelf(ada) -> Shelf:
    """A member's volumes."""
    return Shelf(ada)


@pytest.fixture
def others(bob) -> Shelf:
    """The volumes of a member of another project."""
    return Shelf(bob)


@pytest.fixture
def all_shelves(root) -> Shelf:
    """Everybody's volumes, to an administrator."""
    return Shelf(root)
