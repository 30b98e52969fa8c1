"""What people may type: names, addresses, passwords and figures. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from armillary.accounts.model import Allocation
from armillary.base.errors import Invalid

PASSWORD_MIN = 10
PASSWORD_MAX = 1024
"""Characters. The upper bound keeps a hostile request from feeding megabytes to Argon2."""

LIMITS: Mapping[str, tuple[int, int]] = {
    "cores": (1, 100_000),
    "ram": (1, 1_000_000_000),
    "disk": (1, 10_000_000),
    "storage": (1, 10_000_000),
    "batch_cores": (0, 1_000_000),
}
"""Smallest and largest figure of an allocation: cores, MiB, GiB, GiB, cores."""

_CHOSEN_NAME = re.compile(r"[a-z][a-z0-9_-]{1,31}")
_ADMIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,254}")
_EMAIL = re.compile(r"[^@\s<>()\[\],;:\\\"]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250})\.[A-Za-z0-9-]{2,63}")
_RESERVED = frozenset(
    {"admin", "root", "armillary-fleet", "armillary", "nobody", "daemon", "debian", "ubuntu", "sshd"}
)
"""Accounts of our own, and of the machines in which a job runs under its owner's name."""
_LOCALES = frozenset({"en", "fr"})


class Findings:
    """Collects what is wrong with a form, so that a person reads all of it at once."""

    def __init__(self) -> None:
        self.errors: dict[str, str] = {}

    def check(self, field: str, ok: bool, message: str) -> None:
        """Note `message` for `field` unless `ok`; the first finding of a field is kept."""
        if not ok:
            self.errors.setdefault(field, message)

    def user_name(self, value: str) -> None:
        """A name that a person chooses: also a Unix account and a VOSpace home, hence narrow."""
        self.check(
            "user_name",
            bool(_CHOSEN_NAME.fullmatch(value)),
            "A user name is 2 to 32 lower-case letters, digits, '-' or '_', and starts with a letter.",
        )
        self.check(
            "user_name", value not in _RESERVED, "This user name is the platform's own. Choose another one."
        )

    def project_name(self, value: str) -> None:
        """A project name that a person chooses."""
        self.check(
            "project_name",
            bool(_CHOSEN_NAME.fullmatch(value)),
            "A project name is 2 to 32 lower-case letters, digits, '-' or '_', and starts with a letter.",
        )

    def admin_name(self, field: str, value: str) -> None:
        """A name given by an administrator, as wide as Keystone's clients need."""
        self.check(
            field,
            bool(_ADMIN_NAME.fullmatch(value)),
            "A name is 1 to 255 letters, digits or '._@+-', and starts with a letter or digit.",
        )

    def text(
        self, field: str, value: str, *, longest: int, required: bool = True, lines: bool = False
    ) -> None:
        """A free text: printable in any script, bounded."""
        self.check(field, bool(value.strip()) or not required, "This must not be empty.")
        self.check(field, len(value) <= longest, f"This is longer than {longest} characters.")
        allowed = "\n\r\t" if lines else ""
        # Cc: control characters, Cs: halves of surrogate pairs, which no database can store
        clean = all(c in allowed or unicodedata.category(c) not in {"Cc", "Cs"} for c in value[: longest + 1])
        self.check(field, clean, "This contains control characters.")

    def email(self, value: str) -> None:
        """An address that can be written to; whether it exists only a mail can tell."""
        ok = len(value) <= 254 and bool(_EMAIL.fullmatch(value)) and ".." not in value
        self.check("email", ok, "This is not an e-mail address.")

    def locale(self, value: str) -> None:
        """A language that the platform speaks."""
        self.check("locale", value in _LOCALES, "The languages are en and fr.")

    def password(self, value: str, *, user_name: str = "", field: str = "password") -> None:
        """A password that is not guessed in an afternoon."""
        self.check(field, len(value) >= PASSWORD_MIN, f"A password has at least {PASSWORD_MIN} characters.")
        self.check(field, len(value) <= PASSWORD_MAX, f"A password has at most {PASSWORD_MAX} characters.")
        encodable = all(unicodedata.category(c) != "Cs" for c in value[:PASSWORD_MAX])
        self.check(field, encodable, "This password contains characters that cannot be stored.")
        self.check(field, len(set(value[:PASSWORD_MAX])) > 2, "This password repeats too few characters.")
        same = bool(user_name) and value.casefold() == user_name.casefold()
        self.check(field, not same, "The password must not be the user name.")

    def allocation(self, field: str, value: Allocation) -> None:
        """Positive figures within what anybody could mean."""
        for name, (least, most) in LIMITS.items():
            figure: int = getattr(value, name)
            self.check(
                f"{field}.{name}",
                type(figure) is int and least <= figure <= most,
                f"This must be a whole number from {least} to {most}.",
            )

    def settle(self, remedy: str = "Correct the field and send the request again.") -> None:
        """Raise Invalid if there is any finding: facts name the first `field` and all `errors` by field."""
        if not self.errors:
            return
        field, message = next(iter(self.errors.items()))
        raise Invalid(
            f"{field}: {message}",
            code="invalid_field",
            facts={"field": field, "errors": dict(self.errors)},
            remedy=remedy,
        )


def normal_password(password: str) -> str:
    """Return the NFC form of a password: two keyboards may compose the same letters differently."""
    return unicodedata.normalize("NFC", password)
