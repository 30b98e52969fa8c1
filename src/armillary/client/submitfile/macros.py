"""Macro expansion by HTCondor's own library, with the checks that it leaves out.

The library expands an unknown macro to nothing, never returns from a circle of macros, and grows without bound on
macros that double each other; all three are found here first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from armillary.client.submitfile.access import Access
from armillary.client.submitfile.library import htcondor2
from armillary.client.submitfile.lines import Statement
from armillary.client.submitfile.model import CLUSTER, SubmitError
from armillary.client.submitfile.references import (
    AUTOMATIC,
    FUNCTIONS,
    PATH_FUNCTION,
    references,
    refuse_deep,
    refuse_loose,
    refuse_unsafe,
)

MOST_NAMES = 5000
"""Names that a file may define: the library's table of them slows down with the square of their number."""
LONGEST_VALUE = 2**20
"""Characters that a value may grow to."""
_MARK = "\x02cluster\x03"
_PUT_TOGETHER = re.compile(r"\$\(\s*([A-Za-z_][\w.]*|)\$\(")


@dataclass(frozen=True)
class _Found:
    """What a value is made of: whether it varies from job to job, whether its macros do, and its length at most."""

    varies: bool = False
    composed: bool = False
    size: int = 0

    def __add__(self, other: _Found) -> _Found:
        return _Found(
            self.varies or other.varies, self.composed or other.composed, min(self.size + other.size, 2**40)
        )


