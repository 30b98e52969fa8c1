"""From coordinates of the world to pixels of an image, by what its header says."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from armillary.base.errors import Invalid
from armillary.vospace.views.astro import (
    SkyCoord,
    Time,
    Unit,
    UnitConversionError,
    fits,
    wcs,
    wcs_to_celestial_frame,
)
from armillary.vospace.views.boxes import Box, Span, whole
from armillary.vospace.views.parameters import STATES, Shape
from armillary.vospace.views.sky import Numbers, inside, outline
from armillary.vospace.views.structure import broken

MAX_AXIS = 4 << 20
"""Pixels of an axis that are looked at one by one."""

_NOISE = 1e-4
"""Pixels."""
_GRID = 33
_FINE_GRID = 65
_SCALES = frozenset({"UTC", "TAI", "TT", "TDB", "TCB", "TCG"})
# What astropy raises on headers with nonsense in them, as seen with broken ones.
_NONSENSE = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError, ArithmeticError, RuntimeError,
    fits.VerifyError, UnitConversionError, NotImplementedError,
)  # fmt: skip


class NoAxisError(Exception):
    """The image has no axis of the kind that was asked for."""


class World:
    """The coordinates of one image."""

    def __init__(self, header: bytes, axes: Sequence[int], number: int) -> None:
        """Read a header; `axes` are the lengths of the axes."""
        self._axes = tuple(axes)
        self._number = number
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about headers that were mended
                self._wcs: Any = wcs.WCS(fits.Header.fromstring(header))
        except (*_NONSENSE, MemoryError) as error:  # memory: a header with a billion axes
            raise self._broken(error) from error

    def sky(self, shape: Shape) -> Box | None:
        """Return the smallest box with a region; None when they have nothing in common.

        Raises:
            NoAxisError: these are not two axes of the sky.
            Invalid: with code `fits_invalid`; the coordinates make no sense.
        """
        pair: tuple[int, int] = (self._wcs.wcs.lng, self._wcs.wcs.lat)
        if min(pair) < 0 or max(pair) >= len(self._axes):
            raise NoAxisError("sky")
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                spans = self._sky(shape, self._axes[pair[0]], self._axes[pair[1]])
        except _NONSENSE as error:
            raise self._broken(error) from error
        if spans is None:
            return None
        return whole(self._axes).with_span(pair[0], spans[0]).with_span(pair[1], spans[1])

    def _sky(self, shape: Shape, width: int, height: int) -> tuple[Span, Span] | None:
        # Longitude first, wherever the image has it.
        sub: Any = self._wcs.sub([wcs.WCSSUB_LONGITUDE, wcs.WCSSUB_LATITUDE])
        frame = wcs_to_celestial_frame(sub)

        def to_icrs(x: Numbers, y: Numbers) -> tuple[Numbers, Numbers]:
            lon, lat = sub.all_pix2world(x, y, 1)
            there = SkyCoord(
                np.where(np.isfinite(lon), lon, 0), np.clip(lat, -90, 90), unit="deg", frame=frame
            )
            icrs = there.icrs
            return np.where(np.isfinite(lon), icrs.ra.deg, np.nan), icrs.dec.deg

        def seen(x: Numbers, y: Numbers) -> tuple[Numbers, Numbers, Any]:
            grid_x, grid_y = (grid.ravel() for grid in np.meshgrid(x, y))
            return grid_x, grid_y, inside(shape, *to_icrs(grid_x, grid_y))

        places = SkyCoord(*outline(shape), unit="deg", frame="icrs").transform_to(frame)
        at_x, at_y = sub.all_world2pix(
            places.spherical.lon.deg, places.spherical.lat.deg, 1, quiet=True, maxiter=50
        )
        finite = np.isfinite(at_x) & np.isfinite(at_y)
        # The outline alone will not do: some of it may have no place in this projection, or be folded over.
        grid_x, grid_y, hits = seen(
            np.linspace(0.5, width + 0.5, _GRID), np.linspace(0.5, height + 0.5, _GRID)
        )
        margin = 0 if finite.all() else 1 / (_GRID - 1)
        xs = np.concatenate([at_x[finite], grid_x[hits] - margin * width, grid_x[hits] + margin * width])
        ys = np.concatenate([at_y[finite], grid_y[hits] - margin * height, grid_y[hits] + margin * height])
        if not len(xs):
            return None
        span_x, span_y = _covering(xs.min(), xs.max(), width), _covering(ys.min(), ys.max(), height)
        if span_x is None or span_y is None:
            return None
        if hits.any() or np.any(
            (at_x >= 0.5) & (at_x <= width + 0.5) & (at_y >= 0.5) & (at_y <= height + 0.5)
        ):
            return span_x, span_y
        fine = seen(
            np.linspace(span_x.low - 0.5, span_x.high + 0.5, _FINE_GRID),
            np.linspace(span_y.low - 0.5, span_y.high + 0.5, _FINE_GRID),
        )
        return (span_x, span_y) if fine[2].any() else None

    def band(self, low: float, high: float) -> tuple[int, Span | None]:
        """Return the spectral axis and its pixels between two wavelengths in metres.

        Raises:
            NoAxisError, Invalid: see `sky`.
        """
        axis = self._wcs.wcs.spec
        if axis < 0 or axis >= len(self._axes):
            raise NoAxisError("spectral")

        def edges(one: Any) -> Numbers:
            one.wcs.sptr("WAVE-???")
            return one.wcs_pix2world(self._edges(axis), 1)[0]

        return axis, _between(self._along(axis, edges), low, high)

    def time(self, start: float, stop: float) -> tuple[int, Span | None]:
        """Return the time axis and its pixels between two moments (MJD in UTC).

        Raises:
            NoAxisError, Invalid: see `sky`.
        """
        kinds = [str(kind).split("-")[0].upper() for kind in self._wcs.wcs.ctype]
        axis = next((n for n, kind in enumerate(kinds) if kind in _SCALES | {"TIME"}), -1)
        if axis < 0 or axis >= len(self._axes):
            raise NoAxisError("time")
        scale = kinds[axis] if kinds[axis] in _SCALES else str(self._wcs.wcs.timesys).strip().upper()
        reference = float(np.nansum(self._wcs.wcs.mjdref))

        def edges(one: Any) -> Numbers:
            days = Unit(str(one.wcs.cunit[0]) or "s").to("d")
            return reference + one.wcs_pix2world(self._edges(axis), 1)[0] * days

        found = self._along(axis, edges)
        return axis, _between(found, *(_in_scale(moment, scale) for moment in (start, stop)))

    def states(self, wanted: frozenset[str]) -> tuple[int, Span | None]:
        """Return the polarization axis and its pixels with the `wanted` states, and what is between those.

        Raises:
            NoAxisError, Invalid: see `sky`.
        """
        kinds = [str(kind).upper() for kind in self._wcs.wcs.ctype]
        axis = kinds.index("STOKES") if "STOKES" in kinds else -1
        if axis < 0 or axis >= len(self._axes):
            raise NoAxisError("polarization")
        numbers = {STATES[name] for name in wanted}

        def middles(one: Any) -> Numbers:
            return one.wcs_pix2world(np.arange(1, self._axes[axis] + 1, dtype=np.float64), 1)[0]

        values = np.rint(self._along(axis, middles))
        at = [n + 1 for n, value in enumerate(values) if value in numbers]
        if not at:
            return axis, None
        steps = set(np.diff(at).tolist())
        step = steps.pop() if len(steps) == 1 else 1
        return axis, Span(first=at[0], count=(at[-1] - at[0]) // step + 1, step=step)

    def _edges(self, axis: int) -> Numbers:
        return np.arange(self._axes[axis] + 1, dtype=np.float64) + 0.5

    def _along(self, axis: int, values: Any) -> Numbers:
        if self._axes[axis] > MAX_AXIS:
            raise broken(f"axis {axis + 1} is longer than {MAX_AXIS} pixels", self._number)
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                return np.asarray(values(self._wcs.sub([axis + 1])), dtype=np.float64)
        except _NONSENSE as error:
            raise self._broken(error) from error

    def _broken(self, error: BaseException) -> Invalid:
        said = " ".join(str(error).split())[:200]
        return broken(f"the coordinates make no sense ({said or type(error).__name__})", self._number)


def _covering(low: float, high: float, length: int) -> Span | None:
    """Return the pixels that touch an interval."""
    # What reaches over an edge by less than any coordinate is exact does not touch the next pixel.
    least = int(np.floor(max(low, -1e9) + 0.5 + _NOISE))
    first, last = max(1, least), min(length, max(int(np.ceil(min(high, 1e12) - 0.5 - _NOISE)), least))
    return Span(first=first, count=last - first + 1) if first <= last else None


def _between(edges: Numbers, low: float, high: float) -> Span | None:
    """Return the pixels whose `edges` reach into an interval; one for an interval without a width."""
    lower, upper = np.minimum(edges[:-1], edges[1:]), np.maximum(edges[:-1], edges[1:])
    hits = (lower <= low) & (low < upper) if low == high else (upper > low) & (lower < high)
    at = np.flatnonzero(hits)
    return Span(first=int(at[0]) + 1, count=int(at[-1] - at[0]) + 1) if len(at) else None


def _in_scale(moment: float, scale: str) -> float:
    if not np.isfinite(moment) or scale not in _SCALES - {"UTC"}:
        return moment
    return float(getattr(Time(moment, format="mjd", scale="utc"), scale.lower()).mjd)
