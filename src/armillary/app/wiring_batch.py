"""Makes the batch subject: queue, agents' side, people's side, scaler."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Engine

from armillary.accounts.certificates import Authority
from armillary.accounts.model import TokenKind
from armillary.accounts.service import AccountsService
from armillary.app.addresses import Addresses
from armillary.app.fleet_access import guest_gateway
from armillary.app.settings import Settings
from armillary.app.wiring_condor import Condor, build_condor
from armillary.app.wiring_notices import Telling
from armillary.base.bell import Bell
from armillary.base.clock import Clock
from armillary.base.ids import CloudName, PersonId, TokenId
from armillary.batch.agents import AgentService
from armillary.batch.board import Board
from armillary.batch.calls import Calls
from armillary.batch.core.budget import Prices
from armillary.batch.credentials import JobCredentials
from armillary.batch.draining import Draining
from armillary.batch.engines.embedded.checkpoints import Checkpoints
from armillary.batch.engines.embedded.metered import Meter, MeteredLeases
from armillary.batch.engines.embedded.policing import Policing
from armillary.batch.engines.embedded.queue import EmbeddedQueue
from armillary.batch.engines.embedded.register import Register
from armillary.batch.engines.embedded.terms import Terms
from armillary.batch.engines.embedded.together import Together
from armillary.batch.engines.htcondor.joining import Reach
from armillary.batch.forecast import Forecaster
from armillary.batch.genuine import WRONG_IMAGE, ImageCheck
from armillary.batch.holdings import Holdings
from armillary.batch.inspecting import Inspecting
from armillary.batch.ledger import Ledger
from armillary.batch.load import Load
from armillary.batch.logs import LogFolder
from armillary.batch.matching import Matcher, WorkerMatch, kind_of
from armillary.batch.notices.book import NoticeBook
from armillary.batch.notices.service import Notices
from armillary.batch.policy.evaluator import Evaluator
from armillary.batch.policy.service import ExitPolicies, PolicyWatch
from armillary.batch.reports import Reports
from armillary.batch.reserve import Reserve
from armillary.batch.scaler import Scaler, ScalerSettings
from armillary.batch.service import BatchService
from armillary.batch.spool import FolderSpool
from armillary.batch.store.board_records import BoardRecords
from armillary.batch.store.ended_records import EndedRecords
from armillary.batch.store.fleet_records import FleetRecords
from armillary.batch.store.hardware_records import HardwareRecords
from armillary.batch.store.holding_records import HoldingRecords
from armillary.batch.store.load_records import LoadRecords
from armillary.batch.store.policy_records import PolicyRecords
from armillary.batch.store.records import Records
from armillary.batch.store.tables import create_all
from armillary.batch.store.usage_records import UsageRecords
from armillary.batch.user_data import CloudInitEnrolment
from armillary.batch.watching import Patience
from armillary.fleet.contents import ImageContents
from armillary.fleet.service import FleetService

JOB_SCOPES = frozenset({"vospace:read", "vospace:write"})


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The batch subject, made."""

    service: BatchService
    agents: AgentService
    calls: Calls
    scaler: Scaler
    queue: EmbeddedQueue
    condor: Condor | None
    """the engine, unless our own queue is"""
    policy_watch: PolicyWatch
    notices: Notices
    reports: Reports
    board: Board
    draining: Draining
    ledger: Ledger
    usage: UsageRecords
    ended: EndedRecords
    """what is over, for those who write down how it came about"""
    evaluators: Sequence[Evaluator]
    errands: ThreadPoolExecutor
    polls: ThreadPoolExecutor
    minutely: Mapping[str, Callable[[], None]]
    """what is to be done once a minute, by name"""


