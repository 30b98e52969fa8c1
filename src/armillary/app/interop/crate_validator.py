"""The community's validator of RO-Crates (`roc-validator` of PyPI), in an environment of its own, without a network."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from armillary.app.interop.private import PrivateEnvironment, Say
from armillary.base.errors import Unavailable

VERSION = "0.13.0"
Severity = Literal["required", "recommended", "optional"]
_CONTEXTS = "rocrate==0.14.0"
"""Brings the JSON-LD context of RO-Crate 1.1 along. The validator looks it up by its address, in its cache first."""
_SCRIPT = """\
import io, json, sys
from importlib.metadata import distribution
from requests import Response
from requests.adapters import BaseAdapter
from requests_cache import CachedSession
from rocrate_validator.models import Severity
from rocrate_validator.services import ValidationSettings, validate
from urllib3 import HTTPResponse

class Packaged(BaseAdapter):
    def send(self, request, **_):
        response = Response()
        response.status_code, response.url, response.request = 200, request.url, request
        response.headers["Content-Type"] = "application/ld+json"
        response.raw = HTTPResponse(io.BytesIO(body), headers=response.headers, status=200, preload_content=False)
        return response
    def close(self):
        pass

crate, profile, severity, cache = sys.argv[1:]
body = distribution("rocrate").locate_file("rocrate/data/ro-crate.jsonld").read_bytes()
session = CachedSession(cache_name=cache, backend="sqlite", expire_after=-1)
session.mount("https://", Packaged())
session.get(json.loads(body)["@id"]).raise_for_status()
session.close()
settings = {"rocrate_uri": crate, "profile_identifier": profile, "requirement_severity": Severity.get(severity),
            "offline": True, "cache_path": cache}
found = validate(ValidationSettings.parse(settings))
report = {"passed": found.passed(), "checks": len(found.executed_checks), "skipped": found.skipped_checks_count,
          "issues": [f"{one.check.name}: {one.message}" for one in found.get_issues()]}
print(json.dumps(report))
"""
"""Python for its environment. Its command line can not report on a zip in JSON."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What the validator found. `issues` are its own sentences, each with the name of the check."""

    passed: bool
    checks: int
    issues: Sequence[str]


class CrateValidator:
    """The validator, installed under `cache` once for all runs."""

    def __init__(self, *, cache: Path, say: Say) -> None:
        self._own = PrivateEnvironment(
            cache=cache,
            name="roc-validator",
            wanted=f"roc-validator=={VERSION}",
            also=_CONTEXTS,
            constraints="ro_crate_constraints.txt",
        )
        self._say = say

    def install(self) -> None:
        """Install it if it is not there. Raises Unavailable: pip could not."""
        self._own.install(self._say)

    def judge(
        self,
        crate: Path,
        *,
        scratch: Path,
        profile: str = "process-run-crate",
        severity: Severity = "required",
    ) -> Judgement:
        """Check a crate, a folder or a zip, offline; what is kept meanwhile goes to `scratch`.

        Raises:
            Unavailable: the validator itself could not run.
        """
        command = [self._own.program("python"), "-c", _SCRIPT, crate, profile, severity.upper()]
        ran = subprocess.run([*command, scratch / "contexts"], capture_output=True, text=True, check=False)
        last = (ran.stdout.splitlines() or [""])[-1]
        if ran.returncode or not last.startswith("{"):
            raise _failed((ran.stdout + ran.stderr).strip()[-800:])
        found: dict[str, Any] = json.loads(last)
        if found["skipped"] or not found["checks"]:
            raise _failed(f"{found['skipped']} checks were left out, and {found['checks']} made")
        return Judgement(passed=found["passed"], checks=found["checks"], issues=found["issues"])


def _failed(why: str) -> Unavailable:
    return Unavailable(
        f"roc-validator did not run: {why}", code="validator_failed", remedy="the last line above says why"
    )
