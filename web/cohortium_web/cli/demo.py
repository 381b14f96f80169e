"""`cohortium demo` and `cohortium clean-demo`: everything on one machine, with synthetic people.

Each step looks first at what is there, so that a second start resumes. Not here: places and settings of the
demonstration (`cohortium_web.demo`), its people (`cohortium_web.demo_people`).
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from sqlmodel import Session

from cohortium_auth.login import holdings_on
from cohortium_platform.engine.service import evaluate_tenant
from cohortium_platform.errors import NotFound
from cohortium_platform.ingest.limits import LoadLimits
from cohortium_platform.ingest.target import Requester
from cohortium_platform.migrations import migrate
from cohortium_platform.records import RecordStore, snapshot_current, sources
from cohortium_platform.results import RegistryResults, ResultReader, ResultStore
from cohortium_platform.settings import load_settings
from cohortium_platform.synthetic import SUPPORT_DISCUSSED
from cohortium_plugins.importing import ImportOptions
from cohortium_tenants.demo import DEMO_TENANTS, NORTH_LONDON, DemoTenant, build_demo_tenant
from cohortium_tenants.loading import LoadOptions, load_delivery
from cohortium_tenants.organisations import load_graph
from cohortium_tenants.packs import (
    HISTORY_MONTHS,
    add_local_code,
    definition_of,
    enable_pack,
    enabled_packs,
    history_days,
    publishing,
)
from cohortium_tenants.tenants import Tenant
from cohortium_web.cli.context import DEMO_FOLDER, Place, open_place
from cohortium_web.cli.output import AsJson, Output
from cohortium_web.cli.records import publish_tables
from cohortium_web.cli.registries import request_of
from cohortium_web.cli.service import run_site, worker_beside
from cohortium_web.cli.synthetic import make_population, population
from cohortium_web.demo import (
    INDEX_DATE,
    LOCAL_CODE,
    TEMPLATE_CODES,
    DemoPlaces,
    begin,
    demo_environment,
    remove_demo,
    stop_demo,
)
from cohortium_web.demo_opt_outs import clear_demo_patients
from cohortium_web.demo_people import add_demo_people

__all__ = ["add_to"]

CANCER_CARE = "cancer-care"
PACKS = (CANCER_CARE, "multimorbidity-review")
ACTOR = "demonstration"
FEWEST = 1_000
SMALLER_SHARE = 4
"""The second tenant has a quarter of the first one's people."""


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("demo")(demo)
    app.command("clean-demo")(clean_demo)


