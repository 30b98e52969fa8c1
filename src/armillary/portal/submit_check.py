"""Which submit files the portal may read itself. Pure.

Reading a submit file can run commands and read files and the environment of whoever reads it; that is why the
command line does it on the user's side. Here it would be our side, so everything is refused that is not known to be
harmless: what a rule below does not name, `armillary submit` still does.
"""

from __future__ import annotations

import re

from armillary.base.errors import Invalid

REFUSED = frozenset(
    [
        "getenv",
        "include",
        "use",
        "x509userproxy",
        "use_x509userproxy",
        "docker_image",
        "container_image",
        "cmd",
        "submit_event_notes",
        "dagman_log",
        "transfer_plugins",
        "skip_filechecks",
        "copy_to_spool",
        "hook_keyword",
        "vm_type",
    ]
)
AUTOMATIC = frozenset(
    [
        "cluster",
        "clusterid",
        "process",
        "procid",
        "step",
        "row",
        "item",
        "itemindex",
        "node",
        "dollar",
        "submit_time",
        "year",
        "month",
        "day",
    ]
)
"""Macros that the parser defines."""
FUNCTIONS = frozenset({"int", "real", "string", "substr", "choice", "random_integer", "random_choice"})
"""Macro functions that look at nothing but their arguments; `$F…(…)` takes a path apart as text."""

_ASSIGNMENT = re.compile(r"([+A-Za-z_][\w.]*)\s*=\s*(.*)", re.DOTALL)
_QUEUE = re.compile(r"queue\b(.*)", re.IGNORECASE | re.DOTALL)
_QUEUE_PLAIN = re.compile(r"\s*(\d+|\$\(\w+\))?\s*")
_QUEUE_LIST = re.compile(r"\s*(\d+|\$\(\w+\))?\s*([\w\s,]*?)\s*(from|in)\s*\((.*)", re.IGNORECASE | re.DOTALL)
_MACRO = re.compile(r"\$\$?(\w*)\s*([(\[])\s*([\w.]*)")
_PATH_FUNCTION = re.compile(r"F[a-zA-Z]*")
MOST_LINES = 200_000


def check_submit(text: str) -> None:
    """Refuse a submit file that would run or read something where it is parsed.

    Raises:
        Invalid: code `not_in_the_portal`, with the line and the word.
    """
    lines = _joined(text)
    defined = set(AUTOMATIC)
    macros: list[tuple[int, str]] = []
    inside = False
    for number, line in lines:
        if inside:  # rows of `queue … from ( … )`: data, but macros in them are expanded
            inside = not line.startswith(")")
            macros += _macros(number, line)
            continue
        macros += _macros(number, line)
        queue = _QUEUE.fullmatch(line)
        if queue:
            names, inside = _check_queue(number, queue.group(1))
            defined |= names
            continue
        defined.add(_check_assignment(number, line))
    for number, name in macros:
        if name not in defined:
            raise _refused(number, f"$({name})")


def _joined(text: str) -> list[tuple[int, str]]:
    lines: list[tuple[int, str]] = []
    pending, begun = "", 0
    for number, raw in enumerate(text.splitlines()[: MOST_LINES + 1], start=1):
        line = raw.strip()
        if not pending and (not line or line.startswith("#")):
            continue
        begun = begun if pending else number
        if line.endswith("\\"):
            pending += line[:-1] + " "
            continue
        lines.append((begun, pending + line))
        pending = ""
    if pending:
        lines.append((begun, pending.strip()))
    if len(lines) > MOST_LINES:
        raise Invalid(f"A submit file may have {MOST_LINES} lines here.", code="submit_too_long")
    return lines


def _check_assignment(number: int, line: str) -> str:
    match = _ASSIGNMENT.fullmatch(line)
    if not match:
        raise _refused(number, line.split(None, 1)[0])
    name = match.group(1).lower().removeprefix("+").removeprefix("my.")
    if name in REFUSED or name.startswith(("@", "grid_", "ec2_", "gce_", "azure_", "vm_")):
        raise _refused(number, match.group(1))
    if "|" in match.group(1) or match.group(2).lstrip().startswith("@="):
        raise _refused(number, match.group(2)[:20])
    return name


def _check_queue(number: int, rest: str) -> tuple[set[str], bool]:
    if _QUEUE_PLAIN.fullmatch(rest):
        return set(), False
    match = _QUEUE_LIST.fullmatch(rest)
    if not match:
        raise _refused(number, f"queue {rest.strip()}"[:60])
    names = {name.lower() for name in re.split(r"[\s,]+", match.group(2)) if name}
    return names or {"item"}, ")" not in match.group(4)


def _macros(number: int, line: str) -> list[tuple[int, str]]:
    named: list[tuple[int, str]] = []
    for match in _MACRO.finditer(line):
        function, bracket, name = match.groups()
        if match.group().startswith("$$") or bracket == "[":
            raise _refused(number, match.group())
        if not function:
            named.append((number, name.lower()))
        elif _PATH_FUNCTION.fullmatch(function) or function.lower() == "choice":
            named += [(number, name.lower())] if name and not name.isdigit() else []
        elif function.lower() not in FUNCTIONS:
            raise _refused(number, f"${function}")
    return named


def _refused(number: int, word: str) -> Invalid:
    return Invalid(
        f"Line {number} of the submit file uses {word!r}, which the portal does not read.",
        code="not_in_the_portal",
        facts={"line": number, "word": word},
        remedy="Submit this file with `armillary submit` on your own computer.",
    )
