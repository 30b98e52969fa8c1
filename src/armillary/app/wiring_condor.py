"""Makes the HTCondor engine, for platforms that are set so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from fastapi import APIRouter
from sqlalchemy import Engine

from armillary.app.settings import HTCondorTable, Settings
from armillary.base.bell import Bell
from armillary.base.clock import Clock
from armillary.base.errors import Unavailable
from armillary.base.ids import CloudName, new_hex
from armillary.batch.api import pool_job_router
from armillary.batch.calls import Calls
from armillary.batch.engines.embedded.queue import EmbeddedQueue
from armillary.batch.engines.embedded.register import Register
from armillary.batch.engines.htcondor.admitting import Admission
from armillary.batch.engines.htcondor.attending import Attending
from armillary.batch.engines.htcondor.config import condor_config
from armillary.batch.engines.htcondor.engine import CondorEngine
from armillary.batch.engines.htcondor.joining import CondorEnrolment, PoolTerms, Reach
from armillary.batch.engines.htcondor.keys import JobKeys
from armillary.batch.engines.htcondor.pool import CondorPool
from armillary.batch.engines.htcondor.ports import Site
from armillary.batch.engines.htcondor.secrets import Secrets
from armillary.batch.genuine import ImageCheck
from armillary.batch.logs import LogFolder
from armillary.batch.ports import Credentials, Spool
from armillary.batch.store.hardware_records import HardwareRecords


@dataclass(frozen=True, kw_only=True)
class Condor:
    """The engine, made."""

    engine: CondorEngine
    enrolment: CondorEnrolment
    pool: CondorPool
    attending: Attending
    admission: Admission

    def routes(self, calls: Calls) -> APIRouter:
        """Return those for machines of the pool and what stands beside its jobs."""
        return pool_job_router(attending=self.attending, admission=self.admission, calls=calls)


def build_condor(
    *,
    settings: Settings,
    database: Engine,
    clock: Clock,
    queue: EmbeddedQueue,
    register: Register,
    spool: Spool,
    logs: LogFolder,
    bell: Bell,
    platform: str,
    credentials: Credentials,
    hardware: HardwareRecords,
    reach: Callable[[CloudName], Reach],
    secret: bytes,
    genuine: ImageCheck,
) -> Condor:
    """Make the engine over the pool of the settings; it need not answer yet. Files on their way: `home/batch/condor`."""
    table = settings.htcondor
    folder = settings.home / "batch" / "condor"
    pool = open_pool(table, folder)
    lease = timedelta(seconds=table.lease_seconds)
    site = Site(database=database, clock=clock, pool=pool, platform=platform, lease=lease)
    keys = JobKeys(secret=secret)
    secrets = Secrets(
        key_file=table.key_file or Path("POOL"),
        trust_domain=table.trust_domain,
        token_life=timedelta(hours=table.token_hours),
        clock=clock,
        new_id=new_hex,
    )
    return Condor(
        engine=CondorEngine(
            site=site,
            spool=spool,
            logs=logs,
            directory=folder / "staging",
            bell=bell,
            queue=queue,
            keys=keys,
        ),
        attending=Attending(
            site=site, keys=keys, logs=logs, bell=bell, credentials=credentials, hardware=hardware
        ),
        enrolment=CondorEnrolment(
            register=register,
            secrets=secrets,
            terms=PoolTerms(
                collector=table.collector_for_workers or table.collector,
                trust_domain=table.trust_domain,
                platform=platform,
                hosts=table.hosts,
            ),
            reach=reach,
        ),
        admission=Admission(register=register, secrets=secrets, genuine=genuine),
        pool=pool,
    )


def open_pool(table: HTCondorTable, folder: Path) -> CondorPool:
    """Return the pool of the settings, with what its client needs in `folder`. Nothing is asked of it yet.

    Raises:
        Unavailable: our token cannot be read.
    """
    tokens = folder / "tokens.d"
    tokens.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        token = (table.token_file or Path()).read_text(encoding="ascii")
    except OSError as error:
        raise Unavailable(
            f"our token for the HTCondor pool cannot be read: {error.strerror}",
            code="htcondor_token_unreadable",
            facts={"file": str(table.token_file)},
            remedy="Set htcondor.token_file to a file with the token that this user may read.",
        ) from error
    # HTCondor takes tokens from folders, and only from those that nobody else may read.
    place = tokens / "armillary"
    place.touch(mode=0o600)
    place.write_text(token, encoding="ascii")
    config = folder / "condor_config"
    config.write_text(
        condor_config(collector=table.collector, trust_domain=table.trust_domain, tokens=tokens),
        encoding="utf-8",
    )
    return CondorPool(config=config, schedd=table.schedd)
