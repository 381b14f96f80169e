"""`cohortium synthesise`: invented people with lifelike records, as an ordinary extract."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Annotated

import typer

from cohortium_platform.errors import BadInput
from cohortium_platform.synthetic import (
    QOF_RETIREMENT,
    SUPPORT_DISCUSSED,
    Progress,
    Synthesised,
    SyntheticOptions,
    nhs_numbers_used,
    synthesise,
)
from cohortium_platform.synthetic.course import Reached
from cohortium_tenants.demo import DEMO_TENANTS, DORSET, NORTH_LONDON, DemoTenant, demo_practices
from cohortium_web.cli.output import AsJson, Output, Report
from cohortium_web.cli.tenants import parse_day
from cohortium_web.demo import INDEX_DATE, LOCAL_CODE

__all__ = ["add_to", "make_population", "population"]


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command("synthesise")(synthesise_)


def population(shape: DemoTenant, people: int, *, seed: int = 1, course: bool = True) -> SyntheticOptions:
    """Give the options of a population of a demonstration tenant's shape. The two tenants share no NHS number."""
    first = 0
    if shape is not NORTH_LONDON:
        largest = SyntheticOptions(
            people=2_000_000, practices=demo_practices(NORTH_LONDON, NORTH_LONDON.full_practices)
        )
        first = nhs_numbers_used(largest)
    return SyntheticOptions(
        people=people,
        practices=demo_practices(shape, shape.practices_for(people)),
        seed=seed,
        records_to=INDEX_DATE,
        course=QOF_RETIREMENT if course else None,
        local_codes={SUPPORT_DISCUSSED: LOCAL_CODE},
        trust=shape.trusts[0][0],
        workers=len(os.sched_getaffinity(0)),
        nhs_numbers_from=first,
    )


def make_population(options: SyntheticOptions, folder: Path, report: Report) -> Synthesised:
    """Write a population's extract, telling how far it has come."""

    def told(progress: Progress) -> None:
        report(progress.practices / progress.of_practices, f"({progress.events:,} events)")

    return synthesise(options, folder, told)


def synthesise_(  # noqa: PLR0913 - each is an option of the command
    out: Annotated[Path, typer.Option("--out", help="The folder to write; it must not exist yet.")],
    *,
    people: Annotated[int, typer.Option(help="How many people, from 1,000 to 2,000,000.")] = 20_000,
    shape: Annotated[str, typer.Option(help="Whose practices: north-london or dorset.")] = NORTH_LONDON.slug,
    seed: Annotated[int, typer.Option(help="The same seed gives the same population.")] = 1,
    records_to: Annotated[str, typer.Option(help="The day the records run to.")] = INDEX_DATE.isoformat(),
    density: Annotated[float, typer.Option(help="Mean number of events a person.")] = 150.0,
    course: Annotated[
        bool, typer.Option(help="Follow the course of the two cancer indicators retired in 2025.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Make a synthetic population."""
    output = Output(as_json=as_json)
    shapes = {plan.slug: plan for plan in DEMO_TENANTS}
    if shape not in shapes:
        raise BadInput(f"There is no shape {shape}.", f"Choose {NORTH_LONDON.slug} or {DORSET.slug}.")
    if out.exists():
        raise BadInput(f"{out} exists already.", "Name a new folder, or remove that one.")
    base = population(shapes[shape], people, seed=seed, course=course)
    options = SyntheticOptions(
        **{
            **{name: getattr(base, name) for name in SyntheticOptions.__slots__},
            "records_to": parse_day(records_to),
            "density": density,
        }
    )
    try:
        with output.step("Making people and their records") as report:
            made = make_population(options, out, report)
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise
    output.table(f"Written to {out}", ["what", "how many"], [
        ("people", made.people), ("registered and alive", made.registered), ("with cancer", made.cancer),
        *((f"rows of {name}", count) for name, count in made.rows), ("rows from the trust", made.trust_rows),
    ])  # fmt: skip
    output.document({
        "folder": out, "people": made.people, "registered": made.registered, "cancer": made.cancer,
        "rows": dict(made.rows), "trust_rows": made.trust_rows,
        "reached": [_course(reached) for reached in made.reached],
    })  # fmt: skip


def _course(reached: Reached) -> dict[str, object]:
    """Give what a course's month ends will show: percent wanted, reached, and reached over closed windows only."""
    months = [f"{1970 + month // 12}-{month % 12 + 1:02d}" for month in reached.month.tolist()]
    figures = zip(months, reached.wanted.tolist(), reached.reached.tolist(), reached.closed.tolist(), strict=True)
    return {
        "indicator": reached.indicator,
        "months": [
            {"month": month, "wanted": wanted, "reached": got, "closed_windows": closed}
            for month, wanted, got, closed in figures
        ],
    }
