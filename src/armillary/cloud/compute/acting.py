"""What people do to servers that are there: each action is checked, written down, and done in the background."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine

from armillary.accounts.model import Principal
from armillary.base.clock import Clock
from armillary.base.errors import Conflict, Invalid, NotFound
from armillary.base.ids import Sha512
from armillary.cloud.access import allow_administering, project_of
from armillary.cloud.compute.lifecycle import Lifecycle
from armillary.cloud.compute.model import Server, TaskState, VmState
from armillary.cloud.compute.ports import BootImage, Images
from armillary.cloud.compute.records import (
    check_action,
    check_unlocked,
    finish_actions,
    note_action,
    own,
    save,
)
from armillary.cloud.compute.strands import Strands

Change = Callable[[Connection, Server], Mapping[str, Any]]
"""Checks a server further, and says what else to write in its record."""


@dataclass(frozen=True, kw_only=True)
class Doing:
    """Who does something to which server, and in which request."""

    principal: Principal
    server_id: str
    request_id: str


def nothing_more(_connection: Connection, _server: Server) -> Mapping[str, Any]:
    """The change of an action that writes its task only."""
    return {}


class Ledger:
    """Writes down that something is to be done to a server, and queues it."""

    def __init__(self, *, engine: Engine, clock: Clock, lifecycle: Lifecycle, strands: Strands) -> None:
        self.engine = engine
        self.clock = clock
        self.lifecycle = lifecycle
        self.strands = strands

    def begin(
        self,
        doing: Doing,
        action: str,
        task: TaskState,
        change: Change = nothing_more,
        *,
        noted: str | None = None,
    ) -> Server:
        """Check an action, write its task in the record, and queue the work.

        Args:
            doing: who does it to which server.
            action: as the state machine calls it.
            task: what is to be done.
            change: further checks and fields.
            noted: the action's name in the list of actions, if it is another.

        Raises:
            NotFound, Conflict: in Nova's words; nothing is written then.
        """
        # held, or else a pass of the reconciler might find a copy that nobody makes yet, and give it up
        with self.strands.holding(doing.server_id):
            server = self.write(doing, action, task, change, noted=noted)
            self.lifecycle.pursue(server)
        return server

    def write(
        self, doing: Doing, action: str, task: TaskState | None, change: Change = nothing_more, *,
        noted: str | None = None,
    ) -> Server:  # fmt: skip
        """As `begin`, without queueing; without a task nothing is left to do."""
        with self.engine.begin() as connection:
            server = own(connection, doing.principal, doing.server_id)
            check_action(doing.principal, server, action)
            changes = change(connection, server)
            note_action(connection, self.clock, doing.principal, server, noted or action, doing.request_id)
            server = save(connection, self.clock, server, task_state=task, **changes)
            if task is None:
                finish_actions(connection, self.clock, server.id)
            return server


class Acts:
    """Actions that change how a server runs, not what it is made of."""

    def __init__(self, *, ledger: Ledger, images: Images) -> None:
        self._ledger = ledger
        self._images = images

    def stop(self, doing: Doing) -> None:
        """Shut a server down."""
        self._ledger.begin(doing, "stop", TaskState.POWERING_OFF)

    def start(self, doing: Doing) -> None:
        """Run a server that is shut down."""
        self._ledger.begin(doing, "start", TaskState.POWERING_ON)

    def reboot(self, doing: Doing, *, hard: bool) -> None:
        """Restart a server from inside, or (`hard`) reset it."""
        if hard:
            self._ledger.begin(doing, "reboot_hard", TaskState.REBOOTING_HARD, noted="reboot")
        else:
            self._ledger.begin(doing, "reboot", TaskState.REBOOTING)

    def pause(self, doing: Doing) -> None:
        """Let a server stand still, with its memory where it is."""
        self._ledger.begin(doing, "pause", TaskState.PAUSING)

    def unpause(self, doing: Doing) -> None:
        """Let a paused server go on."""
        self._ledger.begin(doing, "unpause", TaskState.UNPAUSING)

    def suspend(self, doing: Doing) -> None:
        """Let a server stand still, with its memory on disk."""
        self._ledger.begin(doing, "suspend", TaskState.SUSPENDING)

    def resume(self, doing: Doing) -> None:
        """Let a suspended server go on."""
        self._ledger.begin(doing, "resume", TaskState.RESUMING)

    def lock(self, doing: Doing, *, reason: str | None = None) -> None:
        """Keep everybody but administrators from acting on a server. An owner's lock over a lock changes nothing."""
        ledger = self._ledger
        with ledger.engine.begin() as connection:
            server = own(connection, doing.principal, doing.server_id)
            owner = _is_owner(doing.principal, server)
            note_action(connection, ledger.clock, doing.principal, server, "lock", doing.request_id)
            if not (owner and server.locked):
                save(
                    connection, ledger.clock, server, locked=True, locked_reason=reason, locked_by_admin=not owner
                )  # fmt: skip
            self._finish(connection, server)

    def unlock(self, doing: Doing) -> None:
        """Let everybody act on a server again.

        Raises:
            Forbidden: an administrator locked it, and somebody else unlocks it.
        """
        ledger = self._ledger
        with ledger.engine.begin() as connection:
            server = own(connection, doing.principal, doing.server_id)
            if server.locked_by_admin:
                allow_administering(doing.principal, "os_compute_api:os-lock-server:unlock:unlock_override")
            note_action(connection, ledger.clock, doing.principal, server, "unlock", doing.request_id)
            save(connection, ledger.clock, server, locked=False, locked_reason=None, locked_by_admin=False)
            self._finish(connection, server)

    def _finish(self, connection: Connection, server: Server) -> None:
        """What needs no work in the background is done, unless other work is not."""
        if server.task_state is None:
            finish_actions(connection, self._ledger.clock, server.id)

    def delete(self, doing: Doing, *, noted: str = "delete") -> None:
        """End a server, whatever state it is in. Asking again while it ends is fine."""
        ledger = self._ledger
        with ledger.engine.begin() as connection:
            server = own(connection, doing.principal, doing.server_id)
            check_unlocked(doing.principal, server)
            if server.task_state is TaskState.DELETING:
                return
            note_action(connection, ledger.clock, doing.principal, server, noted, doing.request_id)
            server = save(connection, ledger.clock, server, task_state=TaskState.DELETING)
        ledger.lifecycle.pursue(server)

    def reset_state(self, doing: Doing, state: VmState) -> None:
        """Say what state a server is in (administrators); a pass later the machine is believed again."""
        ledger = self._ledger
        with ledger.engine.begin() as connection:
            server = own(connection, doing.principal, doing.server_id)
            note_action(connection, ledger.clock, doing.principal, server, "reset-state", doing.request_id)
            save(connection, ledger.clock, server, vm_state=state, task_state=None)
            finish_actions(connection, ledger.clock, server.id)

    def check(self, doing: Doing, action: str) -> None:
        """Refuse what every cloud would refuse.

        Raises:
            NotFound, Conflict: in Nova's words.
        """
        with self._ledger.engine.execution_options(readonly=True).connect() as connection:
            check_action(doing.principal, own(connection, doing.principal, doing.server_id), action)

    def note(self, doing: Doing, action: str) -> None:
        """Write down an action by which nothing has to be done here."""
        ledger = self._ledger
        with ledger.engine.begin() as connection:
            server = own(connection, doing.principal, doing.server_id)
            check_unlocked(doing.principal, server)
            note_action(connection, ledger.clock, doing.principal, server, action, doing.request_id)
            self._finish(connection, server)

    def refuse(self, doing: Doing, action: str, why: str, *, code: str) -> None:
        """An action that this cloud cannot do, after the refusals that every cloud would give.

        Raises:
            NotFound, Conflict: in Nova's words.
            Invalid: for `why`.
        """
        self.check(doing, action)
        raise Invalid(why, code=code)

    # rescue

    def rescue(
        self, doing: Doing, *, image_ref: str | None, admin_pass: str | None, volume_backed_too: bool
    ) -> None:
        """Boot a server from another image, to mend its disks.

        Raises:
            Invalid: the image does not do, or the server boots from a volume and may not be rescued.
        """
        image = self._rescue_image(doing.principal, image_ref) if image_ref else None

        def change(_: Connection, server: Server) -> Mapping[str, Any]:
            if server.from_volume and not (volume_backed_too and image is not None):
                raise Invalid(
                    f"Instance {server.id} cannot be rescued: Cannot rescue a volume-backed instance",
                    code="instance_not_rescuable",
                    remedy="Name an image to rescue it with, at microversion 2.87 or later.",
                )
            return {
                "rescue_sha512": image.sha512 if image else server.image_sha512,
                "rescue_format": (image.disk_format or "raw") if image else server.image_format,
                "admin_pass": admin_pass,
            }

        self._ledger.begin(doing, "rescue", TaskState.RESCUING, change)

    def _rescue_image(self, principal: Principal, image_ref: str) -> BootImage:
        try:
            image = self._images.resolve_bootable(principal, bare_id(image_ref))
        except (NotFound, Invalid) as error:
            raise Invalid(
                f"Requested rescue image '{image_ref}' is not supported", code="rescue_image_unsupported"
            ) from error
        if image.sha512 is None:
            raise Invalid(
                f"Requested rescue image '{image_ref}' is not supported", code="rescue_image_unsupported"
            )
        return image

    def unrescue(self, doing: Doing) -> None:
        """Boot a rescued server from its own disks again."""
        changes = {"rescue_sha512": Sha512(""), "rescue_format": "raw"}
        self._ledger.begin(doing, "unrescue", TaskState.UNRESCUING, lambda _, __: changes)

    # shelving

    def shelve(self, doing: Doing) -> None:
        """Keep a server as an image, and free its place."""
        ledger = self._ledger
        with ledger.engine.execution_options(readonly=True).connect() as connection:
            server = own(connection, doing.principal, doing.server_id)
            check_action(doing.principal, server, "shelve")
        image = None
        if not server.from_volume:
            properties = snapshot_properties(doing.principal, server)
            image = self._images.begin_snapshot(
                doing.principal, f"{server.name}-shelved", properties, min_disk=server.flavor.disk
            )
        task = TaskState.SHELVING

        def change(_: Connection, server: Server) -> Mapping[str, Any]:
            return {"resting": server.vm_state, "shelved_image_id": image.id if image else None}

        try:
            ledger.begin(doing, "shelve", task, change)
        except (Conflict, NotFound):
            if image is not None:
                self._images.fail_snapshot(image.id, "the server was busy or gone")
            raise

    def shelve_offload(self, doing: Doing) -> None:
        """Free the place of a shelved server."""
        self._ledger.begin(doing, "shelveOffload", TaskState.SHELVING_OFFLOADING)

    def unshelve(self, doing: Doing) -> None:
        """Run a shelved server again."""
        self._ledger.begin(doing, "unshelve", TaskState.UNSHELVING)


def _is_owner(principal: Principal, server: Server) -> bool:
    return principal.project is not None and principal.project.id == server.project_id


def bare_id(reference: str) -> Any:
    """An id out of what clients send as a reference: the id, or a URL that ends with it."""
    return reference.rstrip("/").rsplit("/", 1)[-1]


def snapshot_properties(principal: Principal, server: Server) -> dict[str, str]:
    """What an image of a server says of where it comes from, as Nova writes it."""
    return {
        "image_type": "snapshot",
        "base_image_ref": server.image_id,
        "instance_uuid": server.id,
        "user_id": principal.person.id,
        "owner_user_name": principal.person.user_name,
        "owner_project_name": project_of(principal).name,
        "boot_roles": ",".join(sorted(principal.roles)),
    }
