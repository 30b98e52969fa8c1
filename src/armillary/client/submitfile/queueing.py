"""The forms of `queue`: how many jobs, and the items that set them apart."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from armillary.client.submitfile.access import Access
from armillary.client.submitfile.expressions import constant
from armillary.client.submitfile.lines import Statement
from armillary.client.submitfile.model import Note, SubmitError

_SLICE = re.compile(r"\s*\[\s*(-?\d{0,9})\s*(?::\s*(-?\d{0,9})\s*)?(?::\s*(-?\d{0,9})\s*)?\]\s*")
_KEYWORD = re.compile(r"\b(in|from|matching)\b", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True, kw_only=True)
class Item:
    """One row: values of the queue statement's variables in lower case, and its place in the whole list."""

    values: dict[str, str]
    index: int


@dataclass(frozen=True, kw_only=True)
class Queue:
    """`count` jobs for each item. Without a list there is one item without values. `variables` are in lower case."""

    count: int
    items: list[Item]
    variables: list[str]


MAX_JOBS = 100_000
"""Jobs of a submit file; the service takes no more at once."""


def read_queue(
    statement: Statement,
    *,
    expand: Callable[[str], str],
    access: Access,
    warn: Callable[[Note], None],
    queued: int,
) -> Queue:
    """Read a queue statement, where the file has `queued` jobs before; `expand` expands the macros in its arguments."""
    line, arguments = statement.line, statement.value
    keyword = _KEYWORD.search(arguments)
    head = arguments[: keyword.start()] if keyword else arguments
    count, variables = _head(expand(head).strip(), line, listed=keyword is not None)
    _check_number(queued + count, line)
    if not keyword:
        return Queue(count=count, items=[Item(values={}, index=0)], variables=[])
    names = [name.lower() for name in variables] or ["item"]
    rest = arguments[keyword.end() :]
    form = keyword[1].lower()
    what = "files"
    if form == "matching":
        kind = re.match(r"\s*(files|dirs|any)\b", rest, re.IGNORECASE)
        what, rest = (kind[1].lower(), rest[kind.end() :]) if kind else ("any", rest)
    rest, chosen = _slice(rest, line, warn)
    rows = _rows(form, rest, statement, expand, access, what, warn)
    picked = list(enumerate(rows))[chosen]
    _check_number(queued + count * len(picked), line)
    items = [Item(values=_split(text, names, form), index=n) for n, text in picked]
    if gap := next((i for i in items if "" in i.values.values()), None):
        empty = ", ".join(name for name, value in gap.values.items() if not value)
        warn(Note(message=f"item {gap.index} of the list gives nothing for {empty}", line=line))
    if not items:
        warn(Note(message="the list of this queue statement is empty: it makes no jobs", line=line))
    return Queue(count=count, items=items, variables=names)


def _check_number(jobs: int, line: int) -> None:
    if jobs > MAX_JOBS:
        raise SubmitError(f"more than {MAX_JOBS} jobs", line=line, remedy="Submit in several files.")


def _head(head: str, line: int, *, listed: bool) -> tuple[int, list[str]]:
    words = [word for word in re.split(r"[\s,]+", head) if word]
    count = 1
    if words and not _NAME.fullmatch(words[0]):
        text = words.pop(0) if listed else " ".join(words)
        words = words if listed else []
        number = constant(text)
        if type(number) is not int or number < 0:
            raise SubmitError(
                f"{text[:60]!r} is not a number of jobs", line=line, remedy="Write queue 10, say."
            )
        count = number
    elif words and not listed:
        raise SubmitError(
            f"'queue {head[:60]}' is understood in no form",
            line=line,
            remedy="Write queue, queue N, or queue NAME from|in|matching … .",
        )
    for word in words:
        if not _NAME.fullmatch(word):
            raise SubmitError(f"{word[:60]!r} cannot be the name of a variable", line=line)
    return count, words


def _slice(rest: str, line: int, warn: Callable[[Note], None]) -> tuple[str, slice]:
    match = _SLICE.match(rest)
    if not match:
        return rest.strip(), slice(None)
    try:
        first, second, third = (int(g) if g else None for g in match.groups())
    except ValueError:
        raise SubmitError(f"{match[0].strip()} is no slice", line=line) from None
    if third == 0 or (":" not in match[0] and first is None):
        raise SubmitError(f"{match[0].strip()} is no slice", line=line, remedy="Write [1:10:2], say.")
    if ":" not in match[0]:
        message = f"[{first}] is [{first}:] to HTCondor: all items from there on"
        warn(Note(message=message, line=line))
    return rest[match.end() :].strip(), slice(first, second, third)


def _rows(
    form: str,
    rest: str,
    statement: Statement,
    expand: Callable[[str], str],
    access: Access,
    what: str,
    warn: Callable[[Note], None],
) -> list[str]:
    line = statement.line
    if form == "in":
        lines = statement.items if statement.items is not None else [(line, rest)]
        return [
            w
            for _, text in lines
            if not text.lstrip().startswith("#")
            for w in re.split(r"[\s,]+", expand(text))
            if w
        ]
    if form == "matching":
        text = " ".join(t for _, t in statement.items) if statement.items is not None else rest
        patterns = [p for p in re.split(r"[\s,]+", expand(text)) if p]
        return [name for pattern in patterns for name in access.matching(pattern, what=what, line=line)]
    if statement.items is not None:
        lines = [(n, t.strip()) for n, t in statement.items if not t.lstrip().startswith("#")]
        return _without_blanks(lines, "the list")
    source = expand(rest).strip()
    if not source:
        raise SubmitError(
            "'queue … from' names no list", line=line, remedy="Name a file, or begin a list with (."
        )
    if source.endswith("|"):
        text, name = access.run(source[:-1].strip(), line=line), "the output of the command"
    else:
        text, name = access.read(source, line=line), source
    found = [(n, t.strip()) for n, t in enumerate(text.splitlines(), start=1)]
    for number, row in found:
        if row.startswith("#"):
            warn(
                Note(
                    message=f"{name}, line {number}: '#…' in a list file is an item, not a comment", line=line
                )
            )
            break
    return _without_blanks(found, name, line=line)


def _without_blanks(lines: list[tuple[int, str]], name: str, *, line: int | None = None) -> list[str]:
    """Drop blank lines at the end; refuse others: HTCondor would make jobs with an empty argument of them."""
    while lines and not lines[-1][1]:
        lines.pop()
    for number, text in lines:
        if not text:
            where = f"line {number} of {name} is blank" if line else "a blank line in the list"
            raise SubmitError(
                f"{where}: it would make a job with an empty item",
                line=line or number,
                remedy="Remove the blank line.",
                code="blank_item",
            )
    return [text for _, text in lines]


def _split(text: str, names: list[str], form: str) -> dict[str, str]:
    """Share a row among the variables: commas or blanks part them, and the last one takes the rest."""
    if "\x1f" in text:
        parts = [part.strip() for part in text.split("\x1f")]
    elif form != "from" or len(names) == 1:
        parts = [text]
    else:
        parts = re.split(r"\s*,\s*|\s+", text, maxsplit=len(names) - 1)
    parts += [""] * (len(names) - len(parts))
    return dict(zip(names, parts, strict=False))
