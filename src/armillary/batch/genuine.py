"""Whether a new worker's machine is what its image says, as far as somebody has looked into the image."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from armillary.base.errors import Forbidden, PreconditionFailed
from armillary.base.ids import Sha512, WorkerId
from armillary.disks.model import Manifest
from armillary.disks.probing import Answers, Expected, Questions, expected

WRONG_IMAGE = "wrong_image"
_NAMED = 5


class ImageCheck:
    """Asks and judges. It keeps nothing: the questions hang on the image and the worker's one-time token alone."""

    def __init__(
        self,
        *,
        manifest: Callable[[str], Manifest | None],
        has: Callable[[str], bool],
        turn_away: Callable[[WorkerId, str], object],
    ) -> None:
        """`manifest` reads what is kept of an image, where `has` says that something is; `turn_away` writes a refusal down for the scaler."""
        self._has = has
        self._turn_away = turn_away

        @lru_cache(maxsize=16)
        def known(image: Sha512) -> Expected | None:
            found = manifest(image)
            return expected(found) if found is not None else None

        self._known = known

    def questions(self, image: Sha512, token: str) -> Questions | None:
        """Return what to ask the machine; None when nobody has looked into the image."""
        known = self._expected(image)
        return known.questions(token) if known is not None else None

    def check(self, worker: WorkerId, image: Sha512, answers: Answers | None) -> None:
        """Pass what is as it should be.

        Raises:
            Forbidden: `wrong_image`: it was made of something else, and the scaler knows.
            PreconditionFailed: `image_not_measured`: it did not answer; asked again, it can.
        """
        known = self._expected(image)
        if known is None:
            return
        if answers is None:
            raise PreconditionFailed(
                "this machine has to show which image it is made of", code="image_not_measured"
            )
        differing = known.differences(answers)
        if not differing:
            return
        more = f" and {len(differing) - _NAMED} more" if len(differing) > _NAMED else ""
        reason = f"its files are not those of the image: {'; '.join(differing[:_NAMED])}{more}"
        self._turn_away(worker, reason)
        raise Forbidden(
            f"this machine was not booted from the image that its jobs name: {reason}",
            code=WRONG_IMAGE,
            facts={"expected": image, "differences": differing[:50]},
        )

    def _expected(self, image: Sha512) -> Expected | None:
        return self._known(image) if self._has(image) else None
