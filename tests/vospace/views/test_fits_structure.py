"""Files that are FITS, almost FITS, or hostile."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from made_fits import Memory, Sparse, block, card, cards, opened, ramp, view, written

from armillary.base.errors import Invalid
from armillary.vospace.views.ranges import RangeFile
from armillary.vospace.views.structure import walk

GOOD = [card("SIMPLE", True), card("BITPIX", 16), card("NAXIS", 2), card("NAXIS1", 4), card("NAXIS2", 3)]


def replaced(**values: object) -> bytes:
    lines = [*GOOD, card("EXTEND", True)]
    for key, value in values.items():
        lines = [card(key, value) if line.startswith(f"{key:<8}") else line for line in lines]
    return block(*lines) + bytes(2880)


def test_headers_of_all_hdus_are_text_as_the_stock_tools_read_it() -> None:
    table = fits.BinTableHDU.from_columns([fits.Column("a", "J", array=np.arange(5))], name="CAT")
    header = cards(OBJECT="M51")
    header["LONG"] = "x" * 150
    packed = fits.CompImageHDU(ramp(10, 10), name="TILES")
    text = view(written(fits.PrimaryHDU(header=header), table, packed), ("META", "true")).decode("ascii")
    parts = [part + "END" for part in text.split("\nEND\n")[:-1]]
    found = [fits.Header.fromstring(part, sep="\n") for part in parts]
    assert [h.get("EXTNAME") for h in found] == [None, "CAT", "TILES"]
    assert found[0]["OBJECT"] == "M51"
    assert found[0]["LONG"] == "x" * 150
    assert found[2]["ZCMPTYPE"] == "RICE_1"


def test_headers_are_read_without_the_data() -> None:
    images = [fits.ImageHDU(ramp(1000, 1000), name=f"I{n}") for n in range(4)]
    reader = Memory(written(fits.PrimaryHDU(), *images))
    assert view(reader, ("META", "true")).count(b"\nEND\n") == 5
    assert reader.octets < reader.size // 10


def test_random_groups_and_tables_are_walked_over() -> None:
    groups = block(
        *(card("SIMPLE", True), card("BITPIX", -32), card("NAXIS", 3), card("NAXIS1", 0), card("NAXIS2", 4)),
        *(card("NAXIS3", 5), card("GROUPS", True), card("PCOUNT", 2), card("GCOUNT", 100)),
    ) + bytes(4 * 100 * 22 + (-4 * 100 * 22) % 2880)
    image = written(fits.PrimaryHDU(), fits.ImageHDU(ramp(5, 5)))[2880:]
    assert np.array_equal(opened(view(groups + image, ("SUB", "[1][1:2,1:2]")))[0].data, ramp(5, 5)[:2, :2])
    assert np.array_equal(opened(view(groups + image, ("SUB", "[1:2,1:2]")))[0].data, ramp(5, 5)[:2, :2])


def test_what_follows_the_last_hdu_is_passed_over() -> None:
    file = written(fits.PrimaryHDU(ramp(5, 5)))
    for junk in (b"special records".ljust(2880), bytes(2880), b"x"):
        assert len(list(walk(Memory(file + junk)))) == 1


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"x",
        b"SIMPLE",
        b"\x89PNG\r\n\x1a\n" + bytes(5000),
        b"\x1f\x8b\x08" + bytes(5000),
        b"SIMPLE  =                    T".ljust(2879),
        block(*GOOD[:1]).replace(b"END", b"EMD"),
        replaced(NAXIS=-1),
        replaced(NAXIS=1000),
        replaced(NAXIS=99),
        replaced(NAXIS="two"),
        replaced(NAXIS1=-4),
        replaced(NAXIS1="4"),
        replaced(NAXIS2=1 << 60),
        replaced(NAXIS2=True),
        replaced(BITPIX=17),
        replaced(BITPIX=0),
        replaced(BITPIX=True),
        block(*GOOD[1:]),
        block(*GOOD[:3]),
    ],
)
@pytest.mark.parametrize(
    "pair", [("META", "true"), ("SUB", "[1:2,1:2]"), ("CIRCLE", "1 2 3"), ("PREVIEW", "64")]
)
def test_what_is_no_fits_file_is_refused(file: bytes, pair: tuple[str, str]) -> None:
    with pytest.raises(Invalid) as refusal:
        view(file or b" ", pair)
    assert refusal.value.code in {"fits_invalid", "picture_invalid"}
    assert refusal.value.remedy


def test_a_truncated_file_shows_its_headers_and_refuses_its_pixels() -> None:
    file = written(fits.PrimaryHDU(ramp(200, 200)))[:20_000]
    assert view(file, ("META", "true")).endswith(b"END\n")
    with pytest.raises(Invalid) as refusal:
        view(file, ("SUB", "[1:2,1:2]"))
    assert "ends within its data" in refusal.value.message


def test_a_header_without_an_end_is_given_up_early() -> None:
    class Endless:
        size = 1 << 40
        octets = 0

        def read(self, start: int, stop: int) -> bytes:
            self.octets += stop - start
            return (b"".join(line.ljust(80).encode() for line in GOOD) + b"COMMENT bomb".ljust(80) * 31)[
                :2880
            ].ljust(2880) * ((stop - start) // 2880 + 1)

    reader: Any = Endless()
    with pytest.raises(Invalid):
        view(reader, ("META", "true"))
    assert reader.octets < 16 << 20


def test_a_file_of_headers_only_is_given_up_too() -> None:
    extension = block(
        card("XTENSION", "IMAGE"), card("BITPIX", 8), card("NAXIS", 0), card("PCOUNT", 0), card("GCOUNT", 1)
    )
    file = block(card("SIMPLE", True), card("BITPIX", 8), card("NAXIS", 0)) + extension * 6000
    with pytest.raises(Invalid):
        view(file, ("SUB", "[1:2,1:2]"))


def test_bytes_that_are_not_text_become_question_marks() -> None:
    file = bytearray(written(fits.PrimaryHDU(ramp(5, 5), cards(OBJECT="M51"))))
    at = file.index(b"OBJECT")
    file[at + 12 : at + 14] = b"\xff\x00"
    assert b"??" in view(bytes(file), ("META", "true"))
    assert b"??" in view(bytes(file), ("SUB", "[1:2,1:2]"))


def test_the_window_grows_with_reading_on_and_never_past_the_end() -> None:
    reader = Sparse(b"0123456789", 100 << 20)
    file = RangeFile(reader, prefix=b"abc")
    assert file.read(5) == b"abc01"
    assert file.read(8) == b"23456789"
    assert reader.octets == 64 << 10
    file.seek(-4, 2)
    assert file.read(100) == b"\0\0\0\0"
    assert file.read(5) == b""
    with pytest.raises(ValueError, match="beginning"):
        file.seek(-1)
