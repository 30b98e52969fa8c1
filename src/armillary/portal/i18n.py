"""Languages of the portal: which ones there are, which one a visitor reads, and their catalogues."""

from __future__ import annotations

import gettext
from functools import cache
from pathlib import Path

LOCALES = {"en": "English", "fr": "Français"}
DOMAIN = "messages"
DIRECTORY = Path(__file__).parent / "locale"


def N_(message: str) -> str:  # noqa: N802 - gettext's own name for it
    """Mark a string for the catalogues that is translated later, where the visitor's language is known."""
    return message


@cache
def translations(locale: str) -> gettext.NullTranslations:
    """Return the catalogue of one of `LOCALES`."""
    return gettext.translation(DOMAIN, DIRECTORY, languages=[locale])


def choose_locale(*, cookie: str | None, accept_language: str | None) -> str:
    """Return the visitor's language: what was chosen in the portal, else what the browser asks for, else English.

    Source: RFC 9110, 12.5.4. Region subtags are passed over (`fr-CA` reads French).
    """
    if cookie in LOCALES:
        return str(cookie)
    wanted: list[tuple[float, str]] = []
    for item in (accept_language or "").split(",")[:20]:
        tag, _, weight = item.strip().partition(";")
        try:
            quality = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        language = tag.partition("-")[0].lower()
        if language in LOCALES and quality > 0:
            wanted.append((-quality, language))
    # of equal weights min() takes the first named
    return min(wanted, key=lambda item: item[0])[1] if wanted else "en"
