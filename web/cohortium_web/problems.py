"""Errors at the edge: `application/problem+json` (RFC 9457) for programs, a page for people, a part for htmx.

Here: which of the three, and the words for errors that are not ours. Not here: the tree of errors
(cohortium_platform.errors).
"""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import quote

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from cohortium_platform.errors import BadInput, CohortiumError, Forbidden, NotFound, Unauthenticated
from cohortium_web.templating import render_plain

__all__ = ["handle_errors", "show_failure", "show_problem"]


class _MethodNotAllowed(CohortiumError):  # noqa: N818 - as the errors of the tree are named
    status, title = 405, "That cannot be done here"


def handle_errors(app: FastAPI) -> None:
    """Show every error that a route or FastAPI itself raises."""
    app.add_exception_handler(CohortiumError, _ours)
    app.add_exception_handler(HTTPException, _starlettes)
    app.add_exception_handler(RequestValidationError, _validation)


def show_problem(request: Request, error: CohortiumError) -> Response:
    """One error, as its reader can use it. Nobody is told that a thing exists which they may not see: a refusal by
    policy reaches this place as `NotFound` already; a `Forbidden` here is about the request, not about a record.
    """
    if isinstance(error, Unauthenticated) and _wants_page(request):
        return _to_sign_in(request)
    number = request.scope["state"]["cohortium.request_id"]
    if not _wants_page(request):
        body = {"type": "about:blank", "title": error.title, "status": error.status, "detail": error.message}
        extra = {"advice": error.advice, "request_id": number}
        headers = {"www-authenticate": "Bearer"} if isinstance(error, Unauthenticated) else None
        return JSONResponse({**body, **extra}, error.status, headers, media_type="application/problem+json")
    part = "hx-request" in request.headers
    name = "problem_part.html" if part else "problem.html"
    return render_plain(request, name, error.status, title=error.title, error=error, request_id=number)


def show_failure(request: Request) -> Response:
    """A failure that nobody foresaw: its number, and nothing else of it."""
    error = CohortiumError(
        "Nothing was changed.", "Try again. If it happens again, tell your support desk the number below."
    )
    return show_problem(request, error)


def _wants_page(request: Request) -> bool:
    accept = request.headers.get("accept", "*/*")
    return "hx-request" in request.headers or "text/html" in accept


def _to_sign_in(request: Request) -> Response:
    """To the sign-in page, and from there back to where somebody wanted to go."""
    if "hx-request" in request.headers:
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"HX-Redirect": "/sign-in"})
    where = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    target = "/sign-in" if request.method != "GET" or where == "/" else f"/sign-in?next={quote(where, safe='')}"
    return RedirectResponse(target, HTTPStatus.SEE_OTHER)


async def _ours(request: Request, error: Exception) -> Response:
    if not isinstance(error, CohortiumError):
        raise error
    return show_problem(request, error)


async def _starlettes(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.INTERNAL_SERVER_ERROR
    if status == HTTPStatus.NOT_FOUND:
        return show_problem(request, NotFound("There is no such page.", "Check the address."))
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return show_problem(request, _MethodNotAllowed("This address does not take that.", "Go back and try again."))
    if status == HTTPStatus.FORBIDDEN:
        return show_problem(request, Forbidden("You may not do that."))
    return show_problem(request, BadInput("That request could not be read."))


async def _validation(request: Request, error: Exception) -> Response:
    """Name the fields that are wrong, never what they held."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    names = sorted({str(problem["loc"][-1]) for problem in found})
    what = f"These cannot be read: {', '.join(names)}." if names else "That request could not be read."
    return show_problem(request, BadInput(what, "Go back and correct them."))
