"""The header of a cutout: the cards of the original as they are, but for the shape and the coordinates.

A cutout's pixel `k` is the original's `first + (k - 1) * step`; all keywords that tie pixels to coordinates are
changed accordingly, in each of the alternative descriptions (FITS 4.0, section 8; IRAF's LTV and LTM; SIP).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from armillary.vospace.views.astro import fits
from armillary.vospace.views.boxes import Box
from armillary.vospace.views.structure import BLOCK, HDU

_STRUCTURE = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|PCOUNT|GCOUNT|EXTEND|GROUPS|BLOCKED|CHECKSUM|DATASUM|END"
)
# Of a table with tiles (FITS 4.0, section 10) nothing is left in an image.
_TILES = re.compile(
    r"Z(IMAGE|CMPTYPE|BITPIX|NAXIS\d*|TILE\d+|NAME\d+|VAL\d+|MASKCMP|QUANTIZ|DITHER0|SIMPLE|TENSION|EXTEND|BLOCKED"
    r"|PCOUNT|GCOUNT|HECKSUM|DATASUM|SCALE|ZERO|BLANK)|TFIELDS|THEAP|T(TYPE|FORM|UNIT|NULL|SCAL|ZERO|DISP|DIM)\d+"
)
# Distortions in tables of other HDUs, for pixels of the whole image: a cutout is alone and would only be wrong.
_LOOKUPS = re.compile(r"(CPDIS|CQDIS|DP|DQ|D2IMDIS|D2IMERR|D2IM)\d+|D2IMEXT|AXISCORR|NPOLEXT|(DP|DQ)\d\..*")
_WCS = re.compile(r"(CTYPE|CRVAL|CRPIX|CDELT)(\d{1,2})([A-Z]?)|(CD|PC)(\d{1,2})_(\d{1,2})([A-Z]?)")
_PHYSICAL = re.compile(r"(LTV)(\d)|(LTM)(\d)_(\d)")
_SIP = re.compile(r"(AP|BP|A|B)_(\d)_(\d)")
_COMMENTARY = frozenset({"", "COMMENT", "HISTORY"})


def keyword(card: str) -> str:
    """Return the keyword of a card."""
    return card[:8].rstrip()


def image_cards(hdu: HDU) -> list[str]:
    """Return the cards of an image that say nothing of its shape, of tiles, or of tables in other HDUs."""
    kept: list[str] = []
    dropped = False
    for card in hdu.cards:
        key = keyword(card)
        if key == "CONTINUE":  # belongs to the card before it
            if not dropped:
                kept.append(card)
            continue
        dropped = bool(_STRUCTURE.fullmatch(key) or _LOOKUPS.fullmatch(key))
        if hdu.is_compressed and not dropped:
            tile_name = key == "EXTNAME" and hdu.name == "COMPRESSED_IMAGE"
            dropped = tile_name or bool(_TILES.fullmatch(key))
        if not dropped:
            kept.append(card)
    while kept and not kept[-1].strip():
        kept.pop()
    return kept


def inherited(primary: HDU, cards: Sequence[str]) -> list[str]:
    """Return the cards of a primary header that an image with `INHERIT = T` has besides its own."""
    own = {keyword(card) for card in cards}
    return [
        card
        for card in image_cards(primary)
        if keyword(card) not in own | _COMMENTARY | {"CONTINUE", "EXTNAME"}
        and not _WCS.fullmatch(keyword(card))
    ]


def header(
    cards: Sequence[str], shape: Sequence[int], bitpix: int, *, extension: bool, extend: bool = False
) -> bytes:
    """Return a whole header: `cards` behind those for an image of `shape` as primary HDU or extension."""
    first = ("XTENSION", "IMAGE") if extension else ("SIMPLE", True)
    shaped = [first, ("BITPIX", bitpix), ("NAXIS", len(shape))]
    shaped += [(f"NAXIS{n + 1}", length) for n, length in enumerate(shape)]
    if extension:
        shaped += [("PCOUNT", 0), ("GCOUNT", 1)]
    elif extend:
        shaped += [("EXTEND", True)]
    text = "".join([*(_card(key, value) for key, value in shaped), *cards, "END".ljust(80)])
    return text.ljust(-(-len(text) // BLOCK) * BLOCK).encode("ascii")


def history(text: str) -> str:
    """Return a HISTORY card."""
    return f"HISTORY {text}"[:80].ljust(80)


def moved(cards: Sequence[str], box: Box) -> list[str]:
    """Return cards with their coordinates moved to those of a cutout."""
    numbers: dict[str, float] = {}
    for card in cards:
        key = keyword(card)
        if (
            _WCS.fullmatch(key) or _PHYSICAL.fullmatch(key) or _SIP.fullmatch(key) or key.startswith("CROTA")
        ) and (value := _number(card)) is not None:
            numbers.setdefault(key, value)
    keys = {keyword(card) for card in cards}
    letters = {
        (match.group(3) or match.group(7) or "") for key in keys if (match := _WCS.fullmatch(key)) is not None
    }
    changes: dict[str, float | None] = {}
    for letter in sorted(letters):
        changes |= _linear(numbers, keys, box, letter)
    changes |= _physical(numbers, box)
    changes |= _sip(numbers, box)
    return _changed(cards, changes)


def _linear(numbers: Mapping[str, float], keys: set[str], box: Box, letter: str) -> dict[str, float | None]:
    """The reference pixel moves; the matrix, or the increments, grow with the steps."""
    changes: dict[str, float | None] = {}
    matrix = dict(numbers)
    described = [n for n in range(1, len(box.spans) + 1) if _is_described(keys, n, letter)]
    has_cd = any(re.fullmatch(rf"CD\d+_\d+{letter}", key) for key in numbers)
    stepped = [n for n in described if box.spans[n - 1].step != 1]
    if stepped and not has_cd and not letter:
        rotated = _unrotated(numbers, keys)
        changes |= rotated
        matrix |= {key: value for key, value in rotated.items() if value is not None}
    has_pc = any(re.fullmatch(rf"PC\d+_\d+{letter}", key) for key in matrix)
    for n in described:
        span = box.spans[n - 1]
        crpix = numbers.get(f"CRPIX{n}{letter}", 0.0)
        changes[f"CRPIX{n}{letter}"] = (crpix - span.first) / span.step + 1
        if span.step == 1:
            continue
        if has_cd or has_pc:
            kind = "CD" if has_cd else "PC"
            for m in range(1, 100):
                key = f"{kind}{m}_{n}{letter}"
                default = 1.0 if has_pc and not has_cd and m == n else None
                value = matrix.get(key, default)
                if value is not None:
                    changes[key] = value * span.step
        else:
            changes[f"CDELT{n}{letter}"] = numbers.get(f"CDELT{n}{letter}", 1.0) * span.step
    return changes


def _is_described(keys: set[str], n: int, letter: str) -> bool:
    return any(f"{name}{n}{letter}" in keys for name in ("CTYPE", "CRVAL", "CRPIX", "CDELT"))


def _unrotated(numbers: Mapping[str, float], keys: set[str]) -> dict[str, float | None]:
    """Say an old rotation (CROTA of the latitude, by convention axis 2) as a matrix."""
    angle = numbers.get("CROTA2", numbers.get("CROTA1", 0.0))
    if not angle or not numbers.get("CDELT1", 1.0) or not numbers.get("CDELT2", 1.0):
        return {}  # without increments there is no rotation either
    if any(re.fullmatch(r"PC\d+_\d+", key) for key in numbers):
        return {}
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    ratio = numbers.get("CDELT2", 1.0) / numbers.get("CDELT1", 1.0)
    changes: dict[str, float | None] = {
        "PC1_1": cosine, "PC1_2": -sine * ratio, "PC2_1": sine / ratio, "PC2_2": cosine,
    }  # fmt: skip
    return changes | dict.fromkeys(keys & {"CROTA1", "CROTA2"})


def _physical(numbers: Mapping[str, float], box: Box) -> dict[str, float | None]:
    changes: dict[str, float | None] = {}
    for key, value in numbers.items():
        match = _PHYSICAL.fullmatch(key)
        axis = int(match.group(2) or match.group(4)) if match else 0
        if not match or not 1 <= axis <= len(box.spans):
            continue
        span = box.spans[axis - 1]
        changes[key] = (value - span.first) / span.step + 1 if match.group(1) else value / span.step
    return changes


def _sip(numbers: Mapping[str, float], box: Box) -> dict[str, float | None]:
    """Polynomials of SIP count pixels from the reference pixel; new pixels are larger by the steps."""
    if len(box.spans) < 2:
        return {}
    steps = {"A": box.spans[0].step, "B": box.spans[1].step}
    changes: dict[str, float | None] = {}
    for key, value in numbers.items():
        match = _SIP.fullmatch(key)
        if match and (steps["A"], steps["B"]) != (1, 1):
            name, p, q = match.group(1), int(match.group(2)), int(match.group(3))
            changes[key] = value * float(steps["A"]) ** p * float(steps["B"]) ** q / steps[name[0]]
    return changes


def _changed(cards: Sequence[str], changes: Mapping[str, float | None]) -> list[str]:
    """Put new values where the old ones were; those that had no card follow the others."""
    written: list[str] = []
    done: set[str] = set()
    for card in cards:
        key = keyword(card)
        if key not in changes:
            written.append(card)
            continue
        value = changes[key]
        if value is not None and key not in done:
            written.append(_card(key, value, _comment(card)))
        done.add(key)
    written += [_card(key, value) for key, value in changes.items() if key not in done and value is not None]
    return written


def _card(key: str, value: float | bool | str, comment: str = "") -> str:
    if isinstance(value, float) and not math.isfinite(value):
        value = 0.0
    return str(fits.Card(key, value, comment).image)[:80].ljust(80)


def _comment(card: str) -> str:
    return card.partition("/")[2].strip()[:40]


def _number(card: str) -> float | None:
    word = card[10:].partition("/")[0].strip().upper().replace("D", "E")
    try:
        value = float(word)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
