"""Qualities of service that administrators tie to volume types: kept and shown, as labels for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from sqlalchemy import Connection, Engine, update

from armillary.base.clock import Clock
from armillary.base.errors import Conflict, Invalid, NotFound
from armillary.base.ids import new_uuid
from armillary.cloud.volumes.model import QosSpecs, VolumeType
from armillary.cloud.volumes.paging import Page, page_of
from armillary.cloud.volumes.store import QOS, TYPES, qos_specs, volume_types

CONSUMERS = ("front-end", "back-end", "both")


class Qos:
    """Keeps QoS specs and their ties to types."""

    def __init__(self, *, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def list(self, page: Page) -> list[QosSpecs]:
        """QoS specs in a page."""
        with self._reading() as connection:
            return page_of(connection, QOS, [], page, what="QoS Specs")

    def show(self, qos_id: str) -> QosSpecs:
        """QoS specs by id; NotFound if there are none."""
        with self._reading() as connection:
            return _known(connection, qos_id)

    def create(self, *, name: str, consumer: str, specs: Mapping[str, str]) -> QosSpecs:
        """Add QoS specs. Raises Conflict if there are some of that name, Invalid for an unknown consumer."""
        check_consumer(consumer)
        made = QosSpecs(
            id=new_uuid(), name=name, consumer=consumer, specs=dict(specs), created_at=self._clock.now()
        )
        with self._engine.begin() as connection:
            if QOS.find(connection, qos_specs.c.name == name):
                raise Conflict(f"QoS Specs {name} already exists.", code="qos_exists")
            return QOS.add(connection, made)

    def set(self, qos_id: str, specs: Mapping[str, str]) -> None:
        """Write items beside those that are there; `consumer` is one of them."""
        with self._engine.begin() as connection:
            found = _known(connection, qos_id)
            items = dict(specs)
            consumer = items.pop("consumer", found.consumer)
            check_consumer(consumer)
            QOS.save(connection, replace(found, consumer=consumer, specs={**found.specs, **items}))

    def unset(self, qos_id: str, keys: Sequence[str]) -> None:
        """Remove items; Invalid if one is not there."""
        with self._engine.begin() as connection:
            found = _known(connection, qos_id)
            missing = next((key for key in keys if key not in found.specs), None)
            if missing is not None:
                raise Invalid(f"QoS spec {qos_id} has no spec with key {missing}.", code="qos_key_not_found")
            left = {key: value for key, value in found.specs.items() if key not in keys}
            QOS.save(connection, replace(found, specs=left))

    def delete(self, qos_id: str, *, force: bool) -> None:
        """Remove QoS specs; those that a type has only with `force`."""
        with self._engine.begin() as connection:
            _known(connection, qos_id)
            if TYPES.find(connection, volume_types.c.qos_id == qos_id) and not force:
                raise Invalid(f"QoS Specs {qos_id} is still associated with entities.", code="qos_in_use")
            self._untie(connection, qos_id)
            QOS.remove(connection, qos_specs.c.id == qos_id)

    def types_of(self, qos_id: str) -> list[VolumeType]:
        """The types that have these specs."""
        with self._reading() as connection:
            _known(connection, qos_id)
            return TYPES.find(connection, volume_types.c.qos_id == qos_id)

    def associate(self, qos_id: str, type_id: str) -> None:
        """Tie specs to a type that has no others."""
        with self._engine.begin() as connection:
            _known(connection, qos_id)
            kind = TYPES.get(connection, type_id)
            if kind is None:
                raise NotFound(f"Volume type {type_id} could not be found.", code="volume_type_not_found")
            if kind.qos_id not in (None, qos_id):
                raise Invalid(
                    f"Invalid volume type: Type {type_id} is already associated with another qos specs: "
                    f"{kind.qos_id}",
                    code="qos_in_use",
                )
            TYPES.save(connection, replace(kind, qos_id=qos_id))

    def disassociate(self, qos_id: str, type_id: str | None) -> None:
        """Loose specs from one type, or from all."""
        with self._engine.begin() as connection:
            _known(connection, qos_id)
            self._untie(connection, qos_id, type_id)

    @staticmethod
    def _untie(connection: Connection, qos_id: str, type_id: str | None = None) -> None:
        statement = update(volume_types).where(volume_types.c.qos_id == qos_id).values(qos_id=None)
        if type_id is not None:
            statement = statement.where(volume_types.c.id == type_id)
        connection.execute(statement)

    def _reading(self) -> AbstractContextManager[Connection]:
        return self._engine.execution_options(readonly=True).connect()


def check_consumer(consumer: str) -> None:
    """Let Cinder's consumers pass; Invalid otherwise."""
    if consumer not in CONSUMERS:
        raise Invalid(
            f"Invalid qos specs: Valid consumer of QoS specs are: {list(CONSUMERS)}", code="bad_qos_consumer"
        )


def _known(connection: Connection, qos_id: str) -> QosSpecs:
    found = QOS.get(connection, qos_id)
    if found is None:
        raise NotFound(f"No such QoS spec {qos_id}.", code="qos_not_found")
    return found
