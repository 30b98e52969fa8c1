"""Crates on disk."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from made_crates import DISK, a_crate, with_image, write

from armillary.crates.layout import Crate


@pytest.fixture(scope="session")
def signing_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture
def crate(signing_key: Ed25519PrivateKey) -> Crate:
    return a_crate(signing_key)


@pytest.fixture
def place(crate: Crate, tmp_path: Path) -> Path:
    return write(crate, tmp_path / "crate")


@pytest.fixture
def with_second_job(signing_key: Ed25519PrivateKey, tmp_path: Path) -> Callable[..., Path]:
    """Write a crate whose second job's record says something else."""
    return lambda **facts: write(a_crate(signing_key, **facts), tmp_path / "other")


@pytest.fixture
def disked(signing_key: Ed25519PrivateKey, tmp_path: Path) -> Callable[..., Path]:
    """Write a crate with a machine image, whose record somebody has signed."""

    def make(*, signer: Ed25519PrivateKey = signing_key, data: bytes = DISK) -> Path:
        place = write(with_image(signing_key, signer, data), tmp_path / "disked")
        (place / "image" / "disk.qcow2").write_bytes(data)
        return place

    return make
