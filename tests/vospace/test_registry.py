"""Where clients find our services: the registry, and what each service says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from armillary.accounts.api import Authenticator, people_services
from armillary.accounts.certificates import Authority
from armillary.accounts.service import AccountsService, AccountsStore
from armillary.app.database import make_engine
from armillary.base.clock import VirtualClock
from armillary.vospace.api import Settings, router
from armillary.vospace.service import JobService, VOSpaceService

STD = "ivo://ivoa.net/std"
XSI = "{http://www.w3.org/2001/XMLSchema-instance}type"
AVAILABILITY = "{http://www.ivoa.net/xml/VOSIAvailability/v1.0}"
BASE = "https://observatory.example:8443"


@pytest.fixture
def http(
    space: VOSpaceService, jobs: JobService, tmp_path: Path, clock: VirtualClock
) -> Iterator[TestClient]:
    engine = make_engine(f"sqlite:///{tmp_path}/accounts.db", durable=False)
    store = AccountsStore(engine=engine)
    store.create_all()
    accounts = AccountsService(store=store, clock=clock)
    authority = Authority(tmp_path / "ca", clock)
    authenticator = Authenticator(service=accounts, certificates=authority)
    app = FastAPI()
    app.include_router(
        people_services(
            service=accounts, authenticator=authenticator, issuer=authority, authority="observatory.example"
        )
    )
    settings = Settings(authority="observatory.example")
    app.include_router(router(service=space, jobs=jobs, authenticator=authenticator, settings=settings))
    with TestClient(app, base_url=BASE, follow_redirects=False) as client:
        yield client
    engine.dispose()


def registry(http: TestClient) -> dict[str, str]:
    lines = http.get("/reg/resource-caps").text.splitlines()
    pairs = (line.split(" = ") for line in lines if not line.startswith("#"))
    return dict(pairs)


def interfaces(http: TestClient, address: str) -> dict[str, ET.Element]:
    """The interface of each standard that a service implements."""
    reply = http.get(address)
    assert reply.headers["content-type"].startswith("text/xml")
    root = ET.fromstring(reply.content)
    assert root.tag == "{http://www.ivoa.net/xml/VOSICapabilities/v1.0}capabilities"
    found: dict[str, ET.Element] = {}
    for capability in root.iterfind("capability"):
        (interface,) = capability.iterfind("interface")
        found[capability.attrib["standardID"]] = interface
    return found


def test_each_service_is_known_under_each_name_that_clients_type(http: TestClient) -> None:
    known = registry(http)
    for owner in ("observatory.example", "cadc.nrc.ca", "opencadc.org"):
        for name in ("vault", "arc", "cavern", "gms", "ac", "cred", "reg"):
            service = "arc" if name == "cavern" else name
            assert known[f"ivo://{owner}/{name}"] == f"{BASE}/{service}/capabilities"


def test_services_say_where_to_ask_what_and_all_of_it_is_there(http: TestClient) -> None:
    for address in set(registry(http).values()):
        for standard, interface in interfaces(http, address).items():
            assert interface.attrib[XSI] == "vs:ParamHTTP"
            url = interface.findtext("accessURL") or ""
            assert url.startswith(f"{BASE}/"), standard
            below = "/x" if standard.endswith(("#users-0.1", "#groups-0.1")) else ""
            assert http.get(url + below).status_code != 404, url


def test_services_say_that_they_are_available(http: TestClient) -> None:
    for address in set(registry(http).values()):
        url = interfaces(http, address)[f"{STD}/VOSI#availability"].findtext("accessURL") or ""
        root = ET.fromstring(http.get(url).content)
        assert root.tag == f"{AVAILABILITY}availability"
        assert root.findtext(f"{AVAILABILITY}available") == "true"


def test_the_group_service_has_the_standards_that_its_clients_look_for(http: TestClient) -> None:
    for name in ("gms", "ac"):
        found = interfaces(http, f"/{name}/capabilities")
        assert {
            f"{STD}/GMS#search-1.0",  # the stock client's
            f"{STD}/gms#search-1.0",  # the text of GMS 1.0
            f"{STD}/UMS#login-0.1",
            f"{STD}/UMS#whoami-0.1",
        } <= found.keys()
        methods = [m.get("standardID") for m in found[f"{STD}/GMS#search-1.0"].iterfind("securityMethod")]
        assert methods == [
            f"ivo://ivoa.net/sso#{method}"
            for method in ("tls-with-certificate", "cookie", "token", "BasicAA")
        ]
        login = found[f"{STD}/UMS#login-0.1"]
        assert [m.attrib for m in login.iterfind("securityMethod")] == [{}]


def test_certificates_are_for_those_with_a_password(http: TestClient) -> None:
    interface = interfaces(http, "/cred/capabilities")[f"{STD}/CDP#proxy-1.0"]
    methods = [m.get("standardID") for m in interface.iterfind("securityMethod")]
    assert "ivo://ivoa.net/sso#BasicAA" in methods
    assert None not in methods


def test_strangers_may_look_at_what_is_public(http: TestClient) -> None:
    for name in ("vault", "arc"):
        interface = interfaces(http, f"/{name}/capabilities")[f"{STD}/VOSpace/v2.0#nodes"]
        assert None in [m.get("standardID") for m in interface.iterfind("securityMethod")]
