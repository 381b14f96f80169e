"""What the browser carries: the session cookie, the visit cookie, and what a form must prove.

Here: names and attributes of cookies, and the form token. Not here: refusing a forged form (`middleware`).

Over HTTPS both cookies are `__Host-` cookies: secure, for this host alone, and not to be set by a neighbour. Only a
demonstration may run without HTTPS, and then they bear other names, so that neither can pass for the other.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Scope

from cohortium_auth.login.sessions import ABSOLUTE_LIMIT
from cohortium_web.site import Site

__all__ = ["FORM_FIELD", "FORM_HEADER", "Browser", "browser_of", "forget_session", "keep_session", "site_of"]

FORM_FIELD = "form_token"
FORM_HEADER = "x-form-token"
_KEY = "cohortium.browser"


def site_of(connection: HTTPConnection) -> Site:
    """The site that a request came to."""
    site: Site = connection.app.state.site
    return site


@dataclass(slots=True)
class Browser:
    """One browser's cookies as a request brought them. `visit` is random and says nothing of anybody."""

    secure: bool
    session_cookie: str
    visit: str
    is_new: bool
    token_given: bool = field(default=False)

    @property
    def session_name(self) -> str:
        """The session cookie's name."""
        return "__Host-cohortium" if self.secure else "cohortium"

    @property
    def visit_name(self) -> str:
        """The visit cookie's name."""
        return "__Host-cohortium-visit" if self.secure else "cohortium-visit"

    def form_token(self, site: Site) -> str:
        """What this browser's forms must carry."""
        self.token_given = True
        return site.signer.form_token(self.visit, self.session_cookie)


def browser_of(scope: Scope) -> Browser:
    """The browser behind a request, read once."""
    state = scope.setdefault("state", {})
    if _KEY not in state:
        connection = HTTPConnection(scope)
        secure = connection.url.scheme == "https" or not site_of(connection).settings.demo
        browser = Browser(secure, "", "", is_new=False)
        browser.session_cookie = connection.cookies.get(browser.session_name, "")
        browser.visit = connection.cookies.get(browser.visit_name, "")
        if not browser.visit:
            browser.visit, browser.is_new = secrets.token_urlsafe(16), True
        state[_KEY] = browser
    found: Browser = state[_KEY]
    return found


def keep_session(browser: Browser, response: Response, value: str) -> None:
    """Let the browser keep a session until it is closed, and no longer than a session may last."""
    response.set_cookie(
        browser.session_name,
        value,
        max_age=int(ABSOLUTE_LIMIT.total_seconds()),
        path="/",
        secure=browser.secure,
        httponly=True,
        samesite="lax",
    )


def forget_session(browser: Browser, response: Response) -> None:
    """Take the session back from the browser."""
    response.delete_cookie(browser.session_name, path="/", secure=browser.secure, httponly=True, samesite="lax")
