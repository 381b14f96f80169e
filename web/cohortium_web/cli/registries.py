"""Commands about registries: `evaluate`, `explain`, `status`."""

from __future__ import annotations

import datetime as dt
import difflib
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Annotated

import duckdb
import typer

from cohortium_platform.audit import Entry
from cohortium_platform.audit import record as record_entry
from cohortium_platform.engine.catalogue import CatalogueSource
from cohortium_platform.engine.explain import find_practice, load_record
from cohortium_platform.engine.service import Evaluation, Request, evaluate_tenant
from cohortium_platform.errors import BadInput
from cohortium_platform.records import RecordStore, snapshot_current, sources
from cohortium_platform.records.published import published_snapshot
from cohortium_platform.statistics import rates
from cohortium_plugins.entered import standing_with_entries
from cohortium_plugins.explain import Step, explain
from cohortium_plugins.model import Definition, Indicator, Status
from cohortium_tenants.keys import open_keys
from cohortium_tenants.packs import TenantDefinition, definition_of, enabled_packs, publishing
from cohortium_tenants.sensitive import sensitive_codes, without_codes
from cohortium_tenants.tenants import list_tenants
from cohortium_web.asking import patient_hash
from cohortium_web.cli.context import open_place
from cohortium_web.cli.output import AsJson, Output
from cohortium_web.cli.tenants import operator, parse_day

__all__ = ["add_to", "request_of"]

