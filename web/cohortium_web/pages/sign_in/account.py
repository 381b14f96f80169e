"""Signing in with an account of the tenant's own, and setting one up. Only where the tenant has no enabled provider.

Not here: what is checked (cohortium_auth.login.local).
"""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import segno
from fastapi import APIRouter, Form
from markupsafe import Markup
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response

from cohortium_auth.login import Standing, end_other_sessions, roles_of
from cohortium_auth.login.limits import ACCOUNT, ADDRESS, NOBODY
from cohortium_auth.login.local import (
    Enrolling,
    TotpSecret,
    account_name,
    change_password,
    check,
    enrol,
    hold_enrolment,
    take_enrolment,
)
from cohortium_auth.login.oidc import Recognised, enabled_providers
from cohortium_auth.login.refusals import SignInRefused
from cohortium_auth.policy import Action
from cohortium_platform.audit import Entry, record
from cohortium_platform.errors import BadInput, NotFound
from cohortium_platform.keys import TenantKeys
from cohortium_tenants.keys import open_keys
from cohortium_web.asking import Asking
from cohortium_web.middleware import request_id_of
from cohortium_web.pages.sign_in.entering import Entrance, address_of, enter, local_path
from cohortium_web.pages.sign_in.provider import choice_page
from cohortium_web.requiring import requires
from cohortium_web.templating import render_plain

__all__ = ["router"]

router = APIRouter()

METHOD = "account"
_TWO_FACTORS = Standing(assurance=2)
_WRONG = "The account name, the password or the code is not right, or the account is locked for a while. Try again."
"""One answer for everything that can be wrong."""


@router.post("/sign-in/to/{tenant}/account")
def sign_in(  # noqa: PLR0913, PLR0917 - a form's fields
    request: Request,
    tenant: str,
    name: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    code: Annotated[str, Form()] = "",
    wanted: Annotated[str, Form()] = "/",
) -> Response:
    """Check name, password and code together, so that no one of them can be tried alone."""
    entrance = Entrance.of(request, tenant)
    _see_no_provider(entrance)
    try:
        return _checked(entrance, name, password, code, wanted)
    except SignInRefused:
        return render_plain(
            request, "sign_in/account.html", HTTPStatus.FORBIDDEN, tenant=entrance.tenant, providers=(), query="",
            wanted=local_path(wanted), name=name, wrong=_WRONG,
        )  # fmt: skip


@router.post("/sign-in/to/{tenant}/account/set-up")
def set_up(
    request: Request,
    tenant: str,
    token: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    code: Annotated[str, Form()] = "",
) -> Response:
    """Take a password of one's own and the first code of an app, and let the person in."""
    entrance = Entrance.of(request, tenant)
    _see_no_provider(entrance)
    site = entrance.site
    with entrance.recorded(METHOD), site.database.tenant(entrance.tenant.id) as session:
        enrolling = take_enrolment(session, _keys(entrance, session), entrance.browser.visit, token)
    try:
        with site.database.tenant(entrance.tenant.id) as session:
            enrol(session, _keys(entrance, session), enrolling, password, code, now=datetime.now(UTC))
            entry = Entry(
                action="set-up-account",
                resource="account",
                actor=str(enrolling.person_id),
                role="",
                purpose="",
                request_id=request_id_of(request.scope),
            )
            record(session, entry)
    except BadInput as wrong:
        return _set_up_page(entrance, enrolling, f"{wrong.message} {wrong.advice}", HTTPStatus.BAD_REQUEST)
    return _let_in(entrance, enrolling.person_id, enrolling.wanted)


@router.get("/password")
def show_password(asking: Annotated[Asking, requires(Action.MANAGE_OWN_SESSION)]) -> Response:
    """Where somebody with an account changes their password. Raises `NotFound` for anybody else."""
    name = account_name(asking.session, asking.who.person_id)
    if not name:
        raise NotFound("There is no such page.", "Check the address.")
    asking.record("account/password")
    return asking.page("sign_in/password.html", name=name, wrong="", done=False)


