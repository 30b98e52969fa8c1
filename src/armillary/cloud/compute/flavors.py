"""Flavors: public ones for everybody, others for the projects that were given access."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import Connection, Engine, delete, insert, or_, select

from armillary.accounts.model import Principal
from armillary.base.errors import Conflict, Invalid, NotFound
from armillary.base.ids import new_uuid
from armillary.base.units import GiB, MiB
from armillary.cloud import store
from armillary.cloud.access import allow_administering
from armillary.cloud.compute.model import Flavor
from armillary.cloud.core.flavors import DEFAULT_FLAVORS


class Flavors:
    """The sizes that this cloud offers."""

    def __init__(self, *, engine: Engine) -> None:
        self._engine = engine
        with engine.begin() as connection:
            if not store.FLAVORS.find(connection):
                for flavor in DEFAULT_FLAVORS:
                    store.FLAVORS.add(connection, flavor)

    def list(self, principal: Principal, *, is_public: bool | None = True) -> list[Flavor]:
        """The flavors that the principal may use, smallest first; administrators choose with `is_public`
        (None: all).
        """
        columns = store.flavors.c
        with self._engine.execution_options(readonly=True).connect() as connection:
            if not principal.is_cloud_admin:
                where = [or_(columns.is_public, columns.id.in_(_shared_with(connection, principal)))]
            else:
                where = [columns.is_public.is_(is_public)] if is_public is not None else []
            chosen = store.FLAVORS.find(connection, *where)
        return sorted(chosen, key=lambda f: (f.vcpus, f.ram, f.disk, f.id))

    def get(self, principal: Principal, flavor_id: str) -> Flavor:
        """One flavor by id."""
        with self._engine.execution_options(readonly=True).connect() as connection:
            return usable(connection, principal, flavor_id)

    def create(
        self,
        principal: Principal,
        *,
        name: str,
        vcpus: int,
        ram: int,
        disk: int,
        flavor_id: str | None = None,
        ephemeral: int = 0,
        swap: int = 0,
        is_public: bool = True,
        rxtx_factor: float = 1.0,
        description: str | None = None,
    ) -> Flavor:
        """Offer a new size (administrators)."""
        allow_administering(principal, "os_compute_api:os-flavor-manage:create")
        flavor = Flavor(
            id=new_uuid() if flavor_id is None or flavor_id == "auto" else flavor_id,
            name=name,
            vcpus=vcpus,
            ram=MiB(ram),
            disk=GiB(disk),
            ephemeral=GiB(ephemeral),
            swap=MiB(swap),
            is_public=is_public,
            rxtx_factor=rxtx_factor,
            description=description,
        )
        with self._engine.begin() as connection:
            if store.FLAVORS.get(connection, flavor.id) is not None:
                raise Conflict(f"Flavor with ID {flavor.id} already exists.", code="flavor_exists")
            if store.FLAVORS.find(connection, store.flavors.c.name == name):
                raise Conflict(f"Flavor with name {name} already exists.", code="flavor_exists")
            return store.FLAVORS.add(connection, flavor)

    def describe(self, principal: Principal, flavor_id: str, description: str | None) -> Flavor:
        """Change a flavor's description (administrators)."""
        allow_administering(principal, "os_compute_api:os-flavor-manage:update")
        return self._change(principal, flavor_id, description=description)

    def delete(self, principal: Principal, flavor_id: str) -> None:
        """Offer it no more (administrators); servers of it stay as they are."""
        allow_administering(principal, "os_compute_api:os-flavor-manage:delete")
        with self._engine.begin() as connection:
            usable(connection, principal, flavor_id)
            connection.execute(
                delete(store.flavor_access).where(store.flavor_access.c.flavor_id == flavor_id)
            )
            store.FLAVORS.remove(connection, store.flavors.c.id == flavor_id)

    def set_extra_specs(self, principal: Principal, flavor_id: str, specs: Mapping[str, str]) -> Flavor:
        """Merge extra specs into a flavor's (administrators)."""
        allow_administering(principal, "os_compute_api:os-flavor-extra-specs:create")
        return self._change(principal, flavor_id, merge=specs)

    def delete_extra_spec(self, principal: Principal, flavor_id: str, key: str) -> None:
        """Drop one extra spec (administrators)."""
        allow_administering(principal, "os_compute_api:os-flavor-extra-specs:delete")
        with self._engine.begin() as connection:
            flavor = usable(connection, principal, flavor_id)
            if key not in flavor.extra_specs:
                raise NotFound(
                    f"Flavor {flavor_id} has no extra specs with key {key}.", code="extra_spec_not_found"
                )
            kept = {name: value for name, value in flavor.extra_specs.items() if name != key}
            store.FLAVORS.save(connection, replace(flavor, extra_specs=kept))

    def access(self, principal: Principal, flavor_id: str) -> builtins.list[str]:
        """The projects that may use a flavor that is not public (administrators)."""
        allow_administering(principal, "os_compute_api:os-flavor-access")
        with self._engine.execution_options(readonly=True).connect() as connection:
            flavor = usable(connection, principal, flavor_id)
            if flavor.is_public:
                raise NotFound("Access list not available for public flavors.", code="flavor_is_public")
            mine = store.flavor_access.c.flavor_id == flavor_id
            return list(connection.execute(select(store.flavor_access.c.project_id).where(mine)).scalars())

    def give_access(self, principal: Principal, flavor_id: str, project_id: str) -> None:
        """Let a project use a flavor that is not public (administrators)."""
        if self.get(principal, flavor_id).is_public:
            raise Conflict("Can not add access to a public flavor.", code="flavor_is_public")
        if project_id in self.access(principal, flavor_id):
            raise Conflict(
                f"Flavor access already exists for flavor {flavor_id} and project {project_id} combination.",
                code="flavor_access_exists",
            )
        with self._engine.begin() as connection:
            connection.execute(insert(store.flavor_access).values(flavor_id=flavor_id, project_id=project_id))

    def take_access(self, principal: Principal, flavor_id: str, project_id: str) -> None:
        """Take it back (administrators)."""
        if project_id not in self.access(principal, flavor_id):
            raise NotFound(
                f"Flavor access not found for {flavor_id} / {project_id} combination.",
                code="flavor_access_not_found",
            )
        columns = store.flavor_access.c
        with self._engine.begin() as connection:
            connection.execute(
                delete(store.flavor_access).where(
                    columns.flavor_id == flavor_id, columns.project_id == project_id
                )
            )

    def _change(
        self,
        principal: Principal,
        flavor_id: str,
        *,
        merge: Mapping[str, str] | None = None,
        **changes: str | None,
    ) -> Flavor:
        with self._engine.begin() as connection:
            flavor = usable(connection, principal, flavor_id)
            if merge is not None:
                flavor = replace(flavor, extra_specs={**flavor.extra_specs, **merge})
            if "description" in changes:
                flavor = replace(flavor, description=changes["description"])
            store.FLAVORS.save(connection, flavor)
            return flavor


