"""What the pages about machines share beside the fleet: launching, terms, figures, the list, and the ways in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from armillary.base.ids import CloudName
from armillary.fleet.contents_api import Inside
from armillary.fleet.expiry import Expiry
from armillary.fleet.figures import Sampler
from armillary.fleet.launching import Launching
from armillary.portal.roster import Roster


@dataclass(frozen=True, kw_only=True)
class Door:
    """Where stock clients sign in to a cloud of ours."""

    auth_url: str
    region: str


@dataclass(frozen=True, kw_only=True)
class Machinery:
    """Made by the wiring."""

    launching: Launching
    expiry: Expiry
    sampler: Sampler
    roster: Roster
    doors: Mapping[CloudName, Door]
    """the embedded clouds; to others people have accounts of their own, or none"""
    packages: Callable[[str], Mapping[str, str]]
    """what is in a base image, by its digest: package → version; empty for images that we did not build"""
    inside: Inside
    """what images hold, and where they come from"""