def build_batch(
    *,
    settings: Settings,
    addresses: Addresses,
    database: Engine,
    accounts: AccountsService,
    authority: Authority,
    fleet: FleetService,
    contents: ImageContents,
    clock: Clock,
    meter: Meter,
    telling: Telling,
) -> Batch:
    """Make the batch subject over `database`, with its files in `home/batch`."""
    create_all(database)
    terms = Terms(
        lease=timedelta(seconds=settings.batch.lease_seconds),
        limits={name.lower(): most for name, most in settings.batch.concurrency_limits.items()},
    )
    queue = EmbeddedQueue(database=database, clock=clock, terms=terms)
    policy_records = PolicyRecords(database=database)
    # Several, so that a submit that is slow to look at does not delay the ends of others' jobs, or their starts.
    at_exit, every_minute, at_match = Evaluator(), Evaluator(), Evaluator()
    fleet_records = FleetRecords(database=database)
    matcher = Matcher(evaluator=at_match)
    together = Together(database=database)
    leases = MeteredLeases(
        meter=meter,
        database=database,
        together=together,
        clock=clock,
        terms=terms,
        policies=ExitPolicies(records=policy_records, evaluator=at_exit, clock=clock),
        accepts=WorkerMatch(matcher=matcher, kind_of=lambda worker: kind_of(fleet_records, worker)),
    )
    if settings.batch.engine == "embedded":
        queue.resume()  # agents could not renew their leases while we were away
    invitation = timedelta(seconds=settings.batch.register_seconds)
    register = Register(database=database, clock=clock, terms=terms, invitation=invitation, together=together)
    records = Records(database=database)
    spool = FolderSpool(directory=settings.home / "batch" / "spool")
    spool.sweep()
    logs = LogFolder(directory=settings.home / "batch" / "logs")
    bell = Bell()
    vospace = addresses.guest_url.removeprefix("https://")

    def issue_token(owner: PersonId, lifetime: timedelta, label: str) -> tuple[str, str]:
        issued = accounts.issue_token(
            owner, kind=TokenKind.JOB, lifetime=lifetime, label=label, scopes=JOB_SCOPES
        )
        return issued.secret, issued.token.id

    hardware = HardwareRecords(database=database, clock=clock)
    credentials = JobCredentials(
        people=accounts,
        issue_token=issue_token,
        revoke_token=lambda owner, reference: accounts.revoke_token(owner, TokenId(reference)),
        issue_certificate=lambda name, lifetime, job: authority.issue_client(
            name, lifetime, scopes=JOB_SCOPES, job=True, of=job
        ),
        vospace=vospace,
        clock=clock,
    )
    enrolment = CloudInitEnrolment(
        register=register,
        guest_url=lambda cloud: fleet.settings(cloud).guest_url,
        ca_pem=authority.ca_pem,
        vospace=vospace,
        gateway=lambda cloud: guest_gateway(fleet.settings(cloud).guest_url, addresses),
        warm=settings.batch.warm_workers,
    )
    genuine = ImageCheck(
        manifest=contents.manifest,
        has=contents.has,
        turn_away=lambda worker, why: fleet_records.set(worker, reason_code=WRONG_IMAGE, reason=why),
    )
    condor = None
    if settings.batch.engine == "htcondor":
        condor = build_condor(
            settings=settings,
            database=database,
            clock=clock,
            queue=queue,
            register=register,
            spool=spool,
            logs=logs,
            bell=bell,
            platform=fleet_records.mark(),
            credentials=credentials,
            hardware=hardware,
            reach=lambda cloud: Reach(
                url=fleet.settings(cloud).guest_url,
                ca_pem=authority.ca_pem,
                gateway=guest_gateway(fleet.settings(cloud).guest_url, addresses),
            ),
            secret=telling.secret,
            genuine=genuine,
        )
    engine = condor.engine if condor else queue
    # Errands may last (an image is copied); polls of clouds may hang. Neither may keep the other waiting.
    errands = ThreadPoolExecutor(max_workers=32, thread_name_prefix="worker-boot")
    polls = ThreadPoolExecutor(max_workers=32, thread_name_prefix="cloud-poll")
    book = NoticeBook(database=database)
    notices = Notices(
        book=book,
        people=accounts,
        clock=clock,
        sending=telling.sending,
        notify=lambda person, kind, facts, event: telling.notices.notify(person, kind, facts, event=event),
        to_others=settings.mail.to_others,
    )
    calls = Calls(bell=bell, clock=clock)
    load = Load(records=LoadRecords(database=database), people=accounts, clock=clock)
    inspecting = Inspecting(
        demand=engine.demand,
        has=contents.has,
        look=lambda project, image: contents.look(accounts.project(project), image, anew=True),
        clock=clock,
    )
    draining = Draining(database=database, clouds=fleet, clock=clock)
    usage = UsageRecords(database=database)
    return Batch(
        notices=notices,
        reports=Reports(
            usage=usage,
            outbox=telling.outbox,
            secret=telling.secret,
            records=records,
            people=accounts,
        ),
        board=Board(
            records=records,
            board=BoardRecords(database=database),
            people=accounts,
            clock=clock,
            forecaster=Forecaster(clouds=fleet, records=fleet_records, matcher=matcher, clock=clock),
            load=load,
        ),
        service=BatchService(
            engine=engine,
            records=records,
            warn=notices.warnings,
            fleet_records=fleet_records,
            spool=spool,
            files=Holdings(spool=spool, records=HoldingRecords(database=database)),
            logs=logs,
            clouds=fleet,
            people=accounts,
            clock=clock,
            bell=bell,
            matcher=matcher,
            waits=queue.waits,
            stir=calls.stir,
        ),
        agents=AgentService(
            queue=queue,
            register=register,
            leases=leases,
            checkpoints=Checkpoints(database=database, clock=clock),
            spool=spool,
            logs=logs,
            bell=bell,
            credentials=credentials,
            hardware=hardware,
            genuine=genuine,
            terms=terms,
        ),
        calls=calls,
        draining=draining,
        ledger=Ledger(
            records=fleet_records,
            people=accounts,
            prices=Prices(of=settings.batch.costs),
            budgets=settings.batch.budgets,
            clock=clock,
        ),
        usage=usage,
        ended=EndedRecords(database=database),
        scaler=Scaler(
            drained=draining.drained,
            workforce=engine,
            enrolment=condor.enrolment if condor else enrolment,
            clouds=fleet,
            people=accounts,
            records=fleet_records,
            matcher=matcher,
            clock=clock,
            bell=bell,
            run=errands.submit,
            ask=polls.submit,
            settings=ScalerSettings(
                idle=timedelta(seconds=settings.batch.idle_seconds),
                max_booting=settings.batch.booting_at_once,
                prices=Prices(of=settings.batch.costs),
                budgets=settings.batch.budgets,
                reserve=tuple(
                    Reserve(
                        project=one.project,
                        image=one.image,
                        flavor=one.flavor,
                        workers=one.workers,
                        cloud=CloudName(one.cloud) if one.cloud else None,
                    )
                    for one in settings.batch.reserve
                ),
                patience=Patience(register=timedelta(seconds=settings.batch.register_seconds)),
            ),
        ),
        queue=queue,
        condor=condor,
        policy_watch=PolicyWatch(
            records=policy_records,
            evaluator=every_minute,
            engine=Policing(database=database, clock=clock),
            clock=clock,
            bell=bell,
        ),
        evaluators=(at_exit, every_minute, at_match),
        errands=errands,
        polls=polls,
        minutely={"load": load.tick}
        | ({"images of jobs": inspecting.tick} if settings.batch.check_images else {}),
    )