@router.post("/password")
def change(
    asking: Annotated[Asking, requires(Action.MANAGE_OWN_SESSION)],
    old: Annotated[str, Form()] = "",
    new: Annotated[str, Form()] = "",
    code: Annotated[str, Form()] = "",
) -> Response:
    """Change it. Every other session of theirs ends."""
    wrong = ""
    with asking.site.limits.failures((ACCOUNT, str(asking.who.person_id))):
        try:
            change_password(asking.session, asking.keys, asking.who.person_id, old, new, code=code)
        except BadInput as refused:
            wrong = f"{refused.message} {refused.advice}"
            asking.site.limits.count(ACCOUNT, str(asking.who.person_id))
        else:
            end_other_sessions(asking.session, asking.who)
    asking.record("account/password", detail={"changed": not wrong})
    name = account_name(asking.session, asking.who.person_id)
    return asking.page("sign_in/password.html", name=name, wrong=wrong, done=not wrong)


def _checked(entrance: Entrance, name: str, password: str, code: str, wanted: str) -> Response:
    """Count the try, check it, and go on. Raises `SignInRefused` and `TooManyTries`."""
    site = entrance.site
    tried = (ADDRESS, address_of(entrance.request)), (ACCOUNT, f"{entrance.tenant.id} {name.strip().casefold()}")
    with entrance.recorded(METHOD), site.limits.failures(*tried):
        with site.database.tenant(entrance.tenant.id) as session:
            checked = check(session, _keys(entrance, session), name, password, code, now=datetime.now(UTC))
        if checked.why in {"no-account", "locked"}:  # nothing was noted: take as long as if it had been
            site.limits.count(NOBODY, name)
        if checked.person_id is None or checked.why:
            raise SignInRefused(checked.why or "no-account", person_id=checked.person_id)
    if checked.to_set_up:
        enrolling = Enrolling(checked.person_id, name.strip(), TotpSecret.random(), local_path(wanted))
        return _set_up_page(entrance, enrolling, "")
    return _let_in(entrance, checked.person_id, local_path(wanted))


def _let_in(entrance: Entrance, person_id: UUID, wanted: str) -> Response:
    """To the one role that somebody holds, or to the choice of several."""
    with entrance.recorded(METHOD), entrance.site.database.tenant(entrance.tenant.id) as session:
        holdings = roles_of(session, person_id, datetime.now(UTC).date())
        if not holdings:
            raise SignInRefused(
                "no-role", "You hold no role here at the moment.", "Ask your administrator.", person_id=person_id
            )
    chosen = holdings[0] if len(holdings) == 1 else None
    recognised = Recognised(person_id, _TWO_FACTORS, holdings, METHOD, wanted, chosen)
    if recognised.chosen is None:
        return choice_page(entrance, recognised)
    return enter(entrance.request, recognised.identified(entrance.tenant.id, recognised.chosen), METHOD, wanted)


def _set_up_page(entrance: Entrance, enrolling: Enrolling, wrong: str, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Show the second factor's secret. It is shown until the account is set up, and never again."""
    with entrance.site.database.tenant(entrance.tenant.id) as session:
        token = hold_enrolment(session, _keys(entrance, session), enrolling, entrance.visit())
    square = segno.make(enrolling.secret.address(entrance.tenant.name, enrolling.name), error="m")
    return render_plain(
        entrance.request,
        "sign_in/set_up.html",
        status,
        tenant=entrance.tenant,
        token=token,
        name=enrolling.name,
        secret=" ".join(enrolling.secret.text[start : start + 4] for start in range(0, len(enrolling.secret.text), 4)),
        square=Markup(square.svg_inline(scale=4, border=4, light="#ffffff")),  # noqa: S704 - made here, of numbers
        wrong=wrong,
    )


def _see_no_provider(entrance: Entrance) -> None:
    """Accounts are for tenants without a provider: they must be no way round one. Raises `NotFound`."""
    with entrance.site.database.tenant(entrance.tenant.id) as session:
        if enabled_providers(session):
            raise NotFound("There is no such way to sign in.", "Choose one from the sign-in page.")


def _keys(entrance: Entrance, session: Session) -> TenantKeys:
    return open_keys(session, entrance.site.key_encryption)
