"""Canonical JSON against the examples of RFC 8785 and its own promises."""

import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armillary.crates.canonical import NotCanonical, canonical, digest, parse

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip

# appendix B of RFC 8785: the bits of a double, and how it is written
NUMBERS = [
    "",
    "0000000000000000 0",
    "8000000000000000 0",
    "0000000000000001 5e-324",
    "8000000000000001 -5e-324",
    "7fefffffffffffff 1.7976931348623157e+308",
    "4340000000000000 9007199254740992",
    "4430000000000000 295147905179352830000",
    "44b52d02c7e14af5 9.999999999999997e+22",
    "44b52d02c7e14af6 1e+23",
    "444b1ae4d6e2ef4e 999999999999999700000",
    "444b1ae4d6e2ef4f 999999999999999900000",
    "444b1ae4d6e2ef50 1e+21",
    "3eb0c6f7a0b5ed8c 9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d 0.000001",
    "41b3de4355555553 333333333.3333332",
    "41b3de4355555557 333333333.33333343",
    "becbf647612f3696 -0.0000033333333333333333",
    "43143ff3c1cb0959 1424953923781206.2",
    "",
]


@pytest.mark.parametrize("line", [line for line in NUMBERS if line])
def test_numbers_are_written_as_the_standard_writes_them(line: str) -> None:
    bits, shown = line.split()
    assert canonical(struct.unpack(">d", bytes.fromhex(bits))[0]) == shown.encode()


def test_members_are_sorted_by_their_utf_16_code_units() -> None:
    """Section 3.2.3: the smiley's surrogates come before U+FB33, though its code point is larger."""
    value = {
        "€": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew",
        "1": "One",
        "\U0001f600": "Smiley",
        "\x80": "C",
    }
    names = list(json.loads(canonical(value)))
    assert names == ["\r", "1", "\x80", "€", "\U0001f600", "\ufb33"]


def test_texts_have_the_shortest_escapes() -> None:
    assert canonical('€$\x0f\nA\'B"\\\\"/') == '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'.encode()


@settings(max_examples=50, deadline=None)
@given(values)
def test_what_was_written_is_read_and_written_alike(value: object) -> None:
    data = canonical(value)
    assert canonical(parse(data)) == data


@pytest.mark.parametrize(
    "data",
    [
        b'{"b":1,"a":2}',
        b"[1, 2]",
        b"[1.0]",
        b'{"a":1,"a":2}',
        b"[1e3]",
        b"[9007199254740993]",
        b"\xff",
        b"[",
        b'"\\u0041"',
    ],
)
def test_other_bytes_for_the_same_value_are_refused(data: bytes) -> None:
    with pytest.raises(NotCanonical):
        parse(data)


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 2**53 + 1, 10**400, "\ud800", {1: 2}, object()]
)
def test_what_can_be_read_in_two_ways_has_no_canonical_form(value: object) -> None:
    with pytest.raises(NotCanonical):
        canonical(value)


def test_a_document_that_nests_too_deep_is_refused_not_crashed_on() -> None:
    with pytest.raises(NotCanonical):
        parse(b"[" * 100_000 + b"]" * 100_000)


def test_a_digest_is_sha_256() -> None:
    assert digest(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
