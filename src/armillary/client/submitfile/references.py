"""Macro references in a text, found without expanding them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from armillary.client.submitfile.model import SubmitError

DEEPEST = 40
"""Macro references inside one another, and macros that use one another, in a row."""
AUTOMATIC = frozenset(
    [
        "cluster",
        "clusterid",
        "process",
        "procid",
        "jobid",
        "node",
        "step",
        "row",
        "itemindex",
        "item",
        "year",
        "month",
        "day",
        "submit_time",
        "submit_file",
        "arch",
        "opsys",
        "opsysver",
        "opsysmajorver",
        "opsysandver",
        "opsysname",
        "opsyslongname",
        "opsysshortname",
        "islinux",
        "iswindows",
        "spool",
        "dollar",
        "hostname",
        "full_hostname",
        "ip_address",
        "tilde",
        "pid",
        "ppid",
        "username",
        "condor_version",
    ]
)
"""Macros that nobody needs to define."""
FUNCTIONS = frozenset(
    [
        "int",
        "real",
        "string",
        "choice",
        "substr",
        "random_integer",
        "random_choice",
        "basename",
        "dirname",
        "env",
        "eval",
        "dollar",
    ]
)
PATH_FUNCTION = re.compile(r"f[a-z]*")

_REFERENCE = re.compile(r"\$(\$?)([A-Za-z_]*)\(")
_PARENTHESIS = re.compile(r"[()]")
_SAFE = re.compile(r"|f[a-z]*|int|choice|random_integer|random_choice")


def references(text: str) -> Iterator[tuple[bool, str, str]]:
    """Yield (at match time, function in lower case, what is inside) for each macro reference in a text."""
    for match, end in _spans(text):
        yield bool(match[1]), match[2].lower(), text[match.end() : end - 1]


def refuse_loose(text: str, line: int | None, *, spliced: bool) -> None:
    """Refuse a $ that may become a macro reference with what an expansion puts beside it.

    HTCondor reads the result of an expansion again; such a reference would pass by every check here.
    """
    if "$" in text and re.search(r"\$\w*(\x00|$)" if spliced else r"\$\w*\x00", _without_references(text)):
        raise SubmitError(
            f"a $ in {text[:60]!r} may join what stands beside it and become a macro",
            line=line,
            remedy="Write $(DOLLAR) for the sign itself.",
            code="loose_dollar",
        )


def refuse_unsafe(text: str, *, line: int | None, depth: int = 0) -> None:
    """Refuse, where the text is not its reader's own, whatever could reach beyond the text, even in composition."""
    if "$" not in text:
        return
    refuse_deep(depth, line)
    if "$" in _without_references(text):
        raise SubmitError("a $ that begins no macro", line=line, remedy="Leave it out.", code="loose_dollar")
    for at_match, function, inner in references(text):
        name = inner.partition(":")[0].strip().lower()
        if at_match or not _SAFE.fullmatch(function) or name == "dollar":
            raise SubmitError(
                f"${function.upper()}({inner[:60]}) works only where your files are",
                line=line,
                remedy="Submit this file with the armillary command on your own machine.",
                code="needs_your_machine",
            )
        refuse_unsafe(inner, line=line, depth=depth + 1)


def refuse_deep(depth: int, line: int | None) -> None:
    """Refuse what would nest without an end in sight."""
    if depth > DEEPEST:
        raise SubmitError(
            f"macros are nested more than {DEEPEST} deep",
            line=line,
            remedy="Write it with fewer steps.",
            code="macros_too_deep",
        )


def _spans(text: str) -> Iterator[tuple[re.Match[str], int]]:
    at = 0
    while (match := _REFERENCE.search(text, at)) is not None:
        depth, end = 1, match.end()
        while depth and (found := _PARENTHESIS.search(text, end)) is not None:
            depth += 1 if found[0] == "(" else -1
            end = found.end()
        if depth:  # nothing closes it, so there is no reference to the end of the text
            return
        yield match, end
        at = end


def _without_references(text: str) -> str:
    """Return a text with a mark in the place of each macro reference."""
    rest, at = list[str](), 0
    for match, end in _spans(text):
        rest.append(text[at : match.start()] + "\x00")
        at = end
    return "".join(rest) + text[at:]
