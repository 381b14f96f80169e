"""What every request passes through, as plain ASGI: a number, protective headers, the proof that a form is ours.

Here: three middlewares, and their order with that of `bounds` (`wrap`). Not here: who is asking (`asking`), how an
error looks (`problems`), how long a request may be (`bounds`).
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from fastapi import FastAPI
from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cohortium_platform.errors import CohortiumError, Forbidden
from cohortium_web.bounds import FORM, FORM_WITH_FILE, Bounded
from cohortium_web.browser import FORM_FIELD, FORM_HEADER, browser_of, site_of
from cohortium_web.problems import show_failure, show_problem

__all__ = ["CONTENT_SECURITY_POLICY", "HEADERS", "request_id_of", "timings_of", "wrap"]

_log = logging.getLogger(__name__)

_DIRECTIVES = {
    "default-src": "'none'",
    **dict.fromkeys(("script-src", "style-src", "img-src", "font-src", "connect-src", "manifest-src"), "'self'"),
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
}
CONTENT_SECURITY_POLICY = "; ".join(f"{directive} {allowed}" for directive, allowed in _DIRECTIVES.items())
HEADERS: Mapping[str, str] = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
_STRICT_TRANSPORT = "max-age=63072000; includeSubDomains"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_PROGRAMS = re.compile(r"/oauth/token|/api/v1/packs|/sign-in/to/[^/]+/with/[^/]+/logout")
"""Where programs send what proves itself, and no cookie counts: there is nothing that a forged form could borrow."""
_JSON = re.compile(r"application/([\w.-]+\+)?json\b")
"""What programs are answered: a browser that opens it by itself keeps it as a file and shows nothing of it."""
_FIRST_PART_BYTES = 1024
"""More than the part of a form with a file that holds its token."""


def wrap(app: FastAPI) -> None:
    """Put the middlewares round an application, outermost last."""
    app.add_middleware(FormProtection)
    app.add_middleware(Bounded)
    app.add_middleware(ProtectiveHeaders)
    app.add_middleware(RequestNumber)


def request_id_of(scope: Scope) -> str:
    """The number that names a request in the log, the audit and on an error page."""
    number: str = scope["state"]["cohortium.request_id"]
    return number


def timings_of(scope: Scope) -> dict[str, float]:
    """Milliseconds spent in each named part of a request, for the Server-Timing header."""
    timings: dict[str, float] = scope["state"]["cohortium.timings"]
    return timings


class RequestNumber:
    """Gives a request its number and its times, and turns an unforeseen failure into a page that names the number."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        state = scope.setdefault("state", {})
        state["cohortium.request_id"] = uuid4().hex
        state["cohortium.timings"] = {}
        started = False

        async def numbered(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id_of(scope)
                total = (time.perf_counter() - began) * 1000
                parts = [f"{name};dur={spent:.1f}" for name, spent in timings_of(scope).items()]
                headers["server-timing"] = ", ".join([*parts, f"total;dur={total:.1f}"])
            await send(message)

        try:
            await self.app(scope, receive, numbered)
        except Exception as failure:  # noqa: BLE001 - whatever it is, its words go no further
            # Only its kind and place are logged: a message may quote what somebody typed.
            _log.exception("request %s failed", request_id_of(scope), exc_info=_unspoken(failure))
            if started:  # the server logs it too
                raise _unspoken(failure) from None
            response = show_failure(Request(scope, receive))
            for name, value in HEADERS.items():
                response.headers[name] = value
            await response(scope, receive, numbered)


def _unspoken(failure: Exception) -> BaseException:
    """The failure's kind and traceback without its words."""
    nameless: type[Exception] = type(failure.__class__.__name__, (Exception,), {})
    return nameless().with_traceback(failure.__traceback__)


class ProtectiveHeaders:
    """Adds the headers that keep a browser from helping an attacker, and keeps pages out of every cache."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        https = HTTPConnection(scope).url.scheme == "https"

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if https:
                    headers["strict-transport-security"] = _STRICT_TRANSPORT
                headers.setdefault("cache-control", "no-store")
                if _JSON.match(headers.get("content-type", "")):
                    headers.setdefault("content-disposition", 'attachment; filename="answer.json"')
                if "location" in headers:
                    headers["location"] = _relative(headers["location"], scope)
                headers.add_vary_header("HX-Request")
                browser = browser_of(scope)
                if browser.token_given and browser.is_new:
                    secure = "; Secure" if browser.secure else ""
                    cookie = f"{browser.visit_name}={browser.visit}; Path=/; HttpOnly; SameSite=Lax{secure}"
                    headers.append("set-cookie", cookie)
            await send(message)

        await self.app(scope, receive, protected)


def _relative(location: str, scope: Scope) -> str:
    """An address without the host, when it is that of the request: what a request says of its host is repeated nowhere.
    Starlette names it when it leads to the same address with a slash.
    """
    parts = urlsplit(location)
    if not parts.netloc or parts.netloc != Headers(scope=scope).get("host"):
        return location
    path = "/" + parts.path.lstrip("/")
    return f"{path}?{parts.query}" if parts.query else path


class FormProtection:
    """Refuses what changes something unless it comes from a page of ours: the browser says so, where it can, and the
    form or header carries the token of this browser and session.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] in _SAFE:
            await self.app(scope, receive, send)
            return
        try:
            if _PROGRAMS.fullmatch(scope["path"]):
                _, receive = await _read_form(receive)
            else:
                receive = await _checked(scope, receive)
        except CohortiumError as refused:
            await show_problem(Request(scope, receive), refused)(scope, receive, send)
            return
        await self.app(scope, receive, send)


