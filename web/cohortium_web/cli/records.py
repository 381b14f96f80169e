"""`cohortium import`: load a delivery whole or not at all, and show what was found in it; and `cohortium publish`:
bring the tables for outside readers up to the newest snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
import yaml

from cohortium_platform.errors import BadInput, Unavailable
from cohortium_platform.ingest.limits import LoadLimits
from cohortium_platform.ingest.target import LoadResult, Requester
from cohortium_platform.jobs import JobQueue, JobState, enqueue
from cohortium_platform.records.published import published_snapshot
from cohortium_platform.records.tasks import publish_now
from cohortium_plugins.importing import ImportOptions
from cohortium_tenants.loading import IMPORT, ImportDelivery, LoadOptions, load_delivery
from cohortium_tenants.tenants import Tenant
from cohortium_web.cli.context import Place, open_place
from cohortium_web.cli.output import AsJson, Output
from cohortium_web.cli.tenants import operator, parse_day

__all__ = ["add_to", "publish_tables", "show_load"]

FINDINGS_SHOWN = 20


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command("import")(import_)
    app.command()(publish)


def import_(  # noqa: PLR0913 - each is an option of the command
    delivery: Annotated[
        Path, typer.Argument(help="A folder or file: a tabular extract, or FHIR R4 NDJSON or Bundles.")
    ],
    *,
    tenant: Annotated[str, typer.Option("--tenant", help="The tenant's short name.")],
    source: Annotated[str, typer.Option(help="gp, or the ODS code of the trust that supplied it.")] = "gp",
    practice: Annotated[str, typer.Option(help="The practice of rows that name none.")] = "",
    records_to: Annotated[str, typer.Option(help="The day the records run to, when the delivery does not say.")] = "",
    importer: Annotated[str, typer.Option(help="tabular or fhir; found from the delivery when absent.")] = "",
    mapping: Annotated[
        Path | None, typer.Option(help="YAML with other column names, date formats, code columns.")
    ] = None,
    background: Annotated[bool, typer.Option(help="Leave it to a worker.")] = False,
    as_json: AsJson = False,
) -> None:
    """Load a delivery; repeating it changes nothing."""
    output = Output(as_json=as_json)
    day = parse_day(records_to) if records_to else None
    options = ImportOptions(
        source=source, practice=practice or None, records_to=day, mapping=read_mapping(mapping) if mapping else {}
    )
    with open_place() as place:
        found = place.tenant(tenant)
        if background:
            asked = ImportDelivery(delivery.resolve(), source, practice or None, day, importer or None, operator())
            queue = JobQueue(place.settings.redis_url)
            with place.database.tenant(found.id) as session:
                job = enqueue(session, queue, IMPORT, asked, requested_by=operator())
            output.say(f"Job {job} waits for a worker (`cohortium worker`).")
            output.document({"job": job})
            return
        with output.step(f"Loading {delivery.name}") as report:
            how = LoadOptions(
                importer=importer or None,
                limits=LoadLimits.of(place.settings),
                requester=Requester(actor=operator()),
                progress=report,
            )
            result = load_delivery(
                place.database, place.settings, place.key_encryption, found.id, delivery, options, how
            )
        if not result.unchanged:
            publish_tables(place, found, output)
    show_load(output, result)
    output.document({
        "load": result.load_id, "importer": result.importer, "source": result.source, "unchanged": result.unchanged,
        "snapshot": result.snapshot, "practices": list(result.practices), "seconds": result.seconds,
        "quality": result.report.to_json(),
    })  # fmt: skip


def publish(
    *, tenant: Annotated[str, typer.Option("--tenant", help="The tenant's short name.")], as_json: AsJson = False
) -> None:
    """Bring the Delta Lake tables for outside readers up to the newest snapshot; every load does so by itself."""
    output = Output(as_json=as_json)
    with open_place() as place:
        found = place.tenant(tenant)
        if publish_tables(place, found, output) is not JobState.SUCCEEDED:
            raise Unavailable("The tables could not be published.", "They stand at their last snapshot; try again.")
        folder = place.settings.store_root / str(found.id)
        done = published_snapshot(folder)
    tables = {} if done is None else dict(done.tables)
    output.table("Published", ["table", "version"], sorted(tables.items()))
    output.document({
        "snapshot": done and done.snapshot, "tables": tables, "folder": str(folder / "published"),
    })  # fmt: skip


def publish_tables(place: Place, tenant: Tenant, output: Output) -> JobState:
    """Publish a tenant's tables, and say so when that failed: the load stands all the same."""
    with output.step("Publishing tables for outside readers"):
        state = publish_now(place.database, tenant.id, operator())
    if state is JobState.FAILED:
        output.say("The tables for outside readers are not up to date: `cohortium publish` tries again.")
    return state


def read_mapping(path: Path) -> Mapping[str, object]:
    """Read a mapping file. Raises `BadInput` with the line at fault."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as wrong:
        raise BadInput(f"{path} cannot be read.", "Check that it is there and is UTF-8 text.") from wrong
    except yaml.YAMLError as wrong:
        mark = getattr(wrong, "problem_mark", None)
        line = "" if mark is None else f", line {mark.line + 1}"
        raise BadInput(
            f"{path}{line}: this is not YAML.", "docs/operator/tabular-extracts.md has an example."
        ) from wrong
    if not isinstance(found, dict):
        raise BadInput(f"{path}: a mapping has tables and their columns.", "See docs/operator/tabular-extracts.md.")
    return found


def show_load(output: Output, result: LoadResult) -> None:
    """Print what a load did and found."""
    report = result.report
    rows = [(name, c.read, c.kept, c.rejected, c.duplicates) for name, c in report.tables.items()]
    output.table("Rows", ["table", "read", "kept", "rejected", "duplicates"], rows)
    found = [(c.severity, c.reason, c.table, c.practice or "", c.rows) for c in report.counts]
    if found:
        output.table("Findings", ["severity", "what", "table", "practice", "rows"], found[:FINDINGS_SHOWN])
    for finding in report.findings[:FINDINGS_SHOWN]:
        line = "" if finding.line is None else f", line {finding.line}"
        output.say(f"  {finding.severity}: {finding.file}{line}: {finding.reason}")
    for sentence in report.completeness:
        output.say(f"  {sentence}")
    change = "Nothing changed" if result.unchanged else f"Snapshot {result.snapshot}"
    output.say(f"{change}: {len(result.practices)} practices, {result.seconds:.1f} s.")
