"""What a request may be at most: its host, the length of its address and body, and the characters in them.

Here: what is refused before any route, form or database sees it. Not here: proof that a form is ours (`middleware`),
and what a value means (each page).

A NUL is no character of any name, number or day, and PostgreSQL refuses it as a fault of the program's: so it stops
here, as a fault of whoever sent it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cohortium_platform.errors import BadInput, CohortiumError
from cohortium_web.browser import site_of
from cohortium_web.problems import show_problem

__all__ = [
    "FILES", "FORM", "FORM_WITH_FILE", "MOST_BODY_BYTES", "MOST_QUERY_BYTES", "MOST_REVIEW_BYTES", "PACK_FILE", "TAKEN",
    "Bounded",
]  # fmt: skip

MOST_BODY_BYTES = 64 * 1024
"""More than any form here is long, but for a review."""
MOST_REVIEW_BYTES = 512 * 1024
"""A review has dozens of fields, and each may hold a page of words."""
MOST_QUERY_BYTES = 8 * 1024
FORM = "application/x-www-form-urlencoded"
FORM_WITH_FILE = "multipart/form-data"
PACK_FILE = "application/octet-stream"
TAKEN: Mapping[str, str] = {
    FORM: "forms of pages, and programs that ask for a token or say that a session is over",
    FORM_WITH_FILE: "forms of the pages that take a file, and of no other",
    PACK_FILE: "a pack's file that a program publishes, and nowhere else",
}
"""What a body may be, and why."""
FILES: Mapping[str, int] = {
    "/ig/opt-outs/": 64 * 1024 * 1024,
    "/publish/": 17 * 1024 * 1024,
    "/api/v1/packs": 16 * 1024 * 1024,
}
"""What takes a file, and how many bytes there may be with it: five million NHS numbers, a line each; a signed pack."""
_KINDS: Mapping[str, str] = {"/api/v1/packs": PACK_FILE}
"""How a file is sent where it is not in a form."""
_REVIEW = re.compile(r"/registries/[^/]+/patients/[^/]+/reviews/[^/]+/(save|complete)")
"""Where the answers of a review are sent."""
_PROBES = frozenset({"/healthz", "/readyz"})
"""Asked by load balancers, which name the machine and not the service."""


class _TooLong(CohortiumError):  # noqa: N818 - as the errors of the tree are named
    status: ClassVar[int] = 413
    title: ClassVar[str] = "That is too long"


class _NotTaken(CohortiumError):  # noqa: N818 - the same
    status: ClassVar[int] = 415
    title: ClassVar[str] = "That is not taken here"


class _Misdirected(CohortiumError):  # noqa: N818 - the same
    status: ClassVar[int] = 421
    title: ClassVar[str] = "Not this service"


class Bounded:
    """Refuses a request that is too long, holds a NUL, or was meant for another host."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            headers = Headers(scope=scope)
            _check_host(scope, headers)
            _check_address(scope)
            most = _check_announced(headers, scope["path"])
        except CohortiumError as refused:
            answer = show_problem(Request(scope, receive), refused)
            answer.headers["connection"] = "close"  # what follows on it may be the rest of this request
            await answer(scope, receive, send)
            return
        await self.app(scope, _Counted(receive, most), send)


class _Counted:
    """A `receive` that raises once more has come than a body may have, announced or not, or a NUL."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive, self._most, self._length, self._last = receive, most, 0, b""

    async def __call__(self) -> Message:
        message = await self._receive()
        body: bytes = message.get("body", b"")
        self._length += len(body)
        if self._length > self._most:
            raise _too_long()
        if _has_nul(self._last + body):
            raise BadInput("What was sent holds a character that is none.", "Type it again.")
        self._last = (self._last + body)[-2:]
        return message


def _check_host(scope: Scope, headers: Headers) -> None:
    """See that the request was meant for this service, where the service knows its own address."""
    public_url = site_of(HTTPConnection(scope)).settings.public_url
    if public_url is None or scope["path"] in _PROBES:
        return
    if headers.get("host", "").lower() != urlsplit(public_url).netloc.lower():
        raise _Misdirected("This service has another address.", "Use the address that you were given.")


def _check_address(scope: Scope) -> None:
    query: bytes = scope["query_string"]
    if len(query) > MOST_QUERY_BYTES:
        raise _too_long()
    if "\0" in scope["path"] or _has_nul(query):
        raise BadInput("The address holds a character that is none.", "Check the address.")


def _check_announced(headers: Headers, path: str) -> int:
    """What the headers say of a body, before any of it is read. Two lengths at once are how a request is hidden in
    another, where a proxy believes the one and the server the other. Gives how many bytes it may have.
    """
    if "content-length" in headers and "transfer-encoding" in headers:
        raise BadInput("That request could not be read.")
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise BadInput("That request could not be read.")
    kind = headers.get("content-type", FORM).partition(";")[0].strip().lower()
    with_file = path in FILES and kind == _KINDS.get(path, FORM_WITH_FILE)
    most = FILES[path] if with_file else MOST_REVIEW_BYTES if _REVIEW.fullmatch(path) else MOST_BODY_BYTES
    if len(length) > len(str(most)) or int(length) > most:
        raise _too_long()
    if not (with_file or kind == FORM) and (int(length) or "transfer-encoding" in headers):
        raise _NotTaken("This kind of content is not taken here.", "Send the form of a page.")
    return most


def _has_nul(text: bytes) -> bool:
    return b"\0" in text or b"%00" in text


def _too_long() -> _TooLong:
    return _TooLong("That is too long.", "Send less at a time.")
