"""The `armillary` command: the user's commands of `cli`, and those that run the platform on this machine."""

from __future__ import annotations

_COMMANDS = {
    "up": "armillary.app.commands_daemon:up",
    "down": "armillary.app.commands_daemon:down",
    "status": "armillary.app.commands_daemon:status",
    "trust": "armillary.app.commands_daemon:trust",
    "doctor": "armillary.app.commands_doctor:doctor",
    "demo": "armillary.app.commands_demo:demo",
    "test": "armillary.app.commands_test:test",
    "image": "armillary.app.commands_image:image_group",
}
