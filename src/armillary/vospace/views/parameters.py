"""What was asked of a FITS file, as the parameters of a URL.

The names are those of IVOA SODA 1.0 (`POS`, `CIRCLE`, `POLYGON`, `BAND`, `TIME`, `POL`) and of the stock client
(`SUB`, `META`). `PREVIEW` with `STRETCH` and `LIMITS`, and `TABLE` with `ROWS`, are ours: SODA has neither.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from armillary.base.errors import Invalid

MAX_VALUES = 64
"""Cutouts in one answer, and values of one parameter."""
MAX_CORNERS = 200
MAX_PICTURE = 2048
MAX_ROWS = 1000
PREVIEW_SIZE = 1024
THUMBNAIL_SIZE = 128

SKY = frozenset({"POS", "CIRCLE", "POLYGON"})
FILTERS = SKY | {"BAND", "TIME", "POL"}
NAMES = FILTERS | {"SUB", "META", "PREVIEW", "STRETCH", "LIMITS", "TABLE", "ROWS"}
"""Parameters that ask for another form of a file; a request without them is for the file."""

STATES = {
    "I": 1,
    "Q": 2,
    "U": 3,
    "V": 4,
    "RR": -1,
    "LL": -2,
    "RL": -3,
    "LR": -4,
    "XX": -5,
    "YY": -6,
    "XY": -7,
    "YX": -8,
}
"""Polarization states by the numbers that a STOKES axis has for them (FITS 4.0, table 29)."""
STRETCHES = ("asinh", "linear", "log", "sqrt")
_RANGE = re.compile(r"(?:(-?)\*(?::(\d{1,9}))?|(\d{0,12})(:)?(\d{0,12})(?::(\d{1,9}))?)")
_BRACKETS = re.compile(r"(?:\s*\[[^\[\]]{0,200}\])+\s*")
_EXTENSION = re.compile(r"([^,:*\[\]]{1,68}?)\s*(?:,\s*(\d{1,9}))?")


class View(StrEnum):
    """The forms."""

    CUTOUT = "cutout"
    HEADER = "header"
    PREVIEW = "preview"
    TABLE = "table"


@dataclass(frozen=True, kw_only=True)
class AxisRange:
    """Pixels of one axis, counted from 1, both ends included; None: the end of the axis.

    `start` after `stop` turns the axis round, and so does `reverse` for an open range.
    """

    start: int | None = None
    stop: int | None = None
    step: int = 1
    reverse: bool = False


@dataclass(frozen=True, kw_only=True)
class Section:
    """Pixels of one HDU: its number, or its name and version, or neither: the first that has pixels.

    Axes that are not mentioned are whole.
    """

    number: int | None = None
    name: str = ""
    version: int | None = None
    axes: tuple[AxisRange, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A region of the sky in ICRS degrees: `CIRCLE`, `RANGE` or `POLYGON` with SODA's numbers."""

    kind: str
    numbers: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """How a picture is drawn. `limits`: zscale, minmax, or the percentage of pixels between black and white."""

    size: int = PREVIEW_SIZE
    stretch: str = "asinh"
    limits: str = "zscale"


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows of a table from `start`, counted from 1; `hdu` names the table of a FITS file, None: the first."""

    start: int = 1
    count: int = 50
    hdu: int | None = None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """All that was asked. Intervals are wavelengths in metres and MJD in UTC, and may be infinite."""

    view: View
    sections: tuple[Section, ...] = ()
    shapes: tuple[Shape, ...] = ()
    bands: tuple[tuple[float, float], ...] = ()
    times: tuple[tuple[float, float], ...] = ()
    states: frozenset[str] = frozenset()
    picture: Picture = Picture()
    rows: Rows | None = None

    @property
    def by_world(self) -> bool:
        """Whether coordinates of the world choose the pixels."""
        return bool(self.shapes or self.bands or self.times or self.states)


def asks_for_view(names: Iterable[str]) -> bool:
    """Whether parameters ask for another form of a file."""
    return any(name.upper() in NAMES for name in names)


def parse(pairs: Sequence[tuple[str, str]]) -> Asked | None:
    """Read parameters, whose names may be in any case; None when they ask for the file itself.

    Parameters that are not ours (`RUNID`) are passed over.

    Raises:
        Invalid: with code `invalid_argument`.
    """
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        if name.upper() in NAMES:
            values.setdefault(name.upper(), []).append(value)
    for name, found in values.items():
        if len(found) > MAX_VALUES:
            raise _invalid(f"{name} has more than {MAX_VALUES} values.", name, "Ask several times.")
    head = _meta(values.pop("META", []))
    if not values:
        return Asked(view=View.HEADER) if head else None
    if head:
        raise _invalid("META asks for headers, and other parameters for pixels.", "META", "Ask for one.")
    if "TABLE" in values or "ROWS" in values:
        return Asked(view=View.TABLE, rows=_rows(values))
    picture = _picture(values)
    asked = Asked(
        view=View.PREVIEW if picture else View.CUTOUT,
        sections=tuple(_section(text) for text in values.get("SUB", ())),
        shapes=_shapes(values),
        bands=tuple(_interval("BAND", text) for text in values.get("BAND", ())),
        times=tuple(_interval("TIME", text) for text in values.get("TIME", ())),
        states=frozenset(_state(text) for text in values.get("POL", ())),
        picture=picture or Picture(),
    )
    if asked.sections and asked.by_world:
        raise _invalid(
            "SUB counts pixels, and the other parameters measure the world.", "SUB", "Use one or the other."
        )
    combined = max(1, len(asked.shapes)) * max(1, len(asked.bands)) * max(1, len(asked.times))
    if combined > MAX_VALUES:
        raise _invalid(f"These are {combined} cutouts.", "POS", f"Ask for at most {MAX_VALUES} at once.")
    return asked


def _meta(values: Sequence[str]) -> bool:
    for value in values:
        if value.lower() not in {"true", "false", "1", "0"}:
            raise _invalid("META is true or false.", "META", "Send META=true.")
    return bool(values) and values[-1].lower() in {"true", "1"}


def _rows(values: dict[str, list[str]]) -> Rows:
    if "TABLE" not in values or values.keys() - {"TABLE", "ROWS"}:
        raise _invalid("ROWS are of a TABLE, which has no pixels.", "TABLE", "Send TABLE, and ROWS with it.")
    hdu = values["TABLE"][-1].strip()
    if not re.fullmatch(r"\d{0,4}", hdu):
        raise _invalid("TABLE is the number of an HDU, or empty.", "TABLE", "Send TABLE=1.")
    match = re.fullmatch(r"(\d{1,15}):(\d{1,15})", values.get("ROWS", ["1:50"])[-1].strip())
    first, last = map(int, match.groups()) if match else (0, 0)
    if not 1 <= first <= last or last - first >= MAX_ROWS:
        raise _invalid(f"ROWS are two numbers, with {MAX_ROWS} rows at most.", "ROWS", "Send ROWS=1:50.")
    return Rows(start=first, count=last - first + 1, hdu=int(hdu) if hdu else None)


def _picture(values: dict[str, list[str]]) -> Picture | None:
    sizes = {"thumbnail": THUMBNAIL_SIZE, "true": PREVIEW_SIZE, "": PREVIEW_SIZE}
    if "PREVIEW" not in values:
        for name in ("STRETCH", "LIMITS"):
            if name in values:
                raise _invalid(f"{name} is for pictures.", name, "Add PREVIEW=true.")
        return None
    text = values["PREVIEW"][-1].lower()
    size = sizes.get(text) or (int(text) if re.fullmatch(r"\d{1,5}", text) else 0)
    if not 1 <= size <= MAX_PICTURE:
        raise _invalid(
            "PREVIEW is thumbnail, true, or the longer side of the picture.",
            "PREVIEW",
            f"Send a number from 1 to {MAX_PICTURE}.",
        )
    stretch = values.get("STRETCH", ["asinh"])[-1].lower()
    if stretch not in STRETCHES:
        raise _invalid("This is not a stretch.", "STRETCH", f"Use {', '.join(STRETCHES)}.")
    limits = values.get("LIMITS", ["zscale"])[-1].lower()
    if limits not in {"zscale", "minmax"} and not 0 < (_number("LIMITS", limits)) <= 100:
        raise _invalid("LIMITS is out of range.", "LIMITS", "Use zscale, minmax, or a percentage up to 100.")
    return Picture(size=size, stretch=stretch, limits=limits)


def _section(text: str) -> Section:
    if not _BRACKETS.fullmatch(text):
        raise _bad_section(text)
    brackets = [part.strip() for part in re.findall(r"\[([^\[\]]*)\]", text)]
    if len(brackets) > 2:
        raise _bad_section(text)
    extension, pixels = (brackets[0], brackets[1]) if len(brackets) == 2 else (brackets[0], "")
    if len(brackets) == 1 and _is_pixels(brackets[0]):
        extension, pixels = "", brackets[0]
    if len(brackets) == 2 and not pixels:
        raise _bad_section(text)
    axes = tuple(_axis(part.strip(), text) for part in pixels.split(",")) if pixels else ()
    if not extension:
        if not axes or len(brackets) == 2:
            raise _bad_section(text)
        return Section(axes=axes)
    if re.fullmatch(r"\d{1,9}", extension):
        return Section(number=int(extension), axes=axes)
    match = _EXTENSION.fullmatch(extension)
    if not match:
        raise _bad_section(text)
    version = match.group(2)
    return Section(name=match.group(1).strip(), version=int(version) if version else None, axes=axes)


def _is_pixels(text: str) -> bool:
    """Whether a lone bracket has pixels: a single number names an HDU, as for CFITSIO."""
    parts = [part.strip() for part in text.split(",")]
    return all(part and _RANGE.fullmatch(part) for part in parts) and not re.fullmatch(r"\d+", text)


def _axis(text: str, whole: str) -> AxisRange:
    match = _RANGE.fullmatch(text) if text else None
    if not match:
        raise _bad_section(whole)
    minus, star_step, start, colon, stop, step = match.groups()
    if minus is not None:
        return AxisRange(step=_step(star_step, whole), reverse=minus == "-")
    if not colon:
        if stop or step or not start:
            raise _bad_section(whole)
        return AxisRange(start=int(start), stop=int(start))
    return AxisRange(
        start=int(start) if start else None, stop=int(stop) if stop else None, step=_step(step, whole)
    )


def _step(text: str | None, whole: str) -> int:
    step = int(text) if text else 1
    if not step:
        raise _bad_section(whole)
    return step


def _bad_section(text: str) -> Invalid:
    return _invalid(
        f"{text[:100]!r} is not a section.",
        "SUB",
        "Write [x1:x2,y1:y2], with an HDU before it: [2][...], [SCI,1][...].",
    )


def _shapes(values: dict[str, list[str]]) -> tuple[Shape, ...]:
    texts = [(name, text) for name in ("CIRCLE", "POLYGON") for text in values.get(name, ())]
    for text in values.get("POS", ()):
        kind, _, numbers = text.strip().partition(" ")
        if kind.upper() not in {"CIRCLE", "RANGE", "POLYGON"}:
            raise _invalid(
                f"{kind[:40]!r} is not a shape.",
                "POS",
                "Use CIRCLE, RANGE or POLYGON and numbers in degrees.",
            )
        texts.append((kind.upper(), numbers))
    return tuple(_shape(kind, text) for kind, text in texts)


def _shape(kind: str, text: str) -> Shape:
    numbers = tuple(_number(kind, word) for word in text.split()[: 2 * MAX_CORNERS + 1])
    problem = ""
    if kind == "CIRCLE":
        problem = _circle_problem(numbers)
    elif kind == "RANGE":
        problem = _range_problem(numbers)
    elif len(numbers) < 6 or len(numbers) % 2:
        problem = "needs pairs of longitude and latitude for at least three corners"
    elif len(numbers) > 2 * MAX_CORNERS:
        problem = f"has more than {MAX_CORNERS} corners"
    if kind == "POLYGON" and not problem:
        problem = _place_problem(numbers[0::2], numbers[1::2])
    if problem:
        raise _invalid(f"{kind} {problem}.", kind, "Give ICRS degrees, separated by blanks.")
    return Shape(kind=kind, numbers=numbers)


def _circle_problem(numbers: Sequence[float]) -> str:
    if len(numbers) != 3:
        return "needs longitude, latitude and radius"
    if not 0 < numbers[2] <= 180:
        return "needs a radius above 0 and up to 180"
    return _place_problem(numbers[:1], numbers[1:2])


def _range_problem(numbers: Sequence[float]) -> str:
    if len(numbers) != 4:
        return "needs two longitudes and two latitudes"
    if numbers[2] > numbers[3]:
        return "has its latitudes the wrong way round"
    longitudes = [n for n in numbers[:2] if math.isfinite(n)]
    latitudes = [n for n in numbers[2:] if math.isfinite(n)]
    return _place_problem(longitudes, latitudes)


def _place_problem(longitudes: Sequence[float], latitudes: Sequence[float]) -> str:
    if not all(math.isfinite(n) and -360 <= n <= 720 for n in longitudes):
        return "has a longitude that is none"
    return "" if all(math.isfinite(n) and abs(n) <= 90 for n in latitudes) else "has a latitude beyond a pole"


def _interval(name: str, text: str) -> tuple[float, float]:
    words = text.split()
    numbers = [_number(name, word) for word in words[:3]]
    if len(numbers) == 1:
        numbers *= 2
    if len(numbers) != 2 or numbers[0] > numbers[1] or (name == "BAND" and numbers[1] <= 0):
        raise _invalid(
            f"{name} is not an interval.",
            name,
            "Give two numbers, the smaller one first; -Inf and +Inf are open.",
        )
    return numbers[0], numbers[1]


def _state(text: str) -> str:
    state = text.strip().upper()
    if state not in STATES:
        raise _invalid(f"{text[:20]!r} is not a polarization state.", "POL", f"Use {', '.join(STATES)}.")
    return state


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise _invalid(f"{text[:40]!r} is not a number.", name, "Separate numbers by blanks.")
    return number


def _invalid(message: str, name: str, remedy: str) -> Invalid:
    return Invalid(message, code="invalid_argument", facts={"field": name}, remedy=remedy)
