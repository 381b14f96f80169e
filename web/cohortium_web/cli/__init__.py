"""The command line: `cohortium`. Each command stands in a module named for its noun; this one puts them together.

Every command takes `--json`. Errors go to standard error with what to do about them; the exit code is 2 for input that
cannot be used and 1 for anything else that failed.
"""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from cohortium_platform.errors import BadInput, CohortiumError
from cohortium_plugins.errors import PackError
from cohortium_plugins.importing import Unreadable
from cohortium_web.cli import (
    audit,
    backups,
    bundles,
    demo,
    opt_outs,
    organisations,
    packs,
    people,
    programs,
    providers,
    publishers,
    records,
    refreshing,
    registries,
    sensitive,
    service,
    synthetic,
    tenants,
)

__all__ = ["app", "main"]

app = typer.Typer(
    name="cohortium",
    help="Population health registries: who needs what care, why, and who looked.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(tenants.app, name="tenant")
app.add_typer(organisations.app, name="organisation")
app.add_typer(packs.app, name="pack")
app.add_typer(people.app, name="person")
app.add_typer(providers.app, name="provider")
app.add_typer(publishers.app, name="publisher")
app.add_typer(programs.app, name="program")
app.add_typer(audit.app, name="audit")
app.add_typer(opt_outs.app, name="opt-outs")
app.add_typer(sensitive.app, name="sensitive")
for module in (service, synthetic, records, registries, refreshing, backups, bundles, demo):
    module.add_to(app)


def main() -> None:
    """Run a command; put every error of our own into words."""
    try:
        app()
    except (CohortiumError, PackError, Unreadable) as error:
        screen = Console(stderr=True)
        screen.print(f"Error: {error.message if isinstance(error, CohortiumError) else error}", highlight=False)
        if isinstance(error, CohortiumError) and error.advice:
            screen.print(error.advice, highlight=False)
        sys.exit(2 if isinstance(error, BadInput | PackError | Unreadable) else 1)
