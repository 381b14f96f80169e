"""`cohortium export`: write a tenant's whole content as a bundle; and `cohortium verify`: check one.

`verify` needs the bundle and the log's public key, and nothing of this installation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cohortium_platform.audit import Entry
from cohortium_platform.audit.notes import LogKey
from cohortium_platform.portability.verifying import verify_bundle
from cohortium_tenants.exit.exporting import export_bundle
from cohortium_tenants.tenants.signing import log_signer
from cohortium_web.cli.context import open_place
from cohortium_web.cli.output import AsJson, Output
from cohortium_web.cli.tenants import operator

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(export)
    app.command()(verify)


def export(
    *,
    tenant: Annotated[str, typer.Option("--tenant", help="The tenant's short name.")],
    out: Annotated[Path, typer.Option(help="The folder to write; it must not be there yet.")],
    as_json: AsJson = False,
) -> None:
    """Export everything a tenant owns, without identities, as one signed bundle; repeat it to go on after a stop."""
    output = Output(as_json=as_json)
    with open_place() as place:
        found = place.tenant(tenant)
        signer = log_signer(place.database, place.key_encryption, found)
        asked = Entry(action="export-bundle", resource="bundle", actor=operator(), detail={"identities": "left out"})
        with output.step(f"Exporting {tenant}") as report:
            done = export_bundle(place.database, place.settings, found, signer, out, asked=asked, progress=report)
    output.say(f"{done.folder}: {done.files:,} files, {done.bytes:,} bytes, of snapshot {done.snapshot}.")
    if done.taken_up:
        output.say(f"{done.taken_up:,} files had been finished before.")
    output.say(f"Public key of the log that signed it: {signer.key}")
    output.document({"bundle": done, "key": str(signer.key)})


def verify(
    bundle: Annotated[Path, typer.Argument(help="The folder of a bundle.")],
    *,
    key: Annotated[str, typer.Option(help="The log's public key as you were given it, or a file that holds it.")] = "",
    as_json: AsJson = False,
) -> None:
    """Verify a bundle: who signed it, that nothing was changed, added or taken away, and its audit log."""
    output = Output(as_json=as_json)
    given = Path(key).read_text(encoding="utf-8") if key and Path(key).is_file() else key
    with output.step(f"Verifying {bundle}") as report:
        done = verify_bundle(bundle, key=LogKey.parse(given) if given else None, progress=report)
    for remark in done.remarks:
        output.say(f"Note: {remark}")
    for fault in done.faults:
        output.say(f"BAD: {fault}")
    if not done.faults:
        whose = done.manifest.tenant
        output.say(
            f"Whole: {done.files:,} files, {done.bytes:,} bytes, of {whose['name']} ({whose['ods_code']}), snapshot "
            f"{done.manifest.snapshot}, written {done.manifest.written}."
        )
    output.document({"whole": not done.faults, "verified": done})
    if done.faults:
        raise typer.Exit(1)
