"""`python3 agent.pyz --config CONFIG.json`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from armillary.guest.agent import privacy, waking
from armillary.guest.agent.basics import Fault, Json, say
from armillary.guest.agent.keeping import Keeping
from armillary.guest.agent.machine import Machine
from armillary.guest.agent.worker import Worker


def main(arguments: list[str] | None = None) -> int:
    """Run the agent; return the exit status."""
    parser = argparse.ArgumentParser(prog="agent.pyz", description="Armillary's worker agent.")
    about = "JSON with url, bootstrap_token, image_sha512; perhaps ca_file, vospace, cpus, memory_mib, …"
    parser.add_argument("--config", type=Path, required=True, help=about)
    path: Path = parser.parse_args(arguments).config
    try:
        config: Json = json.loads(path.read_text())
        if config.get("template"):
            waking.wait(config["template"])
            config = json.loads(path.read_text())
        if config.get("ca_file"):
            config["ca_pem"] = Path(config["ca_file"]).read_text()
        for needed in ("url", "bootstrap_token", "image_sha512"):
            config[needed]
        machine = Machine(config=config)
        # Before there are threads: they and forks do not go together.
        keeping = Keeping()
        worker = Worker(config=config, machine=machine, keeping=keeping)
    except (OSError, ValueError, KeyError) as error:
        say(f"cannot start with {path}: {type(error).__name__}: {error}")
        return 2
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: worker.stop())
    if config.get("shut_out", True):
        _shut_out_jobs(machine, path)
    keeping.listen()
    return worker.run()


def _shut_out_jobs(machine: Machine, config: Path) -> None:
    """Before the first job: it must find neither the bootstrap token nor who the machine is to its cloud."""
    if machine.slots is None:
        return
    privacy.close_files(config)
    try:
        account = machine.slots.take()
    except Fault as fault:
        say(str(fault))
        return
    way = privacy.close_metadata(account)
    if way:
        say(f"jobs are kept from the metadata service by {way}")
    machine.slots.give_back(account)


if __name__ == "__main__":
    sys.exit(main())
