"""`cohortium backup` and `cohortium restore`: a tenant's files, sealed under its key, and back again.

The database is backed up by PostgreSQL's own tools; docs/operator/backups.md says in which order.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cohortium_platform.audit import Entry, record
from cohortium_platform.portability.backups import back_up, restore, what_is_missing
from cohortium_platform.records import RecordStore
from cohortium_platform.results import ResultStore
from cohortium_web.cli.context import open_place
from cohortium_web.cli.output import AsJson, Output
from cohortium_web.cli.tenants import operator

__all__ = ["add_to"]

MISSING_SHOWN = 20

OfTenant = Annotated[str, typer.Option("--tenant", help="The tenant's short name.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(backup)
    app.command("restore")(restore_)


def backup(
    *,
    tenant: OfTenant,
    out: Annotated[Path, typer.Option(help="The folder of backups; later ones add to it.")],
    as_json: AsJson = False,
) -> None:
    """Back up a tenant's files, sealed under its key; repeat it to go on after a stop. Dump the database first."""
    output = Output(as_json=as_json)
    with open_place() as place:
        found = place.tenant(tenant)
        with place.database.tenant(found.id) as session:
            asked = Entry(action="back-up", resource="files", actor=operator(), detail={"folder": str(out.absolute())})
            record(session, asked)
        with output.step(f"Backing up {tenant}") as report:
            done = back_up(place.settings.store_root, place.keys(found), out, report)
    output.say(f"{done.point}: {done.files:,} files, {done.bytes:,} bytes; {done.added:,} are new in this folder.")
    if done.passed_over:
        output.say(f"{done.passed_over:,} files changed meanwhile: the next backup holds them.")
    output.document({"backup": done})


def restore_(
    *,
    tenant: OfTenant,
    backups: Annotated[Path, typer.Option("--from", help="The folder of backups.")],
    at: Annotated[str, typer.Option(help="Which backup, as `backup` named it; the newest when absent.")] = "",
    as_json: AsJson = False,
) -> None:
    """Put a tenant's files back, and compare them with what the database names; repeat it to go on after a stop."""
    output = Output(as_json=as_json)
    with open_place() as place:
        found, root = place.tenant(tenant), place.settings.store_root
        with place.database.tenant(found.id) as session:
            detail = {"folder": str(backups.absolute()), "backup": at or "newest"}
            record(session, Entry(action="restore", resource="files", actor=operator(), detail=detail))
        with output.step(f"Restoring {tenant}") as report:
            done = restore(root, place.keys(found), backups, at or None, report)
        with place.database.tenant(found.id) as session:
            missing = what_is_missing(session, RecordStore(root, found.id), ResultStore(root, found.id))
    output.say(f"{done.point}: {done.files:,} files, {done.bytes:,} bytes; {done.already_there:,} were there already.")
    for path in missing[:MISSING_SHOWN]:
        output.say(f"MISSING: {path}")
    if missing:
        output.say(f"The database names {len(missing):,} files that this backup does not hold: restore a later one.")
    output.document({"restored": done, "missing": missing})
    if missing:
        raise typer.Exit(1)
