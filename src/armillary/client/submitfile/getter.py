"""Values of commands, under any of their spellings."""

from __future__ import annotations

from armillary.client.submitfile import commands, expressions, values
from armillary.client.submitfile.macros import Macros
from armillary.client.submitfile.model import CLUSTER, LONGEST_TEXT, SubmitError


class Getter:
    """Reads commands from the macros as they stand, and remembers which were `asked` for.

    Every method raises SubmitError, with the line, for a value that is none of its kind.
    """

    def __init__(self, macros: Macros) -> None:
        self.asked: set[str] = set()
        self._macros = macros
        self._spelt: dict[str, str] = {}
        for name in macros.names():
            known = commands.canonical(name)
            # its own name stands above its other spellings
            if known not in self._spelt or name == known:
                self._spelt[known] = name

    def varies(self, asked: set[str]) -> bool:
        """Whether any of these commands varies among the jobs of this queue statement."""
        return any(self._macros.varies(self._spelt[name]) for name in asked if name in self._spelt)

    def text(self, name: str) -> str | None:
        """Return the value, None when there is none."""
        self.asked.add(name)
        spelt = self._spelt.get(name)
        value = self._macros.value(spelt) if spelt else None
        if value and len(value) > LONGEST_TEXT and name not in commands.LISTS:
            raise SubmitError(f"{name} has more than {LONGEST_TEXT} characters", line=self.line(name))
        return value

    def line(self, name: str) -> int | None:
        """Return where the value was given."""
        return self._macros.line(self._spelt.get(name, name))

    def word(self, name: str) -> str:
        """Return the value without the double quotes that may stand around it."""
        return unquoted(self.text(name))

    def file(self, name: str) -> str | None:
        """Return the name of a file, None for none."""
        found = self.word(name)
        return None if found in ("", "/dev/null") else found

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return yes or no."""
        text = self.text(name)
        return values.read_flag(text, name=name, line=self.line(name)) if text else default

    def number(
        self,
        name: str,
        *,
        default: int = 0,
        least: int = 0,
        most: int = 10**15,
        known: dict[str, int] | None = None,
    ) -> int:
        """Return a whole number."""
        text = self.text(name)
        if not text:
            return default
        return values.read_number(text, name=name, line=self.line(name), least=least, most=most, known=known)

    def optional_number(self, name: str, *, least: int = 0, most: int = 10**15) -> int | None:
        """Return a whole number, None for none."""
        return self.number(name, least=least, most=most) if self.text(name) else None

    def size(self, name: str, *, unit: str, default: int, known: dict[str, int] | None = None) -> int:
        """Return a size in whole `unit`s (K or M)."""
        text = self.text(name)
        if not text:
            return default
        return values.read_size(text, name=name, unit=unit, line=self.line(name), known=known)

    def expression(self, name: str) -> str | None:
        """Return a ClassAd expression, None for none."""
        text = self.text(name)
        return expressions.check(text, name=name, line=self.line(name)) if text else None

    def condition(self, name: str) -> str | None:
        """Return a ClassAd expression, None also for one that is `false`."""
        text = self.expression(name)
        return None if text and text.lower() == "false" else text

    def attributes(self) -> list[str]:
        """Return the names of the job's own attributes, `+Name` or `MY.Name`, as commands."""
        return [name for name in self._spelt if name.startswith("my.")]

    def written(self, name: str) -> str:
        """Return the name of a command with capitals and small letters as in the file, `MY.` for `+`."""
        return self._macros.written(name)

    def not_by_cluster(self, text: str, name: str) -> None:
        """Refuse a value that the cluster's number is part of, where it is needed before there is one."""
        if CLUSTER in text:
            raise SubmitError(
                f"{name} uses $(Cluster), which is known only after the submission",
                line=self.line(name),
                remedy="Write it without.",
            )


def unquoted(text: str | None) -> str:
    """Return a text without the double quotes that may stand around it."""
    text = (text or "").strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
