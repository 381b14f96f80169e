"""Whether the process lives and whether it can work: for load balancers, and open to anyone. Says nothing else."""

from __future__ import annotations

from fastapi import APIRouter
from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from cohortium_platform.database import AllTenants
from cohortium_platform.errors import Unavailable
from cohortium_web.browser import site_of

__all__ = ["router"]

router = APIRouter()


@router.get("/healthz")
def is_alive() -> PlainTextResponse:
    """The process answers."""
    return PlainTextResponse("alive\n")


@router.get("/readyz")
def is_ready(request: Request) -> PlainTextResponse:
    """PostgreSQL answers and the record stores are there. Raises `Unavailable`."""
    site = site_of(request)
    with site.database.all_tenants(AllTenants(reason="readiness is asked")) as session:
        session.connection().execute(text("SELECT 1"))
    if not site.settings.store_root.is_dir():
        raise Unavailable("The record stores are not there.", "Mount what COHORTIUM_STORE_URL names.")
    return PlainTextResponse("ready\n")
