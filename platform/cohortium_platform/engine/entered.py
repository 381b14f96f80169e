"""Entries made in Cohortium, and what they do to results: at once for the patient concerned, and in every evaluation.

Here: results of patients with late entries (`cohortium_plugins.entered`), put in place of an engine's; and evaluating
one patient anew, in the caller's transaction, into the results that count. Not here: making entries (`records.entries`)
and how an engine works.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlmodel import Session

from cohortium_platform.engine.catalogue import CatalogueSource
from cohortium_platform.engine.control import EngineSettings
from cohortium_platform.engine.duckdb import evaluate
from cohortium_platform.engine.evaluated import MAY_CHANGE, RESULT_COLUMNS, STATUS_CODES, Kind
from cohortium_platform.engine.explain import load_record
from cohortium_platform.engine.people import one_line_each
from cohortium_platform.engine.source import FRAME_TABLES, RecordFiles
from cohortium_platform.errors import NotFound
from cohortium_platform.records import COHORTIUM, RecordStore, changed_practices, snapshot_current
from cohortium_platform.results import Evaluated, Former, ResultStore, former_results, replace_patient
from cohortium_plugins.entered import standing_with_entries
from cohortium_plugins.model import Definition, Status
from cohortium_plugins.record import Record, Result

__all__ = ["OnePatient", "reevaluate_patient", "with_late_entries"]

_OWN = "SELECT * FROM read_parquet($files, hive_partitioning = false) WHERE patient_id = $patient"
_LATE = """
    SELECT DISTINCT e.practice, e.patient_id FROM read_parquet($files, hive_partitioning = false) AS e
    JOIN (SELECT unnest($practices) AS practice, unnest($sees::DATE[]) AS sees) AS s USING (practice)
    WHERE e.source = $source AND e.date > s.sees
"""


@dataclass(frozen=True, slots=True)
class OnePatient:
    """A patient of a practice, as a definition sees them. `definition_hash` names exactly that definition."""

    pack: str
    definition: Definition
    definition_hash: str
    practice: str
    patient_id: int


# --- in every evaluation ----------------------------------------------------------------------------------------------


def with_late_entries(evaluated: Evaluated, definition: Definition, source: CatalogueSource) -> Evaluated:
    """Give an evaluation in which late entries count, at its newest index date, for the measures that they decide."""
    day = max(evaluated.index_dates)
    files = source.entry_files(evaluated.practices)
    if not files:
        return evaluated
    sees = [min(day, source.standing(practice).records_to or day) for practice in evaluated.practices]
    asked = {"files": list(files), "practices": list(evaluated.practices), "sees": sees, "source": COHORTIUM}
    with duckdb.connect() as connection:
        late = connection.execute(_LATE, asked).fetchall()
        for practice, patient_id in sorted(late):
            try:
                record = load_record(connection, source, practice, patient_id)
            except NotFound:  # somebody whom the practice no longer holds
                continue
            evaluated = _with(evaluated, definition, record, day)
    return evaluated


def _with(evaluated: Evaluated, definition: Definition, record: Record, day: dt.date) -> Evaluated:
    """Put what late entries decide of one patient in place. Only a member has results, of their cohorts' measures."""
    who = pc.equal(evaluated.listed.column("patient_id"), record.patient_id)
    mine = pc.and_(who, pc.equal(evaluated.listed.column("practice"), record.practice))
    line = evaluated.listed.filter(mine)
    if not line.num_rows:
        return evaluated
    decided: dict[str, Result] = {}
    (row,) = line.to_pylist()
    for indicator in definition.indicators:
        if row[f"status:{indicator.name}"] is not None:
            found = standing_with_entries(definition, indicator, record, day)
            if found.record is not record:
                decided[indicator.name] = replace(found.result, index_date=day)
    changed = pa.Table.from_pylist([_line(row, definition, decided, day)], evaluated.listed.schema)
    listed = pa.concat_tables([evaluated.listed.filter(pc.invert(mine)), changed])
    return replace(evaluated, listed=listed, results=_with_results(evaluated.results, record, decided, day))


def _line(
    row: Mapping[str, object], definition: Definition, decided: Mapping[str, Result], day: dt.date
) -> Mapping[str, object]:
    """Give a member's line with what was decided; it is looked at again on the next day."""
    changed = dict(row)
    for indicator in definition.indicators:
        if indicator.name in decided:
            changed[f"status:{indicator.name}"] = STATUS_CODES[decided[indicator.name].status]
    found = [changed[f"status:{indicator.name}"] for indicator in definition.indicators]
    changed["gaps"] = found.count(STATUS_CODES[Status.OVERDUE])
    changed["due"] = found.count(STATUS_CODES[Status.DUE])
    if MAY_CHANGE in changed:
        changed[MAY_CHANGE] = day + dt.timedelta(days=1)
    return changed


