"""Launching a machine from three words, with everything else at its default; and what stands against it, before."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from armillary.accounts.model import Person, Project
from armillary.base.clock import Clock
from armillary.base.errors import ArmillaryError, Invalid, NotFound
from armillary.base.ids import CloudName, Sha512
from armillary.base.units import GiB
from armillary.fleet.capacity import makes_room
from armillary.fleet.expiry import Expiry, TermRules
from armillary.fleet.model import WORKER_MARK, FleetFlavor, FleetServer, Limits, Refusal
from armillary.fleet.parts import Volume
from armillary.fleet.service import FleetService
from armillary.fleet.welcome import together

BY_MARK = "armillary_by"
"""Server metadata: who launched it."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,62}\Z")
NO_DISK = GiB(0)
LONGEST_USER_DATA = 46_000
"""Nova takes 65,535 bytes of base64, and our welcome needs room too."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """A machine that a person wants; only image, flavor and name are needed."""

    image: str
    """name, id or digest"""
    flavor: str
    name: str
    cloud: CloudName | None = None
    """None: the first that has room"""
    public_key: str = ""
    networks: Sequence[str] = ()
    groups: Sequence[str] = ()
    floating_ip: bool = True
    user_data: str = ""
    volume: GiB | None = None
    """the size of a new volume to come with it"""
    days: int | None = None
    """until it is stopped; None: it has no end"""


@dataclass(frozen=True, kw_only=True)
class Prospect:
    """What would become of an order on one cloud."""

    cloud: CloudName
    flavor: FleetFlavor | None
    limits: Limits | None
    refusals: Sequence[Refusal]
    """all that stands against it; none: it fits"""
    room_by: Sequence[FleetServer] = ()
    """machines of the project: deleting any one of these would make room"""

    @property
    def fits(self) -> bool:
        """Whether nothing stands against it."""
        return not self.refusals


class Launching:
    """Makes people's machines."""

    def __init__(self, *, fleet: FleetService, expiry: Expiry, clock: Clock, welcome: str = "") -> None:
        """`welcome` is the script that lets the portal's shell in, for clouds that have no vendor data of ours."""
        self._welcome = welcome
        self._fleet = fleet
        self._expiry = expiry
        self._clock = clock

    def _user_data(self, cloud: CloudName, typed: str) -> str | None:
        if self._welcome and not self._fleet.settings(cloud).per_project:
            return together(typed, self._welcome)
        return typed or None

    def prospect(
        self, project: Project, cloud: CloudName, flavor: str, *, min_disk: GiB = NO_DISK
    ) -> Prospect:
        """Say whether a machine of that size fits there now, and if not, why, and what would make room.

        `min_disk` is what its image needs.
        """
        try:
            size = self._fleet.flavor(cloud, flavor, project)
            limits = self._fleet.limits(cloud, project)
        except ArmillaryError as error:
            why = Refusal(
                cloud=cloud, code=error.code, message=error.message, remedy=error.remedy, facts=error.facts
            )
            return Prospect(cloud=cloud, flavor=None, limits=None, refusals=(why,))
        room = self._fleet.room(cloud, project, flavor)
        if not holds(size, min_disk):
            small = _too_small(cloud, size, min_disk)
            return Prospect(cloud=cloud, flavor=size, limits=limits, refusals=(small, *room.refusals))
        if room.count:
            return Prospect(cloud=cloud, flavor=size, limits=limits, refusals=())
        if not any(why.code.startswith("quota_") for why in room.refusals):
            # the cloud is full, not the project: none of its machines would make room
            return Prospect(cloud=cloud, flavor=size, limits=limits, refusals=room.refusals)
        helps: list[FleetServer] = []
        with contextlib.suppress(ArmillaryError):  # what stands against it is known without its remedy
            mine = [s for s in self._fleet.servers(cloud, project) if WORKER_MARK not in s.metadata]
            helps = makes_room(limits, size, mine, self._fleet.flavors(cloud, project))
        return Prospect(cloud=cloud, flavor=size, limits=limits, refusals=room.refusals, room_by=helps)

    def choose_cloud(self, project: Project, flavor: str, image: str = "") -> CloudName:
        """Return the first cloud with room for that size, one that has the image already before the others.

        The first of all when none has room: its refusal is as good as any.
        """
        clouds = self._fleet.clouds()
        fits = [cloud for cloud in clouds if self._fleet.room(cloud, project, flavor).count]
        if image and len(fits) > 1:
            for cloud in fits:
                with contextlib.suppress(ArmillaryError):
                    if any(image in (i.id, i.sha512, i.name) for i in self._fleet.images(cloud, project)):
                        return cloud
        return (fits or clouds)[0]

    def launch(self, project: Project, person: Person, order: Order) -> FleetServer:
        """Begin a machine with all that belongs to it; whole, or nothing of it stays.

        Raises:
            Invalid: a field is not right.
            NotFound: there is no such image, size or network.
            QuotaExceeded: it does not fit.
        """
        check(order, self._expiry.rules)
        cloud = order.cloud or self.choose_cloud(project, order.flavor, order.image)
        image = self._fleet.find_image(project, order.image)
        # the same machine on every cloud: brought there when it is missing, which may take a while
        image_id = self._fleet.ensure_image(cloud, project, Sha512(str(image.sha512)))
        key_name = None
        if order.public_key:
            key_name = key_name_of(person, order.public_key)
            self._fleet.ensure_key(cloud, project, name=key_name, public_key=order.public_key)
        with contextlib.ExitStack() as undo:
            volume = self._volume(cloud, project, order)
            if volume:
                undo.callback(_quietly, self._fleet.delete_volume, cloud, project, volume.id)
            server = self._fleet.create_server(
                cloud,
                project,
                name=order.name,
                image_id=image_id,
                flavor=order.flavor,
                user_data=self._user_data(cloud, order.user_data),
                key_name=key_name,
                metadata={BY_MARK: person.user_name},
                floating_ip=order.floating_ip,
                networks=order.networks,
                groups=order.groups,
                volumes=[volume.id] if volume else (),
            )
            # a cloud that has the volume in the machine still will not delete it: it stays, empty
            undo.callback(_quietly, self._fleet.delete_server, cloud, project, server.id)
            if order.days:
                self._expiry.set(server, project, person.id, self._clock.now() + timedelta(days=order.days))
            undo.pop_all()
        return server

    def _volume(self, cloud: CloudName, project: Project, order: Order) -> Volume | None:
        if order.volume is None:
            return None
        return self._fleet.create_volume(cloud, project, name=f"{order.name}-data", size=order.volume)


