"""Signing in for programs: the token endpoint, what it can do, and who one is.

SMART App Launch 2, backend services. Not here: what proves a program (cohortium_auth.login.programs).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import JSONResponse

from cohortium_auth.login.limits import PROGRAM
from cohortium_auth.login.programs import Scope, client_of, covers, find_program, read_scopes, verify_assertion
from cohortium_auth.login.programs.assertions import ALGORITHMS, ASSERTION_TYPE
from cohortium_auth.login.programs.models import Program
from cohortium_auth.login.programs.tokens import LIFETIME_SECONDS
from cohortium_auth.login.refusals import SignInRefused, TooManyTries
from cohortium_auth.login.replay import use_once
from cohortium_platform.audit import Entry, Outcome, record, record_alone
from cohortium_platform.errors import BadInput, Unavailable
from cohortium_tenants.tenants import tenant_ids
from cohortium_web.api.requiring import AskingProgram, requires_program
from cohortium_web.browser import site_of
from cohortium_web.middleware import request_id_of
from cohortium_web.pages.sign_in.entering import address_of
from cohortium_web.site import Site

__all__ = ["router"]

router = APIRouter()

TOKEN_PATH = "/oauth/token"  # noqa: S105 - an address
_UNCACHED = {"cache-control": "no-store", "pragma": "no-cache"}


@router.get("/.well-known/smart-configuration")
def configuration(request: Request) -> JSONResponse:
    """What a program needs to know before it signs in."""
    address = site_of(request).address(request)
    return JSONResponse(
        {
            "token_endpoint": address + TOKEN_PATH,
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
            "grant_types_supported": ["client_credentials"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": ["system/*.rs"],
            "capabilities": ["client-confidential-asymmetric", "permission-v2"],
        }
    )


@router.post(TOKEN_PATH)
def token(
    request: Request,
    grant_type: Annotated[str, Form()] = "",
    scope: Annotated[str, Form()] = "",
    client_assertion_type: Annotated[str, Form()] = "",
    client_assertion: Annotated[str, Form()] = "",
) -> JSONResponse:
    """Exchange an assertion for an access token. Errors are those of RFC 6749, 5.2; why is for the audit alone."""
    if grant_type != "client_credentials":
        return _error("unsupported_grant_type")
    site = site_of(request)
    try:
        asked = _Asked(client_assertion_type, client_assertion, read_scopes(scope))
        with site.limits.failures((PROGRAM, address_of(request))):
            tenant_id, program_id = _named(site, asked)
            return _recorded(request, site, tenant_id, program_id, asked)
    except BadInput:
        return _error("invalid_scope")
    except TooManyTries:
        return _error("temporarily_unavailable", HTTPStatus.TOO_MANY_REQUESTS)
    except Unavailable:
        return _error("temporarily_unavailable", HTTPStatus.SERVICE_UNAVAILABLE)
    except SignInRefused:
        return _error("invalid_client")


@router.get("/api/v1/whoami")
def who_am_i(asking: Annotated[AskingProgram, requires_program()]) -> JSONResponse:
    """Who a program is here: its name, its organisation, and the scopes of its token."""
    asking.record("program/self")
    who = asking.who
    scopes = [str(scope) for scope in who.scopes]
    return JSONResponse({"id": str(who.id), "name": who.name, "organisation": who.organisation, "scopes": scopes})


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a program sent."""

    kind: str
    assertion: str
    scopes: tuple[Scope, ...]

    @property
    def scope(self) -> str:
        """The scopes as RFC 6749 writes them."""
        return " ".join(str(scope) for scope in self.scopes)


def _named(site: Site, asked: _Asked) -> tuple[UUID, UUID]:
    """The tenant and program that it says it is of. Raises `SignInRefused`."""
    if asked.kind != ASSERTION_TYPE:
        raise SignInRefused("assertion-type")
    tenant_id, program_id = client_of(asked.assertion)
    if tenant_id not in tenant_ids(site.database):
        raise SignInRefused("tenant")
    return tenant_id, program_id


def _recorded(request: Request, site: Site, tenant_id: UUID, program_id: UUID, asked: _Asked) -> JSONResponse:
    """A token, or a refusal, either of them recorded. Raises `SignInRefused` and `BadInput`."""
    try:
        _prove(request, site, tenant_id, program_id, asked)
    except (SignInRefused, BadInput) as refused:
        why = refused.why if isinstance(refused, SignInRefused) else "scope"
        record_alone(site.database, tenant_id, _entry(request, program_id, outcome=Outcome.DENIED, why=why))
        raise
    given = site.access_tokens.issue(tenant_id, program_id, asked.scopes, issuer=site.address(request))
    body = {"access_token": given, "token_type": "bearer", "expires_in": LIFETIME_SECONDS, "scope": asked.scope}
    return JSONResponse(body, headers=_UNCACHED)


def _prove(request: Request, site: Site, tenant_id: UUID, program_id: UUID, asked: _Asked) -> None:
    """See that the assertion is the program's own, is used once, and asks for what it may. No transaction is open while
    its keys are fetched. Raises `SignInRefused` and `BadInput`.
    """
    with site.database.tenant(tenant_id) as session:
        program = find_program(session, program_id)
    if program is None:
        raise SignInRefused("no-program")
    proof = verify_assertion(asked.assertion, program, site.providers, site.address(request) + TOKEN_PATH)
    with site.database.tenant(tenant_id) as session:
        expires = datetime.fromtimestamp(proof.expires + LIFETIME_SECONDS, UTC)
        if not use_once(session, str(program_id), proof.id, expires):
            raise SignInRefused("replayed")
        _check_scopes(program, asked.scopes)
        record(session, _entry(request, program_id, organisation=program.organisation, scope=asked.scope))


def _check_scopes(program: Program, asked: tuple[Scope, ...]) -> None:
    held = [Scope.of(text) for text in program.scopes]
    if not all(covers(held, scope) for scope in asked):
        raise BadInput("A scope was asked for that the program does not have.")


def _entry(
    request: Request, program_id: UUID, *, organisation: str = "", outcome: Outcome = Outcome.DONE, **detail: str
) -> Entry:
    return Entry(
        action="program-token",
        resource="program/self",
        actor=f"program:{program_id}",
        role="program",
        organisation=organisation,
        purpose="",
        outcome=outcome,
        request_id=request_id_of(request.scope),
        detail=detail,
    )


def _error(word: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> JSONResponse:
    return JSONResponse({"error": word}, status, _UNCACHED)
