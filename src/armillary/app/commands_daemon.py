"""`armillary up`, `down`, `status` and `trust`: the platform on this machine."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import rich_click as click

from armillary.app import daemon, instance
from armillary.app.settings import home_directory, load_settings
from armillary.base.errors import Unavailable
from armillary.cli.output import Columns, emit_one, say, voices
from armillary.cli.words import argument, option

_FIELDS: Columns = [
    ("platform", lambda found: f"runs as process {found['pid']} since {found['started_at']}"),
    ("portal", "portal_url"),
    ("API and VOSpace", "url"),
    ("clouds", lambda found: ", ".join(f"{name} {url}" for name, url in found["clouds"].items())),
    ("authority", "ca_file"),
    ("machines", lambda found: ", ".join(f"{count} on {name}" for name, count in found["machines"].items())),
    ("administrator", lambda found: "admin" if found.get("admin_password") else ""),
    ("one-time password", "admin_password"),
]


@click.command(epilog="Example: armillary up; armillary status")
@option("--foreground", is_flag=True, help="Stay in this terminal; Ctrl-C ends it.")
@option("--ready-fd", type=int, hidden=True)
@voices
def up(foreground: bool, ready_fd: int | None) -> None:
    """Start the platform: portal, APIs, VOSpace, batch and the embedded clouds.

    Machines that ran on when it stopped are found again. The first start makes the administrator `admin` and shows
    the password, this once.
    """
    settings = load_settings()
    if ready_fd is not None:
        daemon.run_here(settings, log_file=settings.home / "armillary.log", told=daemon.to_starter(ready_fd))
    elif foreground:
        daemon.run_here(settings, log_file=None, told=_show)
    else:
        _show(*daemon.start(settings))


def _show(running: instance.Instance, password: str | None) -> None:
    if password:
        say("This password is shown once. Change it after you have signed in.")
    emit_one(_shown(running, password), fields=_FIELDS, identity="url")


@click.command(epilog="Example: armillary down")
@option(
    "--machines",
    is_flag=True,
    help="Also end every machine of the embedded clouds, at once. Their disks stay.",
)
def down(machines: bool) -> None:
    """Stop the platform. Machines run on unless you say otherwise; nothing that was promised is lost."""
    home = home_directory()
    stopped = instance.stop(home)
    say("The platform has stopped." if stopped else f"No platform runs in {home}.")
    if machines:
        ended = end_machines(home)
        say(f"{ended} machine{'' if ended == 1 else 's'} ended.")


@click.command(epilog="Example: armillary status --json")
@voices
def status() -> None:
    """Show whether the platform runs, and where."""
    home = home_directory()
    running = instance.running(home)
    if running is None:
        raise Unavailable(f"no platform runs in {home}", code="not_running", remedy="start it: armillary up")
    emit_one(_shown(running, None), fields=_FIELDS, identity="url")


@click.command("reset-password", epilog="Example: armillary reset-password admin")
@argument("user")
@voices
def reset_password(user: str) -> None:
    """Give a person a new password, shown once; for the operator of this machine, when nobody else can help.

    It works on the records themselves, whether the platform runs or not. All sign-ins of the person end.
    """
    from armillary.accounts.service import AccountsService, AccountsStore
    from armillary.app.database import open_records
    from armillary.app.schema import bring_up_to_date
    from armillary.base.clock import SystemClock
    from armillary.base.ids import new_secret

    records = open_records(load_settings().records_url)
    bring_up_to_date(records, "platform")
    store = AccountsStore(engine=records)
    store.create_all()
    accounts = AccountsService(store=store, clock=SystemClock())
    made = new_secret(12)
    accounts.set_password(accounts.person_named(user).id, made)
    emit_one(
        {"user": user, "password": made},
        fields=[("User", "user"), ("Password", "password")],
        identity="password",
    )


@click.command(epilog="Example: armillary trust")
def trust() -> None:
    """Make the Python clients of this environment (vls, vcp, cadc-get-cert) trust the platform's certificates.

    Those clients look at no setting; the authority is added to the bundle that they bring, once.
    """
    running = instance.running(home_directory())
    if running is None:
        raise Unavailable("no platform runs", code="not_running", remedy="start it: armillary up")
    added = add_to_bundle(Path(running.ca_file).read_text())
    say("The authority was added." if added else "The authority was there already.")


def add_to_bundle(ca_pem: str) -> bool:
    """Add a certificate to the bundle of `certifi`; False if it is there already."""
    import certifi

    bundle = Path(certifi.where())
    known = bundle.read_text()
    if ca_pem.strip() in known:
        return False
    draft = bundle.with_suffix(f".{os.getpid()}")
    draft.write_text(f"{known.rstrip()}\n\n{ca_pem.strip()}\n")
    draft.replace(bundle)
    return True


def _shown(running: instance.Instance, password: str | None) -> dict[str, Any]:
    shown: dict[str, Any] = {**asdict(running), "machines": _machines(home_directory())}
    return {**shown, "admin_password": password} if password else shown


def _engines(home: Path, *, tidies: bool) -> dict[str, Any]:
    from armillary.base.units import GiB, MiB
    from armillary.cloud.engines.qemu.machines import QemuMachines
    from armillary.cloud.model import Capacity

    none = Capacity(vcpus=0, ram=MiB(0), disk=GiB(0))  # we boot nothing here
    folders = sorted((home / "clouds").glob("*/machines")) if (home / "clouds").is_dir() else []
    return {
        folder.parent.name: QemuMachines(directory=folder, capacity=none, tidies=tidies) for folder in folders
    }


def _machines(home: Path) -> dict[str, int]:
    """How many machines run on each embedded cloud, by their processes."""
    from armillary.cloud.model import MachineState

    return {
        name: sum(state is MachineState.RUNNING for state in engine.states().values())
        for name, engine in _engines(home, tidies=False).items()  # the platform is at work there
    }


def end_machines(home: Path) -> int:
    from armillary.cloud.engines.qemu.fabric import QemuFabric
    from armillary.cloud.model import MachineState, NetworkPlan

    ended = 0
    for cloud, engine in _engines(home, tidies=True).items():  # which ends templates of checkpoints as well
        for server, state in engine.states().items():
            if state in {MachineState.RUNNING, MachineState.PAUSED}:
                engine.stop(server, hard=True)
                ended += 1
        QemuFabric(directory=home / "clouds" / cloud / "machines").apply(NetworkPlan())  # ends the switch too
    return ended
