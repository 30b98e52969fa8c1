"""What we use of Astropy, Pillow and lxml, which have no types, or only some: here they are `Any`, in one place."""
# pyright: reportPrivateUsage=false, reportAttributeAccessIssue=false, reportMissingTypeStubs=false, reportUnknownVariableType=false, reportUnknownMemberType=false

from __future__ import annotations

from typing import Any

from astropy import visualization as _visualization
from astropy import wcs as _wcs
from astropy.coordinates import SkyCoord as _SkyCoord
from astropy.io import fits as _fits
from astropy.io.fits.hdu.compressed import _compression
from astropy.time import Time as _Time
from astropy.units import Unit as _Unit
from astropy.units import UnitConversionError
from astropy.wcs import utils as _wcs_utils
from lxml import etree as _etree
from PIL import Image as _Image

fits: Any = _fits
# Raised by the codecs in C; it has no public name.
CodecError: Any = _compression.CfitsioException
wcs: Any = _wcs
wcs_to_celestial_frame: Any = _wcs_utils.wcs_to_celestial_frame
visualization: Any = _visualization
SkyCoord: Any = _SkyCoord
Time: Any = _Time
Unit: Any = _Unit
Image: Any = _Image
etree: Any = _etree

__all__ = [
    "CodecError",
    "Image",
    "SkyCoord",
    "Time",
    "Unit",
    "UnitConversionError",
    "etree",
    "fits",
    "visualization",
    "wcs",
    "wcs_to_celestial_frame",
]
