"""The tables of images and of those they are shared with."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    Text,
    and_,
    exists,
    false,
    or_,
    select,
    true,
)

from armillary.accounts.model import Principal
from armillary.cloud.images.model import Image, Member, MemberStatus, Query, Status, Task, Visibility
from armillary.cloud.records import Listed, Named, Records
from armillary.columns import Moment

metadata = MetaData()

images = Table(
    "image_images",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("project_id", String(64), nullable=False, index=True),
    Column("owner_person", String(64), nullable=False),
    Column("name", String(255), index=True),
    Column("status", Named(Status), nullable=False),
    Column("visibility", Named(Visibility), nullable=False, index=True),
    Column("disk_format", String(20)),
    Column("container_format", String(20)),
    Column("min_disk", Integer, nullable=False),
    Column("min_ram", Integer, nullable=False),
    Column("protected", Boolean, nullable=False),
    Column("os_hidden", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("properties", JSON, nullable=False),
    Column("tags", Listed(), nullable=False),
    Column("checksum", String(32)),
    Column("sha512", String(128), index=True),
    Column("size", BigInteger),
    Column("virtual_size", BigInteger),
    Column("fault", Text, nullable=False),
)
members = Table(
    "image_members",
    metadata,
    Column("image_id", String(36), primary_key=True),
    Column("member_id", String(255), primary_key=True),
    Column("status", Named(MemberStatus), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
)

tasks = Table(
    "image_tasks",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("image_id", String(36), nullable=False, index=True),
    Column("project_id", String(64), nullable=False),
    Column("person_id", String(64), nullable=False),
    Column("method", String(64), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("created_at", Moment, nullable=False, index=True),
)

IMAGES = Records(table=images, kind=Image)
MEMBERS = Records(table=members, kind=Member)
TASKS = Records(table=tasks, kind=Task)

SORTABLE = (
    "name",
    "status",
    "container_format",
    "disk_format",
    "size",
    "id",
    "created_at",
    "updated_at",
)
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
    "eq": operator.eq,
    "neq": operator.ne,
}


def create_all(engine: Engine) -> None:
    """Make the tables that are not there."""
    metadata.create_all(engine)


def listed(
    connection: Connection, principal: Principal, query: Query, *, after: Image | None = None
) -> Iterator[Image]:
    """The images that a query asks for and the principal may see, in order, from the one behind `after` on.

    One at a time, however many there are: whoever asks takes as many as a page has.
    """
    project = principal.project.id if principal.project else ""
    if after is None and query == Query(limit=query.limit):
        statement = _whole_list(project, principal.is_cloud_admin, query.limit)
    else:
        statement = _statement(project, principal.is_cloud_admin, query, after)
    for row in connection.execution_options(yield_per=200).execute(statement).mappings():
        image = Image(**row)
        properties = image.properties
        if query.tags <= set(image.tags) and all(properties.get(k) == v for k, v in query.properties.items()):
            yield image


@lru_cache(maxsize=256)
def _whole_list(project: str, is_cloud_admin: bool, limit: int) -> Select[Any]:
    """The first page of all images, which every client asks for: to build its statement costs more than to run it."""
    return _statement(project, is_cloud_admin, Query(limit=limit), None)


def _statement(project: str, is_cloud_admin: bool, query: Query, after: Image | None) -> Select[Any]:
    # ties have an order too, or pages would overlap
    order = (*query.sort, ("created_at", True), ("id", True))
    where = [_visible(project, query, is_cloud_admin=is_cloud_admin), *_restrictions(query)]
    if after is not None:
        where.append(_behind(order, after))
    statement = select(images).where(*where)
    for name, descends in order:
        column = images.c[name]
        statement = statement.order_by(column.desc().nulls_last() if descends else column.asc().nulls_first())
    return statement if query.tags or query.properties else statement.limit(query.limit + 1)


def _behind(order: Iterable[tuple[str, bool]], image: Image) -> ColumnElement[bool]:
    """Whether a row comes after an image in an order in which nothing is the least: NULL comes first."""
    behind, same = false(), true()
    for name, descends in order:
        column, value = images.c[name], getattr(image, name)
        if value is None:
            further = false() if descends else column.is_not(None)
        elif descends:
            further = or_(column < value, column.is_(None))
        else:
            further = column > value
        behind = or_(behind, and_(same, further))
        same = and_(same, column.is_not_distinct_from(value))
    return behind


def _visible(project: str, query: Query, *, is_cloud_admin: bool) -> ColumnElement[bool]:
    own = images.c.project_id == project
    shared_with_me = and_(images.c.visibility == Visibility.SHARED, _has_member(project, query.member_status))
    by_visibility = {
        Visibility.PUBLIC: true(),
        Visibility.COMMUNITY: true(),
        Visibility.SHARED: or_(own, shared_with_me),
        Visibility.PRIVATE: own,
    }
    if query.visibility is not None:
        may = true() if is_cloud_admin else by_visibility[query.visibility]
        return and_(images.c.visibility == query.visibility, may)
    open_to_all = [Visibility.PUBLIC] + ([Visibility.COMMUNITY] if query.every_visibility else [])
    usual = or_(own, images.c.visibility.in_(open_to_all), shared_with_me)
    if is_cloud_admin:
        return true() if query.every_visibility else or_(own, images.c.visibility != Visibility.COMMUNITY)
    return usual


def _has_member(project: str, status: MemberStatus | None) -> ColumnElement[bool]:
    if not project:
        return false()
    where = [members.c.image_id == images.c.id, members.c.member_id == project]
    if status is not None:
        where.append(members.c.status == status)
    return exists().where(*where)


def _restrictions(query: Query) -> Iterator[ColumnElement[bool]]:
    yield images.c.os_hidden == query.hidden
    for name, values in query.any_of.items():
        known = [Status(v) for v in values if v in set(Status)] if name == "status" else sorted(values)
        yield images.c[name].in_(known)
    for name, value in query.flags.items():
        yield images.c[name] == value
    for name, comparison, bound in query.ranges:
        yield _OPERATORS[comparison](images.c[name], bound)
