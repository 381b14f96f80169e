"""The Spark engine: runs a plan over a source of records, wherever the session runs.

First the few rows that membership needs, for whoever could be a member; then everything else, for members only. All
index dates go in one pass, and what is found is fetched in one go. Not here: what the queries say (`spark_compile`),
and how rows become lists (`spark_records`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - its usual name

from cohortium_platform.engine.control import Cancellation, EngineSettings, Progress
from cohortium_platform.engine.source import RecordSource
from cohortium_platform.engine.spark_compile import PEOPLE, Program
from cohortium_platform.engine.spark_records import PERSON, SparkRecords
from cohortium_platform.engine.spark_running import SparkRunning, opened
from cohortium_platform.engine.spark_tables import SparkTables
from cohortium_platform.errors import BadInput
from cohortium_plugins.model.definition import Definition

__all__ = ["evaluate"]

_FEW = 1_000_000
"""As many members as every executor can be told of beforehand."""


def evaluate(  # noqa: PLR0913 - what, over what, for whom, when, and how
    definition: Definition,
    source: RecordSource,
    practices: Sequence[str],
    index_dates: Sequence[date],
    *,
    master: str = "local",
    settings: EngineSettings | None = None,
    progress: Progress | None = None,
    cancellation: Cancellation | None = None,
    outlook: bool = False,
    settled: pa.Table | None = None,
) -> SparkTables:
    """Evaluate a bound definition for the patients of some practices at several index dates. With `outlook`, results
    and lists have the column `evaluated.MAY_CHANGE`: this engine does not look ahead, so that it is the next day.
    People who are `settled` (practice, patient_id) are left out.

    `master`: where Spark runs (`local`, `local[n]`, `spark://...`, `yarn`, `k8s://...`), or the address of Spark
    Connect (`sc://...`). Raises DefinitionError when the definition has no meaning, `BadInput` without practices or
    dates, `Cancelled`, and `Unavailable` when Spark cannot be started or reached, or cannot read a file.
    """
    if not practices or not index_dates:
        raise BadInput("An evaluation needs at least one practice and one index date.")
    days = sorted(set(index_dates))
    cancellation = cancellation or Cancellation()
    with (
        opened(master, settings or EngineSettings()) as session,
        SparkRunning(session, cancellation) as running,
        cancellation.watching(running),
    ):
        records = SparkRecords(session, source, sorted(set(practices)), days)
        records.settled = settled
        records.departed = any(cohort.departed for cohort in definition.cohorts)
        program = Program(definition, records.missing, stale=records.is_stale)
        lines = _lines(running, records, program, progress or (lambda _fraction, _step: None))
    return SparkTables(lines, definition, days[-1], outlook=outlook)


def _lines(running: SparkRunning, records: SparkRecords, program: Program, progress: Progress) -> pa.Table:
    session = running.session
    progress(0.0, "Finding members")
    with running.told():
        members = _members(session, records, program).persist()
    try:
        with running.told():
            count = members.count()
        progress(0.3, "Reading members' records")
        with running.told():
            _with_rows(records, program, members, count).createOrReplaceTempView(PEOPLE)
            lines = session.sql(program.lines())
        progress(0.6, "Deciding")
        with running.told():
            found = lines.toArrow()
    finally:
        members.unpersist()
    progress(1.0, "Decided")
    return found


def _members(session: SparkSession, records: SparkRecords, program: Program) -> DataFrame:
    codelists, section = program.plan.definition.codelists, program.plan.membership
    rows = records.rows(section.rows, program.members, codelists, None) if section.rows else None
    records.people(rows, program.needed).createOrReplaceTempView(PEOPLE)
    return session.sql(program.membership())


def _with_rows(records: SparkRecords, program: Program, members: DataFrame, count: int) -> DataFrame:
    """Put the rows of members beside them."""
    codelists, section = program.plan.definition.codelists, program.plan.everything
    if not section.rows:
        return members
    keys = members.select(*PERSON).distinct()
    keys = F.broadcast(keys) if count <= _FEW else keys
    return members.join(records.rows(section.rows, program.everything, codelists, keys), list(PERSON), "left")
