"""How the stock clients find us and say who they are: names, certificates, passwords, tokens, trust."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import certifi
import httpx2
import pytest
from space_clients import Space, Terminal

from armillary.accounts.certificates import Authority
from armillary.base.clock import VirtualClock

pytestmark = pytest.mark.interop


def test_the_tree_has_all_the_names_that_people_type(ada: Terminal, space: Space) -> None:
    space.put("/home/ada/names/found.txt", b"1")
    for name in (
        "vos:", "vault:", "arc:", "cavern:",
        "vos://armillary.example~vault/", "vos://armillary.example!arc/", "vos://armillary.example~cavern/",
        "vos://cadc.nrc.ca~vault/", "vos://opencadc.org!arc/",
    ):  # fmt: skip
        assert ada.out("vls", f"{name}home/ada/names").split() == ["found.txt"], name


def test_a_local_service_has_the_names_of_local_services(ada: Terminal, space: Space) -> None:
    space.put("/home/ada/names/found.txt", b"1")
    env = {"LOCAL_VOSPACE_WEBSERVICE": space.host}
    ada.forget("VOSPACE_WEBSERVICE")
    for name in ("vos:", "arc:", "cavern:", "vos://armillary.example~vault/"):
        assert ada.out("vls", f"{name}home/ada/names", env=env).split() == ["found.txt"], name


def test_a_name_that_nobody_has_is_refused_with_those_that_there_are(ada: Terminal) -> None:
    assert "ivo://armillary.example/vault" in ada.refused("vls", "vos://somebody.else~vault/home/ada")


def test_cadc_get_cert_with_a_password_then_vcp(terminal: Terminal, space: Space, face: str) -> None:
    terminal.netrc()
    said = terminal("cadc-get-cert", "-n", "--host", space.host, "--days-valid", "7", warm=False).stdout
    assert "7 day certificate saved" in said
    (terminal.home / ".netrc").unlink()
    terminal.file("a.txt", b"by certificate")
    terminal("vcp", "a.txt", f"{face}:home/ada/by-certificate-{face}.txt")
    assert "PermissionDenied" in terminal.refused("vcp", "a.txt", f"{face}:home/bob/by-certificate.txt")


def test_cadc_get_cert_takes_another_netrc_and_another_place(terminal: Terminal, space: Space) -> None:
    terminal.netrc(login="bob")
    other = (terminal.home / ".netrc").rename(terminal.home / "passwords")
    words = ("--netrc-file", str(other), "--host", space.host, "--cert-filename", "here/mine.pem", "-q")
    assert terminal.out("cadc-get-cert", *words).strip() == ""
    space.put("/home/bob/mine.txt", b"bob's", who="bob")
    assert terminal.out("vls", "--certfile", "here/mine.pem", "vos:home/bob").split() == ["mine.txt"]


def test_a_wrong_password_is_refused(terminal: Terminal, space: Space) -> None:
    terminal.netrc("wrong", login="carl")  # who nobody else is here: after a wrong password one has to wait
    said = terminal("cadc-get-cert", "-n", "--host", space.host).stderr  # it fails with exit status 0
    assert "invalid username/password" in said
    assert not (terminal.home / ".ssl" / "cadcproxy.pem").exists()
    assert "password" in terminal.refused("vls", "vos:home/carl")


def test_a_password_in_netrc_is_enough(terminal: Terminal, space: Space, face: str) -> None:
    terminal.netrc()
    terminal.file("a.txt", b"by password")
    terminal("vcp", "a.txt", f"{face}:home/ada/by-password-{face}.txt")
    terminal("vcp", f"{face}:home/ada/by-password-{face}.txt", "b.txt")
    terminal("vmv", f"{face}:home/ada/by-password-{face}.txt", f"{face}:home/ada/moved-{face}.txt")
    terminal("vrm", "-R", f"{face}:home/ada/moved-{face}.txt")
    assert (terminal.home / "b.txt").read_bytes() == b"by password"


def test_a_token_is_enough_for_what_it_is_for(terminal: Terminal, space: Space, face: str) -> None:
    space.put("/home/ada/for-token.txt", b"token")
    token = space.token("vospace:read")
    terminal("vcp", "--token", token, f"{face}:home/ada/for-token.txt", "t.txt")
    assert (terminal.home / "t.txt").read_bytes() == b"token"
    refused = f"{face}:home/ada/not-with-this-token.txt"
    assert "PermissionDenied" in terminal.refused("vcp", "--token", token, "t.txt", refused)
    assert "This token is not known" in terminal.refused("vls", "--token", "nonsense", f"{face}:home/ada")


def test_a_jobs_certificate_reaches_its_owners_home_only(terminal: Terminal, space: Space) -> None:
    scopes = frozenset({"vospace:read", "vospace:write"})
    pem = space.authority.issue_client("ada", timedelta(hours=1), scopes=scopes, job=True)
    terminal.file(".ssl/cadcproxy.pem", pem)
    terminal.file("j.cat", b"catalogue")
    terminal("vmkdir", "-p", "vos:home/ada/results/m51")
    terminal("vcp", "j.cat", "vos:home/ada/results/m51/j.cat")
    assert "PermissionDenied" in terminal.refused("vls", "vos:home/bob")


def test_an_expired_certificate_is_called_so(terminal: Terminal, space: Space) -> None:
    clock = VirtualClock(datetime(2020, 1, 1, tzinfo=UTC))
    expired = Authority(space.authority.ca_path.parent, clock).issue_client("ada", timedelta(days=1))
    terminal.file(".ssl/cadcproxy.pem", expired)
    said = terminal.refused("vls", "vos:home/ada")
    assert "certificate has expired" in said
    assert "NotAuthenticated" in said


def test_with_our_authority_in_certifi_no_flag_is_needed_and_without_it_no_client_talks_to_us(
    terminal: Terminal, space: Space
) -> None:
    terminal.sign_in()
    space.put("/home/ada/trust/found.txt", b"1")
    refused = terminal("vls", "vos:home/ada/trust", verified=True, warm=False, ok=False)
    assert "Cannot get content from https://" in refused.stderr  # it says no more
    # what `cat ca.pem >> $(python -m certifi)` does, to a copy
    own = terminal.home / "packages" / "certifi"
    shutil.copytree(Path(certifi.__file__).parent, own)
    bundle = own / "cacert.pem"
    bundle.write_bytes(bundle.read_bytes() + b"\n" + space.authority.ca_pem)
    env = {"PYTHONPATH": str(own.parent)}
    done = terminal("vls", "vos:home/ada/trust", env=env, verified=True, warm=False)
    assert done.stdout.split() == ["found.txt"]


def test_without_tls_after_the_registry_was_told_once(terminal: Terminal, space: Space, face: str) -> None:
    """The client asks the registry over TLS only; a copy of its answer, laid where the client keeps it, serves."""
    terminal.file("a.txt", b"plain")
    known = terminal.home / ".config" / "cadc-registry" / "alt-domains" / space.plain_host
    known.mkdir(parents=True)
    answer = httpx2.get(f"http://{space.plain_host}/reg/resource-caps", trust_env=False, timeout=60)
    (known / "resource-caps").write_text(answer.text)
    env = {"VOSPACE_WEBSERVICE": space.plain_host}
    token = space.token()
    terminal("vcp", "--token", token, "a.txt", f"{face}:home/ada/plain-{face}.txt", env=env)
    terminal("vcp", "--token", token, f"{face}:home/ada/plain-{face}.txt", "b.txt", env=env)
    assert (terminal.home / "b.txt").read_bytes() == b"plain"
