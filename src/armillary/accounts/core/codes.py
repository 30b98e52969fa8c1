"""Time-based one-time codes (RFC 6238), checked at a moment that is given. Pure."""

from __future__ import annotations

from datetime import datetime
from hmac import compare_digest

from pyotp.totp import TOTP

SECONDS = 30
"""How long a code is shown."""
DIGITS = 6


def step_of(secret: str, code: str, now: datetime, *, after: int) -> int | None:
    """Return which step of time a code belongs to, or None if it is not good at `now`.

    The step before and the one to come are taken too: clocks differ, and people type slowly. Steps up to `after` were
    used, and a code that was read over somebody's shoulder is of no use again.
    """
    if len(code) != DIGITS or not (code.isascii() and code.isdigit()):
        return None
    present = int(now.timestamp()) // SECONDS
    shown = TOTP(secret, digits=DIGITS, interval=SECONDS)
    good = [step for step in (present - 1, present, present + 1) if step > after]
    return next((step for step in good if compare_digest(shown.generate_otp(step), code)), None)
