"""What the rooms of the network service do alike with their kind of resource."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Generic

from sqlalchemy import ColumnElement, Connection

from armillary.accounts.model import Principal
from armillary.base.errors import NotFound, PreconditionFailed
from armillary.base.ids import ProjectId
from armillary.cloud.access import allow_writing, project_of
from armillary.cloud.network.desk import Desk, bad, forbid
from armillary.cloud.network.listing import Facet, Page, Query, R, flag, number, page_of, text
from armillary.cloud.records import Records

Fields = Mapping[str, Any]
MOST_TAGS = 50


class Shelf(Generic[R]):
    """One kind of resource: lists, and changes each of which is one transaction."""

    records: Records[R]
    singular: ClassVar[str]
    """as Neutron names a request's body: `security_group`"""
    quota: ClassVar[str] = ""
    follows: ClassVar[bool] = True
    """Whether the fabric should follow changes."""

    def __init__(self, *, desk: Desk) -> None:
        self._desk = desk
        self.facets = self._facets()
        self.columns = self._columns()

    # what differs

    def missing(self, identifier: str) -> NotFound:
        """Neutron's refusal for what is not there, or not for the caller."""
        raise NotImplementedError

    def _mine(self, connection: Connection, who: Principal) -> ColumnElement[bool]:
        """What belongs to the caller, or is shared with it; administrators are not asked."""
        return self.records.table.c.project_id == project_of(who).id

    def _make(self, connection: Connection, who: Principal, owner: ProjectId, fields: dict[str, Any]) -> R:
        raise NotImplementedError

    def _change(self, connection: Connection, who: Principal, item: R, changes: dict[str, Any]) -> R:
        return self._desk.touch(item, **changes)

    def _remove(self, connection: Connection, who: Principal, item: R) -> None:
        """Look whether it may go, and take away what goes with it."""

    def _may_change(self, who: Principal, item: R) -> bool:
        return who.is_cloud_admin or (who.project is not None and who.project.id == item.project_id)

    def _facets(self) -> dict[str, Facet]:
        """How each attribute is filtered; by default each simple column under its own name."""
        found: dict[str, Facet] = {}
        for column in self.records.table.c:
            kind = column.type.python_type if _simple(column) else None
            if kind is bool:
                found[column.name] = flag(column)
            elif kind is int:
                found[column.name] = number(column)
            elif kind is str:
                found[column.name] = text(column)
        return found | {"tenant_id": found["project_id"]}

    def _columns(self) -> dict[str, ColumnElement[Any]]:
        """By what lists are sorted."""
        found: dict[str, ColumnElement[Any]] = {c.name: c for c in self.records.table.c if _simple(c)}
        return found | {"tenant_id": found["project_id"]}

    # reading

    def list(self, who: Principal) -> list[R]:
        """All that the caller sees; for callers inside of the cloud, who need no pages."""
        with self._desk.reading() as connection:
            return self.records.find(connection, *self.seen(connection, who))

    def page(self, who: Principal, query: Query) -> Page[R]:
        """One page of what the caller sees."""
        with self._desk.reading() as connection:
            return page_of(
                connection, self.records, query, seen=self.seen(connection, who), facets=self.facets,
                columns=self.columns, missing=self.missing,
            )  # fmt: skip

    def get(self, who: Principal, identifier: str) -> R:
        """One that the caller sees."""
        with self._desk.reading() as connection:
            return self.find(connection, who, identifier)

    def seen(self, connection: Connection, who: Principal) -> tuple[ColumnElement[bool], ...]:
        """What the caller may know of, as conditions."""
        return () if who.is_cloud_admin else (self._mine(connection, who),)

    def find(self, connection: Connection, who: Principal, identifier: str) -> R:
        """One that the caller sees, in a transaction.

        Raises:
            NotFound: there is none.
        """
        found = self.records.find(
            connection, self.records.table.c.id == identifier, *self.seen(connection, who)
        )
        if not found:
            raise self.missing(identifier)
        return found[0]

    def own(self, connection: Connection, who: Principal, identifier: str, action: str) -> R:
        """One that the caller may change.

        Raises:
            NotFound: there is none that the caller sees.
            Forbidden: it is somebody else's.
        """
        item = self.find(connection, who, identifier)
        if not self._may_change(who, item):
            raise forbid(f"{action}_{self.singular}")
        return item

    # writing

    def create(self, who: Principal, **fields: Any) -> R:
        """Make one; `fields` are attributes of the kind."""
        return self.create_all(who, [fields])[0]

    def create_all(self, who: Principal, wishes: Sequence[Fields]) -> Sequence[R]:
        """Make several, or none at all."""
        own = allow_writing(who, f"create_{self.singular}")
        made: list[R] = []
        with self._desk.writing() as connection:
            self._look(connection, who, wishes)
            for wish in wishes:
                fields = dict(wish)
                owner = self._desk.owner(who, own.id, fields.pop("project_id", None))
                if self.quota:
                    self._desk.charge(connection, owner, self.quota)
                made.append(self._make(connection, who, owner, fields))
        self._told()
        return made

    def _look(self, connection: Connection, who: Principal, wishes: Sequence[Fields]) -> None:
        """Look at all wishes before the first is granted."""

    def update(self, who: Principal, identifier: str, changes: Fields, *, revision: int | None = None) -> R:
        """Change attributes.

        Raises:
            PreconditionFailed: the resource is not at the revision any more that the caller knows.
        """
        allow_writing(who, f"update_{self.singular}")
        with self._desk.writing() as connection:
            item = self.own(connection, who, identifier, "update")
            _constrain(item, revision)
            item = self._change(connection, who, item, dict(changes))
            self.records.save(connection, item)
        self._told()
        return item

    def delete(self, who: Principal, identifier: str, *, revision: int | None = None) -> None:
        """Take one away."""
        allow_writing(who, f"delete_{self.singular}")
        with self._desk.writing() as connection:
            item = self.own(connection, who, identifier, "delete")
            _constrain(item, revision)
            self._remove(connection, who, item)
            self.records.remove(connection, self.records.table.c.id == identifier)
        self._told()

    def _told(self) -> None:
        if self.follows:
            self._desk.changed()

    # tags

    def tag(self, who: Principal, identifier: str, change: Callable[[tuple[str, ...]], Sequence[str]]) -> R:
        """Give one the tags that `change` makes of those that it has.

        Raises:
            Invalid: more than 50.
        """
        allow_writing(who, f"update_{self.singular}_tags")
        with self._desk.writing() as connection:
            try:
                item = self.own(connection, who, identifier, "update")
            except NotFound as error:
                raise _no_tags_of(self.singular, identifier) from error
            tags = tuple(change(item.tags))
            if len(tags) > MOST_TAGS:
                raise bad(f"The number of tags exceed the maximum {MOST_TAGS}.")
            item = replace(self._desk.touch(item), tags=tags)
            self.records.save(connection, item)
        return item

    def tags(self, who: Principal, identifier: str) -> tuple[str, ...]:
        """The tags of one."""
        try:
            return self.get(who, identifier).tags
        except NotFound as error:
            raise _no_tags_of(self.singular, identifier) from error


def _no_tags_of(singular: str, identifier: str) -> NotFound:
    message = f"Resource {singular.replace('_', '-')}s {identifier} could not be found."
    return NotFound(message, code="tag_resource_not_found")


def _simple(column: ColumnElement[Any]) -> bool:
    try:
        return column.type.python_type in {bool, int, str}
    except NotImplementedError:
        return False


def _constrain(item: Any, revision: int | None) -> None:
    if revision is not None and item.revision_number != revision:
        raise PreconditionFailed(
            f"Constrained to {revision}, but current revision is {item.revision_number}",
            code="revision_number_constraint_failed",
        )
