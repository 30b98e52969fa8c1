"""`armillary interop`: other people's judges, whole."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from types import FrameType
from typing import Literal, cast

import rich_click as click

from armillary.app.interop.crate_validator import CrateValidator, Severity
from armillary.app.interop.furnishing import furnish
from armillary.app.interop.target import Engine, from_clouds_yaml, own_platform
from armillary.app.interop.tempest import Outcome, Tempest, default_workers
from armillary.app.settings import load_settings
from armillary.base.errors import Invalid
from armillary.cli.main import LazyGroup
from armillary.cli.output import say
from armillary.cli.words import argument, option

Credentials = Literal["dynamic", "pre-provisioned"]
_SSH = r"test_host_name_is_same_as_server_name|test_verify_created_server_vcpus"
"""what cannot be asked of an engine that boots nothing: these look inside the guest"""
_BOOTS = r"tempest\.api\.compute\.(servers|images|volumes)\.|VolumesActionsTest\.test_(attach|get_volume_attach|volume_boot)"
"""what is worth asking of real machines"""


@click.group(
    "interop",
    cls=LazyGroup,
    invoke_without_command=True,
    epilog="Example: armillary interop tempest --json tempest.json",
)
@click.pass_context
def interop(context: click.Context) -> None:
    """Let OpenStack's own test suite, the stock clients and the validator of RO-Crates judge us.

    Without a command: all of them, one after the other, the machines of the QEMU engine included (an hour without
    KVM). Exit status 1 when one of them is not content.
    """
    if context.invoked_subcommand is not None:
        return
    content = [
        _clients(),
        _judge("fake", "dynamic", json_file=None),
        _judge("fake", "pre-provisioned", json_file=None),
        _judge("qemu", "dynamic", json_file=None),
    ]
    context.exit(0 if all(content) else 1)


@interop.command(epilog="Example: armillary interop tempest --only image --json tempest.json")
@option(
    "--engine", type=click.Choice(["fake", "qemu"]), default="fake", show_default=True,
    help="What the cloud runs its machines on. fake: all tests of the list but the six that look inside a guest. "
    "qemu: those that boot servers, these six included.",
)  # fmt: skip
@option(
    "--credentials", type=click.Choice(["dynamic", "pre-provisioned"]), default="dynamic", show_default=True,
    help="Whether tempest makes accounts as it goes, or finds them made.",
)  # fmt: skip
@option("--only", default="", metavar="REGEX", help="Only tests whose names match.")
@option(
    "--concurrency",
    type=click.IntRange(1, 64),
    default=default_workers,
    help="Tests at a time [default: cores].",
)
@option(
    "--os-cloud", metavar="NAME", help="Judge this cloud of clouds.yaml instead of a platform of its own."
)
@option("--workspace", type=click.Path(path_type=Path, file_okay=False), help="Keep logs and settings here.")
@option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write the figures to a file.",
)
@click.pass_context
def tempest(
    context: click.Context,
    engine: str,
    credentials: str,
    only: str,
    concurrency: int,
    os_cloud: str | None,
    workspace: Path | None,
    json_file: Path | None,
) -> None:
    """Run what the OpenStack Powered Compute guidelines ask of a cloud, with stock tempest.

    The list (281 ids, 351 tests) is the union of the guidelines 2020.06 and 2022.11. Tempest is installed once, beside
    the base images. Exit status 1 when a test failed, was skipped, or did not run.
    """
    content = _judge(
        cast("Engine", engine), cast("Credentials", credentials), only=only, workers=concurrency,
        os_cloud=os_cloud, workspace=workspace, json_file=json_file,
    )  # fmt: skip
    context.exit(0 if content else 1)


@interop.command(name="crate", epilog="Example: armillary interop crate cluster-12.zip")
@argument("crate", type=click.Path(path_type=Path, exists=True))
@option(
    "--severity", type=click.Choice(["required", "recommended", "optional"]), default="required",
    show_default=True, help="What has to be met.",
)  # fmt: skip
@click.pass_context
def crate_(context: click.Context, crate: Path, severity: str) -> None:
    """Have the community's validator of RO-Crates judge a crate, a zip or a folder, as a Process Run Crate.

    It is installed once, beside the base images, and works without a network. Exit status 1 when it finds something.
    Whether the crate is what its platform signed is another question: `armillary verify`.
    """
    validator = CrateValidator(cache=load_settings().cache, say=say)
    validator.install()
    with tempfile.TemporaryDirectory() as scratch:
        found = validator.judge(crate, scratch=Path(scratch), severity=cast("Severity", severity))
    for issue in found.issues:
        click.echo(issue)
    say(f"{found.checks} checks, {len(found.issues)} issues")
    context.exit(0 if found.passed else 1)


def _judge(
    engine: Engine,
    credentials: Credentials,
    *,
    only: str = "",
    workers: int | None = None,
    os_cloud: str | None = None,
    workspace: Path | None = None,
    json_file: Path | None,
) -> bool:
    say(f"tempest, {engine} engine, {credentials} credentials")
    signal.signal(signal.SIGTERM, _leave)
    kept = workspace or Path(tempfile.mkdtemp(prefix="armillary-tempest-"))
    if kept.exists() and any(kept.iterdir()):
        raise Invalid(f"{kept} is not empty", code="workspace_not_empty", remedy="name a new directory")
    kept.mkdir(parents=True, exist_ok=True)
    suite = Tempest(cache=load_settings().cache, say=say)
    suite.install()
    image, disk_format = _image(engine, kept)
    workers = workers or default_workers()
    target = from_clouds_yaml(os_cloud) if os_cloud else None
    with nullcontext(target) if target else own_platform(engine, keep_log=kept / "armillary.log") as cloud:
        has = furnish(
            cloud, image=image, disk_format=disk_format,
            ram_mib=64 if engine == "fake" else 512, disk_gib=1 if engine == "fake" else 4,
        )  # fmt: skip
        inside = kept / "workspace"
        suite.configure(
            inside, target=cloud, has=has, dynamic=credentials == "dynamic", validate=engine == "qemu",
            workers=workers,
        )  # fmt: skip
        outcome = suite.run(
            inside, only=only, of=_BOOTS if engine == "qemu" else "", but=_SSH if engine == "fake" else "",
            workers=workers,
        )  # fmt: skip
    _tell(outcome, kept)
    if json_file:
        json_file.write_text(json.dumps(outcome.as_dict(), indent=2) + "\n")
    content = outcome.passed == outcome.selected
    if content and workspace is None:
        shutil.rmtree(kept, ignore_errors=True)
    return content


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """End as from an exception, so that our platform and its machines end with us."""
    sys.exit(143)


def _tell(outcome: Outcome, kept: Path) -> None:
    click.echo(
        f"passed {outcome.passed}  failed {outcome.failed}  skipped {outcome.skipped}  "
        f"seconds {outcome.seconds:.0f}"
    )
    missing = outcome.selected - outcome.passed - outcome.failed - outcome.skipped
    if missing > 0:
        say(f"{missing} of {outcome.selected} tests did not run: the set-up of their class failed")
    if outcome.passed != outcome.selected:
        say(
            f"What was said: {kept / 'workspace' / 'output.txt'}; the platform's side: {kept / 'armillary.log'}"
        )


def _image(engine: Engine, directory: Path) -> tuple[Path, str]:
    """A file to boot from, and its format: the smallest machine there is, or one that answers by ssh."""
    if engine == "qemu":
        from armillary.recipes.service import build

        base = build("debian-12", cache=load_settings().cache, progress=say)
        return base.path, base.disk_format
    from armillary.cloud.engines.qemu.tiny import boot_sector

    file = directory / "boot-sector.raw"
    file.write_bytes(boot_sector())
    return file, "raw"


def _clients() -> bool:
    """Run the tests that drive us with the stock clients; they need a checkout."""
    checkout = Path(os.environ.get("ARMILLARY_CHECKOUT", "."))
    if not (checkout / "tests" / "interop").is_dir():
        say("the tests of the stock clients are in a checkout of the project; here they are left out")
        return True
    say("the stock clients")
    return not subprocess.run(
        [sys.executable, "-m", "pytest", "-m", "interop"], cwd=checkout, check=False
    ).returncode