def _with_results(results: pa.Table, record: Record, decided: Mapping[str, Result], day: dt.date) -> pa.Table:
    mine = pc.and_(
        pc.and_(
            pc.equal(results.column("patient_id"), record.patient_id),
            pc.equal(results.column("practice"), record.practice),
        ),
        pc.equal(results.column("index_date"), day),
    )
    rows = []
    for row in results.filter(mine).to_pylist():
        found = decided.get(row["indicator"])
        values = {} if found is None else {name: getattr(found, name) for name in RESULT_COLUMNS}
        if found is not None:
            values["status"] = str(found.status)
        later = {MAY_CHANGE: day + dt.timedelta(days=1)} if MAY_CHANGE in row else {}
        rows.append({**row, **values, **later})
    return pa.concat_tables([results.filter(pc.invert(mine)), pa.Table.from_pylist(rows, results.schema)])


# --- one patient, at once ---------------------------------------------------------------------------------------------


def reevaluate_patient(
    session: Session, store: RecordStore, results: ResultStore, who: OnePatient, engine: EngineSettings
) -> bool:
    """Evaluate one patient anew, in the caller's transaction, as of the day of their practice's results, with every
    entry made so far. Tells whether it was done: where the results come from another definition, or there are none, the
    next evaluation of the registry will say.
    """
    former = next((each for each in former_results(session, who.pack) if who.practice in each.practices), None)
    if former is None or former.evaluation.definition_hash != who.definition_hash:
        return False
    snapshot, stood = snapshot_current(session), former.evaluation.snapshot
    source = CatalogueSource(session, store, snapshot)
    with store.working() as folder, duckdb.connect() as connection:
        own = _own_files(connection, source, who, folder)
        evaluated = _evaluated(who, own, former, replace(engine, temporary=folder, extracts=None))
        record = load_record(connection, own, who.practice, who.patient_id)
    evaluated = _with(evaluated, who.definition, record, former.evaluation.index_date)
    # Where a load came in between, the others of the practice still stand on what was there before it.
    loaded = who.practice in changed_practices(session, stood, snapshot, but=COHORTIUM)
    evaluated = replace(evaluated, snapshot=stood if loaded else snapshot)
    replace_patient(session, results, former, evaluated, who.patient_id)
    return True


def _own_files(
    connection: duckdb.DuckDBPyConnection, source: CatalogueSource, who: OnePatient, folder: Path
) -> RecordFiles:
    """Copy one patient's rows into files of their own: the engine reads the same rows, and no others."""
    tables: dict[str, Sequence[str]] = {}
    for table in ("patients", *FRAME_TABLES):
        everywhere = table == "registrations"
        files = source.registration_files([who.practice]) if everywhere else source.files(table, [who.practice])
        if not files:
            continue
        query = _OWN if everywhere else _OWN + " AND practice = $practice"
        asked = {"files": list(files), "patient": who.patient_id, "practice": who.practice}
        used = {name: value for name, value in asked.items() if f"${name}" in query}
        pq.write_table(
            connection.sql(query, params=used).to_arrow_table(), folder / f"{table}.parquet", store_schema=False
        )
        tables[table] = [str(folder / f"{table}.parquet")]
    return RecordFiles(tables, {who.practice: source.standing(who.practice)})


def _evaluated(who: OnePatient, source: RecordFiles, former: Former, engine: EngineSettings) -> Evaluated:
    before, day = former.evaluation, former.evaluation.index_date
    started = dt.datetime.now(dt.UTC)
    with evaluate(who.definition, source, [who.practice], [day], settings=engine, outlook=True) as tables:
        return Evaluated(
            pack=before.pack,
            version=before.version,
            definition_hash=before.definition_hash,
            parameters=before.parameters,
            indicators=before.indicators,
            stratifiers=before.stratifiers,
            windowed=[i.name for i in who.definition.indicators if i.due is not None and i.renews is None],
            snapshot=before.snapshot,
            index_dates=[dt.date.fromisoformat(each) for each in before.index_dates],
            practices=[who.practice],
            engine="duckdb",
            started=started,
            results=tables.fetch(Kind.RESULTS),
            listed=one_line_each(tables.fetch(Kind.LIST)),
        )
