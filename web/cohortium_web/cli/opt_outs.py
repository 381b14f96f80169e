"""`cohortium opt-outs`: asking the national service who has opted out, and lists of those whom it cleared."""

from __future__ import annotations

import datetime as dt
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from sqlmodel import col, select

from cohortium_auth.opt_outs import ClearedList, cleared_list, load_cleared_list, sweep_lists, write_question
from cohortium_platform.audit import Entry, record
from cohortium_platform.errors import BadInput
from cohortium_platform.records import RecordStore
from cohortium_web.cli.context import open_place
from cohortium_web.cli.output import AsJson, Output
from cohortium_web.cli.tenants import operator, parse_day

__all__ = ["app"]

app = typer.Typer(
    help="National data opt-outs: ask about people, load a cleared list, show lists.", no_args_is_help=True
)

Tenant = Annotated[str, typer.Option("--tenant", help="The tenant's short name.")]


@app.command()
def ask(
    tenant: Tenant,
    out: Annotated[Path, typer.Option("--out", help="A new file; its owner alone may read it.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Write the NHS numbers to send to the national service: of everyone known here by a number that is trusted."""
    output = Output(as_json=as_json)
    with open_place() as place:
        found = place.tenant(tenant)
        keys = place.keys(found)
        with ExitStack() as unless_recorded:
            with place.database.tenant(found.id) as session:
                people = write_question(session, keys, out)
                unless_recorded.callback(out.unlink, missing_ok=True)
                asked = Entry(
                    action="manage-opt-outs",
                    resource="cleared-list/question",
                    actor=operator(),
                    detail={"people": people},
                )
                record(session, asked)
            unless_recorded.pop_all()
    output.say(f"{people:,} NHS numbers are in {out}. Remove the file when the answer is loaded.")
    output.document({"file": out, "people": people})


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
        with place.database.tenant(found.id) as session:
            sweep_lists(session, store, dt.datetime.now(dt.UTC).date())
        with place.database.tenant(found.id) as session, file.open(encoding="utf-8", errors="replace") as lines:
            made = load_cleared_list(
                session, store, keys, lines, as_at=parse_day(as_at), expires=parse_day(expires), by=operator()
            )
            detail = {"as_at": as_at, "expires": expires, "people": made.people}
            resource = f"cleared-list/{made.id}"
            record(session, Entry(action="manage-opt-outs", resource=resource, actor=operator(), detail=detail))
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
