"""`cohortium sensitive`: a tenant's list of sensitive codes. What follows for registries a worker does."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cohortium_platform.errors import BadInput
from cohortium_tenants.sensitive import list_version, sensitive_codes
from cohortium_tenants.sensitive.changing import Changed, NewCode, add_codes, remove_codes
from cohortium_web.cli.context import open_place
from cohortium_web.cli.output import AsJson, Output
from cohortium_web.cli.tenants import operator

__all__ = ["app"]

app = typer.Typer(help="Sensitive codes: add, remove, list.", no_args_is_help=True)

Tenant = Annotated[str, typer.Option("--tenant", help="The tenant's short name.")]
File = Annotated[Path, typer.Option("--from", help="A CSV file with a column code; to add, also category and source.")]


@app.command()
def add(
    tenant: Tenant,
    file: File,
    source: Annotated[str, typer.Option(help="Where codes come from whose row does not say.")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Put codes on the list. Registries that stand on one show nothing until they are worked out without it."""
    wanted = [
        NewCode(row.get("code") or "", (row.get("category") or "").strip(), row.get("source") or source)
        for row in _rows(file)
    ]
    output = Output(as_json=as_json)
    with open_place() as place, place.database.tenant(place.tenant(tenant).id) as session:
        done = add_codes(session, wanted, by=operator())
    _tell(output, done, "added to")


@app.command()
def remove(
    tenant: Tenant,
    file: File,
    reason: Annotated[str, typer.Option(help="Why they are no longer sensitive.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Take codes off the list. It stays known that they were on it."""
    codes = [row.get("code") or "" for row in _rows(file)]
    output = Output(as_json=as_json)
    with open_place() as place, place.database.tenant(place.tenant(tenant).id) as session:
        done = remove_codes(session, codes, reason=reason, by=operator())
    _tell(output, done, "taken off")


@app.command("list")
def list_(tenant: Tenant, *, as_json: AsJson = False) -> None:
    """Show the codes on the list."""
    output = Output(as_json=as_json)
    with open_place() as place, place.database.tenant(place.tenant(tenant).id) as session:
        version = list_version(session)
        listed = [(c.code, c.category, c.source, c.version, c.at) for c in sensitive_codes(session).values()]
    columns = ("code", "category", "source", "since_version", "added")
    rows = [(str(code), *others) for code, *others in listed]
    output.table(f"Sensitive codes of {tenant}, version {version}", columns, rows)
    if not rows:
        output.say("The list is empty, so nothing is withheld. Fill it from the published set that you use.")
    codes = [dict(zip(columns, row, strict=True)) for row in listed]
    output.document({"version": version, "codes": codes})


def _rows(file: Path) -> Sequence[dict[str, str]]:
    """The file's rows. Raises `BadInput` when it is no CSV file with a column `code`."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            columns, rows = reader.fieldnames or (), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error):
        raise BadInput(f"{file} cannot be read.", "Give a CSV file in UTF-8.") from None
    if "code" not in columns:
        raise BadInput(f"{file} has no column code.", "Its first line names the columns: code,category,source")
    return rows


def _tell(output: Output, done: Changed, what: str) -> None:
    output.say(f"{done.codes:,} codes {what} the list, which is at version {done.version}.")
    if done.packs:
        output.say(f"A worker works out anew: {', '.join(done.packs)} (`cohortium worker`).")
    output.document({"version": done.version, "codes": done.codes, "registries": list(done.packs)})
