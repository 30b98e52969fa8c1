"""What refusals on the way in are called to a person."""

from __future__ import annotations

from collections.abc import Mapping

from armillary.portal.i18n import N_

SIGNING_IN: Mapping[str, tuple[str, str]] = {
    "too_many_attempts": (
        N_(
            "There were too many wrong tries for this user name; the next may come in %(retry_after)s seconds."
        ),
        N_("Wait, then try again."),
    ),
    "too_many_from_here": (
        N_(
            "There were too many tries from your network address; the next may come in %(retry_after)s seconds."
        ),
        N_("Wait, then try again."),
    ),
    "wrong_code": (
        N_("This code is not good, or it was used before."),
        N_("Wait for the next code of your authenticator, or use a recovery code."),
    ),
    "second_factor_is_on": (
        N_("Your second factor is on already."),
        N_("Turn it off first, to move it to another device."),
    ),
    "errand_over": (
        N_("This link or form is not good any more: it was used, or it is too old."),
        N_("Begin again."),
    ),
    "identity_taken": (
        N_("This identity belongs to an account already."),
        N_("Sign in with it, or remove it from the other account."),
    ),
    "only_way_in": (
        N_("This is your only way in."),
        N_("Set a password first, with the link for a forgotten one."),
    ),
    "not_signed_in_there": (
        N_("%(provider)s did not sign you in."),
        N_("Try again, or sign in with your password."),
    ),
    "provider_silent": (
        N_("%(provider)s does not answer as it should."),
        N_("Try again in a moment, or sign in with your password."),
    ),
    "password_reused": (
        N_("The new password has been used before."),
        N_("Choose a password that differs from the last two."),
    ),
}
