"""What people are told, in their language: the line in the portal, and the letter."""

from __future__ import annotations

import gettext
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import quote

from armillary.base.units import format_size
from armillary.notices.model import Delivery, NoticeKind
from armillary.portal import i18n
from armillary.portal.i18n import N_

KINDS: Mapping[NoticeKind, str] = {
    NoticeKind.APPROVED: N_("A request of mine is approved"),
    NoticeKind.DECLINED: N_("A request of mine is declined"),
    NoticeKind.EXPIRING: N_("A machine is about to expire"),
    NoticeKind.EXPIRED: N_("A machine has expired"),
    NoticeKind.BATCH_OVER: N_("A batch is finished"),
    NoticeKind.BATCH_FAILING: N_("A batch mostly fails"),
    NoticeKind.QUOTA: N_("A quota is nearly full"),
    NoticeKind.GROUP: N_("I was put into a group"),
    NoticeKind.ANNOUNCEMENT: N_("An announcement"),
}
"""What each kind is called where people choose."""

_LINES: Mapping[NoticeKind, str] = {
    NoticeKind.APPROVED: N_("Your request for project %(project)s is approved."),
    NoticeKind.DECLINED: N_("Your request for project %(project)s is declined: %(reason)s"),
    NoticeKind.EXPIRED: N_("Your machine %(name)s on cloud %(cloud)s has expired."),
    NoticeKind.QUOTA: N_("Project %(project)s has used %(percent)s %% of its quota: %(what)s."),
    NoticeKind.GROUP: N_("You are now in the group %(group)s."),
}
_DAY = N_("Your machine %(name)s on cloud %(cloud)s expires in a day, at %(at)s.")
_HOUR = N_("Your machine %(name)s on cloud %(cloud)s expires in an hour, at %(at)s.")
_EXTEND = N_("Extend it with one click on its page, or make a snapshot first.")

QUOTAS: Mapping[str, str] = {
    "cores": N_("cores on cloud %(cloud)s"),
    "ram": N_("RAM on cloud %(cloud)s"),
    "instances": N_("machines on cloud %(cloud)s"),
    "batch_cores": N_("batch cores"),
    "storage": N_("storage"),
    "core_hours": N_("core-hours of this month"),
}


UNITS = (N_("B"), N_("KiB"), N_("MiB"), N_("GiB"), N_("TiB"))

_MONTHS = (
    N_("%(day)s January"),
    N_("%(day)s February"),
    N_("%(day)s March"),
    N_("%(day)s April"),
    N_("%(day)s May"),
    N_("%(day)s June"),
    N_("%(day)s July"),
    N_("%(day)s August"),
    N_("%(day)s September"),
    N_("%(day)s October"),
    N_("%(day)s November"),
    N_("%(day)s December"),
)


def quota(locale: str, what: str, cloud: str) -> str:
    """Return what a quota is called."""
    return i18n.translations(locale).gettext(QUOTAS[what]) % {"cloud": cloud}


def unit(locale: str, name: str) -> str:
    """Return what a unit of `UNITS` is called; empty for none."""
    return i18n.translations(locale).gettext(name) if name else ""


def size(locale: str, octets: int) -> str:
    """Return a number of bytes for a person: 1.5 GiB."""
    figure, _, name = format_size(octets).partition(" ")
    return f"{figure} {unit(locale, name)}"


