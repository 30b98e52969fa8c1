"""Where an image comes from: a snapshot of a machine, that began from another image, and so on to a recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from armillary.accounts.model import Project
from armillary.base.clock import to_iso
from armillary.base.errors import ArmillaryError
from armillary.base.ids import CloudName
from armillary.fleet.model import FleetImage

MOST_STEPS = 40
# of a recipe; each package by its digest is in the lock, which lies in the image
_TOLD = ("title", "tools", "sources", "wheels", "snapshot", "lock_sha256")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing of a lineage. `kind`: image, machine or recipe; the newest image comes first."""

    kind: str
    name: str
    id: str = ""
    sha512: str = ""
    by: str = ""
    at: str = ""
    cloud: str = ""
    here: bool = True
    """whether it is still there to be used"""
    facts: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """The JSON shape."""
        return asdict(self)


class Fleet(Protocol):
    """The fleet, as far as lineages go."""

    def clouds(self) -> list[CloudName]: ...

    def images(self, cloud: CloudName, project: Project) -> list[FleetImage]: ...


class Lineages:
    """Follows what clouds say of images. `recipe` returns what we wrote down when we built one, by its digest."""

    def __init__(self, *, fleet: Fleet, recipe: Callable[[str], Mapping[str, Any] | None]) -> None:
        self._fleet = fleet
        self._recipe = recipe

    def of(self, project: Project, image: FleetImage) -> list[Step]:
        """Return the image and all that it goes back to, as far as it is known."""
        return self.among(image, self._known(project))

    def among(self, image: FleetImage, known: Sequence[FleetImage]) -> list[Step]:
        """The same for who has asked the clouds already: `known` are their images, the oldest first."""
        steps: list[Step] = []
        seen: set[str] = set()
        current: FleetImage | None = image
        while current is not None and current.id not in seen and len(steps) < MOST_STEPS:
            seen.add(current.id)
            said = _said(current, known)
            steps.append(_image(current, said))
            machine = said.get("instance_uuid", "")
            if machine or said.get("armillary_snapshot_of"):
                steps.append(
                    Step(
                        kind="machine",
                        name=said.get("armillary_snapshot_of") or machine,
                        id=machine,
                        cloud=current.cloud,
                        by=_by(said),
                        here=False,
                    )
                )
            recipe = self._recipe(current.sha512 or "")
            if recipe is not None:
                steps.append(_recipe_step(recipe))
                break
            base = said.get("base_image_ref") or said.get("image_base_sha512") or ""
            current = next((i for i in known if base and base in (i.id, i.sha512)), None)
            if base and current is None:
                steps.append(Step(kind="image", name="", id=base, here=False))
        return steps

    def _known(self, project: Project) -> list[FleetImage]:
        found: list[FleetImage] = []
        for cloud in self._fleet.clouds():
            try:
                found += self._fleet.images(cloud, project)
            except ArmillaryError:
                continue  # what it would have said of a copy, another copy may say
        return sorted(found, key=lambda image: image.created_at)


def _said(image: FleetImage, known: Sequence[FleetImage]) -> dict[str, str]:
    """What all copies say of it together, the oldest's word first."""
    copies = [one for one in known if one.sha512 == image.sha512 and image.sha512] or [image]
    return {key: value for copy in reversed(copies) for key, value in copy.properties.items()}


def _by(said: Mapping[str, str]) -> str:
    return said.get("armillary_snapshot_by") or said.get("owner_user_name") or said.get("user_id") or ""


def _image(image: FleetImage, said: Mapping[str, str]) -> Step:
    return Step(
        kind="image",
        name=image.name,
        id=image.id,
        sha512=image.sha512 or "",
        by=_by(said),
        at=to_iso(image.created_at),
        cloud=image.cloud,
    )


def _recipe_step(manifest: Mapping[str, Any]) -> Step:
    recipe: Mapping[str, Any] = manifest.get("recipe") or {}
    imported: Mapping[str, Any] = manifest.get("imported") or {}
    return Step(
        kind="recipe" if recipe else "import",
        name=str(recipe.get("name") or imported.get("source") or manifest.get("name") or ""),
        id=str(recipe.get("inputs_sha256") or imported.get("sha256") or ""),
        at=str(manifest.get("created") or ""),
        facts={key: manifest[key] for key in _TOLD if key in manifest} | {"version": recipe.get("version")},
    )
