"""Resumable uploads in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Engine, RowMapping, delete, insert, select

from armillary.base.ids import PersonId
from armillary.vospace.core.conditions import Conditions
from armillary.vospace.paths import VOSPath
from armillary.vospace.store.tables import uploads
from armillary.vospace.upload_model import ResumableUpload


class SqlUploadRecords:
    """See `upload_ports.UploadRecords`."""

    def __init__(self, engine: Engine) -> None:
        """Keep uploads in a database that `create_all` has prepared."""
        self._engine = engine
        self._reading = engine.execution_options(readonly=True)

    def save_upload(self, upload: ResumableUpload) -> None:
        """See `upload_ports.UploadRecords`."""
        values = vars(upload) | {
            "path": list(upload.path.names),
            "conditions": _as_json(upload.conditions),
        }
        with self._engine.begin() as connection:
            connection.execute(delete(uploads).where(uploads.c.id == upload.id))
            connection.execute(insert(uploads).values(values))

    def upload(self, upload_id: str) -> ResumableUpload | None:
        """See `upload_ports.UploadRecords`."""
        found = self._find(uploads.c.id == upload_id, 1)
        return found[0] if found else None

    def unfinished_uploads(self, person_id: PersonId) -> Sequence[ResumableUpload]:
        """See `upload_ports.UploadRecords`."""
        return self._find((uploads.c.person_id == person_id) & (uploads.c.outcome == ""), None)

    def expired_uploads(self, before: datetime, limit: int) -> Sequence[ResumableUpload]:
        """See `upload_ports.UploadRecords`."""
        return self._find(uploads.c.expires_at < before, limit)

    def upload_keys(self) -> frozenset[str]:
        """See `upload_ports.UploadRecords`."""
        with self._reading.connect() as connection:
            return frozenset(
                connection.execute(select(uploads.c.key).where(uploads.c.outcome == "")).scalars()
            )

    def forget_upload(self, upload_id: str) -> None:
        """See `upload_ports.UploadRecords`."""
        with self._engine.begin() as connection:
            connection.execute(delete(uploads).where(uploads.c.id == upload_id))

    def _find(self, condition: ColumnElement[bool], limit: int | None) -> list[ResumableUpload]:
        with self._reading.connect() as connection:
            rows = connection.execute(select(uploads).where(condition).limit(limit)).mappings()
            return [_upload(row) for row in rows]


def _upload(row: RowMapping) -> ResumableUpload:
    values: dict[str, Any] = {**row}
    values["path"] = VOSPath.trusted(tuple(values["path"]))
    values["conditions"] = _from_json(values["conditions"])
    return ResumableUpload(**values)


def _as_json(conditions: Conditions) -> dict[str, Any]:
    said = {
        "match": sorted(conditions.match) if conditions.match is not None else None,
        "none_match": sorted(conditions.none_match) if conditions.none_match is not None else None,
        "unmodified_since": conditions.unmodified_since.isoformat() if conditions.unmodified_since else None,
    }
    return {name: value for name, value in said.items() if value is not None}


def _from_json(said: Mapping[str, Any]) -> Conditions:
    found = Conditions()
    if "match" in said:
        found = replace(found, match=frozenset(said["match"]))
    if "none_match" in said:
        found = replace(found, none_match=frozenset(said["none_match"]))
    if "unmodified_since" in said:
        found = replace(found, unmodified_since=datetime.fromisoformat(said["unmodified_since"]))
    return found
