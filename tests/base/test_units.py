import pytest

from armillary.base.units import format_size, gib_up, mib_up, parse_size


@pytest.mark.parametrize(
    ("text", "unit", "octets"),
    [
        ("512", "B", 512),
        ("512", "M", 512 * 2**20),
        ("2GB", "B", 2 * 2**30),
        ("1.5 GiB", "B", 3 * 2**29),
        ("300m", "K", 300 * 2**20),
        ("7K", "M", 7 * 2**10),
        ("10B", "M", 10),
    ],
)
def test_sizes_are_read_with_their_unit_or_the_default(text: str, unit: str, octets: int) -> None:
    assert parse_size(text, default_unit=unit) == octets


@pytest.mark.parametrize("text", ["", "lots", "-1", "1e3", "5 XB", "1 2"])
def test_what_is_not_a_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_size(text)


def test_rounding_up_never_loses_a_byte() -> None:
    assert (mib_up(1), mib_up(2**20), mib_up(2**20 + 1)) == (1, 1, 2)
    assert (gib_up(0), gib_up(2**30 + 1)) == (0, 2)


def test_sizes_are_shown_short() -> None:
    assert [format_size(n) for n in (0, 1023, 1024, 1536, 2**30)] == [
        "0 B",
        "1023 B",
        "1 KiB",
        "1.5 KiB",
        "1 GiB",
    ]
