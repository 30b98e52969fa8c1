"""Makes the message catalogues from the source: `python -m armillary.portal.catalogues`.

Run it after a string was added or changed, translate what it counts as missing in `fr/LC_MESSAGES/messages.po`, and
run it again. Nothing here is needed at run time.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from armillary.portal.i18n import DIRECTORY, DOMAIN, LOCALES

SOURCE = Path(__file__).parent
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2.ext:babel_extract")]
OPTIONS: Mapping[str, Mapping[str, str]] = {
    "templates/**.html": {
        "newstyle_gettext": "true",
        "trim_blocks": "true",
        "lstrip_blocks": "true",
        "silent": "false",
    }
}
KEYWORDS = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2)}
FIXED = datetime(2026, 1, 1, tzinfo=UTC)
"""The catalogues' date: the same source always gives the same files."""


def template() -> Catalog:
    """Return every string of the source, without translations."""
    catalogue = Catalog(project="Armillary", charset="utf-8", creation_date=FIXED)
    found = extract_from_dir(SOURCE, METHODS, {k: dict(v) for k, v in OPTIONS.items()}, KEYWORDS, ())
    for name, _line, message, comments, context in found:
        # without line numbers, so that moving a string changes no catalogue
        catalogue.add(message, None, [(name, 0)], auto_comments=comments, context=context)
    return catalogue


def path(locale: str) -> Path:
    """Where the catalogue of a language is, without its ending."""
    return DIRECTORY / locale / "LC_MESSAGES" / DOMAIN


def load(locale: str) -> Catalog:
    """Return the catalogue of a language as it is on disk; an empty one if there is none."""
    file = path(locale).with_suffix(".po")
    if not file.exists():
        return Catalog(locale=locale, project="Armillary", creation_date=FIXED, revision_date=FIXED)
    with file.open("rb") as stream:
        return read_po(stream, locale=locale)


def messages(catalogue: Catalog) -> Iterator[Message]:
    """Yield the messages, without the header."""
    return (message for message in catalogue if message.id)


def is_translated(message: Message) -> bool:
    """Whether all of a message's forms are there, and nobody has to look at it again."""
    forms = message.string if isinstance(message.string, tuple | list) else (message.string,)
    return all(forms) and not message.fuzzy


def update(locale: str, source: Catalog) -> list[Message]:
    """Write the catalogue of a language again, and return what is missing in it."""
    catalogue = load(locale)
    # a copy, for the catalogues would share its messages
    catalogue.update(deepcopy(source), no_fuzzy_matching=True, update_creation_date=False)
    catalogue.obsolete.clear()
    catalogue.revision_date = FIXED
    if locale == "en":
        for message in messages(catalogue):
            message.string = message.id
    file = path(locale)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_suffix(".po").open("wb") as stream:
        write_po(stream, catalogue, width=110, no_location=True, sort_output=True)
    with file.with_suffix(".mo").open("wb") as stream:
        write_mo(stream, catalogue)
    return [message for message in messages(catalogue) if not is_translated(message)]


def main() -> None:
    """Update all catalogues; ends with 1 when a translation is missing."""
    source = template()
    missing = {locale: update(locale, source) for locale in LOCALES}
    for locale, left in missing.items():
        print(f"{locale}: {len(list(messages(source)))} strings, {len(left)} missing")  # noqa: T201 - a tool's voice
        for message in left:
            print("   ", message.id)  # noqa: T201
    sys.exit(any(missing.values()))


if __name__ == "__main__":
    main()
