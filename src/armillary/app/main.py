"""The `armillary` command: the user's commands of `cli`, and those that run the platform on this machine."""

from __future__ import annotations

import importlib
import sys

import rich_click as click

from armillary.cli.main import LazyGroup, cli

COMMANDS = {
    "up": "armillary.app.commands_daemon:up",
    "down": "armillary.app.commands_daemon:down",
    "status": "armillary.app.commands_daemon:status",
    "trust": "armillary.app.commands_daemon:trust",
    "reset-password": "armillary.app.commands_daemon:reset_password",
    "doctor": "armillary.app.commands_doctor:doctor",
    "fsck": "armillary.app.commands_fsck:fsck",
    "sweep": "armillary.app.commands_sweep:sweep",
    "signing-key": "armillary.app.commands_keys:signing_key",
    "demo": "armillary.app.commands_demo:demo",
    "interop": "armillary.app.commands_interop:interop",
    "test": "armillary.app.commands_test:test",
    "image": "armillary.app.main:images",
}


class _Images(LazyGroup):
    """The user's image commands, and those that make images on this machine."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*_user_images().list_commands(ctx), *_own_images().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return _own_images().get_command(ctx, cmd_name) or _user_images().get_command(ctx, cmd_name)


def _user_images() -> click.Group:
    return importlib.import_module("armillary.cli.images").image


def _own_images() -> click.Group:
    return importlib.import_module("armillary.app.commands_image").image_group


images = _Images(name="image", help="Machine images: build and import on this machine, list on all clouds.")


def main() -> None:
    """Run the command line as a program."""
    assert isinstance(cli, LazyGroup)
    cli.add_lazy(COMMANDS)
    cli.main(args=sys.argv[1:], prog_name="armillary")


if __name__ == "__main__":
    main()
