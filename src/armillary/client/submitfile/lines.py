"""A submit file as statements with line numbers. HTCondor's parser keeps neither, and takes one `queue` only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from armillary.client.submitfile.model import SubmitError

LONGEST_LINE = 2**20
"""Characters of a line outside of the list of a queue statement, with its continuations."""
DEEPEST_IF = 50
_ASSIGN = re.compile(r"(\+?[A-Za-z_][\w.]*)\s*=\s*(.*)", re.DOTALL)
_BLOCK = re.compile(r"(\+?[A-Za-z_][\w.]*)\s*@=\s*(\w+)")
_WORD = re.compile(r"([A-Za-z]+)\b\s*(.*)", re.DOTALL)
_SIMPLE = re.compile(
    r"!?\s*(true|false|yes|no|t|f|-?\d+(\.\d+)?|defined\s+\S+|version\s*[!<>=]=?\s*[\d.]+|\$\S*\(.*\))\s*",
    re.IGNORECASE,
)
_FORM = re.compile(r"\b(in|from|matching)\b", re.IGNORECASE)
_RESERVED = frozenset(["queue", "if", "elif", "else", "endif", "include", "use", "warning"])
# what the library cannot be given, and what marks the places of values
_CONTROL = re.compile(r"[\x00\x02\x03\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement. `kind`: assign, queue, if, elif, else, endif, include, error or warning.

    `text` is what HTCondor's parser is given for it; `value` the right-hand side, the condition or the arguments.
    `name` is in lower case, `key` as it is written; both have `MY.` for a `+`.
    `items` are the lines of an inline list after `queue … (` with their numbers.
    """

    kind: str
    line: int
    text: str
    key: str = ""
    value: str = ""
    items: list[tuple[int, str]] | None = field(default=None)

    @property
    def name(self) -> str:
        return self.key.lower()


def statements(text: str) -> list[Statement]:
    """Split a submit file into statements. Raises SubmitError for what is none."""
    if odd := _CONTROL.search(text):
        number = text.count("\n", 0, odd.start()) + 1
        raise SubmitError("a character that no text has", line=number, remedy="Is it a text file?")
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
        """Return the next line that is neither blank nor a comment, with its continuations, without outer blanks."""
        while (first := self.physical()) is not None:
            number, text = first[0], first[1].strip()
            if not text or text.startswith("#"):
                continue
            parts = [text]
            while parts[-1].endswith("\\"):
                parts[-1] = parts[-1][:-1]
                if (more := self.physical()) is None:
                    break
                parts.append(more[1].strip())
            text = "".join(parts).rstrip("\\")
            if len(text) > LONGEST_LINE:
                raise SubmitError(
                    f"a line may have {LONGEST_LINE} characters",
                    line=number,
                    remedy="Give long lists in a file: queue … from FILE.",
                )
            return number, text
        return None


def _read(source: _Source) -> Iterator[Statement]:
    depth = 0
    while (found := source.logical()) is not None:
        number, text = found
        block, assign = _BLOCK.fullmatch(text), _ASSIGN.fullmatch(text)
        if (named := block or assign) and named[1].lower() in _RESERVED:
            # HTCondor's parser may read a statement where we read a macro, and run or read something
            raise SubmitError(f"{named[1]} cannot be the name of a macro", line=number)
        if block:
            yield _block(source, number, text, _key(block[1]), block[2])
        elif assign:
            yield Statement(
                kind="assign", line=number, text=text, key=_key(assign[1]), value=assign[2].strip()
            )
        else:
            statement = _word(source, number, text)
            depth += {"if": 1, "endif": -1}.get(statement.kind, 0)
            if depth > DEEPEST_IF:
                raise SubmitError(f"if … endif is nested more than {DEEPEST_IF} deep", line=number)
            yield statement


def _key(written: str) -> str:
    return f"MY.{written[1:]}" if written.startswith("+") else written


def _block(source: _Source, number: int, text: str, key: str, tag: str) -> Statement:
    lines: list[str] = []
    while (more := source.physical()) is not None:
        if more[1].strip() == f"@{tag}":
            whole = "\n".join([text, *lines, f"@{tag}"])
            return Statement(kind="assign", line=number, text=whole, key=key, value="\n".join(lines))
        if more[1].lstrip().startswith("@"):
            raise SubmitError(f"the block ends with @{tag}; no other line may begin with @", line=more[0])
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
                f"HTCondor knows no such condition: {rest[:60]!r}",
                line=number,
                remedy="Write true, false, a number, 'defined NAME' or 'version > 8.1', without other operators.",
            )
        return Statement(kind=word, line=number, text=text, value=rest)
    if word in {"include", "error", "warning"} and (":" in rest or word == "include"):
        return Statement(kind=word, line=number, text=text, value=rest)
    raise SubmitError(
        f"this is no statement of the submit language: {text[:60]!r}",
        line=number,
        remedy="Write NAME = VALUE, or queue.",
    )


def _items(source: _Source, number: int, arguments: str) -> list[tuple[int, str]] | None:
    """Read the inline list of a queue statement up to its closing parenthesis, if it has one."""
    form = _FORM.search(arguments)
    opening = arguments.find("(", form.end()) if form else -1
    if not form or opening < 0 or re.search(r"\$\w*$", arguments[form.end() : opening]):
        return None
    head = arguments[opening + 1 :]
    inline = form[1].lower() != "from"
    items: list[tuple[int, str]] = []
    if inline and ")" in head:
        return [(number, head[: head.rindex(")")])]
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
        if inline and ")" in more[1] and not more[1].lstrip().startswith("#"):
            return [*items, (more[0], more[1][: more[1].rindex(")")])]
        items.append(more)
    raise SubmitError(
        "the list that begins here has no closing )", line=number, remedy="Put ) on a line of its own."
    )
