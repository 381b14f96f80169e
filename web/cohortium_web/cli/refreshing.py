"""`cohortium refresh`: bring results up to the newest snapshot and to a day; only what changed is worked out again."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from cohortium_platform.engine.refresh import Refreshed, refresh_tenant
from cohortium_platform.engine.service import Request
from cohortium_platform.errors import BadInput
from cohortium_platform.jobs import JobQueue, enqueue
from cohortium_tenants.packs import REFRESH, RefreshPack, definition_of, enabled_packs, publishing
from cohortium_web.cli.context import open_place
from cohortium_web.cli.output import AsJson, Output
from cohortium_web.cli.tenants import operator, parse_day

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(refresh)


def refresh(
    *,
    tenant: Annotated[str, typer.Option("--tenant", help="The tenant's short name.")],
    pack: Annotated[str, typer.Option("--pack", help="Only this pack; all that are enabled.")] = "",
    to: Annotated[str, typer.Option(help="The day, as YYYY-MM-DD; the day the records run to, never back.")] = "",
    background: Annotated[bool, typer.Option(help="Leave it to a worker.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring results up to date: practices that were loaded, their movers, and whatever the passing of days changes."""
    output = Output(as_json=as_json)
    day = parse_day(to) if to else None
    document = []
    with open_place() as place:
        found = place.tenant(tenant)
        with place.database.tenant(found.id) as session:
            packs = [pack] if pack else [row.pack for row in enabled_packs(session)]
            definitions = [definition_of(session, each) for each in packs]
        if not packs:
            raise BadInput(f"{tenant} has no registry.", f"Run: cohortium tenant enable-pack {tenant} PACK")
        for each in definitions:
            if background:
                asked = RefreshPack(each.pack.id, day, operator())
                with place.database.tenant(found.id) as session:
                    queue = JobQueue(place.settings.redis_url)
                    job = enqueue(session, queue, REFRESH, asked, requested_by=operator())
                output.say(f"Job {job} waits for a worker (`cohortium worker`).")
                document.append({"pack": each.pack.id, "job": job})
                continue
            request = Request(each.pack, each.definition, each.parameters, actor=operator())
            with output.step(f"Refreshing {each.pack.id}") as report:
                transaction = publishing(each, partial(place.database.tenant, found.id))
                done = refresh_tenant(
                    place.database, place.settings, found.id, request, report, to=day, transaction=transaction
                )
            show(output, each.pack.id, done)
            document.append(described(each.pack.id, done))
    output.document(document)


def show(output: Output, pack: str, done: Refreshed) -> None:
    """Print what a refresh did."""
    if done.evaluation is None:
        output.say(f"{pack} is up to date as at {done.index_date}.")
        return
    again = done.evaluation.members - done.kept
    output.say(
        f"{pack} as at {done.index_date}: {len(done.whole)} practices evaluated whole; of {done.evaluation.members:,} "
        f"members {again:,} looked at again, {done.kept:,} taken over; {done.evaluation.seconds:.1f} s."
    )
    for practice in done.evaluation.damaged:
        output.say(f"Practice {practice} keeps its former results: its record files are missing or damaged.")


def described(pack: str, done: Refreshed) -> dict[str, object]:
    """Give what a refresh did, as JSON."""
    made = done.evaluation
    return {
        "pack": pack,
        "index_date": done.index_date,
        "practices_evaluated_whole": list(done.whole),
        "members_taken_over": done.kept,
        "members": None if made is None else made.members,
        "snapshot": None if made is None else made.snapshot,
        "damaged": [] if made is None else list(made.damaged),
        "seconds": None if made is None else made.seconds,
    }
