"""A cloud behind a real server, for stock clients."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import create_server
from typing import Any

import uvicorn
from warm_client import WarmClient

from armillary.accounts.model import Allocation, Role
from armillary.accounts.service import AccountsService, AccountsStore, Passwords
from armillary.app.database import make_engine
from armillary.app.tls import KEEP_ALIVE
from armillary.base.clock import SystemClock
from armillary.base.ids import CloudName
from armillary.base.units import GiB, MiB
from armillary.cloud.build import Cloud, CloudSettings, build_cloud
from armillary.cloud.engines.fake import FakeFabric, FakeMachines, FakeVolumeDisks

PASSWORD = "correct horse battery"


@dataclass
class Live:
    """A cloud behind a real server, and the stock command signed in to it."""

    cloud: Cloud
    machines: FakeMachines
    url: str
    home: Path
    client: WarmClient
    accounts: AccountsService

    def environment(self, user: str = "ada") -> dict[str, str]:
        """What signs a user in; bob's project is another one."""
        return {
            "OS_AUTH_URL": f"{self.url}/identity/v3",
            "OS_USERNAME": user,
            "OS_PASSWORD": PASSWORD,
            "OS_PROJECT_NAME": "ngc253" if user == "bob" else "m51",
            "OS_USER_DOMAIN_NAME": "Default",
            "OS_PROJECT_DOMAIN_NAME": "Default",
            "OS_IDENTITY_API_VERSION": "3",
        }

    def run(self, *words: str, user: str = "ada") -> subprocess.CompletedProcess[str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        env = {**kept, "HOME": str(self.home), **self.environment(user)}
        return self.client.run("openstack", *words, env=env, cwd=self.home)

    def ok(self, *words: str, user: str = "ada") -> Any:
        """What a command says, as JSON where it speaks JSON."""
        done = self.run(*words, user=user)
        assert done.returncode == 0, f"openstack {' '.join(words)}:\n{done.stdout}{done.stderr}"
        return json.loads(done.stdout) if "-f" in words and done.stdout else done.stdout

    def refused(self, *words: str, user: str = "ada") -> str:
        """What a command that must fail says."""
        done = self.run(*words, user=user)
        assert done.returncode != 0, f"openstack {' '.join(words)} succeeded:\n{done.stdout}"
        return done.stderr


@contextmanager
def live_cloud(directory: Path, client: WarmClient) -> Generator[Live]:
    """A cloud over the fake engine; ada and root are in project m51, bob in ngc253."""
    store = AccountsStore(engine=make_engine(f"sqlite:///{directory}/accounts.db", durable=False))
    store.create_all()
    cheap = Passwords(time_cost=1, memory_cost=8, parallelism=1)
    accounts = AccountsService(store=store, clock=SystemClock(), passwords=cheap)
    figures = Allocation(cores=4, ram=MiB(8192), disk=GiB(40), storage=GiB(10), batch_cores=0)
    project = accounts.create_project("m51", "", figures)
    ada = accounts.create_person(user_name="ada", password=PASSWORD)
    bob = accounts.create_person(user_name="bob", password=PASSWORD)
    root = accounts.create_person(user_name="root", password=PASSWORD, is_admin=True)
    accounts.set_role(project.id, ada.id, Role.MEMBER)
    accounts.set_role(project.id, root.id, Role.ADMIN)
    accounts.set_role(accounts.create_project("ngc253", "", figures).id, bob.id, Role.MEMBER)
    machines = FakeMachines(directory=directory / "machines")
    with closing(create_server(("127.0.0.1", 0))) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        cloud = build_cloud(
            settings=CloudSettings(
                name=CloudName("east"),
                region="east",
                base_url=url,
                directory=directory,
                floating_cidr="127.16.0.0/24",
            ),
            accounts=accounts,
            machines=machines,
            fabric=FakeFabric(),
            volume_disks=FakeVolumeDisks(directory=directory / "volumes"),
            engine=make_engine(f"sqlite:///{directory}/cloud.db", durable=False),
            clock=SystemClock(),
        )
        server = uvicorn.Server(
            uvicorn.Config(cloud.app, log_level="warning", lifespan="off", timeout_keep_alive=KEEP_ALIVE)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield Live(cloud, machines, url, directory, client, accounts)
        finally:
            server.should_exit = True
            thread.join()
            cloud.close()
