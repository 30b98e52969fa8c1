"""HTCondor's way of options: one dash, whole words that may be cut short, and `-af:jr` with letters behind a colon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from armillary.base.errors import Invalid

REST = -1
"""An option that takes all words up to the next option."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What was said: options by their full names with their values, and the words beside them."""

    said: Mapping[str, list[str]] = field(default_factory=dict[str, list[str]])
    letters: Mapping[str, str] = field(default_factory=dict[str, str])
    """what stood behind the colon"""
    words: Sequence[str] = ()

    def __contains__(self, name: str) -> bool:
        return name in self.said

    def one(self, name: str, default: str | None = None) -> str | None:
        """Return the last value of an option."""
        return self.said[name][-1] if self.said.get(name) else default

    def number(self, name: str) -> int | None:
        """Return the value as a number. Raises Invalid."""
        text = self.one(name)
        if text is None:
            return None
        try:
            return int(text)
        except ValueError:
            raise _wrong(f"-{name} takes a number, not {text!r}") from None


def read(
    arguments: Sequence[str], known: Mapping[str, int], *, aliases: Mapping[str, str] | None = None
) -> Options:
    """Read a command line. `known` says how many values each option takes; words cut short mean the first that fits.

    Raises Invalid for an option that is not known, or that lacks its value.
    """
    said: dict[str, list[str]] = {}
    letters: dict[str, str] = {}
    words: list[str] = []
    left = list(arguments)
    while left:
        word = left.pop(0)
        if not _is_option(word):
            words.append(word)
            continue
        text, _, behind = word.lstrip("-").partition(":")
        name = _full(text, known, aliases or {})
        count = known[name]
        values = said.setdefault(name, [])
        if behind:
            letters[name] = behind
        if count == REST:
            while left and not _is_option(left[0]):
                values.append(left.pop(0))
            continue
        for _ in range(count):
            if not left:
                raise _wrong(f"-{name} needs a value")
            values.append(left.pop(0))
    return Options(said=said, letters=letters, words=words)


def _is_option(word: str) -> bool:
    return len(word) > 1 and word[0] == "-" and not word[1:].isdigit()


def _full(text: str, known: Mapping[str, int], aliases: Mapping[str, str]) -> str:
    if text in aliases:
        return aliases[text]
    if text in known:
        return text
    for name in known:
        if text and name.startswith(text):
            return name
    raise _wrong(f"-{text} is not an option here")


def _wrong(message: str) -> Invalid:
    return Invalid(message, code="bad_option", remedy="See -help.")
