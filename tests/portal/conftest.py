from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from batch_desk import BatchDesk
from fastapi.testclient import TestClient
from machine_desk import a_machinery
from portal_visitor import ALLOCATION, PASSWORD, REGISTRATION, TRIES, Browser

from armillary.accounts.certificates import Authority
from armillary.accounts.core.addresses import AddressPolicy
from armillary.accounts.model import Project
from armillary.accounts.passwords import Passwords
from armillary.accounts.service import AccountsService, AccountsStore
from armillary.accounts.trail import Trail
from armillary.accounts.turnstile import Attempt
from armillary.app.database import make_engine
from armillary.app.wiring_crates import Crates, build_crates
from armillary.app.wiring_inside import build_inside
from armillary.base.clock import SystemClock
from armillary.base.units import GiB
from armillary.crates.record import LineageStep
from armillary.fleet.fake import FakeCloud, fake_fleet
from armillary.fleet.service import FleetService
from armillary.notices.announcements import Announcements
from armillary.notices.model import Channel
from armillary.notices.service import Notices
from armillary.notices.tables import create_all as create_notices
from armillary.portal.app import create_portal
from armillary.portal.chores import Chores
from armillary.portal.inside.relay import Bounds
from armillary.portal.keys import KeyRing
from armillary.portal.machinery import Machinery
from armillary.portal.office import Office
from armillary.portal.oidc import Provider
from armillary.portal.shelf import Shelf
from armillary.portal.use_records import UseRecords
from armillary.provenance.clerk import Clerk, Place
from armillary.provenance.doi import Registrar
from armillary.provenance.freezing import Freezes
from armillary.provenance.keys import PlatformKeys
from armillary.provenance.service import Provenance
from armillary.provenance.store import RecordStore
from armillary.provenance.store import create_all as create_provenance
from armillary.vospace.bytes.memory import MemoryBytes
from armillary.vospace.service import Bins, Links, VOSpaceService
from armillary.vospace.service.views import Views
from armillary.vospace.store import SqlLinkRecords, SqlRecords
from armillary.vospace.store import create_all as create_vospace
from armillary.vospace.views.runners import InlineRunner


@pytest.fixture
def clock() -> SystemClock:
    return SystemClock()


@pytest.fixture
def accounts(tmp_path: Path, clock: SystemClock) -> AccountsService:
    store = AccountsStore(engine=make_engine(f"sqlite:///{tmp_path}/accounts.db", durable=False))
    store.create_all()
    quick = Passwords(time_cost=1, memory_cost=8, parallelism=1)
    policy = AddressPolicy(most=TRIES)  # test clients have no address, unless they say one
    addresses = {Attempt.PROOF: policy, Attempt.REQUEST: policy}
    return AccountsService(store=store, clock=clock, passwords=quick, addresses=addresses)


@pytest.fixture
def clouds(clock: SystemClock) -> list[FakeCloud]:
    clouds = [FakeCloud(name="east", clock=clock, number=16), FakeCloud(name="west", clock=clock, number=17)]
    clouds[0].add_image("debian-12", b"disk", properties={"os_admin_user": "debian"})
    return clouds


@pytest.fixture
def fleet(clouds: list[FakeCloud], clock: SystemClock) -> FleetService:
    return fake_fleet(clock=clock, clouds=clouds)


@pytest.fixture
def desk(accounts: AccountsService, fleet: FleetService, clock: SystemClock, tmp_path: Path) -> BatchDesk:
    return BatchDesk(accounts=accounts, fleet=fleet, clock=clock, directory=tmp_path)


@pytest.fixture
def vospace(accounts: AccountsService, clock: SystemClock, tmp_path: Path) -> VOSpaceService:
    engine = make_engine(f"sqlite:///{tmp_path}/vospace.db", durable=False)
    create_vospace(engine)
    return VOSpaceService(
        records=SqlRecords(engine),
        bytes_=MemoryBytes(),
        clock=clock,
        authorities=["armillary.example/vault"],
        groups=accounts.groups_of,
        quota=lambda _: GiB(1),
    )


@pytest.fixture
def shelf(accounts: AccountsService, vospace: VOSpaceService, tmp_path: Path) -> Iterator[Shelf]:
    views = Views(files=vospace, runner=InlineRunner())
    engine = make_engine(f"sqlite:///{tmp_path}/vospace.db", durable=False)
    links = Links(
        space=vospace,
        records=SqlLinkRecords(engine),
        holder=lambda person: accounts.holder(person, ""),
    )
    yield Shelf(views=views, bins=Bins(space=vospace), links=links)
    views.close()
    engine.dispose()


@pytest.fixture
def office(accounts: AccountsService, desk: BatchDesk, clock: SystemClock, tmp_path: Path) -> Office:
    """Notices and announcements, with mail and POSTs set up and nobody who sends them."""
    database = make_engine(f"sqlite:///{tmp_path}/notices.db", durable=False)
    create_notices(database)
    notices = Notices(
        database=database,
        people=accounts,
        clock=clock,
        channels=frozenset({Channel.MAIL, Channel.URL}),
        secret=b"secret",
    )
    trail = Trail(database=database, clock=clock, kept=timedelta(days=365), most=1000)
    trail.create_all()
    use = UseRecords(engine=database)
    use.create_all()
    return Office(
        notices=notices,
        announcements=Announcements(database=database, clock=clock),
        trail=trail,
        draining=desk.draining,
        reports=desk.reports,
        ledger=desk.ledger,
        use=use,
    )


