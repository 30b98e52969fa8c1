"""What one was told, where one wants to be told, and what everybody is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from armillary.client.http import Armillary

_NOTICES, _ANNOUNCEMENTS = "/api/v1/notices", "/api/v1/announcements"
Record = dict[str, Any]


class NoticeBook:
    """The notices of one person, and announcements, over `http`."""

    def __init__(self, *, http: Armillary) -> None:
        self._http = http

    def notices(self, *, most: int) -> list[Record]:
        """Return the newest notices."""
        found: list[Record] = []
        before: str | None = None
        while len(found) < most:
            told = self._http.get(_NOTICES, before=before, limit=min(50, most - len(found)))
            found += told["notices"]
            before = told["next"]
            if before is None:
                break
        return found

    def mark_read(self, note: str | None, *, read: bool = True) -> None:
        """Mark one as read or not; None: all."""
        self._http.post(f"{_NOTICES}/read", {"note": note, "read": read})

    def wishes(self) -> Record:
        """Return where one is told of what."""
        return self._http.get(f"{_NOTICES}/wishes")

    def choose(self, *, channels: Mapping[str, Sequence[str]], url: str | None) -> Record:
        """Choose where to be told of some kinds, and where POSTs go; what is not given stays."""
        body = {"channels": {kind: list(there) for kind, there in channels.items()}, "url": url}
        return self._http.put(f"{_NOTICES}/wishes", body)

    def announcements(self, *, everything: bool = False) -> list[Record]:
        """Return what everybody is told now; with `everything` what was and will be, too, for administrators."""
        return self._http.get(_ANNOUNCEMENTS, all="true" if everything else None)["announcements"]

    def announce(self, **announcement: Any) -> Record:
        """Tell everybody something."""
        return self._http.post(_ANNOUNCEMENTS, announcement)

    def end(self, announcement_id: str) -> None:
        """End an announcement."""
        self._http.delete(f"{_ANNOUNCEMENTS}/{quote(announcement_id, safe='')}")
