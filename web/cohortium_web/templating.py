"""Rendering templates: one Jinja environment, escaping always on, an unknown name an error.

Here: the environment, its filters, static addresses, and pages without anybody signed in. Not here: what a page says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.nodes import Call, Const, Name
from starlette.requests import Request
from starlette.responses import HTMLResponse

from cohortium_platform.portability.models import ReadOnlyPeriod
from cohortium_web import words
from cohortium_web.browser import browser_of, site_of

__all__ = [
    "ASSETS",
    "STATIC",
    "Frame",
    "NavigationItem",
    "environment",
    "render",
    "render_plain",
    "static_url",
    "warm_up",
]

STATIC = Path(__file__).parent / "static"
ASSETS = STATIC / "vendor" / "assets"
_HASH_LENGTH = 12


@dataclass(frozen=True, slots=True)
class NavigationItem:
    """A link of the header."""

    title: str
    href: str
    current: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands round every page: who is signed in, in which role and where; empty when nobody is."""

    form_token: str
    demo: bool
    display_name: str = ""
    role: str = ""
    organisation: str = ""
    tenant: str = ""
    purpose: str = ""
    can_change_role: bool = False
    can_break_glass: bool = False
    broken_glass: tuple[int, int] = (0, 0)
    """For those who review: how many openings by break-glass wait for it, and how many of them are overdue."""
    read_only: ReadOnlyPeriod | None = None
    """The read-only period in which nothing can be changed."""
    navigation: tuple[NavigationItem, ...] = ()


@cache
def environment() -> Environment:
    """The environment of every template; templates are compiled once a process."""
    made = Environment(
        loader=PackageLoader("cohortium_web"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        day=words.day, day_or=words.day_or, long_day=words.long_day, nhs_number=words.nhs_number, plural=words.plural,
        count=words.count, percent=words.percent, moment=words.moment,
    )  # fmt: skip
    made.globals.update(static=static_url)
    return made


def warm_up() -> None:
    """Compile every template and read the static files that they name, so that no request pays for it."""
    for name in environment().list_templates(extensions=["html"]):
        environment().get_template(name)
        source = (Path(__file__).parent / "templates" / name).read_text("utf-8")
        for call in environment().parse(source).find_all(Call):
            if isinstance(call.node, Name) and call.node.name == "static" and isinstance(call.args[0], Const):
                static_url(call.args[0].value)


@cache
def static_url(path: str) -> str:
    """The address of a static file, with its content in the address so that it can be kept for ever."""
    content = hashlib.sha256((STATIC / path).read_bytes()).hexdigest()
    return f"/static/{path}?v={content[:_HASH_LENGTH]}"


def render(frame: Frame, template: str, view: Mapping[str, object], status: int = 200) -> HTMLResponse:
    """A page or a part of one. `view` is what the template calls by name."""
    text = environment().get_template(template).render(frame=frame, **view)
    return HTMLResponse(text, status)


def render_plain(request: Request, template: str, status: int = 200, **view: object) -> HTMLResponse:
    """A page for someone who is not signed in, or of whom it does not matter."""
    site, browser = site_of(request), browser_of(request.scope)
    return render(Frame(browser.form_token(site), site.settings.demo), template, view, status)
