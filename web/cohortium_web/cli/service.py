"""Commands of the service itself: `migrate`, `serve`, `worker`."""

from __future__ import annotations

from typing import Annotated

import typer
import uvicorn

from cohortium_platform.jobs import load_kinds
from cohortium_platform.jobs.worker import run_worker
from cohortium_platform.migrations import migrate
from cohortium_platform.settings import load_settings
from cohortium_tenants.tenants import tenant_ids
from cohortium_tenants.tenants.signing import log_signers
from cohortium_web.app import create_app
from cohortium_web.cli.context import open_place
from cohortium_web.cli.output import AsJson, Output

__all__ = ["add_to", "run_site"]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("migrate")(migrate_)
    app.command()(serve)
    app.command()(worker)


def migrate_(*, as_json: AsJson = False) -> None:
    """Make or bring up to date the database's tables."""
    output = Output(as_json=as_json)
    migrate(load_settings())
    output.say("The database is up to date.")
    output.document({"migrated": True})


def serve(
    *,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 8000,
) -> None:
    """Serve the site."""
    with open_place():
        run_site(host, port)


def run_site(host: str, port: int) -> None:
    """Serve until told to stop. Access is in the audit, so no access log names what was looked at."""
    uvicorn.run(create_app(load_settings()), host=host, port=port, access_log=False, server_header=False, ws="none")


def worker() -> None:
    """Work on queued jobs until told to stop."""
    with open_place() as place:
        run_worker(place.settings, load_kinds(), tenant_ids, signers=log_signers(place.key_encryption))
