"""Volume types: names under which administrators offer volumes. All lie on the same disk."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, delete, exists, insert, or_, select

from armillary.accounts.model import Principal
from armillary.base.clock import Clock
from armillary.base.errors import Conflict, Invalid, NotFound
from armillary.base.ids import ProjectId, new_uuid
from armillary.cloud.volumes.model import VolumeType
from armillary.cloud.volumes.paging import Page, page_of
from armillary.cloud.volumes.store import TYPES, VOLUMES, default_types, type_access, volume_types, volumes

DEFAULT_TYPE_ID = "2f0f5a34-98f3-5c0e-9d53-6f1d1ad5a1d0"
DEFAULT_TYPE = "__DEFAULT__"
_UUID = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){4}[0-9a-fA-F]{8}")


class Types:
    """Types, who may use them, and which one is taken if none is named."""

    def __init__(self, *, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        with engine.begin() as connection:
            if TYPES.get(connection, DEFAULT_TYPE_ID) is None:
                kind = VolumeType(
                    id=DEFAULT_TYPE_ID,
                    name=DEFAULT_TYPE,
                    description="Default Volume Type",
                    is_public=True,
                    created_at=clock.now(),
                )
                TYPES.add(connection, kind)

    # for other parts of the service, within their transactions

    def named(self, connection: Connection, principal: Principal, wanted: str) -> VolumeType:
        """A type that the principal may use, by id or name; NotFound otherwise."""
        found = TYPES.find(connection, or_(volume_types.c.id == wanted, volume_types.c.name == wanted))
        for kind in found:
            if kind.is_public or principal.is_cloud_admin or self._granted(connection, principal, kind.id):
                return kind
        named = "" if _UUID.fullmatch(wanted) else "with name "
        raise NotFound(f"Volume type {named}{wanted} could not be found.", code="volume_type_not_found")

    def default(
        self, connection: Connection, project_id: ProjectId, *, inherited: str | None = None
    ) -> VolumeType:
        """The type of a volume for which none was named: its origin's, the project's, or the general one."""
        query = select(default_types.c.type_id).where(default_types.c.project_id == project_id)
        of_project = connection.execute(query).scalar()
        for type_id in (inherited, of_project, DEFAULT_TYPE_ID):
            kind = TYPES.get(connection, type_id) if type_id else None
            if kind is not None:
                return kind
        raise NotFound(
            f"The request cannot be fulfilled as the default volume type {DEFAULT_TYPE} cannot be found.",
            code="volume_type_not_found",
        )

    @staticmethod
    def names(connection: Connection) -> Mapping[str, str]:
        """The names of all types by id."""
        return {kind.id: kind.name for kind in TYPES.find(connection)}

    @staticmethod
    def _granted(connection: Connection, principal: Principal, type_id: str) -> bool:
        project = principal.project.id if principal.project else ""
        query = select(type_access).where(
            type_access.c.type_id == type_id, type_access.c.project_id == project
        )
        return connection.execute(query).first() is not None

    # for people

    def list(self, principal: Principal, page: Page, *, is_public: bool | None = True) -> list[VolumeType]:
        """Types in a page; for administrators also the private ones: all if `is_public` is None.

        Others see the public ones and those that their project was given.
        """
        with self._engine.execution_options(readonly=True).connect() as connection:
            return page_of(connection, TYPES, self._visible(principal, is_public), page, what="Volume type")

    @staticmethod
    def _visible(principal: Principal, is_public: bool | None) -> list[ColumnElement[bool]]:
        if principal.is_cloud_admin:
            return [] if is_public is None else [volume_types.c.is_public == is_public]
        project = principal.project.id if principal.project else ""
        granted = exists().where(
            type_access.c.type_id == volume_types.c.id, type_access.c.project_id == project
        )
        return [or_(volume_types.c.is_public, granted)]

    def show(self, principal: Principal, type_id: str) -> VolumeType:
        """A type by id; `default` is the one that the project gets. NotFound otherwise."""
        with self._engine.execution_options(readonly=True).connect() as connection:
            if type_id == "default":
                return self.default(connection, principal.project.id if principal.project else ProjectId(""))
            return self._known(connection, principal, type_id)

    def _known(self, connection: Connection, principal: Principal, type_id: str) -> VolumeType:
        kind = TYPES.get(connection, type_id)
        hidden = kind is not None and not (
            kind.is_public or principal.is_cloud_admin or self._granted(connection, principal, type_id)
        )
        if kind is None or hidden:
            raise NotFound(f"Volume type {type_id} could not be found.", code="volume_type_not_found")
        return kind

    def create(
        self,
        *,
        name: str,
        description: str | None,
        is_public: bool,
        extra_specs: Mapping[str, str],
    ) -> VolumeType:
        """Add a type (administrators). Raises Conflict if there is one of that name."""
        kind = VolumeType(
            id=new_uuid(),
            name=name,
            description=description,
            is_public=is_public,
            created_at=self._clock.now(),
            extra_specs=dict(extra_specs),
        )
        with self._engine.begin() as connection:
            if TYPES.find(connection, volume_types.c.name == name):
                raise Conflict(f"Volume Type {name} already exists.", code="volume_type_exists")
            return TYPES.add(connection, kind)

    def update(self, principal: Principal, type_id: str, changes: Mapping[str, Any]) -> VolumeType:
        """Change name, description, publicity or specs (administrators)."""
        with self._engine.begin() as connection:
            kind = self._known(connection, principal, type_id)
            name = changes.get("name", kind.name)
            if any(other.id != kind.id for other in TYPES.find(connection, volume_types.c.name == name)):
                raise Conflict(f"Volume Type {name} already exists.", code="volume_type_exists")
            changed = replace(kind, updated_at=self._clock.now(), **changes)
            TYPES.save(connection, changed)
            return changed

    def delete(self, principal: Principal, type_id: str) -> None:
        """Remove a type that no volume has (administrators)."""
        with self._engine.begin() as connection:
            kind = self._known(connection, principal, type_id)
            if kind.id == DEFAULT_TYPE_ID:
                raise Invalid(
                    f"The volume type {kind.id} is a default volume type and cannot be deleted.",
                    code="default_volume_type",
                )
            if VOLUMES.find(connection, volumes.c.volume_type_id == kind.id):
                raise Invalid(
                    "Target volume type is still in use.",
                    code="volume_type_in_use",
                    remedy="Retype or delete the volumes that have it.",
                )
            connection.execute(delete(type_access).where(type_access.c.type_id == kind.id))
            connection.execute(delete(default_types).where(default_types.c.type_id == kind.id))
            TYPES.remove(connection, volume_types.c.id == kind.id)

    # access to private types

    def projects_of(self, principal: Principal, type_id: str) -> Sequence[str]:
        """The projects that may use a private type (administrators)."""
        with self._engine.execution_options(readonly=True).connect() as connection:
            kind = self._known(connection, principal, type_id)
            if kind.is_public:
                raise NotFound("Access list not available for public volume types.")
            query = select(type_access.c.project_id).where(type_access.c.type_id == type_id)
            return sorted(connection.execute(query).scalars())

    def grant(self, principal: Principal, type_id: str, project_id: str) -> None:
        """Let a project use a private type (administrators)."""
        with self._engine.begin() as connection:
            kind = self._known(connection, principal, type_id)
            if kind.is_public:
                raise Invalid(
                    "Invalid volume type: Type access modification is not applicable to public volume type.",
                    code="public_volume_type",
                )
            row = {"type_id": type_id, "project_id": project_id}
            query = select(type_access).filter_by(**row)
            if connection.execute(query).first() is not None:
                raise Conflict(
                    f"Volume type access for {type_id} / {project_id} combination already exists.",
                    code="volume_type_access_exists",
                )
            connection.execute(insert(type_access).values(row))

    def withdraw(self, principal: Principal, type_id: str, project_id: str) -> None:
        """Take a private type from a project (administrators)."""
        with self._engine.begin() as connection:
            self._known(connection, principal, type_id)
            gone = connection.execute(
                delete(type_access).where(
                    type_access.c.type_id == type_id, type_access.c.project_id == project_id
                )
            )
            if not gone.rowcount:
                raise NotFound(
                    f"Volume type access not found for {type_id} / {project_id} combination.",
                    code="volume_type_access_not_found",
                )

    # defaults of projects

    def project_defaults(self, project_id: str | None) -> list[tuple[str, str]]:
        """Projects with the types that they get (administrators); NotFound if the one asked for has none."""
        query = select(default_types.c.project_id, default_types.c.type_id)
        if project_id is not None:
            query = query.where(default_types.c.project_id == project_id)
        with self._engine.execution_options(readonly=True).connect() as connection:
            found = [(row.project_id, row.type_id) for row in connection.execute(query)]
        if project_id is not None and not found:
            raise NotFound(
                f"Default type for project {project_id} not found.", code="default_volume_type_not_found"
            )
        return found

    def set_project_default(self, principal: Principal, project_id: str, wanted: str) -> VolumeType:
        """Choose the type that a project gets (administrators)."""
        with self._engine.begin() as connection:
            kind = self.named(connection, principal, wanted)
            connection.execute(delete(default_types).where(default_types.c.project_id == project_id))
            connection.execute(insert(default_types).values(project_id=project_id, type_id=kind.id))
            return kind

    def unset_project_default(self, project_id: str) -> None:
        """Let a project have the general default again (administrators)."""
        with self._engine.begin() as connection:
            connection.execute(delete(default_types).where(default_types.c.project_id == project_id))
