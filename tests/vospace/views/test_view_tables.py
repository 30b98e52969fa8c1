"""Rows of tables and pictures of pictures, also of files that lie."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from made_fits import view, written
from PIL import Image

from armillary.base.errors import Invalid, TooLarge


def rows(data: bytes, span: str = "1:3", hdu: str = "") -> Any:
    return json.loads(view(data, ("TABLE", hdu), ("ROWS", span)))


def a_catalogue(count: int = 10) -> bytes:
    columns = [
        fits.Column("ID", "J", array=np.arange(count)),
        fits.Column("RA", "D", unit="deg", array=np.linspace(0, 1, count)),
        fits.Column("NAME", "20A", array=[f"<b>M{n}</b>" for n in range(count)]),
        fits.Column("FLUX", "3E", array=np.ones((count, 3))),
        fits.Column("ALL", "PJ()", array=np.array([np.arange(n + 1) for n in range(count)], dtype=object)),
        fits.Column("GOOD", "L", array=[True] * count),
    ]
    return written(fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns))


def test_a_fits_table_is_shown_with_units_and_types() -> None:
    found = rows(a_catalogue(), "4:5")
    assert [column["name"] for column in found["columns"]] == ["ID", "RA", "NAME", "FLUX", "ALL", "GOOD"]
    assert found["columns"][1] == {"name": "RA", "unit": "deg", "type": "D"}
    assert found["rows"][0] == ["3", "0.333333333", "<b>M3</b>", "[1, 1, 1]", "[…]", "True"]
    assert (found["start"], found["more"], found["total"]) == (4, True, 10)
    assert rows(a_catalogue(), "9:20")["more"] is False
    assert rows(a_catalogue(), "90:99")["rows"] == []


def test_an_ascii_table_is_read_too() -> None:
    columns = [fits.Column("A", "I4", array=[1, 2]), fits.Column("B", "F8.3", array=[0.5, 1.5])]
    data = written(fits.PrimaryHDU(), fits.TableHDU.from_columns(columns))
    assert rows(data)["rows"] == [["1", "0.5"], ["2", "1.5"]]


def test_what_is_no_table_is_said_to_be_none() -> None:
    for data in (
        written(fits.PrimaryHDU(np.zeros((3, 3)))),
        b"\0\1\2" * 10,
        b"one column\x00",
        b"word\nword\n",
    ):
        with pytest.raises(Invalid):
            rows(data)
    with pytest.raises(Invalid):
        rows(a_catalogue(), hdu="7")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"NAXIS2  =                   10", b"NAXIS2  =        9999999999999"),
        (b"NAXIS1  =                   54", b"NAXIS1  =        9999999999999"),
        (b"TFIELDS =                    6", b"TFIELDS =                  999"),
        (b"TFORM1  = 'J       '", b"TFORM1  = '!!!!!!!!'"),
        (b"TFORM2  = 'D       '", b"TFORM2  = '9999999D'"),
    ],
)
def test_headers_that_lie_are_refused_or_shown_as_far_as_they_go(old: bytes, new: bytes) -> None:
    data = a_catalogue()
    width = data[data.index(b"NAXIS1  =", 2880) :][:30]
    old = width if old.startswith(b"NAXIS1") else old
    assert old in data
    found: Any = {"rows": []}
    with suppress(Invalid, TooLarge):
        found = rows(data.replace(old, new, 1))
    assert len(found["rows"]) <= 3


def test_a_truncated_table_shows_the_rows_that_are_there() -> None:
    data = a_catalogue(1000)
    found = rows(data[: data.index(b"XTENSION") + 6 * 2880], "1:1000")
    assert 0 < len(found["rows"]) < 1000


@pytest.mark.parametrize("separator", [",", "\t", ";", " "])
def test_texts_with_separators_are_tables(separator: str) -> None:
    text = "\n".join(
        separator.join(line) for line in (["x", "name"], ["1.5", "a"], ["2", "b"], ["3", "c"], ["4", "d"])
    )
    found = rows(f"# made by hand\n{text}\n".encode(), "2:3")
    assert found["columns"] == [
        {"name": "x", "unit": "", "type": "int"},
        {"name": "name", "unit": "", "type": "text"},
    ]
    assert found["rows"] == [["2", "b"], ["3", "c"]]
    assert found["more"] is True


def test_ecsv_says_units() -> None:
    file = io.StringIO()
    table = Table({"ra": [1.0, 2.0], "name": ["a", "b"]})
    table["ra"].unit = "deg"
    table.write(file, format="ascii.ecsv")
    found = rows(file.getvalue().encode())
    assert found["columns"][0] == {"name": "ra", "unit": "deg", "type": "float64"}


def test_a_votable_is_read_row_by_row() -> None:
    file = io.BytesIO()
    table = Table({"ra": np.arange(100.0), "name": [f"<{n}>" for n in range(100)]})
    table["ra"].unit = "deg"
    table.write(file, format="votable")
    found = rows(file.getvalue(), "11:12")
    assert found["columns"][0] == {"name": "ra", "unit": "deg", "type": "double"}
    assert [row[1] for row in found["rows"]] == ["<10>", "<11>"]
    assert found["more"] is True
    assert rows(file.getvalue(), "99:200")["more"] is False


def test_a_votable_that_counts_its_rows_in_other_digits_is_not_believed() -> None:
    text = "<VOTABLE><RESOURCE><TABLE nrows='²'><FIELD name='a' datatype='int'/><DATA><TABLEDATA>"
    text += "<TR><TD>1</TD></TR><TR><TD>2</TD></TR></TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"
    found = rows(text.encode(), "1:1")
    assert (found["rows"], found["total"], found["more"]) == ([["1"]], None, True)


def test_entities_of_a_votable_are_not_believed() -> None:
    bomb = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b SYSTEM "file:///etc/passwd">]>
    <VOTABLE><RESOURCE><TABLE><FIELD name="n" datatype="char"/><DATA><TABLEDATA><TR><TD>&b;&a;</TD></TR></TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"""
    assert "root" not in json.dumps(rows(bomb))
    with pytest.raises(Invalid, match="well-formed"):
        rows(b"<?xml version='1.0'?><VOTABLE><TABLE><FIELD name='a'></TABLE>")


