"""What a page of a list of servers costs, by how many servers there are and how late in the list it is.

    .venv/bin/python bench/server_lists.py [--servers 10000] [--page 100]

Fills the records of a cloud in an empty directory and reads pages in detail. Prints milliseconds (the best of five) and
the peak of the memory that Python took for the page.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.table import Table
from sqlalchemy import insert

from armillary.accounts.model import Allocation, Principal
from armillary.accounts.service import AccountsService, AccountsStore, Passwords
from armillary.app.database import make_engine
from armillary.base.clock import SystemClock
from armillary.base.ids import ImageId, ServerId, Sha512
from armillary.base.units import GiB, MiB
from armillary.cloud import store
from armillary.cloud.compute.listing import ServerFilter, ServerLists
from armillary.cloud.compute.model import Flavor, Server, VmState

ROUNDS = 5


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--servers", type=int, default=10_000)
    parser.add_argument("--page", type=int, default=100)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        engine = make_engine(f"sqlite:///{directory}/cloud.db", durable=False)
        store.create_all(engine)
        people = AccountsStore(engine=make_engine(f"sqlite:///{directory}/accounts.db", durable=False))
        people.create_all()
        cheap = Passwords(time_cost=1, memory_cost=8, parallelism=1)
        accounts = AccountsService(store=people, clock=SystemClock(), passwords=cheap)
        figures = Allocation(cores=4, ram=MiB(8192), disk=GiB(40), storage=GiB(10), batch_cores=0)
        project = accounts.create_project("bench", "", figures)
        person = accounts.create_person(user_name="bench", password="correct horse battery", is_admin=True)
        who = accounts.principal(person.id, project.id)
        small = Flavor(id="s", name="s", vcpus=1, ram=MiB(512), disk=GiB(1), ephemeral=GiB(0), swap=MiB(0))
        began = datetime.now(UTC)
        first = Server(
            id=ServerId(""), name="vm", description=None, hostname="vm", project_id=project.id, user_id=person.id,
            image_id=ImageId("image"), image_sha512=Sha512("0" * 128), image_format="raw", flavor=small, key_name=None,
            key_type="ssh", public_key=None, user_data=None, config_drive=False, metadata={"a": "b"}, tags=("t",),
            seed="", reservation_id="r-1", launch_index=0, vm_state=VmState.ACTIVE, task_state=None, fault=None,
            locked=False, locked_reason=None, charged=True, placed=True, snapshot_image_id=None, created_at=began,
            updated_at=began, launched_at=began, deleted_at=None,
        )  # fmt: skip
        lists = ServerLists(engine=engine)
        table = Table("servers", "page", "ms", "KiB")
        for known, wanted in ((0, asked.servers // 10), (asked.servers // 10, asked.servers)):
            with engine.begin() as connection:
                rows = [
                    vars(replace(first, id=ServerId(f"{n:032d}"), created_at=began + timedelta(seconds=n)))
                    for n in range(known, wanted)
                ]
                connection.execute(insert(store.servers), rows)
            for name, marker in (("first", None), ("middle", wanted // 2), ("last", asked.page)):
                where = ServerFilter(
                    limit=asked.page, marker=f"{marker:032d}" if marker is not None else None
                )
                table.add_row(str(wanted), name, *measure(lists, who, where))
        Console().print(table)


def measure(lists: ServerLists, who: Principal, where: ServerFilter) -> tuple[str, str]:
    """Best time and peak of memory of one page."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        lists.full(who, where, user_data=False)
        best = min(best, time.perf_counter() - started)
    tracemalloc.start()
    lists.full(who, where, user_data=False)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return f"{best * 1000:.1f}", str(peak >> 10)


if __name__ == "__main__":
    main()