def _quietly(undo: Callable[..., object], *what: object) -> None:
    """Undo a step as far as its cloud lets us: what went wrong first is what is told."""
    with contextlib.suppress(ArmillaryError):
        undo(*what)


def holds(flavor: FleetFlavor, min_disk: GiB) -> bool:
    """Whether an image's disk fits; a size whose disk is 0 takes the image's own."""
    return flavor.disk == 0 or flavor.disk >= min_disk


def _too_small(cloud: CloudName, flavor: FleetFlavor, min_disk: GiB) -> Refusal:
    return Refusal(
        cloud=cloud,
        code="disk_too_small",
        message=f"The image needs a disk of {min_disk} GiB, and {flavor.name} has {flavor.disk}.",
        remedy="Choose a larger size.",
        facts={"flavor": flavor.name, "needs": min_disk, "has": flavor.disk},
    )


def check(order: Order, rules: TermRules) -> None:
    """Refuse an order that no cloud could understand.

    Raises:
        Invalid: code `invalid_field`, with all fields that are not right.
    """
    errors: dict[str, str] = {}
    if not order.image:
        errors["image"] = "This must not be empty."
    if not order.flavor:
        errors["flavor"] = "This must not be empty."
    if not NAME.match(order.name):
        errors["name"] = (
            "A name has letters, digits, '.' and '-', at most 63, and begins with a letter or digit."
        )
    if len(order.user_data.encode()) > LONGEST_USER_DATA:
        errors["user_data"] = "User data has at most 46,000 bytes."
    if order.volume is not None and not 1 <= order.volume <= 100_000:
        errors["volume"] = "A volume has 1 to 100,000 GiB."
    if wrong := rules.check(order.days):
        errors["days"] = wrong
    if errors:
        raise Invalid(
            f"The machine cannot be launched like this: {next(iter(errors))}: {next(iter(errors.values()))}",
            code="invalid_field",
            facts={"field": next(iter(errors)), "errors": errors},
            remedy="Correct the marked fields.",
        )


def key_name_of(person: Person, public_key: str) -> str:
    """Return a key's name on clouds, where all our key pairs belong to one user: unique by owner and content."""
    line = " ".join(public_key.split()[:2])
    return f"{person.user_name}-{hashlib.sha256(line.encode()).hexdigest()[:12]}"


def find_server(
    fleet: FleetService, project: Project, wanted: str, cloud: CloudName | None = None
) -> FleetServer:
    """Return the project's machine that a name or id means, on whichever cloud it is.

    Raises:
        NotFound: code `server_not_found`.
        Invalid: code `server_ambiguous`, when several have the name.
    """
    found: list[FleetServer] = []
    silent: ArmillaryError | None = None
    for name in [cloud] if cloud else fleet.clouds():
        try:
            found += [s for s in fleet.servers(name, project) if wanted in (s.id, s.name)]
        except NotFound:
            raise
        except ArmillaryError as error:
            silent = error
    exact = [server for server in found if server.id == wanted] or found
    if not exact:
        raise silent or NotFound(
            f"There is no machine {wanted}.",
            code="server_not_found",
            facts={"server": wanted},
            remedy="List the machines.",
        )
    if len(exact) > 1:
        raise Invalid(
            f"{len(exact)} machines are named {wanted}.",
            code="server_ambiguous",
            facts={"name": wanted, "ids": [server.id for server in exact]},
            remedy="Name the machine by its id, or say on which cloud it is.",
        )
    return exact[0]
