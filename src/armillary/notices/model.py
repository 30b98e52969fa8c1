"""What a notice is. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from armillary.base.ids import PersonId


class Channel(StrEnum):
    """How somebody is told."""

    PAGE = "page"
    MAIL = "mail"
    URL = "url"


class NoticeKind(StrEnum):
    """What somebody is told about."""

    APPROVED = "approved"
    DECLINED = "declined"
    EXPIRING = "expiring"
    EXPIRED = "expired"
    BATCH_OVER = "batch_over"
    BATCH_FAILING = "batch_failing"
    QUOTA = "quota"
    GROUP = "group"
    ANNOUNCEMENT = "announcement"


USUAL: Mapping[NoticeKind, frozenset[Channel]] = {
    kind: frozenset({Channel.PAGE})
    if kind in (NoticeKind.BATCH_OVER, NoticeKind.GROUP, NoticeKind.ANNOUNCEMENT)
    else frozenset({Channel.PAGE, Channel.MAIL})
    for kind in NoticeKind
}
"""Where people are told who have chosen nothing: mail is for what needs them."""


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """Which kinds somebody wants to hear of, where; `url` is where the POSTs go."""

    channels: Mapping[NoticeKind, frozenset[Channel]] = field(default_factory=lambda: USUAL)
    url: str = ""

    def of(self, kind: NoticeKind) -> frozenset[Channel]:
        """Return where one kind is told."""
        return self.channels.get(kind, USUAL[kind])


@dataclass(frozen=True, kw_only=True)
class Note:
    """Something that a person was told in the portal."""

    id: str
    person: PersonId
    kind: NoticeKind
    facts: Mapping[str, Any]
    at: datetime
    read_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One letter or POST on its way. The id is the same at each try."""

    id: str
    channel: Channel
    target: str
    tries: int
    """this one included"""
    body: Mapping[str, Any]
    kind: str = ""
    """a `NoticeKind`, or `batch.over` and `batch.held`"""
    owner: str = ""
    """the user name of whose key signs it"""
    locale: str = "en"