def _shared_with(connection: Connection, principal: Principal) -> set[str]:
    if principal.project is None:
        return set()
    mine = store.flavor_access.c.project_id == principal.project.id
    return set(connection.execute(select(store.flavor_access.c.flavor_id).where(mine)).scalars())


def usable(connection: Connection, principal: Principal, flavor_id: str) -> Flavor:
    """A flavor that the principal may use.

    Raises:
        NotFound: there is none.
    """
    flavor = store.FLAVORS.get(connection, flavor_id)
    hidden = flavor is not None and not flavor.is_public and not principal.is_cloud_admin
    if flavor is None or (hidden and flavor.id not in _shared_with(connection, principal)):
        raise NotFound(f"Flavor {flavor_id} could not be found.", code="flavor_not_found")
    return flavor


def check_fits(flavor: Flavor, *, min_ram: int, min_disk: int, virtual_size: int) -> None:
    """Let a flavor pass that an image fits in.

    Raises:
        Invalid: in Nova's words.
    """
    if min_ram > flavor.ram:
        raise Invalid(
            "Flavor's memory is too small for requested image.",
            code="flavor_memory_too_small",
            facts={"ram": flavor.ram, "min_ram": min_ram},
            remedy=f"Choose a flavor with at least {min_ram} MiB of RAM.",
        )
    needed = max(min_disk << 30, virtual_size)
    if flavor.disk and needed > flavor.disk << 30:
        gib = -(-needed // 2**30)
        raise Invalid(
            f"Flavor's disk is too small for requested image. Flavor disk is {flavor.disk << 30} bytes, image needs "
            f"{needed} bytes.",
            code="flavor_disk_too_small",
            facts={"disk": flavor.disk, "needed_bytes": needed},
            remedy=f"Choose a flavor with a root disk of at least {gib} GiB.",
        )
