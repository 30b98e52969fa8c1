"""Stands beside a job that HTCondor runs, as its user and in its scratch: `beside.pyz prepare CONFIG`, then `attend CONFIG PID`.

Before that, as root, `join CONFIG FILE` gets the token with which the machine joins the pool.

`prepare` gets what the job acts with in its owner's name and its `vos:` inputs, before the program begins; `attend`
keeps that fresh, shows what the job prints while it prints it, and answers calls into it, until the job has ended.
Both act by a key that came with the job's input files, and is good for this job only and while it runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import ssl
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from armillary.guest.agent import measuring, staging
from armillary.guest.agent.basics import (
    PATH,
    Fault,
    Json,
    Refused,
    Unreachable,
    hardware,
    now,
    say,
    write_private,
)
from armillary.guest.agent.calls import Calls
from armillary.guest.agent.keeping import Keeping
from armillary.guest.agent.server import Server
from armillary.guest.agent.streams import Streams

KEY, OWN = ".armillary-key", ".armillary"
"""In the scratch: the key as it came, and the folder of ours, which HTCondor does not send back."""
PATIENCE = 600.0
"""Seconds in which the platform must answer before a job is put on hold."""
NOT_YET = "job_not_begun"
"""The platform has not heard from the schedd yet that the job runs here."""
NOT_MEASURED = "image_not_measured"
"""Somebody looked into our image between our two calls: now there are questions."""
PULSE = 1.0
RENEW_SECONDS = 300.0
_STARTED = re.compile(rb"^JobCurrentStartDate\s*=\s*(\d+)", re.MULTILINE)


def main(arguments: list[str] | None = None) -> int:
    """Do one of the two; return the exit status. The last line of standard error says why."""
    arguments = sys.argv[1:] if arguments is None else arguments
    what, config_path = arguments[:2]
    try:
        config: Json = json.loads(Path(config_path).read_text())
        patience = float(config.get("patience") or PATIENCE)
        if what == "join":
            join(config, Path(arguments[2]), patience=patience)
            return 0
        scratch = Path(os.environ["_CONDOR_SCRATCH_DIR"])
        if what == "attend":
            Attending(scratch=scratch, config=config, job=int(arguments[2])).run()
        else:
            prepare(scratch, config, patience=patience)
    except Fault as fault:
        say(str(fault))
        return 1
    except (OSError, ValueError, KeyError) as error:
        say(f"{type(error).__name__}: {error}")
        return 1
    return 0


def _server(config: Json, key: str, room: str = "pool/") -> Server:
    pem = Path(config["ca_file"]).read_text() if config.get("ca_file") else None
    server = Server(url=config["url"], ca_pem=pem, room=room)
    server.session_key = key
    return server


def join(config: Json, token_file: Path, *, patience: float) -> None:
    """Show what this machine is made of, and get its token of the pool. Raises Fault, OSError."""
    asking, joining = _server(config, "", room=""), _server(config, "")
    body: Json = {"bootstrap_token": config["bootstrap_token"]}

    def measure_and_join() -> Json:
        questions = asking.call("probe", body).get("questions")
        root = Path(config.get("image_root") or "/")
        measured = measuring.measure(questions, root) if questions else None
        return joining.call("join", {**body, "measured": measured})

    answer = _patiently(measure_and_join, passing=NOT_MEASURED, what="this machine join", patience=patience)
    write_private(token_file, str(answer["token"]), durable=False)


def prepare(scratch: Path, config: Json, *, patience: float) -> None:
    """Make the job's place ready. Raises Fault, OSError."""
    own = scratch / OWN
    (own / "home" / ".ssl").mkdir(mode=0o700, parents=True)
    key = (scratch / KEY).read_text().strip()
    (scratch / KEY).unlink()
    started = _STARTED.search(Path(os.environ["_CONDOR_JOB_AD"]).read_bytes())
    body: Json = {"run": int(started[1]) if started else 0}
    server = _server(config, key)
    asked = {**body, "machine": hardware()}
    begun = _patiently(
        lambda: server.call("start", asked), passing=NOT_YET, what="the job begin", patience=patience
    )
    begun["key"] = key
    write_private(own / "begun", json.dumps(begun), durable=False)
    variables = _variables(begun, own, config)
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
    write_private(own / "variables", "".join(lines), durable=False)
    put_credential(own, begun, variables)
    environment = {**os.environ, **variables}
    try:
        for source in begun["fetch"]:
            _fetch(source, scratch, environment)
    except Fault as fault:
        with contextlib.suppress(Unreachable, Refused):  # then it is put on hold without saying why
            server.call("fail", {**body, "why": str(fault)})
        raise


