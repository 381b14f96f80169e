"""Commands for pack developers: `pack check`, `pack words`. They touch no database and no tenant."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer

from cohortium_plugins.checks import Finding, Severity, check_pack
from cohortium_plugins.loading import find_pack
from cohortium_plugins.statement import statement
from cohortium_web.cli.output import AsJson, Output

__all__ = ["app"]

app = typer.Typer(help="Check indicator packs and read them in words.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The pack's id, its import name, or the folder it lies in.")]


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
