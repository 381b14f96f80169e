"""Commands of the service itself: `migrate`, `serve`, `worker`.

`serve` works on jobs and keeps the audit logs as well, in a process of its own beside the site, so that an installation
on one machine needs one command. Where several sites or workers are run, `serve --no-worker` leaves that to them; two
workers at once do no harm.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import connection
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

__all__ = ["add_to", "run_site", "worker_beside"]

_SECONDS_TO_STOP = 60
"""A job stops at its next safe place and goes back to the queue; what doesn't is found there by the next worker."""


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
    worker: Annotated[bool, typer.Option(help="Work on jobs and keep the audit logs beside the site.")] = True,
) -> None:
    """Serve the site, with a worker beside it."""
    with open_place():
        if worker:
            with worker_beside():
                run_site(host, port)
        else:
            run_site(host, port)


def run_site(host: str, port: int) -> None:
    """Serve until told to stop. Access is in the audit, so no access log names what was looked at."""
    uvicorn.run(create_app(load_settings()), host=host, port=port, access_log=False, server_header=False, ws="none")


@contextmanager
def worker_beside() -> Iterator[None]:
    """Run a worker in a process of its own, on the installation of this one, while the block runs. It ends with this
    process, however that ends.
    """
    process = multiprocessing.get_context("spawn").Process(target=_work_beside, name="worker")
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join(_SECONDS_TO_STOP)
        if process.exitcode is None:
            process.kill()
            process.join()


def _work_beside() -> None:
    """Work until told to stop, or until the process that started this one is gone."""
    started_by = multiprocessing.parent_process()
    if started_by is not None:
        threading.Thread(target=_end_with, args=(started_by.sentinel,), daemon=True).start()
    worker()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


def worker() -> None:
    """Work on queued jobs until told to stop."""
    with open_place() as place:
        run_worker(place.settings, load_kinds(), tenant_ids, signers=log_signers(place.key_encryption))
