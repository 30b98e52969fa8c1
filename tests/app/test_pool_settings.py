"""The settings of an HTCondor pool, and what `armillary doctor` makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from armillary.app.doctor import pool_findings
from armillary.app.settings import load_settings
from armillary.base.errors import Invalid
from htcondor_pool import TRUST_DOMAIN, Pool
from htcondor_root import USER


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARMILLARY_HOME", str(tmp_path))
    return tmp_path


def test_the_engine_htcondor_says_what_it_needs_to_know(home: Path) -> None:
    (home / "armillary.toml").write_text('[batch]\nengine = "htcondor"\n[htcondor]\ntrust_domain = "pool"\n')
    with pytest.raises(Invalid, match=r"needs htcondor\.collector, htcondor\.token_file, htcondor\.key_file"):
        load_settings()


def test_without_the_engine_nobody_asks_for_a_pool(home: Path) -> None:
    assert pool_findings(load_settings()) == []


@pytest.mark.engines
@pytest.mark.timeout(300)
def test_doctor_asks_the_pool_itself(home: Path, htcondor_pool: Pool) -> None:
    (home / "token").write_text(htcondor_pool.token(USER) + "\n")
    (home / "armillary.toml").write_text(f"""
[batch]
engine = "htcondor"
[htcondor]
collector = "127.0.0.1:{htcondor_pool.port}"
trust_domain = "{TRUST_DOMAIN}"
token_file = "{home}/token"
key_file = "{htcondor_pool.signing_key}"
""")
    (finding,) = pool_findings(load_settings())
    assert (finding.ok, finding.detail) == (True, "schedd localhost of version 23.9.6 answers")

    (home / "token").unlink()
    (finding,) = pool_findings(load_settings())
    assert not finding.ok
    assert "token" in finding.detail
