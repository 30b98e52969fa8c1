"""The certificate authority."""

from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from armillary.accounts.certificates import Authority
from armillary.base.clock import VirtualClock
from armillary.base.errors import Unauthorized

HOSTS = ["localhost", "127.0.0.1", "::1"]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def authority(tmp_path: Path, clock: VirtualClock) -> Authority:
    return Authority(tmp_path / "ca", clock)


def der(pem: bytes) -> bytes:
    return x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)


def test_a_client_certificate_names_its_person(authority: Authority) -> None:
    assert authority.user_of(der(authority.issue_client("ada", timedelta(days=1)))) == "ada"


def test_an_expired_client_certificate_is_refused(authority: Authority, clock: VirtualClock) -> None:
    certificate = der(authority.issue_client("ada", timedelta(days=1)))
    assert authority.user_of(certificate) == "ada"  # seen before, it expires all the same
    clock.advance(timedelta(days=1, seconds=1))
    with pytest.raises(Unauthorized, match="expired"):
        authority.user_of(certificate)


def test_a_certificate_of_another_authority_is_refused(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other", VirtualClock())
    with pytest.raises(Unauthorized):
        authority.user_of(der(other.issue_client("ada", timedelta(days=1))))


def test_a_server_certificate_cannot_sign_in(authority: Authority) -> None:
    path, _ = authority.server_certificate(HOSTS)
    with pytest.raises(Unauthorized):
        authority.user_of(der(path.read_bytes()))


def test_rubbish_is_refused(authority: Authority) -> None:
    with pytest.raises(Unauthorized):
        authority.user_of(b"rubbish")


def test_a_jobs_certificate_carries_its_limits_and_is_no_full_sign_in(authority: Authority) -> None:
    certificate = der(
        authority.issue_client(
            "ada", timedelta(hours=1), scopes=frozenset({"vospace:read", "vospace:write"}), job=True
        )
    )
    identity = authority.identity_of(certificate)
    assert (identity.user_name, identity.is_job) == ("ada", True)
    assert identity.scopes == {"vospace:read", "vospace:write"}
    with pytest.raises(Unauthorized, match="limited"):
        authority.user_of(certificate)


def test_the_authority_survives_a_restart(authority: Authority, tmp_path: Path, clock: VirtualClock) -> None:
    certificate = der(authority.issue_client("ada", timedelta(days=1)))
    again = Authority(tmp_path / "ca", clock)
    assert again.ca_pem == authority.ca_pem
    assert again.user_of(certificate) == "ada"


def test_private_keys_are_for_their_owner_only(authority: Authority, tmp_path: Path) -> None:
    authority.server_certificate(HOSTS)
    for name in ("ca.key.pem", "server.key.pem", "server.pem"):
        assert stat.S_IMODE((tmp_path / "ca" / name).stat().st_mode) == 0o600


def test_a_server_certificate_is_kept_until_hosts_change_or_it_nears_its_end(
    authority: Authority, clock: VirtualClock
) -> None:
    first = authority.server_certificate(HOSTS)[0].read_bytes()
    assert authority.server_certificate(HOSTS)[0].read_bytes() == first
    second = authority.server_certificate([*HOSTS, "armillary.internal"])[0].read_bytes()
    assert second != first
    clock.advance(timedelta(days=380))
    assert authority.server_certificate([*HOSTS, "armillary.internal"])[0].read_bytes() != second