@pytest.fixture
def machinery(
    accounts: AccountsService, fleet: FleetService, office: Office, clock: SystemClock, tmp_path: Path
) -> Iterator[Machinery]:
    """What looks after machines."""
    made = a_machinery(
        records=f"sqlite:///{tmp_path}/machines.db",
        accounts=accounts,
        fleet=fleet,
        notices=office.notices,
        clock=clock,
        packages={hashlib.sha512(b"disk").hexdigest(): {"cloud-init": "22.4.2-1", "python3": "3.11.2-1"}},
        folder=tmp_path / "manifests",
    )
    yield made
    made.roster.close()


@pytest.fixture
def bounds() -> Bounds:
    """How long a session inside of a machine lasts."""
    return Bounds(look=0.1)


@pytest.fixture
def provider() -> Provider | None:
    """Of OpenID Connect: none, but where tests say so."""
    return None


@pytest.fixture
def provenance(desk: BatchDesk, vospace: VOSpaceService, clock: SystemClock, tmp_path: Path) -> Provenance:
    """Records of what the desk's jobs did."""
    database = make_engine(f"sqlite:///{tmp_path}/provenance.db", durable=False)
    create_provenance(database)
    store = RecordStore(database=database, big=desk.spool)
    keys = PlatformKeys(folder=tmp_path / "keys", published=store, clock=clock)
    clerk = Clerk(
        endings=desk.ended,
        store=store,
        witness=vospace.witness,
        mark=vospace.mark,
        lineage=lambda _project, sha512: [LineageStep(kind="upload", name="my-snapshot", sha512=sha512)],
        signer=keys,
        clock=clock,
        place=Place(platform="http://localhost", authority="armillary.example~vault"),
    )
    return Provenance(
        store=store,
        jobs=desk.service,
        space=vospace,
        keys=keys,
        authority="armillary.example~vault",
        write_down=clerk.tick,
    )


@pytest.fixture
def registrar() -> Registrar | None:
    """Of DOIs: none, but where tests say so."""
    return None


@pytest.fixture
def crates(
    provenance: Provenance,
    desk: BatchDesk,
    vospace: VOSpaceService,
    fleet: FleetService,
    accounts: AccountsService,
    clock: SystemClock,
    tmp_path: Path,
    registrar: Registrar | None,
) -> Crates:
    """What carries jobs away and keeps them."""
    return build_crates(
        provenance=provenance,
        batch=desk.service,
        vospace=vospace,
        fleet=fleet,
        accounts=accounts,
        platform="http://localhost",
        database=make_engine(f"sqlite:///{tmp_path}/frozen.db", durable=False),
        clock=clock,
        registrar=registrar,
    )


@pytest.fixture
def freezes(crates: Crates) -> Freezes:
    """What is kept for ever."""
    return crates.freezes


@pytest.fixture
def chores(clock: SystemClock) -> Chores:
    """Work of pages, done at once."""
    return Chores(clock=clock, run=lambda work: work())


@pytest.fixture
def client(
    accounts: AccountsService,
    fleet: FleetService,
    desk: BatchDesk,
    vospace: VOSpaceService,
    shelf: Shelf,
    office: Office,
    machinery: Machinery,
    bounds: Bounds,
    provider: Provider | None,
    provenance: Provenance,
    crates: Crates,
    chores: Chores,
    clock: SystemClock,
    tmp_path: Path,
) -> TestClient:
    records = make_engine(f"sqlite:///{tmp_path}/portal.db", durable=False)
    keys = KeyRing(engine=records, clock=clock)
    keys.create_all()
    inside = build_inside(
        database=records,
        accounts=accounts,
        fleet=fleet,
        authority=Authority(tmp_path / "authority", clock),
        clock=clock,
        pattern="http://*.localhost:8090",
        bounds=bounds,
    )
    portal = create_portal(
        office=office,
        accounts=accounts,
        fleet=fleet,
        machinery=machinery,
        batch=desk.service,
        board=desk.board,
        vospace=vospace,
        shelf=shelf,
        keys=keys,
        inside=inside,
        clock=clock,
        provider=provider,
        provenance=provenance,
        archive=crates.archive(chores),
    )
    return TestClient(portal, base_url="http://localhost:8080")


@pytest.fixture
def stranger(client: TestClient) -> Browser:
    """Somebody who is not signed in."""
    return Browser(client)


@pytest.fixture
def project(accounts: AccountsService) -> Project:
    """The project `galaxies` of ada."""
    fields = {k: REGISTRATION[k] for k in ("user_name", "full_name", "email", "institute", "password")}
    application = accounts.register(
        **fields, project_name="galaxies", requested=ALLOCATION, reason="To count galaxies."
    )
    accounts.bootstrap_admin()
    admin = accounts.person_named("admin")
    accounts.set_password(admin.id, PASSWORD)
    return accounts.approve(application.id, by=admin.id)


@pytest.fixture
def ada(client: TestClient, project: Project) -> Browser:
    """A member of `galaxies`, signed in."""
    return Browser(client).sign_in("ada")


@pytest.fixture
def outsider(accounts: AccountsService, project: Project) -> str:
    """The user name of somebody with a project of their own, who has nothing to do with `galaxies`."""
    application = accounts.register(
        user_name="eve",
        full_name="Eve",
        email="eve@example.org",
        institute="Elsewhere",
        password=PASSWORD,
        project_name="comets",
        requested=ALLOCATION,
        reason="To look.",
    )
    accounts.approve(application.id, by=accounts.person_named("admin").id)
    return "eve"


@pytest.fixture
def admin(client: TestClient, project: Project) -> Browser:
    """An administrator of the platform, signed in."""
    return Browser(client).sign_in("admin")
