"""Messages to users about work that failed in the background."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from sqlalchemy import ColumnElement, Connection, Engine

from armillary.accounts.model import Principal
from armillary.base.errors import NotFound
from armillary.cloud.access import project_of, sees
from armillary.cloud.volumes.model import Message
from armillary.cloud.volumes.paging import Page, page_of
from armillary.cloud.volumes.store import MESSAGES, messages


class Messages:
    """Reads and deletes what `records.tell` wrote."""

    def __init__(self, *, engine: Engine) -> None:
        self._engine = engine

    def list(
        self, principal: Principal, page: Page, *, where: Sequence[ColumnElement[bool]] = ()
    ) -> list[Message]:
        """A project's messages in a page."""
        mine = messages.c.project_id == project_of(principal).id
        with self._reading() as connection:
            return page_of(connection, MESSAGES, [mine, *where], page, what="Message")

    def show(self, principal: Principal, message_id: str) -> Message:
        """A message; NotFound if there is none for the principal."""
        with self._reading() as connection:
            return self._seen(connection, principal, message_id)

    def delete(self, principal: Principal, message_id: str) -> None:
        """Forget a message."""
        with self._engine.begin() as connection:
            self._seen(connection, principal, message_id)
            MESSAGES.remove(connection, messages.c.id == message_id)

    @staticmethod
    def _seen(connection: Connection, principal: Principal, message_id: str) -> Message:
        message = MESSAGES.get(connection, message_id)
        if message is None or not sees(principal, message.project_id):
            raise NotFound(f"Message {message_id} could not be found.", code="message_not_found")
        return message

    def _reading(self) -> AbstractContextManager[Connection]:
        return self._engine.execution_options(readonly=True).connect()
