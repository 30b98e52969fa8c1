"""A submit file as statements with line numbers. HTCondor's parser keeps neither, and takes one `queue` only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from armillary.client.submitfile.model import SubmitError

_ASSIGN = re.compile(r"\s*(\+?[A-Za-z_][\w.]*)\s*=\s*(.*)", re.DOTALL)
_BLOCK = re.compile(r"\s*(\+?[A-Za-z_][\w.]*)\s*@=\s*(\w+)\s*")
_WORD = re.compile(r"\s*([A-Za-z]+)\b\s*(.*)", re.DOTALL)
_SIMPLE = re.compile(
    r"!?\s*(true|false|yes|no|t|f|-?\d+(\.\d+)?|defined\s+\S+|version\s*[!<>=]=?\s*[\d.]+|\$\S*\(.*\))\s*",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement. `kind`: assign, queue, if, elif, else, endif, include, error or warning.

    `text` is what HTCondor's parser is given for it; `value` the right-hand side, the condition or the arguments.
    `items` are the lines of an inline list after `queue … (` with their numbers.
    """

    kind: str
    line: int
    text: str
    name: str = ""
    value: str = ""
    items: list[tuple[int, str]] | None = field(default=None)


def statements(text: str) -> list[Statement]:
    """Split a submit file into statements. Raises SubmitError for what is none."""
    return list(_read(_Source(text)))


class _Source:
    """Physical lines, joined where a backslash says so."""

    def __init__(self, text: str) -> None:
        self._lines = text.replace("\r\n", "\n").split("\n")
        self._next = 0

    def physical(self) -> tuple[int, str] | None:
        if self._next >= len(self._lines):
            return None
        self._next += 1
        return self._next, self._lines[self._next - 1]

    def logical(self) -> tuple[int, str] | None:
        """Return the next line that is neither blank nor a comment, with its continuations."""
        while (first := self.physical()) is not None:
            number, text = first
            if not text.strip() or text.lstrip().startswith("#"):
                continue
            while text.endswith("\\") and (more := self.physical()) is not None:
                text = text[:-1] + more[1].lstrip()
            return number, text.rstrip("\\")
        return None


def _read(source: _Source) -> Iterator[Statement]:
    while (found := source.logical()) is not None:
        number, text = found
        if block := _BLOCK.fullmatch(text):
            yield _block(source, number, text, block[1], block[2])
        elif assign := _ASSIGN.fullmatch(text):
            name = assign[1].lower()
            name = f"my.{name[1:]}" if name.startswith("+") else name
            yield Statement(kind="assign", line=number, text=text, name=name, value=assign[2].strip())
        else:
            yield _word(source, number, text)


def _block(source: _Source, number: int, text: str, name: str, tag: str) -> Statement:
    lines: list[str] = []
    while (more := source.physical()) is not None:
        if more[1].strip() == f"@{tag}":
            whole = "\n".join([text, *lines, f"@{tag}"])
            return Statement(
                kind="assign", line=number, text=whole, name=name.lower(), value="\n".join(lines)
            )
        lines.append(more[1])
    raise SubmitError(f"the block that begins here has no end @{tag}", line=number)


def _word(source: _Source, number: int, text: str) -> Statement:
    match = _WORD.fullmatch(text)
    word, rest = (match[1].lower(), match[2].strip()) if match else ("", "")
    if word == "queue":
        return Statement(kind="queue", line=number, text=text, value=rest, items=_items(source, number, rest))
    if word in {"else", "endif"} and not rest:
        return Statement(kind=word, line=number, text=text)
    if word in {"if", "elif"}:
        if not _SIMPLE.fullmatch(rest):
            raise SubmitError(
                f"HTCondor knows no such condition: {rest!r}",
                line=number,
                remedy="Write true, false, a number, 'defined NAME' or 'version > 8.1', without other operators.",
            )
        return Statement(kind=word, line=number, text=text, value=rest)
    if word in {"include", "error", "warning"} and (":" in rest or word == "include"):
        return Statement(kind=word, line=number, text=text, value=rest)
    raise SubmitError(
        f"this is no statement of the submit language: {text.strip()[:60]!r}",
        line=number,
        remedy="Write NAME = VALUE, or queue.",
    )


def _items(source: _Source, number: int, arguments: str) -> list[tuple[int, str]] | None:
    """Read the inline list of a queue statement up to its closing parenthesis, if it has one."""
    opening = re.search(r"\(", re.sub(r"\$\w*\([^()]*\)", lambda m: "x" * len(m[0]), arguments))
    if not opening:
        return None
    head = arguments[opening.end() :]
    inline = re.search(r"\b(in|matching)\b[^(]*\($", arguments[: opening.end()], re.IGNORECASE) is not None
    items: list[tuple[int, str]] = []
    if inline and ")" in head:
        return [(number, head[: head.index(")")])]
    if head.strip():
        if ")" in head:
            raise SubmitError(
                "a list after 'from (' stands on lines of its own",
                line=number,
                remedy="Use 'in (a, b)', or new lines.",
            )
        items.append((number, head))
    while (more := source.physical()) is not None:
        if more[1].lstrip().startswith(")"):
            return items
        if inline and ")" in more[1]:
            return [*items, (more[0], more[1][: more[1].index(")")])]
        items.append(more)
    raise SubmitError(
        "the list that begins here has no closing )", line=number, remedy="Put ) on a line of its own."
    )
