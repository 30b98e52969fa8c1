"""A space with Ada's home that tests break, and the look at it that finds the fault."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, create_engine, text, update

from armillary.accounts.model import Principal
from armillary.base.clock import VirtualClock
from armillary.vospace.check_model import Fault, Finding
from armillary.vospace.model import Node
from armillary.vospace.ports import ByteStore
from armillary.vospace.service import VOSpaceService
from armillary.vospace.service.checking import Checker
from armillary.vospace.store import SqlInspection, SqlJobRecords
from armillary.vospace.store.tables import nodes

TOMORROW = datetime.now(UTC) + timedelta(days=1)
HOME = "/home/ada"
DATA = b"a galaxy far away"


@dataclass
class Yard:
    """A space with Ada's home, and the means to break it."""

    engine: Engine
    bytes: ByteStore
    space: VOSpaceService
    ada: Principal
    jobs: SqlJobRecords
    people: set[str]
    now: datetime = TOMORROW

    def put(self, name: str, data: bytes = DATA) -> Node:
        return self.space.put_bytes(self.ada, f"{HOME}/{name}", [data])

    def node(self, name: str = "") -> Node:
        return self.space.node(self.ada, f"{HOME}/{name}".rstrip("/"))

    def read(self, name: str) -> bytes:
        return b"".join(self.space.open_bytes(self.ada, f"{HOME}/{name}").chunks)

    def change(self, node: Node, **values: Any) -> None:
        """Change a record behind everybody's back."""
        # a connection that minds no foreign keys
        engine = create_engine(self.engine.url)
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SET LOCAL session_replication_role = replica"))
            connection.execute(update(nodes).where(nodes.c.id == node.id).values(values))
        engine.dispose()

    def check(self, *, mends: bool = False, checksums: bool = False, portion: int = 20_000) -> list[Finding]:
        checker = Checker(
            records=self.space.records,
            inspection=SqlInspection(self.engine),
            bytes_=self.bytes,
            jobs=self.jobs,
            clock=VirtualClock(self.now),
            known=lambda person: person in self.people,
            progress=lambda what, done, whole: None,
            mends=mends,
            checksums=checksums,
            portion=portion,
        )
        return list(checker.findings())

    def finds(self, fault: Fault, *, checksums: bool = False) -> Finding:
        """Look, change nothing, and find this alone, however often one looks."""
        [found] = self.check(checksums=checksums)
        assert found.fault is fault
        assert not found.mended
        assert self.check(checksums=checksums) == [found]
        return found
