"""What a route for programs declares, and what happens around it: the token, its scope, the transaction, the audit.

Here: `requires_program(scope)`, the counterpart of `requiring.requires` for people. Not here: issuing tokens
(`programs`). The program's row is read in each request: ending a program works at once, whatever tokens are out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import Depends
from sqlmodel import Session
from starlette.requests import Request

from cohortium_auth.login.programs import Scope, SignedInProgram, covers, find_program
from cohortium_platform.audit import Entry, Outcome, record, record_alone
from cohortium_platform.errors import CohortiumError, Forbidden, Unauthenticated
from cohortium_web.browser import site_of
from cohortium_web.middleware import request_id_of
from cohortium_web.site import Site

__all__ = ["AskingProgram", "RequiresProgram", "requires_program"]


@dataclass
class AskingProgram:
    """One request by a program: who asks, in which transaction."""

    request: Request
    site: Site
    session: Session
    who: SignedInProgram
    token_id: str
    recorded: bool = field(default=False)

    def record(self, resource: str, *, detail: Mapping[str, object] | None = None) -> None:
        """Write this request's audit entry."""
        record(self.session, self.entry(resource, detail=detail))
        self.recorded = True

    def entry(
        self, resource: str, *, outcome: Outcome = Outcome.DONE, detail: Mapping[str, object] | None = None
    ) -> Entry:
        """The audit entry of this request, ended as it did."""
        return Entry(
            action="program-request",
            resource=resource,
            actor=f"program:{self.who.id}",
            role="program",
            organisation=self.who.organisation,
            purpose="",
            outcome=outcome,
            request_id=request_id_of(self.request.scope),
            detail={"token": self.token_id, **(detail or {})},
        )


class RequiresProgram:
    """The declaration of a route for programs, as a FastAPI dependency that gives its `AskingProgram`."""

    def __init__(self, scope: Scope | None) -> None:
        self.scope = scope

    def __call__(self, request: Request) -> Iterator[AskingProgram]:
        """Read the token, open the transaction of its tenant, let the route work, see that it was recorded."""
        site = site_of(request)
        bearer = site.access_tokens.read(_token(request), issuer=site.address(request))
        with site.database.tenant(bearer.tenant_id) as session:
            program = find_program(session, bearer.program_id)
            if program is None:
                raise Unauthenticated("The access token is not valid.", "Ask for a new one.")
            who = SignedInProgram(program.id, bearer.tenant_id, program.name, program.organisation, bearer.scopes)
            asking = AskingProgram(request, site, session, who, bearer.token_id)
            if self.scope is not None and not covers(bearer.scopes, self.scope):
                denied = asking.entry(_route(request), outcome=Outcome.DENIED, detail={"scope": str(self.scope)})
                record_alone(site.aside, bearer.tenant_id, denied)
                raise Forbidden(f"The access token lacks the scope {self.scope}.", "Ask for a token with it.")
            yield asking
            if not asking.recorded:
                raise CohortiumError("An answer was made without an audit entry.", "Its route must call record.")


def requires_program(scope: str = "") -> Any:  # noqa: ANN401 - what FastAPI's Depends is
    """Declare that a route is for programs, and the scope that it needs; none means any program of a tenant."""
    return Depends(RequiresProgram(Scope.of(scope) if scope else None), scope="function")


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("An access token is needed.", "Send it as: Authorization: Bearer TOKEN")
    return token.strip()


def _route(request: Request) -> str:
    path: str = request.scope["route"].path
    return path
