"""Commands for pack developers: `pack check`, `pack words` touch no database; `pack publish` hands a signed file in."""

from __future__ import annotations

import getpass
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from cohortium_platform.database import AllTenants
from cohortium_plugins.checks import Finding, Severity, check_pack
from cohortium_plugins.loading import find_pack
from cohortium_plugins.statement import statement
from cohortium_tenants.packs.catalogue.changes import Actor
from cohortium_tenants.packs.catalogue.models import VersionState
from cohortium_tenants.packs.catalogue.publishing import check_version, keep_outcome, publish
from cohortium_tenants.packs.catalogue.versions import content_of
from cohortium_web.cli import authoring
from cohortium_web.cli.context import open_place
from cohortium_web.cli.output import AsJson, Output
from cohortium_web.cli.tenants import operator

__all__ = ["app"]

app = typer.Typer(help="Write, check, test, build, sign and publish indicator packs.", no_args_is_help=True)

authoring.add_to(app)

Name = Annotated[str, typer.Argument(help="The pack's id, its import name, or the folder it lies in, or a pack file.")]


@app.command("check")
def check(name: Name, *, as_json: AsJson = False) -> None:
    """Find what is wrong with a pack. The exit code is 1 when there are errors."""
    output = Output(as_json=as_json)
    pack = find_pack(name)
    found = check_pack(pack)
    counts = Counter(finding.severity for finding in found)
    said = ", ".join(f"{counts[severity]} {_plural(severity, counts[severity])}" for severity in Severity)
    if found:
        title = f"{pack.title} {pack.version}"
        output.table(title, ["severity", "about", "what, what to do, where"], [_row(finding) for finding in found])
    output.say(f"{pack.id} {pack.version}: {said}.")
    findings = [
        {**_plain(finding), "place": None if finding.place is None else str(finding.place)} for finding in found
    ]
    output.document({"pack": pack.id, "version": pack.version, "definition_hash": pack.hash, "findings": findings})
    if counts[Severity.ERROR]:
        raise typer.Exit(1)


@app.command("words")
def words(name: Name, *, as_json: AsJson = False) -> None:
    """Print every definition of a pack in English, as Markdown, for a clinician to read and sign."""
    output = Output(as_json=as_json)
    pack = find_pack(name)
    said = statement(pack.definition)
    output.document({"pack": pack.id, "version": pack.version, "definition_hash": pack.hash, "words": said})
    if not as_json:
        typer.echo(f"# {pack.title} {pack.version}\n\nDefinition {pack.hash}.\n\n{said}")


@app.command("publish")
def publish_(
    file: Annotated[Path, typer.Argument(help="The signed file.", exists=True, dir_okay=False)],
    *,
    as_json: AsJson = False,
) -> None:
    """Publish a signed file in the catalogue of this installation, and run its checks; exit code 1 when they fail."""
    output = Output(as_json=as_json)
    by = Actor(operator(), getpass.getuser())
    with open_place() as place:
        service = AllTenants(reason="a version is published by the operator")
        with place.database.all_tenants(service) as session:
            row = publish(session, file.read_bytes(), by=by)
            content = content_of(session, row.content_hash)
        if row.state == VersionState.WAITING:
            with output.step("Running checks and golden patients"):
                outcome = check_version(content)
            with place.database.all_tenants(service) as session:
                row = keep_outcome(session, row.content_hash, outcome)
    output.say(f"{row.pack} {row.version}: its checks have {row.state}. It awaits sign-off on its page.")
    fields = ("pack", "version", "content_hash", "publisher", "state", "findings", "golden")
    output.document({name: getattr(row, name) for name in fields})
    if row.state == VersionState.FAILED:
        raise typer.Exit(1)


def _plural(severity: Severity, count: int) -> str:
    return severity.value if count == 1 or severity is Severity.ADVICE else f"{severity.value}s"


def _row(finding: Finding) -> tuple[str, ...]:
    said = [finding.message, finding.advice, "" if finding.place is None else str(finding.place)]
    kind, name = finding.subject
    return (f"{finding.severity.value}\n{finding.check}", f"{kind}\n{name}", "\n".join(part for part in said if part))


def _plain(finding: Finding) -> dict[str, str]:
    kind, name = finding.subject
    about = {"severity": finding.severity.value, "check": finding.check, "kind": kind, "name": name}
    return {**about, "message": finding.message, "advice": finding.advice}
