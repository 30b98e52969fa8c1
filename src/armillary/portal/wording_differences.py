"""How two files differ, to a person: what `crates.comparing` says, in the visitor's language. astropy's own words stay."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from armillary.portal.i18n import N_

_SAID: Sequence[tuple[str, str]] = (
    (r"the job did not run again", N_("the job did not run again")),
    (
        r"it was not written: vcp leaves a file alone that is there already with the same bytes",
        N_("it was not written: vcp leaves a file alone that is there already with the same bytes"),
    ),
    (r"the first run has no such job", N_("the first run has no such job")),
    (
        r"exit code (?P<a>\S+) and signal (?P<b>\S+), then (?P<c>\S+) and (?P<d>\S+)",
        N_("exit code %(a)s and signal %(b)s, then %(c)s and %(d)s"),
    ),
    (
        r"other bytes; those of one run are no longer there to be compared",
        N_("other bytes; those of one run are no longer there to be compared"),
    ),
    (
        r"other bytes; they could not be compared within .*",
        N_("other bytes; to compare them took too long"),
    ),
    (
        r"other bytes; they could not be compared: .*",
        N_("other bytes; they could not be compared: what is in them was too much"),
    ),
    (
        r"other bytes; (?P<a>.*) has (?P<b>\d+) bytes\. .*",
        N_("other bytes; too large to be compared here. On your own machine: armillary compare"),
    ),
    (r"(?P<a>\d+) bytes, and (?P<b>\d+)", N_("%(a)s bytes, and %(b)s")),
    (r"differ from byte (?P<a>\d+) on", N_("differ from byte %(a)s on")),
    (
        r"cannot be read as what they seem to be: (?P<a>.*)",
        N_("cannot be read as what they seem to be: %(a)s"),
    ),
    (r"(?P<a>\d+) tables, and (?P<b>\d+)", N_("%(a)s tables, and %(b)s")),
    (
        r"table (?P<a>\d+): (?P<b>\d+) rows, and (?P<c>\d+)",
        N_("table %(a)s: %(b)s rows, and %(c)s"),
    ),
    (
        r"table (?P<a>\d+): columns (?P<b>.*); and (?P<c>.*)",
        N_("table %(a)s: columns %(b)s; and %(c)s"),
    ),
    (
        r"table (?P<a>\d+), row (?P<b>\d+), (?P<c>.*?): (?P<d>.*)",
        N_("table %(a)s, row %(b)s, %(c)s: %(d)s"),
    ),
    (r"line (?P<a>\d+): only in the first file", N_("line %(a)s: only in the first file")),
    (r"line (?P<a>\d+): only in the second file", N_("line %(a)s: only in the second file")),
    (r"line (?P<a>\d+): (?P<b>.*)", N_("line %(a)s: %(b)s")),
    (r"and (?P<a>\d+) more", N_("and %(a)s more")),
)
_PATTERNS = [(re.compile(pattern, re.DOTALL), sentence) for pattern, sentence in _SAID]


def difference(translate: Callable[[str], str], said: str) -> str:
    """Return one difference as a person reads it."""
    for pattern, sentence in _PATTERNS:
        if found := pattern.fullmatch(said):
            return translate(sentence) % found.groupdict()
    return said
