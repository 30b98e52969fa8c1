"""Regions of the sky: their outlines, and what is inside. All angles are degrees, all places ICRS."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from armillary.vospace.views.parameters import Shape

Numbers = NDArray[np.float64]
_POINTS = 256
"""Along a circle, or along each side of a range; a polygon's edges share them."""


def outline(shape: Shape) -> tuple[Numbers, Numbers]:
    """Return longitudes and latitudes of points along the edge of a region, its middle or corners among them."""
    if shape.kind == "CIRCLE":
        longitude, latitude, radius = shape.numbers
        return _circle(longitude, latitude, radius)
    if shape.kind == "POLYGON":
        return _along(np.array(shape.numbers[0::2]), np.array(shape.numbers[1::2]))
    west, width, south, north = _bounds(shape)
    lon = west + width * np.linspace(0, 1, _POINTS)
    lat = np.linspace(south, north, _POINTS)
    sides = [(lon, np.full_like(lon, south)), (lon, np.full_like(lon, north))]
    sides += [(np.full_like(lat, west), lat), (np.full_like(lat, west + width), lat)]
    return np.concatenate([s[0] for s in sides]) % 360, np.concatenate([s[1] for s in sides])


def inside(shape: Shape, longitude: Numbers, latitude: Numbers) -> NDArray[np.bool_]:
    """Say which places are inside a region; places that are not finite are not."""
    good = np.isfinite(longitude) & np.isfinite(latitude)
    lon, lat = np.where(good, longitude, 0.0), np.where(good, latitude, 0.0)
    if shape.kind == "CIRCLE":
        centre = _vectors(np.array(shape.numbers[0]), np.array(shape.numbers[1]))
        # The chord is exact for small angles, where the cosine of the angle is not.
        chord = np.linalg.norm(_vectors(lon, lat) - centre, axis=-1)
        return good & (chord <= 2 * np.sin(np.radians(shape.numbers[2]) / 2))
    if shape.kind == "RANGE":
        west, width, south, north = _bounds(shape)
        return good & (lat >= south) & (lat <= north) & ((lon - west) % 360 <= width)
    return good & _inside_polygon(shape, lon, lat)


def _bounds(shape: Shape) -> tuple[float, float, float, float]:
    first, last, south, north = shape.numbers
    west, width = (
        (first % 360, (last - first) % 360) if np.isfinite(first) and np.isfinite(last) else (0.0, 360.0)
    )
    if np.isfinite(first) and np.isfinite(last) and abs(last - first) >= 360:
        width = 360.0
    if np.isfinite(first) != np.isfinite(last):
        # An open interval ends where longitudes end, at 0 or 360.
        west, width = (first % 360, 360 - first % 360) if np.isfinite(first) else (0.0, last % 360)
    return west, width, max(south, -90.0), min(north, 90.0)


def _circle(longitude: float, latitude: float, radius: float) -> tuple[Numbers, Numbers]:
    lon, lat, r = np.radians([longitude, latitude, radius])
    east = np.array([-np.sin(lon), np.cos(lon), 0.0])
    north = np.array([-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)])
    angle = np.linspace(0, 2 * np.pi, _POINTS, endpoint=False)[:, None]
    middle = _vectors(np.array(longitude), np.array(latitude))
    around = middle * np.cos(r) + (north * np.cos(angle) + east * np.sin(angle)) * np.sin(r)
    return _places(np.concatenate([middle[None, :], around]))


def _along(longitude: Numbers, latitude: Numbers) -> tuple[Numbers, Numbers]:
    """Return points on the great circles between corners."""
    corners = _vectors(longitude, latitude)
    share = np.linspace(0, 1, max(8, _POINTS // len(corners)), endpoint=False)[:, None]
    points = np.concatenate(
        [a + (b - a) * share for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)]
    )
    return _places(points)


def _inside_polygon(shape: Shape, longitude: Numbers, latitude: Numbers) -> NDArray[np.bool_]:
    """Look from the polygon's middle, where great circles are straight lines."""
    corners = _vectors(np.array(shape.numbers[0::2]), np.array(shape.numbers[1::2]))
    middle = corners.sum(axis=0)
    size = np.linalg.norm(middle)
    middle = middle / size if size > 1e-9 else corners[0]
    pole = np.array([0.0, 0.0, 1.0]) if abs(middle[2]) < 0.9 else np.array([1.0, 0.0, 0.0])
    x_axis = np.cross(pole, middle)
    x_axis /= np.linalg.norm(x_axis)
    y_axis = np.cross(middle, x_axis)

    def flat(vectors: Numbers) -> tuple[Any, Any, Any]:
        depth = np.maximum(vectors @ middle, 1e-9)
        return vectors @ x_axis / depth, vectors @ y_axis / depth, vectors @ middle > 1e-9

    x, y, seen = flat(_vectors(longitude, latitude))
    corner_x, corner_y, _ = flat(corners)
    crossings = np.zeros(np.shape(x), dtype=np.int64)
    for x0, y0, x1, y1 in zip(corner_x, corner_y, np.roll(corner_x, -1), np.roll(corner_y, -1), strict=True):
        if y0 != y1:
            between = (y0 > y) != (y1 > y)
            crossings += between & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return seen & (crossings % 2 == 1)


def _vectors(longitude: Numbers, latitude: Numbers) -> Numbers:
    lon, lat = np.radians(longitude), np.radians(latitude)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def _places(vectors: Numbers) -> tuple[Numbers, Numbers]:
    lon = np.degrees(np.arctan2(vectors[:, 1], vectors[:, 0])) % 360
    return lon, np.degrees(np.arctan2(vectors[:, 2], np.hypot(vectors[:, 0], vectors[:, 1])))
