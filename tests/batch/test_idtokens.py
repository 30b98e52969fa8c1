"""HTCondor's tokens, signed by us."""

from __future__ import annotations

import base64
import json

import pytest

from armillary.batch.engines.htcondor.tokens import idtoken, plain
from htcondor_pool import Pool


def claims(token: str) -> dict[str, object]:
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def signed(**changes: object) -> str:
    terms = {
        "key_id": "POOL",
        "issuer": "pool",
        "identity": "w@pool",
        "authz": ["READ"],
        "issued": 1000,
        "lifetime": 60,
        "token_id": "x",
    }
    return idtoken(b"secret", **{**terms, **changes})


def test_a_token_says_who_for_what_and_how_long() -> None:
    said = claims(signed(authz=["READ", "ADVERTISE_STARTD"]))
    assert (said["sub"], said["iss"], said["exp"]) == ("w@pool", "pool", 1060)
    assert said["scope"] == "condor:/READ condor:/ADVERTISE_STARTD"


def test_without_limits_it_has_no_scope() -> None:
    assert "scope" not in claims(signed(authz=[]))


def test_keys_are_scrambled_in_their_files() -> None:
    assert plain(plain(b"any bytes \0 at all")) == b"any bytes \0 at all"
    assert plain(b"\xde\xad\xbe\xef") == b"\0\0\0\0"


@pytest.mark.engines
@pytest.mark.timeout(300)  # the first one makes a Debian with HTCondor
def test_our_tokens_are_as_condor_token_create_makes_them(htcondor_pool: Pool) -> None:
    made = htcondor_pool.run(
        "condor_token_create", "-identity", "w@pool.test", "-authz", "READ", "-lifetime", "60"
    ).stdout.strip()
    said = claims(made)
    assert isinstance(said["iat"], int)
    ours = idtoken(
        htcondor_pool.key,
        key_id="POOL",
        issuer=str(said["iss"]),
        identity=str(said["sub"]),
        authz=["READ"],
        issued=said["iat"],
        lifetime=60,
        token_id=str(said["jti"]),
    )
    assert claims(ours) == said
    # HTCondor writes the same claims with other blanks and order, so that signatures differ; a daemon judges:
    token = htcondor_pool.token("armillary", authz=["READ"])
    asked = htcondor_pool.run(
        "sh",
        "-c",
        "mkdir -p /tmp/t && chmod 700 /tmp/t && cat > /tmp/t/token && chmod 600 /tmp/t/token && condor_ping READ",
        env={
            "_CONDOR_SEC_TOKEN_DIRECTORY": "/tmp/t",
            "_CONDOR_SEC_CLIENT_AUTHENTICATION_METHODS": "IDTOKENS",
        },
        given=token,
    )
    assert "READ command using" in asked.stdout, asked.stdout + asked.stderr
