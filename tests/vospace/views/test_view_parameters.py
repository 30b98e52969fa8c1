"""What URLs ask of FITS files."""

from __future__ import annotations

import pytest

from armillary.base.errors import Invalid
from armillary.vospace.views.parameters import AxisRange, Section, Shape, View, asks_for_view, parse


def section(text: str) -> Section:
    asked = parse([("SUB", text)])
    assert asked is not None
    (found,) = asked.sections
    return found


def r(start: int | None, stop: int | None, step: int = 1) -> AxisRange:
    return AxisRange(start=start, stop=stop, step=step)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[1:100,1:50]", Section(axes=(r(1, 100), r(1, 50)))),
        ("[0][10:20,30:40]", Section(number=0, axes=(r(10, 20), r(30, 40)))),
        ("[SCI,2][*,1:2]", Section(name="SCI", version=2, axes=(AxisRange(), r(1, 2)))),
        ("[SCI][5:1]", Section(name="SCI", axes=(r(5, 1),))),
        ("[*:10,*]", Section(axes=(AxisRange(step=10), AxisRange()))),
        ("[-*,-*:3]", Section(axes=(AxisRange(reverse=True), AxisRange(step=3, reverse=True)))),
        ("[1:100:5]", Section(axes=(r(1, 100, 5),))),
        ("[10:,:20]", Section(axes=(r(10, None), r(None, 20)))),
        ("[7]", Section(number=7)),
        ("[7][12]", Section(number=7, axes=(r(12, 12),))),
        ("[3,4]", Section(axes=(r(3, 3), r(4, 4)))),
        ("[SCI]", Section(name="SCI")),
        (" [ 1 ] [ 2:3 , 4:5 ] ", Section(number=1, axes=(r(2, 3), r(4, 5)))),
    ],
)
def test_sections_are_read_as_cfitsio_and_the_stock_client_write_them(text: str, expected: Section) -> None:
    assert section(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        *[
            "1:2",
            "[",
            "[]",
            "[1:2",
            "[1:2][3:4][5:6]",
            "[1][]",
            "[][1:2]",
            "[1:2:0]",
            "[a:b]",
            "[1][x,y]",
            "[SCI,x]",
            "[1.5:2]",
            "[1:2]x",
            "[1:2,]",
        ],
        f"[{'9' * 30}:1]",
    ],
)
def test_what_is_no_section_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refusal:
        parse([("SUB", text)])
    assert refusal.value.code == "invalid_argument"
    assert refusal.value.facts["field"] == "SUB"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("CIRCLE", "12 34 0.5", Shape(kind="CIRCLE", numbers=(12, 34, 0.5))),
        ("circle", "12 34 0.5", Shape(kind="CIRCLE", numbers=(12, 34, 0.5))),
        ("POS", "CIRCLE 12 34 0.5", Shape(kind="CIRCLE", numbers=(12, 34, 0.5))),
        ("POS", "RANGE 12 14 -Inf 36", Shape(kind="RANGE", numbers=(12, 14, float("-inf"), 36))),
        ("POS", "POLYGON 12 34 14 34 14 36", Shape(kind="POLYGON", numbers=(12, 34, 14, 34, 14, 36))),
    ],
)
def test_shapes_of_soda_are_read(name: str, text: str, expected: Shape) -> None:
    asked = parse([(name, text)])
    assert asked is not None
    assert asked.shapes == (expected,)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("CIRCLE", "12 34"),
        ("CIRCLE", "12 34 0"),
        ("CIRCLE", "12 34 -1"),
        ("CIRCLE", "12 91 1"),
        ("CIRCLE", "nan 1 1"),
        ("CIRCLE", "1e9 1 1"),
        ("CIRCLE", "1 1 x"),
        ("POLYGON", "1 2 3 4"),
        ("POLYGON", "1 2 3 4 5 6 7"),
        ("POLYGON", "1 2 " * 300),
        ("POS", "BOX 1 2 3 4"),
        ("POS", "RANGE 1 2 4 3"),
        ("POS", ""),
        ("BAND", "2e-6 1e-6"),
        ("BAND", "-2 -1"),
        ("BAND", "1 2 3"),
        ("TIME", "x"),
        ("POL", "Z"),
        ("META", "perhaps"),
        ("PREVIEW", "0"),
        ("PREVIEW", "99999"),
        ("PREVIEW", "-4"),
        ("STRETCH", "asinh"),
    ],
)
def test_nonsense_names_its_parameter(name: str, text: str) -> None:
    with pytest.raises(Invalid) as refusal:
        parse([(name, text)])
    assert refusal.value.code == "invalid_argument"


def test_a_request_without_our_parameters_is_for_the_file() -> None:
    assert parse([("RUNID", "7"), ("META", "false")]) is None
    assert not asks_for_view(["RUNID", "limit"])
    assert asks_for_view(["sub"])


def test_headers_and_pixels_are_asked_for_apart() -> None:
    asked = parse([("META", "true")])
    assert asked is not None
    assert asked.view is View.HEADER
    with pytest.raises(Invalid):
        parse([("META", "true"), ("SUB", "[1:2]")])
    with pytest.raises(Invalid):
        parse([("CIRCLE", "1 2 3"), ("SUB", "[1:2]")])


def test_many_values_are_combined_within_bounds() -> None:
    asked = parse([("POL", "I"), ("POL", "Q"), ("CIRCLE", "1 2 3"), ("POS", "CIRCLE 2 2 3"), ("BAND", "1 2")])
    assert asked is not None
    assert asked.states == {"I", "Q"}
    assert len(asked.shapes) == 2
    with pytest.raises(Invalid):
        parse([("CIRCLE", "1 2 3")] * 9 + [("BAND", "1 2")] * 9)
    with pytest.raises(Invalid):
        parse([("SUB", "[1:2]")] * 65)
