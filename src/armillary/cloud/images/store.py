"""The tables of images and of those they are shared with."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
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
from armillary.cloud.images.model import Image, Member, MemberStatus, Query, Status, Visibility
from armillary.cloud.records import Listed, Moment, Named, Records

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

IMAGES = Records(table=images, kind=Image)
MEMBERS = Records(table=members, kind=Member)

SORTABLE = frozenset(
    (
        "id",
        "name",
        "status",
        "visibility",
        "disk_format",
        "container_format",
        "min_disk",
        "min_ram",
        "protected",
        "created_at",
        "updated_at",
        "checksum",
        "size",
        "virtual_size",
    )
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


def listed(connection: Connection, principal: Principal, query: Query) -> Iterator[Image]:
    """The images that a query asks for and the principal may see, in order, without marker and limit."""
    where = [_visible(principal, query), *_restrictions(query)]
    statement = select(images).where(*where)
    for name, descends in query.sort:
        column = images.c[name]
        statement = statement.order_by(column.desc() if descends else column.asc())
    # ties have an order too, or pages would overlap
    statement = statement.order_by(images.c.created_at.desc(), images.c.id.desc())
    for row in connection.execution_options(yield_per=200).execute(statement).mappings():
        image = Image(**row)
        properties = image.properties
        if query.tags <= set(image.tags) and all(properties.get(k) == v for k, v in query.properties.items()):
            yield image


def _visible(principal: Principal, query: Query) -> ColumnElement[bool]:
    project = principal.project.id if principal.project else ""
    own = images.c.project_id == project
    shared_with_me = and_(images.c.visibility == Visibility.SHARED, _has_member(project, query.member_status))
    by_visibility = {
        Visibility.PUBLIC: true(),
        Visibility.COMMUNITY: true(),
        Visibility.SHARED: or_(own, shared_with_me),
        Visibility.PRIVATE: own,
    }
    if query.visibility is not None:
        may = true() if principal.is_cloud_admin else by_visibility[query.visibility]
        return and_(images.c.visibility == query.visibility, may)
    open_to_all = [Visibility.PUBLIC] + ([Visibility.COMMUNITY] if query.every_visibility else [])
    usual = or_(own, images.c.visibility.in_(open_to_all), shared_with_me)
    if principal.is_cloud_admin:
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
