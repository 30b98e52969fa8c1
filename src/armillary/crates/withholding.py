"""What must not be in a document that is signed, kept for ever and perhaps made public: passwords, tokens, private keys.

They are known by the names that people give them, and by the forms that some have. The records say where one was left
out. What is called something else cannot be known: whoever submits is told to keep secrets in files that only they
can read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

WITHHELD = "(withheld)"
_WORD = (
    r"(?:token|secret|password|passwd|passphrase|credentials?|(?:api|access|private|secret|encryption)[_-]?key"
    r"|(?<![a-z0-9])(?:pass|pwd))"
)
_NAME = rf"[a-z0-9_.+-]*{_WORD}(?:_?\d+)?"
_IS_NAME = re.compile(_NAME, re.IGNORECASE)
_OPTION = re.compile(rf"--?{_NAME}", re.IGNORECASE)
_GIVEN = re.compile(
    rf"""(?<![\w.+-])({_NAME}\s*[=:]\s*|--?{_NAME}\s+)(?!\$\(|\()("[^"\n]*"|'[^'\n]*'|[^\s;,|"'&]+)""",
    re.IGNORECASE,
)
"""A value under such a name, but for macros of submit files, whose values stand elsewhere."""
_FORMS = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(r"\b(?:arm_|gh[pousr]_|github_pat_|glpat-|hf_|xox[abps]-)[\w.~-]{16,}"),
    # from the beginning of a run of its letters, and only if a point follows: in a long run there may be many `eyJ`
    re.compile(r"(?<![\w-])(?=[\w-]+\.[\w-]{8,}\.)[\w-]*?\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"),
    re.compile(r"(?<=bearer )[\w.~+/=-]{8,}", re.IGNORECASE),
    re.compile(r"(?<=://)[^\s/@:]+:[^\s/@]+(?=@)"),
)
_ADDRESS = re.compile(r"(\w+://[^/?#]+)[/?#].+", re.DOTALL)


def from_text(text: str) -> str:
    """Return a text without the secrets in it."""
    for form in _FORMS:
        text = form.sub(WITHHELD, text)
    return _GIVEN.sub(lambda found: found[1] + WITHHELD, text)


def from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return variables, those without a value that are secret."""
    return {
        name: WITHHELD if value and _IS_NAME.fullmatch(name) else from_text(value)
        for name, value in environment.items()
    }


def from_arguments(arguments: Sequence[str]) -> list[str]:
    """Return arguments, without the values of options that are secret."""
    found: list[str] = []
    secret = False
    for one in arguments:
        found.append(WITHHELD if secret and not one.startswith("-") else from_text(one))
        secret = _OPTION.fullmatch(one) is not None
    return found


def from_value(value: Any, name: str = "") -> Any:
    """Return a JSON value, with all the texts in it as above."""
    if isinstance(value, str):
        return WITHHELD if value and _IS_NAME.fullmatch(name) else from_text(value)
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {key: from_value(one, key) for key, one in members.items()}
    if isinstance(value, list):
        return [from_value(one) for one in cast("list[Any]", value)]
    return value


def from_address(address: str) -> str:
    """Return where an address leads without its path: those of hooks are their secret."""
    return _ADDRESS.sub(rf"\1/{WITHHELD}", from_text(address))