def demo(
    *,
    patients: Annotated[int, typer.Option(help="How many people the larger tenant has.")] = 10_000,
    port: Annotated[int, typer.Option(help="The port to serve on.")] = 8000,
    serve: Annotated[bool, typer.Option(help="Serve the site at the end.")] = True,
    as_json: AsJson = False,
) -> None:
    """Make the demonstration, or finish one that was begun, and serve it."""
    output = Output(as_json=as_json)
    people = begin(DEMO_FOLDER, patients)
    if people != patients:
        output.say(f"Going on with the demonstration of {people:,} people; `make clean-demo` removes it.")
    try:
        with output.step("Starting PostgreSQL and Redis"):
            os.environ.update(demo_environment(DEMO_FOLDER))
        with output.step("Making tables"):
            migrate(load_settings())
        with open_place() as place:
            for plan in DEMO_TENANTS:
                size = people if plan is NORTH_LONDON else max(FEWEST, people // SMALLER_SHARE)
                _make_tenant(output, place, plan, size)
            _show_people(output, place)
        if serve:
            output.say(f"[bold]Open http://127.0.0.1:{port}/[/bold] (stop with Ctrl-C)")
            with worker_beside():
                run_site("127.0.0.1", port)
    finally:
        stop_demo(DEMO_FOLDER)


def clean_demo(*, as_json: AsJson = False) -> None:
    """Stop the demonstration's servers and remove all that it made."""
    output = Output(as_json=as_json)
    remove_demo(DEMO_FOLDER)
    output.say("The demonstration is removed.")
    output.document({"removed": True})


def _make_tenant(output: Output, place: Place, plan: DemoTenant, people: int) -> None:
    with output.step(f"{plan.icb}: organisations and people"):
        tenant = build_demo_tenant(place.database, place.key_encryption, plan, plan.practices_for(people))
        with place.database.tenant(tenant.id) as session:
            add_demo_people(session)
            enabled = [row.pack for row in enabled_packs(session)]
            for pack in PACKS:
                if pack not in enabled:
                    _enable(session, pack)
    _load(output, place, plan, tenant, people)
    with place.database.tenant(tenant.id) as session:
        clear_demo_patients(session, RecordStore(place.settings.store_root, tenant.id), ACTOR)
    for pack in PACKS:
        if not _is_evaluated(place, tenant, pack):
            _evaluate(output, place, plan, tenant, pack)


def _evaluate(output: Output, place: Place, plan: DemoTenant, tenant: Tenant, pack: str) -> None:
    with output.step(f"{plan.icb}: evaluating {HISTORY_MONTHS} months of {pack}") as report:
        with place.database.tenant(tenant.id) as session:
            found = definition_of(session, pack)
        request = request_of(found, history_days(INDEX_DATE), None, publish=True, actor=ACTOR)
        transaction = publishing(found, partial(place.database.tenant, tenant.id))
        done = evaluate_tenant(place.database, place.settings, tenant.id, request, report, transaction=transaction)
    output.say(f"{plan.icb}: {done.members:,} people in the {pack} registry")


def _enable(session: Session, pack: str) -> None:
    enable_pack(session, pack, by=ACTOR)
    if pack != CANCER_CARE:
        return
    add_local_code(
        session,
        pack,
        SUPPORT_DISCUSSED,
        LOCAL_CODE,
        "Cancer support discussed (local code of this demonstration)",
        reason="No published codelist was found (CANPCSUPP_COD); this tenant records it with a code of its own",
        by=ACTOR,
    )
    for codelist, category, code, term in TEMPLATE_CODES:
        add_local_code(
            session,
            pack,
            codelist,
            code,
            f"{term} (local code of this demonstration)",
            reason="No published code was found; reviews record it with a code of this tenant's own",
            by=ACTOR,
            category=category,
        )


def _load(output: Output, place: Place, plan: DemoTenant, tenant: Tenant, people: int) -> None:
    """Make and load what is not loaded yet: the practices' records, then the trust's."""
    options = population(plan, people)
    with place.database.tenant(tenant.id) as session:
        loaded = {state.source for state in sources(session, snapshot_current(session))}
    wanted = [("gp", "records"), (plan.trusts[0][0], f"records from {plan.trusts[0][1]}")]
    if all(source in loaded for source, _ in wanted):
        return
    extract = DemoPlaces(DEMO_FOLDER).extracts / plan.slug
    finished = extract.with_suffix(".finished")
    if not finished.exists():
        shutil.rmtree(extract, ignore_errors=True)
        with output.step(f"{plan.icb}: inventing {people:,} people") as report:
            make_population(options, extract, report)
        finished.touch()
    for source, title in wanted:
        if source not in loaded:
            _load_one(output, place, tenant, extract if source == "gp" else extract / "trust", source, title)
    publish_tables(place, tenant, output)


def _load_one(  # noqa: PLR0913, PLR0917 - a load names all that it stands on
    output: Output, place: Place, tenant: Tenant, delivery: Path, source: str, title: str
) -> None:
    with output.step(f"{tenant.name}: loading {title}") as report:
        how = LoadOptions(limits=LoadLimits.of(place.settings), requester=Requester(actor=ACTOR), progress=report)
        result = load_delivery(
            place.database, place.settings, place.key_encryption, tenant.id, delivery, ImportOptions(source=source), how
        )
    kept = sum(counts.kept for counts in result.report.tables.values())
    rejected = sum(counts.rejected for counts in result.report.tables.values())
    output.say(f"{tenant.name}: {kept:,} rows loaded, {rejected:,} left out, {result.seconds:.1f} s")


def _is_evaluated(place: Place, tenant: Tenant, pack: str) -> bool:
    """Tell whether the newest snapshot was evaluated by the definition as the tenant runs it now."""
    reader = ResultReader(threads=1)
    store = ResultStore(place.settings.store_root, tenant.id)
    try:
        with place.database.tenant(tenant.id) as session:
            snapshot = snapshot_current(session)
            practices = {state.practice for state in sources(session, snapshot)}
            evaluation = RegistryResults(session, reader, store, pack, practices).evaluation
            found = definition_of(session, pack)
    except NotFound:
        return False
    finally:
        reader.close()
    return (evaluation.snapshot, evaluation.definition_hash) == (snapshot, found.hash)


def _show_people(output: Output, place: Place) -> None:
    """Say whom one can sign in as."""
    document = []
    for plan in DEMO_TENANTS:
        tenant = place.tenant(plan.slug)
        with place.database.tenant(tenant.id) as session:
            graph = load_graph(session)
            holdings = holdings_on(session, dt.datetime.now(dt.UTC).date())
        rows = [(h.display_name, h.role.value, graph.nodes[h.organisation].name) for h in holdings]
        output.table(f"{tenant.name}: who can sign in", ["name", "role", "organisation"], rows)
        document.append(
            {
                "tenant": plan.slug,
                "people": [dict(zip(("name", "role", "organisation"), row, strict=True)) for row in rows],
            }
        )
    output.document(document)
