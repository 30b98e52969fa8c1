"""Which disk images are let in."""

from __future__ import annotations

import struct

import pytest

from armillary.cloud.core.qcow2 import ImageRefused, inspect, inspect_raw

GiB = 2**30
CLUSTER = 65536


def qcow2(
    *,
    version: int = 3,
    size: int = GiB,
    backing: int = 0,
    crypt: int = 0,
    cluster_bits: int = 16,
    features: int = 0,
    extensions: bytes = b"",
    l1_offset: int = 3 * CLUSTER,
    l1_size: int = 2,
) -> bytes:
    """The first cluster of an image of four clusters."""
    head = struct.pack(
        ">4sIQIIQIIQQIIQ",
        b"QFI\xfb", version, backing, 10 if backing else 0, cluster_bits, size, crypt, l1_size, l1_offset,
        CLUSTER, 1, 0, 0,
    )  # fmt: skip
    head += struct.pack(">QQQII", features, 0, 0, 4, 104) + extensions
    return head.ljust(CLUSTER, b"\0")


def extension(kind: int, data: bytes) -> bytes:
    return struct.pack(">II", kind, len(data)) + data.ljust(-(-len(data) // 8) * 8, b"\0")


def test_a_sound_image_tells_its_virtual_size() -> None:
    header = inspect(qcow2(), length=4 * CLUSTER)
    assert (header.virtual_size, header.version, header.cluster_size) == (GiB, 3, CLUSTER)


def test_version_2_has_no_features_and_is_let_in() -> None:
    assert inspect(qcow2(version=2), length=4 * CLUSTER).version == 2


def test_compression_and_subclusters_are_let_in() -> None:
    assert inspect(qcow2(features=8), length=4 * CLUSTER).virtual_size == GiB
    assert inspect(qcow2(features=16, l1_size=4), length=4 * CLUSTER).virtual_size == GiB


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (b"\0" * CLUSTER, "not a qcow2"),
        (b"KDMV".ljust(CLUSTER, b"\0"), "vmdk"),
        (b"QFI\xfb", "not a qcow2"),
        (qcow2(version=4), "version 4"),
        (qcow2(backing=200), "backing file"),
        (qcow2(crypt=2), "encrypted"),
        (qcow2(features=4), "external file"),
        (qcow2(features=2), "corrupt"),
        (qcow2(features=1 << 40), "features"),
        (qcow2(cluster_bits=40), "clusters"),
        (qcow2(size=0), "virtual size"),
        (qcow2(size=2**60), "virtual size"),
        (qcow2(size=GiB + 1), "virtual size"),
        (qcow2(l1_offset=90 * CLUSTER), "cut off"),
        (qcow2(l1_offset=0), "cut off"),
        (qcow2(l1_size=1), "first table"),
        (qcow2(extensions=extension(0x44415441, b"/etc/passwd")), "external data file"),
        (
            qcow2(extensions=extension(0xE2792ACA, b"raw") + extension(0x44415441, b"/etc/passwd")),
            "external data file",
        ),
        (qcow2(extensions=extension(0x6803F857, b"") * 100), "too many"),
    ],
)
def test_every_other_image_is_refused_with_its_reason(image: bytes, why: str) -> None:
    with pytest.raises(ImageRefused, match=why):
        inspect(image, length=4 * CLUSTER)


def test_a_raw_image_is_as_large_as_it_is() -> None:
    assert inspect_raw(b"\xeb\x63", length=512) == 512


@pytest.mark.parametrize(("start", "why"), [(b"", "empty"), (qcow2(), "qcow2"), (b"KDMV", "vmdk")])
def test_a_raw_image_that_is_none_is_refused(start: bytes, why: str) -> None:
    with pytest.raises(ImageRefused, match=why):
        inspect_raw(start, length=len(start))
