"""The web application: `create_app(settings)`.

Here: routers put together, static files, start and stop. Not here: any page (`pages`), any answer for programs (`api`).
"""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import to_thread
from fastapi import FastAPI
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from cohortium_platform.settings import Settings
from cohortium_web.api import health, programs
from cohortium_web.api import packs as pack_api
from cohortium_web.middleware import wrap
from cohortium_web.pages.aggregates import routes as aggregates
from cohortium_web.pages.appointments import routes as appointments
from cohortium_web.pages.break_glass import routes as break_glass
from cohortium_web.pages.exports import counts as exported_counts
from cohortium_web.pages.exports import routes as exports
from cohortium_web.pages.governance import (
    approvals,
    audit,
    history,
    matrix,
    openings,
    opt_outs,
    overview,
    patterns,
    proofs,
    rules,
    sensitive,
)
from cohortium_web.pages.home import routes as home
from cohortium_web.pages.onboarding import routes as onboarding
from cohortium_web.pages.outreach import routes as outreach
from cohortium_web.pages.packs import catalogue as pack_catalogue
from cohortium_web.pages.packs import enabling as pack_enabling
from cohortium_web.pages.packs import incidents as pack_incidents
from cohortium_web.pages.packs import people as pack_people
from cohortium_web.pages.packs import previews as pack_previews
from cohortium_web.pages.packs import publishing as pack_publishing
from cohortium_web.pages.patient import routes as patient
from cohortium_web.pages.pseudonymised import routes as pseudonymised
from cohortium_web.pages.rates import routes as rates
from cohortium_web.pages.reconciliation import routes as reconciliation
from cohortium_web.pages.registry import routes as registry
from cohortium_web.pages.reviews import routes as reviews
from cohortium_web.pages.sign_in import account, demo, provider
from cohortium_web.pages.sign_in import routes as sign_in
from cohortium_web.pages.usage import routes as usage
from cohortium_web.problems import handle_errors
from cohortium_web.rehearsal import rehearse
from cohortium_web.site import Site
from cohortium_web.templating import ASSETS, STATIC, warm_up

__all__ = ["PUBLIC", "create_app"]

PUBLIC = frozenset(
    {
        "/healthz",
        "/readyz",
        "/.well-known/smart-configuration",
        "/oauth/token",
        "/sign-in",
        "/sign-in/demo",
        "/sign-in/to/{tenant}",
        "/sign-in/to/{tenant}/account",
        "/sign-in/to/{tenant}/account/set-up",
        "/sign-in/to/{tenant}/role",
        "/sign-in/to/{tenant}/with/{provider}",
        "/sign-in/to/{tenant}/with/{provider}/back",
        "/sign-in/to/{tenant}/with/{provider}/logout",
        "/sign-in/to/{tenant}/with/{provider}/signed-out",
        "/static",
        "/assets",
    }
)
"""Every route that asks for no signing in. Any other declares its action with `requires`; a test walks them all."""


_ROUTED = (
    health,
    programs,
    sign_in,
    provider,
    account,
    home,
    registry,
    rates,
    outreach,
    appointments,
    reconciliation,
    pseudonymised,
    exports,
    exported_counts,
    aggregates,
    patient,
    reviews,
    break_glass,
    overview,
    matrix,
    patterns,
    proofs,
    usage,
    approvals,
    audit,
    history,
    openings,
    opt_outs,
    sensitive,
    rules,
    onboarding,
    pack_catalogue,
    pack_publishing,
    pack_previews,
    pack_people,
    pack_enabling,
    pack_incidents,
    pack_api,
)


class _KeptFiles(StaticFiles):
    """Static files that a browser may keep: for ever when their address holds their content's hash."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Serve one file."""
        response = await super().get_response(path, scope)
        hashed = b"v=" in scope["query_string"]
        response.headers["cache-control"] = "public, max-age=31536000, immutable" if hashed else "public, max-age=3600"
        return response


def _settle() -> None:
    """Take what was made at the start out of the collector's sight: looking through all of it would fall into the first
    requests, and cost more than they do.
    """
    gc.collect()
    gc.freeze()


def create_app(settings: Settings) -> FastAPI:
    """Make the application. It opens the database when it starts to serve, and not before."""
    site = Site(settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await to_thread.run_sync(site.open)
        await to_thread.run_sync(warm_up)
        await to_thread.run_sync(rehearse, site)
        _settle()
        yield
        gc.unfreeze()  # so that libraries find nothing left over at the end of the process
        await to_thread.run_sync(site.close)

    app = FastAPI(title="Cohortium", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.site = site
    wrap(app)
    handle_errors(app)
    for module in _ROUTED:
        app.include_router(module.router)
    if settings.demo:
        app.include_router(demo.router)
    app.mount("/static", _KeptFiles(directory=STATIC), name="static")
    app.mount("/assets", _KeptFiles(directory=ASSETS), name="assets")
    return app