def moment(value: datetime | None) -> str:
    """Render a moment to the minute, in UTC, the same in every language; empty for none."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC") if value else ""


def day(locale: str, value: date) -> str:
    """Return a day as people say it: 14 March."""
    return i18n.translations(locale).gettext(_MONTHS[value.month - 1]) % {"day": value.day}


@dataclass(frozen=True, kw_only=True)
class Line:
    """A notice as a person reads it; `link` is a path of the portal."""

    text: str
    link: str
    more: str = ""


def line(locale: str, kind: NoticeKind, facts: Mapping[str, Any]) -> Line:
    """Return the line of a notice."""
    words = i18n.translations(locale)
    if kind in (NoticeKind.BATCH_OVER, NoticeKind.BATCH_FAILING):
        subject, text = _of_batch(words, facts)
        return Line(text=subject, link=f"/jobs/{int(facts['cluster'])}", more=text)
    if kind is NoticeKind.ANNOUNCEMENT:
        return Line(text=str(facts.get(locale) or facts.get("en") or facts.get("fr") or ""), link="/")
    if kind is NoticeKind.EXPIRING:
        said = _HOUR if facts.get("left") == "hour" else _DAY
        text = words.gettext(said) % {**facts, "at": _told(str(facts["at"]))}
        return Line(text=text, link=_machine(facts), more=words.gettext(_EXTEND))
    links = {
        NoticeKind.APPROVED: "/applications",
        NoticeKind.DECLINED: "/applications",
        NoticeKind.EXPIRED: "/machines",
        NoticeKind.QUOTA: "/",
        NoticeKind.GROUP: f"/groups/{quote(str(facts.get('group', '')), safe='')}",
    }
    values = dict(facts)
    if kind is NoticeKind.QUOTA:
        values["what"] = quota(locale, str(facts["what"]), str(facts.get("cloud", "")))
    return Line(text=words.gettext(_LINES[kind]) % values, link=links[kind])


class Letters:
    """Writes letters. `url` is the portal's address as people's browsers know it; empty: none is named."""

    def __init__(self, *, url: str = "") -> None:
        self._url = url.rstrip("/")

    def __call__(self, delivery: Delivery) -> tuple[str, str]:
        """Return subject and text of a mail, in the language of who reads it."""
        words = i18n.translations(delivery.locale)
        if delivery.kind == "reset":
            return self._reset(words, delivery)
        if delivery.kind.startswith("batch."):
            return _of_batch(words, delivery.body)
        said = line(delivery.locale, NoticeKind(delivery.kind), delivery.body["facts"])
        parts = [said.text, said.more, f"{self._url}{said.link}" if self._url else ""]
        parts.append(
            words.gettext("You choose what you hear of, and where, on the page “Notices” of the portal.")
        )
        return said.text[:200], "\n\n".join(part for part in parts if part) + "\n"

    def _reset(self, words: gettext.NullTranslations, delivery: Delivery) -> tuple[str, str]:
        parts = [
            words.gettext("Somebody, probably you, asked for a new password for the account %(user)s.")
            % {"user": delivery.owner},
            words.gettext("Set it here, within an hour:"),
            f"{self._url}{delivery.body['path']}",
            words.gettext("If it was not you, there is nothing to do: the old one stays."),
        ]
        return words.gettext("A new password for Armillary"), "\n\n".join(parts) + "\n"


def _machine(facts: Mapping[str, Any]) -> str:
    return f"/machines/{quote(str(facts['cloud']), safe='')}/{quote(str(facts['server']), safe='')}"


def _told(text: str) -> str:
    """Render a moment of a fact as the pages have it; what is no moment with a zone, as it is."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return moment(at) if at.tzinfo else text


def _of_batch(words: gettext.NullTranslations, body: Mapping[str, Any]) -> tuple[str, str]:
    """What is told of a submit: subject and text."""
    name = str(body["batch_name"] or words.gettext("cluster %(cluster)s") % body)
    failed, held, jobs = body["failed"], body["states"].get("held", 0), body["jobs"]
    figures = {"name": name, "failed": failed, "held": held, "jobs": jobs}
    if body["event"] == "failing":
        subject = words.ngettext(
            "%(name)s: of %(jobs)s job %(failed)s failed so far, or is on hold",
            "%(name)s: of %(jobs)s jobs %(failed)s failed so far, or are on hold",
            jobs,
        )
    elif body["event"] != "over":
        subject = words.ngettext(
            "%(name)s: %(held)s job is on hold", "%(name)s: %(held)s jobs are on hold", held
        )
    elif failed:
        subject = words.ngettext(
            "%(name)s: over, %(failed)s of %(jobs)s job did not do well",
            "%(name)s: over, %(failed)s of %(jobs)s jobs did not do well",
            jobs,
        )
    else:
        subject = words.ngettext(
            "%(name)s: over, its job did well", "%(name)s: over, all %(jobs)s jobs did well", jobs
        )
    where = {**body, "machine": f"{body['image']['name']} ({body['flavor']})"}
    told = words.gettext(
        "Cluster %(cluster)s of project %(project)s, submitted %(submitted_at)s on %(machine)s:"
    )
    lines = [told % where, "", f"  {words.gettext('did well')}  {body['succeeded']}"]
    lines += [
        f"  {words.gettext(_STATES.get(str(state), str(state)))}  {count}"
        for state, count in sorted(body["states"].items())
        if state != "completed"
    ]
    if body["causes"]:
        lines += ["", words.gettext("What went wrong:")]
        for cause in body["causes"]:
            some = words.ngettext("%(jobs)s job: %(cause)s", "%(jobs)s jobs: %(cause)s", cause["jobs"])
            lines.append("  " + some % {"jobs": cause["jobs"], "cause": _cause(words, cause["cause"])})
    lines += [
        "",
        f"{words.gettext('Look:')}  armillary queue {body['cluster']}",
        f"{words.gettext('Fetch:')}  armillary fetch {body['cluster']}",
    ]
    return subject % figures, "\n".join(lines) + "\n"


_STATES = {
    "held": N_("held"),
    "removed": N_("removed"),
    "idle": N_("waiting"),
    "claimed": N_("gathering its files"),
    "running": N_("running"),
}


def _cause(words: gettext.NullTranslations, cause: str) -> str:
    for prefix, wording in (
        ("exit code ", N_("exit code %(what)s")),
        ("signal ", N_("signal %(what)s")),
        ("held: ", N_("held: %(what)s")),
    ):
        if cause.startswith(prefix):
            return words.gettext(wording) % {"what": cause.removeprefix(prefix)}
    return words.gettext(_STATES.get(cause, cause))
