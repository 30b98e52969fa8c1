"""How often Python looks for garbage in a platform that serves."""

from __future__ import annotations

import gc

_YOUNG = 10_000
"""new objects after which the youngest are looked through; Python's own figure is 700, made for small programs"""


def collect_seldom() -> None:
    """Call it once, when everything is made that stays.

    A submit of ten thousand jobs makes a million objects within half a second, and by Python's figures a third of its
    time goes into looking through them, and through all that was imported, again and again. What is not in a cycle is
    let go at once as ever.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 10)