def _fetch(source: str, scratch: Path, environment: dict[str, str]) -> None:
    staging.retrieve(source, work=scratch, environment=environment, account=None, pause=time.sleep)


def _patiently(call: Callable[[], Json], *, passing: str, what: str, patience: float) -> Json:
    """Call until there is an answer; `passing` is the code of the refusal that time mends. Raises Fault."""
    until = now() + patience
    while True:
        try:
            return call()
        except Unreachable as error:
            why = str(error)
        except Refused as refused:
            if refused.code != passing:
                raise Fault("not_begun", f"the platform refused: {refused}", retry=False) from refused
            why = str(refused)
        if now() > until:
            raise Fault("not_begun", f"the platform has not let {what}: {why}", retry=True)
        time.sleep(PULSE)


def _variables(begun: Json, own: Path, config: Json) -> dict[str, str]:
    """Return what the job sees besides HTCondor's own variables, as with our own workers."""
    credential: Json = begun.get("credential") or {}
    made = {
        "PATH": os.environ.get("PATH") or PATH,
        "LANG": "C.UTF-8",
        "HOME": str(own / "home"),
        "OMP_NUM_THREADS": str(begun["cpus"]),
        "ARMILLARY_JOB": str(begun["job"]),
        "ARMILLARY_OWNER": str(credential.get("owner") or ""),
        "VOSPACE_WEBSERVICE": str(credential.get("vospace") or ""),
    }
    if config.get("ca_file"):  # clients that bring their own list of authorities must know ours too
        bundle = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
        made.update(dict.fromkeys(("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"), bundle))
    return {name: value for name, value in made.items() if value and name not in begun["given"]}


def put_credential(own: Path, begun: Json, variables: dict[str, str]) -> None:
    """Put the short-lived certificate where the VOSpace clients look for it."""
    credential: Json = begun.get("credential") or {}
    pem = str(credential.get("certificate_pem") or "")
    homes = {str(own / "home"), variables.get("HOME") or os.environ.get("HOME") or ""} - {""}
    for home in sorted(homes) if pem else ():
        if not staging.put_as(None, Path(home) / ".ssl", "cadcproxy.pem", pem):
            say(f"cannot write the certificate under {home}")


class Attending:
    """Beside a running job. It is what `calls` needs of a worker, too, and of its one job."""

    retry_seconds = 2.0

    def __init__(self, *, scratch: Path, config: Json, job: int) -> None:
        """`job` is the process of its program, and no parent of ours: it may wait for all its children to end."""
        self.work = scratch
        self._own = scratch / OWN
        self._begun: Json = json.loads((self._own / "begun").read_text())
        self._job = job
        self.ids: Json = {"job": self._begun["job"], "attempt": self._begun["attempt"]}
        self.keeping = Keeping()
        self.server = _server(config, self._begun["key"])
        self.abandon = threading.Event()
        self.worker = self.machine = self
        self.private, self.lost = False, False
        self.account = self.group = None
        self.program: Any = self
        self.end: Json | None = None
        self.number = 0

    def jobs(self) -> list[Attending]:
        """The one."""
        return [self]

    def environment(self) -> dict[str, str]:
        """What the job itself sees."""
        return dict(os.environ)

    def renew_now(self) -> None:
        """Nothing: HTCondor itself stops its jobs."""

    def refused(self, refused: Refused, _job: Any) -> None:
        """The platform wants no more of us."""
        if refused.status in (401, 409):
            self.abandon.set()

    def run(self) -> None:
        """Stay until the job has ended."""
        self.keeping.listen()
        Calls(worker=cast("Any", self)).listen()
        streams = Streams(
            base=self.work, ids=self.ids, server=self.server, refused=lambda said: self.refused(said, None)
        )
        renewed = now()
        while os.path.exists(f"/proc/{self._job}") and not self.abandon.is_set():  # noqa: PTH110
            streams.send()
            if now() - renewed > RENEW_SECONDS:
                renewed = now()
                self._renew()
            self.abandon.wait(PULSE)
        streams.send()
        self.keeping.close()

    def _renew(self) -> None:
        try:
            answer = self.server.call("renew", {"attempt": self.ids["attempt"]})
        except Unreachable:
            return
        except Refused as refused:
            self.refused(refused, None)
            return
        if answer.get("credential"):
            put_credential(self._own, answer, {"HOME": os.environ.get("HOME", "")})


if __name__ == "__main__":
    sys.exit(main())
