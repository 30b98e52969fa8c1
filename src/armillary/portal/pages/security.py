"""How one signs in: the password, the second factor, and identities from elsewhere."""

from __future__ import annotations

import segno
from fastapi import APIRouter
from starlette.responses import Response

from armillary.accounts.core.codes import DIGITS, SECONDS
from armillary.accounts.trail import origin_of
from armillary.base.errors import ArmillaryError
from armillary.portal.context import Portal, Sent, Services, Visiting
from armillary.portal.pages.signing_in import chosen_password
from armillary.portal.visit import Visit

router = APIRouter()


def show(portal: Portal, visit: Visit, *, error: ArmillaryError | None = None) -> Response:
    person = visit.person
    return visit.page(
        "security.html",
        status=error.status if error else 200,
        factor=portal.accounts.second_factor(person.id),
        identities=portal.accounts.identities_of(person.id),
        provider=portal.provider,
        error=error,
    )


@router.get("/security")
def security(portal: Services, visit: Visiting) -> Response:
    return show(portal, visit)


@router.post("/security/password")
def change_password(portal: Services, visit: Visiting, form: Sent) -> Response:
    who = visit.who
    try:
        new = chosen_password(form)
        keep = who.token.id if who.token else None
        origin = origin_of(visit.request)
        portal.accounts.change_password(
            who.person.id, form.raw("old_password"), new, keep=keep, origin=origin
        )
    except ArmillaryError as error:
        return show(portal, visit, error=error)
    return visit.go("/security", notice="password-changed")


def set_up(portal: Portal, visit: Visit, *, error: ArmillaryError | None = None) -> Response:
    secret = portal.accounts.begin_second_factor(visit.person.id)
    label = f"Armillary:{visit.person.user_name}"
    uri = f"otpauth://totp/{label}?secret={secret}&issuer=Armillary&digits={DIGITS}&period={SECONDS}"
    picture = segno.make_qr(uri).svg_data_uri(scale=4, border=2, dark="#000", light="#fff")
    return visit.page(
        "second_factor.html",
        status=error.status if error else 200,
        secret=secret,
        picture=picture,
        error=error,
    )


@router.get("/security/second-factor")
def second_factor_form(portal: Services, visit: Visiting) -> Response:
    if portal.accounts.has_second_factor(visit.person.id):
        return visit.go("/security")
    return set_up(portal, visit)


@router.post("/security/second-factor")
def second_factor_on(portal: Services, visit: Visiting, form: Sent) -> Response:
    try:
        codes = portal.accounts.confirm_second_factor(visit.person.id, form.text("code"))
    except ArmillaryError as error:
        return set_up(portal, visit, error=error)
    return visit.page("recovery_codes.html", codes=codes)  # on this page and on no other


@router.post("/security/recovery-codes")
def recovery_codes(portal: Services, visit: Visiting, form: Sent) -> Response:
    try:
        codes = portal.accounts.renew_recovery_codes(visit.person.id, form.text("code"))
    except ArmillaryError as error:
        return show(portal, visit, error=error)
    return visit.page("recovery_codes.html", codes=codes)


@router.post("/security/second-factor/off")
def second_factor_off(portal: Services, visit: Visiting, form: Sent) -> Response:
    try:
        portal.accounts.end_second_factor(visit.person.id, form.text("code"))
    except ArmillaryError as error:
        return show(portal, visit, error=error)
    return visit.go("/security", notice="second-factor-off")


@router.post("/security/identities/remove")
def remove_identity(portal: Services, visit: Visiting, form: Sent) -> Response:
    try:
        portal.accounts.remove_identity(
            visit.person.id, issuer=form.text("issuer"), subject=form.text("subject")
        )
    except ArmillaryError as error:
        return show(portal, visit, error=error)
    return visit.go("/security", notice="identity-removed")
