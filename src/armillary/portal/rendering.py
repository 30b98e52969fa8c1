"""Templates to HTML, in the visitor's language."""

from __future__ import annotations

import shlex
from datetime import UTC, date, datetime
from typing import Any, Protocol

from jinja2 import Environment, PackageLoader, StrictUndefined

from armillary.portal import i18n, letters
from armillary.portal.files_shown import visible
from armillary.portal.static_files import static
from armillary.portal.wording import NOTICES, STATES, ErrorText, Worded, error_text
from armillary.portal.wording_differences import difference


def iso(value: datetime) -> str:
    """Render a moment for machines, as the `datetime` attribute of `<time>` wants it."""
    return value.astimezone(UTC).isoformat(timespec="seconds")


def shell(value: object) -> str:
    """Quote a word for the shell, for command lines that are shown to be copied."""
    return shlex.quote(str(value))


def short_digest(value: str | None) -> str:
    """Render the beginning of a digest, enough to tell images apart by eye."""
    return value[:12] if value else ""


class Bar(Protocol):
    """Something that is more or less full."""

    @property
    def what(self) -> str: ...
    @property
    def cloud(self) -> str: ...


class Renderer:
    """Renders the templates of the portal; safe to use from many threads."""

    def __init__(self) -> None:
        self._environments = {locale: self._environment(locale) for locale in i18n.LOCALES}

    def render(self, locale: str, template: str, **values: Any) -> str:
        """Return the HTML of `template` in `locale`."""
        return self._environments[locale].get_template(template).render(**values)

    def _environment(self, locale: str) -> Environment:
        environment = Environment(
            loader=PackageLoader("armillary.portal", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.i18n"],
            auto_reload=False,
        )
        catalogue = i18n.translations(locale)
        installed: Any = environment
        installed.install_gettext_translations(catalogue, newstyle=True)

        def state(key: str) -> str:
            return catalogue.gettext(STATES[key]) if key in STATES else key

        def notice(key: str) -> str:
            return catalogue.gettext(NOTICES[key]) if key in NOTICES else ""

        def quota(bar: Bar) -> str:
            return letters.quota(locale, bar.what, bar.cloud)

        def day(value: date) -> str:
            return letters.day(locale, value)

        def size(octets: int) -> str:
            return letters.size(locale, octets)

        def unit(name: str) -> str:
            return letters.unit(locale, name)

        def differs(said: str) -> str:
            return difference(catalogue.gettext, said)

        def wording(error: Worded) -> ErrorText:
            return error_text(catalogue, error)

        filters: dict[str, Any] = environment.filters
        filters.update(
            moment=letters.moment,
            iso=iso,
            size=size,
            unit=unit,
            short=short_digest,
            sh=shell,
            state=state,
            quota=quota,
            day=day,
            notice=notice,
            error_text=wording,
            difference=differs,
            visible=visible,
        )
        names: dict[str, Any] = environment.globals
        names.update(languages=i18n.LOCALES, static=static)
        return environment
