"""What a submit would do, as the page shows it before the click."""

from __future__ import annotations

from dataclasses import dataclass

from armillary.base.errors import ArmillaryError
from armillary.batch.forecast import Forecast
from armillary.client.submitfile.estimate import Estimate, estimate
from armillary.portal.context import Portal
from armillary.portal.forms import Form
from armillary.portal.reading import base_name, read_apart
from armillary.portal.submit_check import check_submit
from armillary.portal.submitting import kept_files, sizes_told, submit_text, to_spec
from armillary.portal.visit import Visit


@dataclass(frozen=True, kw_only=True)
class Ahead:
    """A submit that is not one yet."""

    text: str
    """the submit file"""
    total: Estimate | None = None
    forecast: Forecast | None = None
    first: tuple[str, ...] = ()
    """the command of the first job"""
    error: ArmillaryError | None = None

    @property
    def lines(self) -> list[tuple[int, str]]:
        """The submit file with the numbers of its lines, so that a refusal can be found in it."""
        return list(enumerate(self.text.splitlines(), start=1))


def look_ahead(portal: Portal, visit: Visit, form: Form) -> Ahead:
    """Read the form as a submit would, and tell what would come of it; refusals are in the answer."""
    text = ""
    try:
        text = submit_text(form)
        check_submit(text)
        kept = kept_files(portal, visit, form.text("again"))
        sizes = {name: file.size for name, file in kept.items()} | sizes_told(form)
        submission = read_apart(text, names=[*sizes])
        keys = dict.fromkeys(key for job in submission.jobs for key in job.input_keys)
        total = estimate(
            submission,
            sizes={key: sizes.get(base_name(key), 0) for key in keys},
            contents={key: base_name(key) for key in keys},
        )
        forecast = portal.board.forecaster.look(
            visit.project,
            image=form.text("image"),
            flavor=form.text("flavor"),
            jobs=[to_spec(job.as_dict()) for job in submission.jobs],
        )
        first = submission.jobs[0] if submission.jobs else None
        return Ahead(
            text=text,
            total=total,
            forecast=forecast,
            first=(first.executable, *first.arguments) if first else (),
            error=forecast.refusal,
        )
    except ArmillaryError as error:
        return Ahead(text=text, error=error)