def test_a_long_cell_is_cut() -> None:
    found = rows(f"a,b\n{'x' * 10_000},1\n".encode())
    assert len(found["rows"][0][0]) == 201


def test_pictures_are_drawn_anew() -> None:
    file = io.BytesIO()
    image = Image.new("RGB", (400, 200), (255, 0, 0))
    image.save(file, format="JPEG", comment=b"<script>")
    drawn = view(file.getvalue(), ("PREVIEW", "100"))
    assert drawn.startswith(b"\x89PNG")
    assert b"script" not in drawn
    assert Image.open(io.BytesIO(drawn)).size == (100, 50)


def test_pictures_that_lie_are_refused() -> None:
    file = io.BytesIO()
    Image.new("1", (9000, 9000)).save(file, format="PNG")
    with pytest.raises(TooLarge):
        view(file.getvalue(), ("PREVIEW", "100"))
    for data in (file.getvalue()[:60], b"\x89PNG and nothing", b"GIF8"):
        with pytest.raises((Invalid, TooLarge)):
            view(data, ("PREVIEW", "100"))


@pytest.mark.parametrize(
    "pairs",
    [
        [("ROWS", "1:2")],
        [("TABLE", "x")],
        [("TABLE", ""), ("ROWS", "5:1")],
        [("TABLE", ""), ("ROWS", "1:5000")],
        [("TABLE", "1"), ("SUB", "[1:2]")],
    ],
)
def test_what_makes_no_sense_is_refused(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(Invalid):
        view(a_catalogue(), *pairs)