Tenant = Annotated[str, typer.Option("--tenant", help="The tenant's short name.")]
PackId = Annotated[str, typer.Option("--pack", help="The pack's id.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("evaluate")(evaluate_)
    app.command("explain")(explain_)
    app.command("status")(status)


def request_of(
    found: TenantDefinition, days: Sequence[dt.date], practices: Sequence[str] | None, *, publish: bool, actor: str
) -> Request:
    """Put an evaluation's request together."""
    return Request(found.pack, found.definition, found.parameters, days, practices, publish, actor)


def evaluate_(  # noqa: PLR0913 - each is an option of the command
    *,
    tenant: Tenant,
    pack: PackId,
    index_date: Annotated[
        list[str] | None,
        typer.Option(help="A day to evaluate as of, as YYYY-MM-DD; may be repeated. The day the records run to."),
    ] = None,
    practice: Annotated[list[str] | None, typer.Option(help="Only this practice; may be repeated.")] = None,
    publish: Annotated[
        bool | None,
        typer.Option(help="Make these the results that pages show. The default when no day is named."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Evaluate a pack: how many people have each status, by indicator."""
    output = Output(as_json=as_json)
    days = [parse_day(text) for text in index_date or []]
    with open_place() as place:
        found_tenant = place.tenant(tenant)
        with place.database.tenant(found_tenant.id) as session:
            found = definition_of(session, pack)
        shown = publish if publish is not None else not days
        request = request_of(found, days, practice, publish=shown, actor=operator())
        with output.step(f"Evaluating {pack}") as report:
            transaction = publishing(found, partial(place.database.tenant, found_tenant.id))
            done = evaluate_tenant(
                place.database, place.settings, found_tenant.id, request, report, transaction=transaction
            )
    _show(output, done)


def _show(output: Output, done: Evaluation) -> None:
    by_day: dict[dt.date, dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(int)))
    for count in done.counts:
        by_day[count.index_date][count.indicator][count.status] += count.people
    shares = {(rate.indicator, rate.index_date): rate for rate in rates(done.counts)}
    words = [status.value for status in Status]
    for day, by_indicator in sorted(by_day.items()):
        rows = [
            (name, *(statuses.get(word, 0) for word in words), _percent(shares[name, day].rate),
             _percent(shares[name, day].closed_windows))
            for name, statuses in by_indicator.items()
        ]  # fmt: skip
        output.table(
            f"{done.pack} {done.version} as at {day}", ["indicator", *words, "rate %", "closed windows %"], rows
        )
    output.say(f"{done.members:,} members in {len(done.practices)} practices; {done.seconds:.1f} s.")
    if not done.published:
        output.say("Pages still show what they showed: add --publish to change that.")
    output.document(
        {
            **{name: getattr(done, name) for name in ("pack", "version", "definition_hash", "snapshot", "published")},
            "members": done.members,
            "practices": list(done.practices),
            "index_dates": {
                day.isoformat(): {
                    name: {
                        **{word: statuses.get(word, 0) for word in words},
                        "rate": shares[name, day].rate,
                        "whole_population_rate": shares[name, day].whole_population,
                        "closed_windows_rate": shares[name, day].closed_windows,
                    }
                    for name, statuses in by_indicator.items()
                }
                for day, by_indicator in sorted(by_day.items())
            },
        }
    )


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 1)


def explain_(  # noqa: PLR0913 - each is an option of the command
    *,
    tenant: Tenant,
    patient: Annotated[int, typer.Option(help="The patient's pseudonym (patient_id).")],
    indicator: Annotated[str, typer.Option(help="The indicator's name.")],
    pack: PackId = "cancer-care",
    index_date: Annotated[str, typer.Option(help="The day, as YYYY-MM-DD; the day the records run to.")] = "",
    as_json: AsJson = False,
) -> None:
    """Explain what an indicator says of a patient, and what would turn it green."""
    output = Output(as_json=as_json)
    with open_place() as place:
        found_tenant = place.tenant(tenant)
        with place.database.tenant(found_tenant.id) as session:
            definition = definition_of(session, pack).definition
            store = RecordStore(place.settings.store_root, found_tenant.id)
            source = CatalogueSource(session, store, snapshot_current(session))
            day = parse_day(index_date) if index_date else source.records_to or dt.datetime.now(dt.UTC).date()
        wanted = _indicator(definition, indicator)
        with duckdb.connect() as connection:
            practice = find_practice(connection, source, patient, day, extracts=store.extracts)
            record = load_record(connection, source, practice, patient, extracts=store.extracts)
        with place.database.tenant(found_tenant.id) as session:
            keys = open_keys(session, place.key_encryption)
            entry = Entry(
                action="explain",
                resource=f"registry/{pack}",
                actor=operator(),
                practices=[practice],
                patients=[patient_hash(keys, patient)],
                detail={"indicator": indicator, "index_date": day.isoformat()},
            )
            record_entry(session, entry)
            safe = without_codes(record, sensitive_codes(session))
        stands = standing_with_entries(definition, wanted, safe, day)
        found = explain(definition, wanted, stands.record, stands.day)
    output.say(f"[bold]{found.title}[/bold]: {found.result.status.replace('_', ' ')} as at {stands.day}")
    output.say(found.sentence)
    output.say(found.outlook)
    rows = [(event.row.date, event.term or event.table, event.row.value, event.row.source) for event in found.events]
    output.table("Deciding entries", ["date", "entry", "value", "source"], rows)
    for title, step in (("Applies", found.applies), ("Met", found.met)):
        output.say(f"{title}:")
        _tree(output, step, 1)
    output.document(found)


def _indicator(definition: Definition, name: str) -> Indicator:
    found = next((indicator for indicator in definition.indicators if indicator.name == name), None)
    if found is None:
        known = [indicator.name for indicator in definition.indicators]
        near = difflib.get_close_matches(name, known, 1)
        advice = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known)}."
        raise BadInput(f"There is no indicator {name}.", advice)
    return found


def _tree(output: Output, step: Step, depth: int) -> None:
    value = step.reason or ("unknown" if step.value is None else step.value)
    output.say(f"{'  ' * depth}{step.words} = {value}")
    for part in step.steps:
        _tree(output, part, depth + 1)


def status(*, as_json: AsJson = False) -> None:
    """Show each tenant's records, the day they run to, and its registries."""
    output = Output(as_json=as_json)
    document = []
    with open_place() as place:
        for tenant in list_tenants(place.database):
            with place.database.tenant(tenant.id) as session:
                snapshot = snapshot_current(session)
                states = sources(session, snapshot)
                packs = [row.pack for row in enabled_packs(session)]
            by_source: dict[str, list[dt.date]] = defaultdict(list)
            for state in states:
                by_source[state.source].append(state.records_to)
            rows = [(name, len(days), min(days), max(days)) for name, days in sorted(by_source.items())]
            published = published_snapshot(place.settings.store_root / str(tenant.id))
            title = (
                f"{tenant.slug} ({tenant.name}): snapshot {snapshot}, "
                f"published {'none' if published is None else published.snapshot}, packs {', '.join(packs) or 'none'}"
            )
            output.table(title, ["source", "practices", "records to, earliest", "latest"], rows)
            document.append(
                {
                    "tenant": tenant.slug,
                    "snapshot": snapshot,
                    "published_snapshot": None if published is None else published.snapshot,
                    "packs": packs,
                    "sources": [
                        {"source": name, "practices": count, "records_to_earliest": low, "records_to_latest": high}
                        for name, count, low, high in rows
                    ],
                }
            )
    output.document(document)