async def _checked(scope: Scope, receive: Receive) -> Receive:
    """Give a `receive` for the route behind. Raises `Forbidden`, and what `bounds` raises of a body."""
    headers = Headers(scope=scope)
    if not _same_origin(headers):
        raise Forbidden("That form was sent from another site.", "Open the page here and send it again.")
    token, receive = await _token(headers, receive)
    browser = browser_of(scope)
    if not site_of(HTTPConnection(scope)).signer.is_form_token(token, browser.visit, browser.session_cookie):
        raise Forbidden("That form is out of date.", "Go back, load the page again, and send it once more.")
    return receive


def _same_origin(headers: Headers) -> bool:
    """What the browser says of the page that sent the form; one too old to say anything must have the token."""
    if "sec-fetch-site" in headers:
        return headers["sec-fetch-site"] == "same-origin"
    if "origin" in headers:
        return urlsplit(headers["origin"]).netloc == headers.get("host")
    return True


async def _token(headers: Headers, receive: Receive) -> tuple[str, Receive]:
    """The token of a header or of a form, and a `receive` that gives the form once more."""
    if FORM_HEADER in headers:
        return headers[FORM_HEADER], receive
    kind = headers.get("content-type", "")
    if kind.startswith(FORM_WITH_FILE):
        return await _first_part(kind, receive)
    if not kind.startswith(FORM):
        return "", receive
    body, receive = await _read_form(receive)
    return parse_qs(body.decode("utf-8", "replace")).get(FORM_FIELD, [""])[0], receive


async def _first_part(kind: str, receive: Receive) -> tuple[str, Receive]:
    """The token of a form with a file, of which it must be the first part, so that no file is read before it; and a
    `receive` that gives what was read once more.
    """
    read: list[Message] = []
    begun = b""
    while len(begun) < _FIRST_PART_BYTES:
        read.append(await receive())
        begun += read[-1].get("body", b"")
        if read[-1]["type"] != "http.request" or not read[-1].get("more_body", False):
            break
    given = iter(read)

    async def again() -> Message:
        message = next(given, None)
        return await receive() if message is None else message

    boundary = re.escape(parse_options_header(kind)[1].get(b"boundary", b""))
    found = re.match(
        b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n([^\r]*)\r\n' % (boundary, FORM_FIELD.encode()),
        begun,
    )
    return (found[1].decode("latin-1") if found and boundary else ""), again


async def _read_form(receive: Receive) -> tuple[bytes, Receive]:
    """A whole form, which must not be long, and a `receive` that gives it once more. Raises `BadInput`."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if message["type"] != "http.request" or not message.get("more_body", False):
            break
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return body, again
