"""The base image, made once more of the very packages that it is made of, is the same."""

from __future__ import annotations

import pytest

from armillary.recipes.rebuilding import rebuild
from armillary.recipes.service import build

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1500)]


def test_the_base_image_made_again_has_the_same_files() -> None:
    image = build("debian-12")
    found = rebuild("debian-12")
    assert found.sha512 == image.sha512
    assert found.same_tree, found.differences
