"""Which pixels of an image: a box, with steps and turned axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from armillary.base.errors import Invalid
from armillary.vospace.views.parameters import AxisRange


@dataclass(frozen=True, kw_only=True)
class Span:
    """`count` pixels of one axis: `first` (counted from 1) and every `step` from there; backwards below 0."""

    first: int
    count: int
    step: int = 1

    @property
    def last(self) -> int:
        """The last pixel."""
        return self.first + (self.count - 1) * self.step

    @property
    def low(self) -> int:
        """The smaller of first and last."""
        return min(self.first, self.last)

    @property
    def high(self) -> int:
        """The larger of first and last."""
        return max(self.first, self.last)

    def __str__(self) -> str:
        """Render as in `SUB`."""
        return f"{self.first}:{self.last}" + (f":{abs(self.step)}" if abs(self.step) != 1 else "")


@dataclass(frozen=True)
class Box:
    """The spans of all axes, the first axis of FITS first."""

    spans: tuple[Span, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """How many pixels each axis has."""
        return tuple(span.count for span in self.spans)

    @property
    def pixels(self) -> int:
        """How many pixels there are."""
        return math.prod(self.shape)

    def with_span(self, axis: int, span: Span) -> Box:
        """Return a box with another span for an axis (counted from 0)."""
        return Box((*self.spans[:axis], span, *self.spans[axis + 1 :]))

    def __str__(self) -> str:
        """Render as in `SUB`."""
        return "[" + ",".join(map(str, self.spans)) + "]"


def whole(axes: Sequence[int]) -> Box:
    """Return the box of a whole image."""
    return Box(tuple(Span(first=1, count=length) for length in axes))


def box_of(ranges: Sequence[AxisRange], axes: Sequence[int]) -> Box | None:
    """Return the pixels that `ranges` and an image have in common; None when there are none.

    Raises:
        Invalid: there are more ranges than axes.
    """
    if len(ranges) > len(axes):
        raise Invalid(
            f"The section has {len(ranges)} ranges, and the image {len(axes)} axes.",
            code="invalid_argument",
            facts={"field": "SUB", "axes": list(axes)},
            remedy="Give at most one range for each axis; META=true shows the header.",
        )
    full = whole(axes).spans
    spans = [_span(range_, length) for range_, length in zip(ranges, axes, strict=False)]
    found = [span for span in spans if span is not None]
    return Box((*found, *full[len(found) :])) if len(found) == len(spans) else None


def _span(asked: AxisRange, length: int) -> Span | None:
    start = asked.start if asked.start is not None else 1
    stop = asked.stop if asked.stop is not None else length
    if start > stop and None in {asked.start, asked.stop}:
        return None  # an open end is no end to turn round
    if asked.reverse:
        start, stop = stop, start
    if start <= stop:
        # What is before the image is left out in whole steps, so that the others stay where they are.
        first = start if start >= 1 else start + -(-(1 - start) // asked.step) * asked.step
        count = (min(stop, length) - first) // asked.step + 1
        return Span(first=first, count=count, step=asked.step) if count > 0 else None
    first = start if start <= length else start - -(-(start - length) // asked.step) * asked.step
    count = (first - max(stop, 1)) // asked.step + 1
    return Span(first=first, count=count, step=-asked.step) if count > 0 and first >= 1 else None
