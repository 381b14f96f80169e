"""`cohortium program`: programs that sign in by themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from cohortium_auth.login.programs import NewProgram, add_program, end_program, list_programs
from cohortium_auth.login.programs.service import client_id
from cohortium_platform.errors import BadInput
from cohortium_web.cli.context import open_place
from cohortium_web.cli.output import AsJson, Output
from cohortium_web.cli.people import record_change
from cohortium_web.cli.tenants import operator

__all__ = ["app"]

app = typer.Typer(help="Programs that sign in by themselves: add, list, end.", no_args_is_help=True)

Tenant = Annotated[str, typer.Option("--tenant", help="The tenant's short name.")]


def _keys(file: Path | None) -> list[dict[str, object]]:
    """The keys of a JWKS file. Raises `BadInput`."""
    if file is None:
        return []
    try:
        keys = json.loads(file.read_text())["keys"]
        return [dict(key) for key in keys]
    except (OSError, ValueError, KeyError, TypeError) as wrong:
        raise BadInput(f"{file} is no JWKS.", 'It must be a JSON object with "keys".') from wrong


@app.command()
def add(  # noqa: PLR0913 - each is an option of the command
    tenant: Tenant,
    name: Annotated[str, typer.Argument(help="What it is called.")],
    *,
    organisation: Annotated[str, typer.Option(help="The ODS code of the organisation that runs it.")],
    scope: Annotated[list[str], typer.Option("--scope", help="A scope, such as system/Group.r; may be repeated.")],
    jwks: Annotated[Path | None, typer.Option(help="A file with its public keys (JWKS).")] = None,
    jwks_url: Annotated[str, typer.Option(help="Where it publishes its public keys instead.")] = "",
    as_json: AsJson = False,
) -> None:
    """Register a program; its client id is shown."""
    output = Output(as_json=as_json)
    new = NewProgram(name, organisation, " ".join(scope), _keys(jwks), jwks_url)
    with open_place() as place, place.database.tenant(place.tenant(tenant).id) as session:
        client = add_program(session, new, by=operator(), loopback=place.settings.demo)
        record_change(session, "program.add", f"program/{client.partition('.')[2]}", scopes=" ".join(scope))
        address = f"{place.settings.public_url or 'https://YOUR-ADDRESS'}/oauth/token"
    output.say(f"Added {name}.\n  client id:     {client}\n  token address: {address}")
    output.document({"client_id": client, "token_endpoint": address})


@app.command("list")
def list_(tenant: Tenant, *, as_json: AsJson = False) -> None:
    """List programs, also those that were ended."""
    output = Output(as_json=as_json)
    with open_place() as place, place.database.tenant(place.tenant(tenant).id) as session:
        rows = [
            (row.id, row.name, row.organisation, " ".join(row.scopes), client_id(row), row.ended)
            for row in list_programs(session)
        ]
    columns = ("program", "name", "organisation", "scopes", "client_id", "ended")
    output.table(f"Programs of {tenant}", columns, rows)
    output.document([dict(zip(columns, row, strict=True)) for row in rows])


@app.command()
def end(
    tenant: Tenant, program: Annotated[UUID, typer.Argument(help="The program's id.")], *, as_json: AsJson = False
) -> None:
    """Let a program in no more. Tokens that it holds stop working at once."""
    output = Output(as_json=as_json)
    with open_place() as place, place.database.tenant(place.tenant(tenant).id) as session:
        end_program(session, program)
        record_change(session, "program.end", f"program/{program.hex}")
    output.say("Ended.")
    output.document({"program": program})
