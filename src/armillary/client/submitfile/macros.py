"""Macro expansion by HTCondor's own library, with the checks that it leaves out.

The library expands an unknown macro to nothing and never returns from a circle of macros; both are found here first.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from armillary.client.submitfile.access import Access
from armillary.client.submitfile.lines import Statement
from armillary.client.submitfile.model import CLUSTER, SubmitError

_MARK = "\x02cluster\x03"
_REFERENCE = re.compile(r"\$(\$?)([A-Za-z_]*)\(")
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
_FUNCTIONS = frozenset(
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

_SAFE = re.compile(r"|f[a-z]*|int|choice|random_integer|random_choice")


class Macros:
    """The macros as they stand at one `queue` statement."""

    def __init__(self, *, statements: Sequence[Statement], access: Access) -> None:
        self._library = library()
        self._access = access
        if not access.trusted:
            for statement in statements:
                refuse_unsafe(statement.value, line=statement.line)
        self._lines = {s.name: s.line for s in statements if s.kind == "assign"}
        self._submit = self._parse(statements)
        # the library forgets names that were given nothing; to their author they are defined
        empty = {s.name for s in statements if s.kind == "assign" and not s.value}
        self._names = {str(key).lower() for key in self._submit} | empty
        self._varying: set[str] = set()
        self._checked: set[str] = set()
        self._constant: dict[str, str] = {}
        self.set_all({"Cluster": _MARK, "ClusterId": _MARK})

    @property
    def names(self) -> list[str]:
        """The names that the file defines, in lower case, in its order."""
        return list(self._lines)

    def line(self, name: str) -> int | None:
        """The line that last gave `name` its value."""
        return self._lines.get(name)

    def has(self, name: str) -> bool:
        """Whether `name` has a value, by the file or by the queue statement."""
        return name in self._names

    def set_all(self, values: Mapping[str, str]) -> None:
        """Give the variables of the next job."""
        for name, value in values.items():
            self._submit[name] = value
            self._names.add(name.lower())
            if name.lower() not in self._varying:
                self._varying.add(name.lower())
                self._constant.clear()
            if "$" in value:
                self._checked.clear()
                if not self._access.trusted:
                    refuse_unsafe(value, line=None)

    def value(self, name: str) -> str | None:
        """Return a value with its macros expanded, None when it is not set.

        Raises:
            SubmitError: it uses an unknown macro, or macros that use each other in a circle.
        """
        if name not in self._names:
            return None
        if name in self._constant:
            return self._constant[name]
        if name not in self._checked:
            depends = self._check(name, ())
            self._checked.add(name)
        else:
            depends = True
        try:
            expanded = str(self._submit.expand(name))
        except KeyError:
            expanded = ""
        text = expanded.strip().replace(_MARK, CLUSTER)
        if not depends:
            self._constant[name] = text
        return text

    def expand(self, text: str, *, line: int | None) -> str:
        """Expand the macros of a text of its own, such as the arguments of `queue`."""
        if "$" not in text:
            return text
        if not self._access.trusted:
            refuse_unsafe(text, line=line)
        self._scan(text, (), line)
        self._submit["armillary_text"] = text
        return str(self._submit.expand("armillary_text")).replace(_MARK, CLUSTER)

    def uses(self, name: str) -> bool:
        """Whether any value refers to `name`."""
        pattern = re.compile(rf"\$\w*\(\s*{re.escape(name)}\s*[:,)]", re.IGNORECASE)
        return any(pattern.search(str(self._submit[key])) for key in self._submit)

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

    def _check(self, name: str, path: tuple[str, ...]) -> bool:
        """Check what a name refers to; return whether that varies from job to job."""
        if name in path:
            circle = " -> ".join([*path[path.index(name) :], name])
            raise SubmitError(
                f"the macros use each other in a circle: {circle}",
                line=self.line(name),
                remedy="Break the circle.",
                code="macro_circle",
            )
        varies = name in self._varying
        try:
            raw = str(self._submit[name])
        except KeyError:
            return varies
        line = next((self._lines[n] for n in (name, *reversed(path)) if n in self._lines), None)
        return self._scan(raw, (*path, name), line) or varies

    def _scan(self, text: str, path: tuple[str, ...], line: int | None) -> bool:
        _refuse_loose(text, line, spliced=len(path) > 1)
        varies = False
        for at_match, function, inner in references(text):
            if at_match:
                raise SubmitError(
                    f"$$({inner}) is filled in from the machine that HTCondor matches; here there is none",
                    line=line,
                    remedy="Write the value itself.",
                )
            varies = (
                self._function(function, inner, path, line) if function else self._name(inner, path, line)
            ) or varies
        return varies

    def _function(self, function: str, inner: str, path: tuple[str, ...], line: int | None) -> bool:
        known = function in _FUNCTIONS or re.fullmatch(r"f[a-z]*", function)
        if not known:
            raise SubmitError(f"there is no macro function ${function.upper()}()", line=line)
        if function == "env":
            name, has_default, _ = inner.partition(":")
            if self._access.variable(name.strip()) is None and not has_default:
                raise SubmitError(
                    f"the environment has no variable {name}",
                    line=line,
                    remedy=f"Set it, or write $ENV({name}:default).",
                )
            return False
        first = re.split(r"[,:]", inner, maxsplit=1)[0].strip().lower()
        varies = function.startswith("random")
        if first in self._names or first in AUTOMATIC:
            varies = self._check(first, path) or varies
        return self._scan(inner, path, line) or varies

    def _name(self, inner: str, path: tuple[str, ...], line: int | None) -> bool:
        name, has_default, default = inner.partition(":")
        name = name.strip().lower()
        if name in self._names:
            return self._check(name, path)
        if has_default:
            return self._scan(default, path, line)
        if name in AUTOMATIC:
            return name not in {"dollar", "arch", "opsys"}
        raise SubmitError(
            f"$({inner}) is defined nowhere; HTCondor would put nothing in its place",
            line=line,
            remedy=f"Define {inner} above the queue statement, or write $({inner}:) for nothing.",
            code="unknown_macro",
        )


def references(text: str) -> Iterator[tuple[bool, str, str]]:
    """Yield (at match time, function in lower case, what is inside) for each macro reference in a text."""
    for match, end in _spans(text):
        yield bool(match[1]), match[2].lower(), text[match.end() : end - 1]


def _spans(text: str) -> Iterator[tuple[re.Match[str], int]]:
    at = 0
    while (match := _REFERENCE.search(text, at)) is not None:
        depth, end = 1, match.end()
        while end < len(text) and depth:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        yield match, end
        at = end


def _without_references(text: str) -> str:
    """Return a text with a mark in the place of each macro reference."""
    rest, at = "", 0
    for match, end in _spans(text):
        rest += text[at : match.start()] + "\x00"
        at = end
    return rest + text[at:]


def _refuse_loose(text: str, line: int | None, *, spliced: bool) -> None:
    """Refuse a $ that may become a macro reference with what an expansion puts beside it.

    HTCondor reads the result of an expansion again; such a reference would pass by every check here.
    """
    if "$" in text and re.search(r"\$\w*(\x00|$)" if spliced else r"\$\w*\x00", _without_references(text)):
        raise SubmitError(
            f"a $ in {text!r} may join what stands beside it and become a macro",
            line=line,
            remedy="Write $(DOLLAR) for the sign itself.",
            code="loose_dollar",
        )


def refuse_unsafe(text: str, *, line: int | None) -> None:
    """Refuse, where the text is not its reader's own, whatever could reach beyond the text, even in composition."""
    if "$" not in text:
        return
    if "$" in _without_references(text):
        raise SubmitError("a $ that begins no macro", line=line, remedy="Leave it out.", code="loose_dollar")
    for at_match, function, inner in references(text):
        name = inner.partition(":")[0].strip().lower()
        if at_match or not _SAFE.fullmatch(function) or name == "dollar":
            raise SubmitError(
                f"${function.upper()}({inner}) works only where your files are",
                line=line,
                remedy="Submit this file with the armillary command on your own machine.",
                code="needs_your_machine",
            )
        refuse_unsafe(inner, line=line)


def library() -> Any:
    """Return htcondor2. Raises SubmitError where the platform has none."""
    os.environ.setdefault(
        "CONDOR_CONFIG", "/dev/null"
    )  # the library refuses to load without any configuration
    try:
        return importlib.import_module("htcondor2")
    except ImportError as error:
        raise SubmitError(
            "submit files are read with HTCondor's library, which does not run on this platform",
            remedy="Submit from Linux, or upload the submit file in the portal.",
            code="no_htcondor",
        ) from error
