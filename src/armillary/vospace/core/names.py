"""The URIs of properties and views, as the standard and the stock clients write them."""

from __future__ import annotations

CORE = "ivo://ivoa.net/vospace/core#"
CADC = "ivo://cadc.nrc.ca/vospace/core#"
GMS = "ivo://cadc.nrc.ca/gms?"
"""The prefix of group URIs; the stock client has it built in."""

QUOTA = CORE + "quota"
INHERIT = CADC + "inheritPermissions"

FROZEN = "ivo://armillary/vospace#frozen"
"""On a node that is kept for ever: the name of what it is kept for. Nothing but who may read it changes."""

CAME_FROM = "ivo://armillary/vospace/bin#from"
"""On a deletion's folder in a bin: where its child was, and where it goes when it is put back."""

READ_ONLY = frozenset(
    {
        FROZEN,
        CAME_FROM,
        *(CORE + name for name in ("length", "MD5", "date", "creator", "btime", "ctime", "mtime", "atime")),
        CORE + "availableSpace",
        CADC + "creatorJWT",
    }
)
FREE = frozenset(
    CORE + name
    for name in (
        "title", "subject", "description", "publisher", "contributor", "format", "identifier", "source",
        "language", "relation", "coverage", "rights",
        # The stock client writes it so.
        "contributer",
    )
)  # fmt: skip
"""Texts of the standard that mean nothing to us."""

HANDLED = {
    **{CORE + name: CORE + name for name in ("ispublic", "groupread", "groupwrite", "type", "encoding")},
    # The standard's name; the stock client's is the other one.
    CORE + "publicread": CORE + "ispublic",
    CORE + "inheritPermissions": INHERIT,
    INHERIT: INHERIT,
    CADC + "islocked": CADC + "islocked",
    QUOTA: QUOTA,
}
"""What we understand, with the name under which we do."""

ANY_VIEW = CORE + "anyview"
BINARY_VIEW = CORE + "binaryview"
DEFAULT_VIEW = CORE + "defaultview"
PACKAGE_VIEW = "vos://cadc.nrc.ca~vospace/CADC/std/Pkg-1.0"
"""A branch in one archive; its parameter says tar or zip."""

_CADC_VIEWS = "ivo://cadc.nrc.ca/vospace/view#"
_DATALINK = "http://www.ivoa.net/rdf/datalink/core#"
FILE_VIEWS = {
    _CADC_VIEWS + "cutout": (),
    _CADC_VIEWS + "header": (("META", "true"),),
    _DATALINK + "cutout": (),
    _DATALINK + "preview": (("PREVIEW", "true"),),
    _DATALINK + "thumbnail": (("PREVIEW", "thumbnail"),),
}
"""Other forms of FITS files, by the names of the stock client and of DataLink, with the parameters they stand for."""

VOSPACE_CAPABILITY = CORE + "vospace-2.1"
