"""What arrives in a form, read strictly."""

from __future__ import annotations

from starlette.datastructures import FormData, UploadFile

from armillary.accounts.model import Allocation
from armillary.base.errors import Invalid
from armillary.base.units import GiB, MiB
from armillary.portal.i18n import N_

ALLOCATION_FIELDS = ("cores", "ram", "disk", "storage", "batch_cores")


def whole(text: str | None, *, digits: int = 9) -> int | None:
    """Read a whole number with so many digits at most; None for whatever else there is."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= digits else None


class Form:
    """A form that was sent, after its token was checked."""

    def __init__(self, data: FormData) -> None:
        self._data = data

    def text(self, name: str, default: str = "") -> str:
        """Return a field, without white space around it."""
        return self.raw(name, default).strip()

    def raw(self, name: str, default: str = "") -> str:
        """Return a field as it was typed."""
        value = self._data.get(name, default)
        return value if isinstance(value, str) else default

    def every(self, name: str) -> list[str]:
        """Return all values of a field that may come several times, as they were typed."""
        return [value for value in self._data.getlist(name) if isinstance(value, str)]

    def flag(self, name: str) -> bool:
        """Whether a box is ticked."""
        return self.raw(name) != ""

    def upload(self, name: str) -> UploadFile | None:
        """Return the file of a field, if one was chosen."""
        return next(iter(self.uploads(name)), None)

    def uploads(self, name: str) -> list[UploadFile]:
        """Return the files of a field; a browser sends an empty one when none was chosen."""
        return [item for item in self._data.getlist(name) if isinstance(item, UploadFile) and item.filename]

    def allocation(self) -> Allocation:
        """Return the figures of an allocation; RAM is typed in GiB.

        Raises:
            Invalid: with all fields that are no whole numbers.
        """
        figures: dict[str, int] = {}
        errors: dict[str, str] = {}
        for name in ALLOCATION_FIELDS:
            figure = whole(self.text(name))
            if figure is not None:
                figures[name] = figure
            else:
                errors[f"requested.{name}"] = N_("This must be a whole number.")
        if errors:
            raise Invalid(
                "An allocation consists of whole numbers.",
                code="invalid_field",
                facts={"field": next(iter(errors)), "errors": errors},
                remedy="Correct the marked fields.",
            )
        return Allocation(
            cores=figures["cores"],
            ram=MiB(figures["ram"] * 1024),
            disk=GiB(figures["disk"]),
            storage=GiB(figures["storage"]),
            batch_cores=figures["batch_cores"],
        )

    def values(self) -> dict[str, str]:
        """Return every text field but passwords, to fill the form again after a refusal."""
        return {
            name: value
            for name, value in self._data.items()
            if isinstance(value, str) and "password" not in name and name != "csrf"
        }
