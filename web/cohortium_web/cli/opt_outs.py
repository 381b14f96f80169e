"""`cohortium opt-outs`: lists of those cleared of the national data opt-out."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer
from sqlmodel import col, select

from cohortium_auth.opt_outs import ClearedList, cleared_list, load_cleared_list
from cohortium_platform.audit import Entry, record
from cohortium_platform.errors import BadInput
from cohortium_platform.records import RecordStore
from cohortium_web.cli.context import open_place
from cohortium_web.cli.output import AsJson, Output
from cohortium_web.cli.tenants import parse_day

__all__ = ["app"]

app = typer.Typer(help="National data opt-outs: load a cleared list, show lists.", no_args_is_help=True)

Tenant = Annotated[str, typer.Option("--tenant", help="The tenant's short name.")]


@app.command()
def load(
    file: Annotated[Path, typer.Argument(help="What the national service gave back: an NHS number a line.")],
    tenant: Tenant,
    as_at: Annotated[str, typer.Option("--as-at", help="The day of the answer, as YYYY-MM-DD.")],
    expires: Annotated[str, typer.Option("--expires", help="The last day it may be relied on, as YYYY-MM-DD.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Load a cleared list: from now on nobody who is not on it is in any use but direct care."""
    output = Output(as_json=as_json)
    if not file.is_file():
        raise BadInput(f"There is no file {file}.", "Give the file that the national service sent.")
    with open_place() as place:
        found = place.tenant(tenant)
        keys, store = place.keys(found), RecordStore(place.settings.store_root, found.id)
        with place.database.tenant(found.id) as session, file.open(encoding="utf-8", errors="replace") as lines:
            made = load_cleared_list(
                session, store, keys, lines, as_at=parse_day(as_at), expires=parse_day(expires), by="command line"
            )
            detail = {"as_at": as_at, "expires": expires, "people": made.people}
            record(session, Entry(action="manage-opt-outs", resource=f"cleared-list/{made.id}", detail=detail))
    output.say(f"{made.people:,} people are cleared, as at {as_at}, until {expires}.")
    output.document({"id": str(made.id), "people": made.people, "as_at": as_at, "expires": expires})


@app.command()
def status(tenant: Tenant, *, as_json: AsJson = False) -> None:
    """Show the lists there are, and which counts today."""
    output, today = Output(as_json=as_json), dt.datetime.now(dt.UTC).date()
    with open_place() as place, place.database.tenant(place.tenant(tenant).id) as session:
        current = cleared_list(session, today)
        rows = [
            (str(row.as_at), str(row.expires), row.people, current is not None and row.id == current.id)
            for row in session.exec(select(ClearedList).order_by(col(ClearedList.as_at).desc()))
        ]
    columns = ("as_at", "expires", "people", "counts")
    output.table(f"Cleared lists of {tenant}", columns, rows)
    output.document([dict(zip(columns, row, strict=True)) for row in rows])
