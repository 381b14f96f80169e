"""`cohortium publisher`: who may publish packs, and their keys. As the operator does on the pages, without a page."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from cohortium_platform.database import AllTenants
from cohortium_tenants.packs.catalogue.changes import Actor
from cohortium_tenants.packs.catalogue.publishers import add_key, add_publisher, keys_of, publishers, revoke_key
from cohortium_web.cli.context import open_place
from cohortium_web.cli.output import AsJson, Output
from cohortium_web.cli.tenants import operator

__all__ = ["app"]

app = typer.Typer(help="Publishers of packs and their keys.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="The publisher's id, as its packs name it.")]
_SERVICE = AllTenants(reason="publishers are the whole service's")


def _by() -> Actor:
    return Actor(operator(), getpass.getuser())


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List publishers and their keys."""
    output = Output(as_json=as_json)
    with open_place() as place, place.database.all_tenants(_SERVICE) as session:
        rows = [
            (each.id, each.organisation, key.key_id, key.holder, "in force" if key.revoked is None else "revoked")
            for each in publishers(session)
            for key in keys_of(session, each.id)
        ]
    columns = ["publisher", "organisation", "key", "held by", "state"]
    output.table("Publishers and keys", columns, rows)
    output.document([dict(zip(columns, row, strict=True)) for row in rows])


@app.command()
def add(
    publisher: Id,
    *,
    name: Annotated[str, typer.Option(help="What people call it.")],
    organisation: Annotated[str, typer.Option(help="The ODS code of its organisation.")],
    as_json: AsJson = False,
) -> None:
    """Let somebody publish."""
    output = Output(as_json=as_json)
    with open_place() as place, place.database.all_tenants(_SERVICE) as session:
        add_publisher(session, publisher, name=name, organisation=organisation, by=_by())
    output.say(f"{publisher} may publish once it has a key.")
    output.document({"publisher": publisher})


@app.command("add-key")
def add_key_(
    publisher: Id,
    file: Annotated[Path, typer.Argument(help="The public key: PEM, or 32 bytes in Base64.", exists=True)],
    *,
    holder: Annotated[str, typer.Option(help="Who holds the private half.")],
    as_json: AsJson = False,
) -> None:
    """Add a key of a publisher."""
    output = Output(as_json=as_json)
    with open_place() as place, place.database.all_tenants(_SERVICE) as session:
        key = add_key(session, publisher, file.read_text(errors="replace"), holder=holder, by=_by())
    output.say(f"Key {key.key_id} of {publisher} is in force.")
    output.document({"publisher": publisher, "key": key.key_id})


@app.command("revoke-key")
def revoke_key_(
    key: Annotated[str, typer.Argument(help="The key, as `publisher list` names it.")],
    *,
    why: Annotated[str, typer.Option(help="Why, for the record.")],
    as_json: AsJson = False,
) -> None:
    """Revoke a key: it proves nothing from now on."""
    output = Output(as_json=as_json)
    with open_place() as place, place.database.all_tenants(_SERVICE) as session:
        done = revoke_key(session, key, why=why, by=_by())
    output.say(f"Key {key} of {done.publisher} is revoked.")
    output.document({"publisher": done.publisher, "key": key})