class Macros:
    """The macros of a file as they stand at its `queue` statements, one statement after the other."""

    def __init__(self, *, access: Access, name: str = "") -> None:
        self._library = htcondor2()
        self._file = name
        self._access = access
        self._statements: list[Statement] = []
        self._fed = 0
        self._submit: Any = self._library.Submit("")
        self._lines: dict[str, int] = {}
        self._keys: dict[str, str] = {}
        self._varying: set[str] = set()
        self._before: dict[str, str | None] = {}
        self._fresh: list[str] = []
        self._used: set[str] = set()
        self._begun: set[str] = set()
        self._checked: dict[str, _Found] = {}
        self._constant: dict[str, str] = {}
        self._longest = 64
        self._given: dict[str, str] = {}

    def feed(self, statement: Statement) -> None:
        """Take the next statement that is neither `queue` nor `include`."""
        if not self._access.trusted:
            refuse_unsafe(statement.value, line=statement.line)
        self._statements.append(statement)

    def begin(self, variables: Iterable[str]) -> list[str]:
        """Let the jobs of a queue statement begin, with the names that vary among them.

        Returns the names that the statements since the one before define, in lower case, in their order.
        """
        self._take()
        fresh, self._fresh = self._fresh, []
        self._varying = {name.lower() for name in variables}
        for name in self._varying:
            known = name in self._keys
            self._before[name] = str(self._submit.get(self._keys[name], "")) if known else None
            self._keys.setdefault(name, name)
        self._checked.clear()
        self._constant.clear()
        return fresh

    def end(self) -> None:
        """Let the variables of the queue statement be again what they were before it."""
        for name, value in self._before.items():
            self._submit[self._keys[name]] = value or ""
            self._given.pop(name, None)
            if value is None:
                del self._keys[name]
        self._before.clear()
        self._varying = set()

    def line(self, name: str) -> int | None:
        """The line that last gave `name` its value."""
        return self._lines.get(name)

    def written(self, name: str) -> str:
        """The name as it is written in the file, with `MY.` for a `+`."""
        return self._keys[name]

    def names(self) -> Iterable[str]:
        """The names that have a value, in lower case."""
        return self._keys

    def has(self, name: str) -> bool:
        """Whether `name` has a value, by the file or by the queue statement."""
        return name in self._keys

    def varies(self, name: str) -> bool:
        """Whether `name` may have another value for another job of this queue statement."""
        return name in self._keys and self._check(name, ()).varies

    def give(self, values: Mapping[str, str]) -> None:
        """Give the variables of the next job, by their names in lower case; all are among those that vary."""
        for name, value in values.items():
            if self._given.get(name) == value:
                continue
            self._given[name] = value
            self._submit[self._keys[name]] = value
            if "$" in value or len(value) > self._longest:
                self._longest = max(self._longest, len(value))
                self._checked.clear()
                if not self._access.trusted:
                    refuse_unsafe(value, line=None)

    def value(self, name: str) -> str | None:
        """Return a value with its macros expanded, None when it is not set.

        Raises:
            SubmitError: it uses an unknown macro, macros that use each other in a circle, or too many of them.
        """
        if name in self._constant:
            return self._constant[name]
        key = self._keys.get(name)
        if key is None:
            return None
        found = self._check(name, ())
        text = self._expand(key)
        if not found.varies:
            self._constant[name] = text
        return text

    def expand(self, text: str, *, line: int | None) -> str:
        """Expand the macros of a text of its own, such as the arguments of `queue`, before any job is made."""
        if "$" not in text:
            return text
        self._take()
        self._note_uses(text)
        if not self._access.trusted:
            refuse_unsafe(text, line=line)
        self._scan(text, (), line)
        self._submit["armillary_text"] = text
        return self._expand("armillary_text")

    def uses(self, name: str) -> bool:
        """Whether any value refers to `name`, or to names that begin as it does and are put together."""
        self._take()
        return name in self._used or any(name.startswith(part) for part in self._begun)

    def _expand(self, key: str) -> str:
        try:
            text: str = self._submit.expand(key).strip()
            return text.replace(_MARK, CLUSTER) if "\x02" in text else text
        except (KeyError, ValueError):
            return ""  # the library's word for a name that was given nothing

    def _note_uses(self, text: str) -> None:
        if "$" in text:
            self._used.update(_names_in(text))
            self._begun.update(part.lower() for part in _PUT_TOGETHER.findall(text))

    def _take(self) -> None:
        """Give the library the statements that it has not seen."""
        fresh = self._statements[self._fed :]
        if not fresh and self._fed:
            return
        defined = {s.name: s.line for s in fresh if s.kind == "assign"}
        self._lines |= defined
        if len(self._lines) > MOST_NAMES:
            raise SubmitError(
                f"more than {MOST_NAMES} macros",
                line=fresh[-1].line,
                remedy="Give what varies from job to job in the list of the queue statement.",
            )
        if self._fed and all(s.kind == "assign" and not _refers_to_itself(s) for s in fresh):
            for statement in fresh:
                key = self._keys.setdefault(statement.name, statement.key)
                self._submit[key] = statement.value
        else:  # the first time, and where a condition or what stood before counts
            self._submit = self._parse(self._statements)
            empty = [s.name for s in self._statements if s.kind == "assign" and not s.value]
            self._keys = dict.fromkeys(empty, "") | {str(key).lower(): str(key) for key in self._submit}
            self._keys = {name: key or name for name, key in self._keys.items()}
            self._given.clear()
            self._submit["Cluster"] = self._submit["ClusterId"] = _MARK
            self._submit["SUBMIT_FILE"] = self._file
        self._fed = len(self._statements)
        for statement in fresh:
            self._note_uses(statement.value)
            if statement.kind in {"if", "elif"}:
                self._used.update(statement.value.lower().split())
        self._checked.clear()
        self._constant.clear()
        self._fresh += [name for name in defined if name in self._keys]

    def _parse(self, statements: Sequence[Statement]) -> Any:
        try:
            return self._library.Submit("\n".join(s.text for s in statements) + "\n")
        except ValueError as error:
            raise SubmitError(
                "HTCondor's parser does not take this line",
                line=self._culprit(statements),
                remedy="Correct it.",
            ) from error

    def _culprit(self, statements: Sequence[Statement]) -> int | None:
        """Find the first line with which the text up to it cannot be parsed."""
        low, high = 0, len(statements)
        while low < high:
            middle = (low + high) // 2
            part = statements[: middle + 1]
            depth = sum(s.kind == "if" for s in part) - sum(s.kind == "endif" for s in part)
            try:
                self._library.Submit("\n".join([s.text for s in part] + ["endif"] * depth) + "\n")
                low = middle + 1
            except ValueError:
                high = middle
        return statements[low].line if low < len(statements) else None

    def _check(self, name: str, path: tuple[str, ...]) -> _Found:
        """Check what a name refers to."""
        if (known := self._checked.get(name)) is not None:
            return known
        line = next((self._lines[n] for n in (name, *reversed(path)) if n in self._lines), None)
        if name in path:
            circle = " -> ".join([*path[path.index(name) :], name])
            raise SubmitError(
                f"the macros use each other in a circle: {circle}",
                line=line,
                remedy="Break the circle.",
                code="macro_circle",
            )
        refuse_deep(len(path), line)
        raw = str(self._submit.get(self._keys[name], ""))
        found = self._scan(raw, (*path, name), line)
        if name in self._varying:
            found += _Found(varies=True, size=self._longest)
        if found.size > LONGEST_VALUE:
            raise SubmitError(
                f"{name} grows to more than {LONGEST_VALUE} characters", line=line, remedy="Make it shorter."
            )
        if not found.composed:
            self._checked[name] = found
        return found

    def _scan(self, text: str, path: tuple[str, ...], line: int | None, depth: int = 0) -> _Found:
        found = _Found(size=len(text))
        if "$" not in text:
            return found
        refuse_deep(depth, line)
        refuse_loose(text, line, spliced=len(path) > 1)
        for at_match, function, inner in references(text):
            if at_match:
                raise SubmitError(
                    f"$$({inner[:60]}) is filled in from the machine that HTCondor matches; here there is none",
                    line=line,
                    remedy="Write the value itself.",
                )
            look = self._function if function else self._name
            found += look(function, inner, path, line, depth)
        return found

    def _function(
        self, function: str, inner: str, path: tuple[str, ...], line: int | None, depth: int
    ) -> _Found:
        if function not in FUNCTIONS and not PATH_FUNCTION.fullmatch(function):
            raise SubmitError(f"there is no macro function ${function.upper()}()", line=line)
        if function == "env":
            name, has_default, _ = inner.partition(":")
            value = self._access.variable(name.strip())
            if value is None and not has_default:
                raise SubmitError(
                    f"the environment has no variable {name}",
                    line=line,
                    remedy=f"Set it, or write $ENV({name}:default).",
                )
            return _Found(size=len(value or ""))
        first, *others = re.split(r"[,:]", inner)
        if any(re.search(r"%[^a-zA-Z]*\d{4}", other) for other in others):
            raise SubmitError(f"the format in ${function.upper()}({inner[:60]}) is too wide", line=line)
        found = _Found(varies=function.startswith("random"))
        first = first.strip().lower()
        if first in self._keys:
            found += self._check(first, path)
        return found + self._scan(inner, path, line, depth + 1)

    def _name(self, _: str, inner: str, path: tuple[str, ...], line: int | None, depth: int) -> _Found:
        found, whole = _Found(), inner
        if "$" in inner:  # a name that is put together, such as $(file_$(Process))
            found = self._scan(inner, path, line, depth + 1)
            if found.varies and "$" in inner.partition(":")[0]:
                found += _Found(composed=True)
            self._submit["armillary_text"] = inner
            whole = str(self._submit.expand("armillary_text"))
        name, has_default, default = whole.partition(":")
        name = name.strip().lower()
        if name in self._keys:
            return found + self._check(name, path)
        if has_default:
            return found + self._scan(default, path, line, depth + 1)
        if name in AUTOMATIC:
            return found + _Found(size=256)
        raise SubmitError(
            f"$({whole[:60]}) is defined nowhere; HTCondor would put nothing in its place",
            line=line,
            remedy=f"Define {whole[:60]} above the queue statement, or write $({whole[:60]}:) for nothing.",
            code="unknown_macro",
        )


def _names_in(text: str) -> Iterable[str]:
    """Yield the names that a text may refer to; one too many does no harm."""
    if "$" not in text:
        return []
    return (name.lower() for name in re.findall(r"[(,]\s*([A-Za-z_][\w.]*)", text))


def _refers_to_itself(statement: Statement) -> bool:
    return statement.name in _names_in(statement.value) or "@=" in statement.text[:200]
