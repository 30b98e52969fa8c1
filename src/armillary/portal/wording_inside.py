"""What refusals on the way inside of a machine are called to a person."""

from __future__ import annotations

from collections.abc import Mapping

from armillary.portal.i18n import N_

INSIDE: Mapping[str, tuple[str, str]] = {
    "ticket_refused": (
        N_("This address was used already, or it is too old."),
        N_("Open it again from the machine's page."),
    ),
    "too_many_tickets": (N_("Too many consoles are being opened."), N_("Wait half a minute.")),
    "too_many_sessions": (N_("Too many sessions are open."), N_("Close one of them.")),
    "members_only": (
        N_("Only members of the project may go inside its machines."),
        N_("Ask an administrator of the project to make you a member."),
    ),
    "machine_is_worker": (
        N_("This machine is a worker: jobs of several people run there with their credentials."),
        N_("Go into a job of yours with the command armillary ssh."),
    ),
    "machine_not_running": (N_("The machine does not run."), N_("Start it first.")),
    "no_ssh_address": (
        N_("The machine has no address at which its ssh could answer."),
        N_("Give it a floating IP, or use the serial terminal."),
    ),
    "ssh_unreachable": (
        N_("The machine's ssh does not answer."),
        N_("Use the serial terminal: the machine still boots, or its sshd or a firewall says no."),
    ),
    "ssh_refused": (
        N_("The machine's ssh does not let the portal in."),
        N_("Use the serial terminal, and put the portal's line back into ~/.ssh/authorized_keys."),
    ),
    "host_key_changed": (
        N_("Something else than this machine answers under its address: its host key has changed."),
        N_("Use the serial terminal, and look there at /etc/ssh."),
    ),
    "console_unreachable": (N_("The cloud's console does not answer."), N_("Try again in a moment.")),
    "console_elsewhere": (
        N_("This cloud shows consoles on pages of its own only."),
        N_("Open the cloud's own page."),
    ),
    "workspace_gone": (
        N_("It does not run in the machine."),
        N_("Open it again from the machine's page."),
    ),
    "no_python": (N_("The machine has no Python."), N_("Install python3 in the shell.")),
}
