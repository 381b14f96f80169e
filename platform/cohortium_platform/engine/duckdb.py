"""The DuckDB engine: runs a plan over a source of records.

First the few rows that membership needs, for whoever could be a member; then everything else, for members only. All
index dates go in one pass. Not here: what the statements say (`duckdb_records`, `duckdb_compile`, `duckdb_status`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import pyarrow as pa

from cohortium_platform.engine import duckdb_records as records
from cohortium_platform.engine.control import Cancellation, EngineSettings, Progress
from cohortium_platform.engine.duckdb_compile import FETCHED, LISTS, Program, Work, compiled
from cohortium_platform.engine.duckdb_extracts import EXTRACTED, Extracts
from cohortium_platform.engine.duckdb_parts import PartedTables, parts_of, settings_of_part, workers_of
from cohortium_platform.engine.duckdb_registrations import KeptRegistrations
from cohortium_platform.engine.duckdb_results import unfolded
from cohortium_platform.engine.duckdb_rows import Lists
from cohortium_platform.engine.duckdb_running import Lent, Running, lend
from cohortium_platform.engine.evaluated import EvaluatedTables, Kind
from cohortium_platform.engine.source import FRAME_TABLES, RecordSource
from cohortium_platform.errors import BadInput
from cohortium_plugins.model.definition import Definition
from cohortium_plugins.model.nodes import Rows

__all__ = ["DuckdbTables", "evaluate"]

_FEW_PRACTICES = 24
"""The files of registrations of so many practices are opened faster than the one of everyone is read."""

_FEW = 2_000
"""So many people, once for each index date, are worked on in one thread."""


class DuckdbTables:
    """The outcome of one evaluation, still inside its DuckDB connection: `EvaluatedTables`."""

    def __init__(self, lent: Lent, running: Running, work: Work, last_date: date) -> None:
        self._lent, self._running, self._work, self._last_date = lent, running, work, last_date
        self._closed = False
        self.few = False
        """Whether there are so few rows that planning costs more than another copy of them."""

    def fetch(self, kind: Kind) -> pa.Table:
        """Give a table's rows, sorted by practice, patient and index date, then in the order of the definition."""
        found = self._fetch(kind, [self._last_date] if kind is Kind.LIST else [])
        return unfolded(found, self._work.told) if kind is Kind.RESULTS else found

    def _fetch(self, kind: Kind, asked: Sequence[object]) -> pa.Table:
        if not self.few:
            return self._running.table(self._work.queries[kind], asked)
        self._running.run(self._work.kept[kind], asked)  # the query itself would be planned twice
        return self._running.table(FETCHED)

    def close(self) -> None:
        """Give back the memory."""
        if not self._closed:
            self._closed = True
            self._lent.give_back()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def evaluate(  # noqa: PLR0913 - what, over what, for whom, when, and how
    definition: Definition,
    source: RecordSource,
    practices: Sequence[str],
    index_dates: Sequence[date],
    *,
    settings: EngineSettings | None = None,
    progress: Progress | None = None,
    cancellation: Cancellation | None = None,
    outlook: bool = False,
    settled: pa.Table | None = None,
) -> EvaluatedTables:
    """Evaluate a bound definition for the patients of some practices at several index dates. With `outlook`, results
    and lists have the column `evaluated.MAY_CHANGE`. People who are `settled` (practice, patient_id) are left out.

    Raises DefinitionError when the definition has no meaning, `BadInput` without practices or dates, `Cancelled`.
    """
    if not practices or not index_dates:
        raise BadInput("An evaluation needs at least one practice and one index date.")
    cancellation, settings = cancellation or Cancellation(), settings or EngineSettings()
    practices, days = sorted(set(practices)), sorted(set(index_dates))
    program = _program(definition, source, practices, days, outlook=outlook)
    progress = progress or (lambda _fraction, _step: None)

    def run(some: Sequence[str], limits: EngineSettings, stop: Cancellation, tell: Progress) -> DuckdbTables:
        lent = lend(limits)
        try:
            with stop.watching(lent.connection):
                one = _Evaluation(lent, Running(lent.connection, stop, keep=some is practices), source, some, days)
                one.outlook, one.settled, one.extracts = outlook, settled, limits.extracts
                return one.evaluate(program, tell)
        except BaseException:
            lent.close()
            raise

    workers = workers_of(settings)
    parts = parts_of(practices, len(days), workers, anyone=program.plan.needed is None)
    if len(parts) == 1:
        return run(practices, settings, cancellation, progress)
    at_once = min(workers, len(parts))
    _keep_registrations(settings, source, practices)

    def part(
        some: Sequence[str], kinds: Collection[Kind], stop: Cancellation, tell: Progress
    ) -> Mapping[Kind, pa.Table]:
        with run(some, settings_of_part(settings, at_once), stop, tell) as tables:
            return {kind: tables.fetch(kind) for kind in kinds}

    return PartedTables(parts, part, workers, cancellation, progress)


def _program(
    definition: Definition, source: RecordSource, practices: Sequence[str], days: Sequence[date], *, outlook: bool
) -> Program:
    """Compile for all practices, whose parts are then told alike."""
    standings = [source.standing(practice) for practice in practices]
    missing = frozenset(table for standing in standings for table in standing.missing)
    stale = any(standing.records_to is not None and standing.records_to < days[-1] for standing in standings)
    program = compiled(definition, missing, stale=stale, outlook=outlook)
    program.complete()
    return program


def _keep_registrations(settings: EngineSettings, source: RecordSource, practices: Sequence[str]) -> None:
    """Make the file of registrations before several parts would, each for itself."""
    everywhere = source.registration_files(practices)
    if settings.extracts is None or len(everywhere) < 2:  # noqa: PLR2004 - one file needs no other beside it
        return
    kept = KeptRegistrations(settings.extracts, everywhere)
    if not kept.is_made:
        lent = lend(settings)
        try:
            kept.make(Running(lent.connection, Cancellation()))
        finally:
            lent.give_back()


class _Evaluation:
    def __init__(
        self,
        lent: Lent,
        running: Running,
        source: RecordSource,
        practices: Sequence[str],
        index_dates: Sequence[date],
    ) -> None:
        self.lent, self.running, self.source = lent, running, source
        self.practices, self.index_dates = practices, index_dates
        self.standings = {practice: source.standing(practice) for practice in practices}
        self.outlook = False
        self.settled: pa.Table | None = None
        self.extracts: Path | None = None
        self._few = False
        self._read: dict[Rows, None] = {}
        self._matched: set[str] = set()
        self._lists = Lists(0)

    def evaluate(self, program: Program, progress: Progress) -> DuckdbTables:
        """Run every step."""
        extracts = self._extracted(program, progress)
        progress(0.1 if extracts else 0.0, "Finding members")
        self._open_files(program, extracts)
        departed = any(cohort.departed for cohort in program.plan.definition.cohorts)
        candidates = self._find_candidates(program, departed=departed)
        if self.settled is not None:
            self.running.connection.register("settled", self.settled)
            self.running.run(records.LEAVE_SETTLED)
        self._few = candidates * len(self.index_dates) <= _FEW
        if self._few:
            self.running.in_one_thread()
        self._place_people(departed=departed)
        self._read_rows(program, program.plan.membership.rows)
        self._run(program.membership)
        progress(0.3, "Reading members' records")
        self._keep_members()
        self._read_rows(program, program.plan.everything.rows)
        if self.outlook:
            self._look_ahead()
        progress(0.6, "Deciding")
        work = program.everything
        self._run(work)
        progress(1.0, "Decided")
        tables = DuckdbTables(self.lent, self.running, work, self.index_dates[-1])
        tables.few = self._few
        return tables

    def _run(self, work: Work) -> None:
        self.running.foresee(outcomes=False)
        for statement in work.statements:
            self.running.run(statement)

    # --- what is there --------------------------------------------------------------------------------------------

    def _extracted(self, program: Program, progress: Progress) -> Extracts | None:
        """Make the extracts that are not there yet."""
        if self.extracts is None:
            return None
        extracts = Extracts(self.extracts, program.looked_at, self.source)
        missing = extracts.missing(self.practices)
        if missing:
            extracts.begin(self.running)
        for done, practice in enumerate(missing):
            progress(0.1 * done / len(missing), f"Reading records: practice {done + 1} of {len(missing)}")
            extracts.make(self.running, practice)
        return extracts

    def _is_extracted(self, table: str) -> bool:
        return self.extracts is not None and table in EXTRACTED

    def _open_files(self, program: Program, extracts: Extracts | None) -> None:
        """Open the files of what is read, and tell how complete each practice's records are."""
        tables = {rows.name for rows in program.numbering.rows}
        for table in ("patients", *FRAME_TABLES):
            if table in tables or table in ("patients", "registrations"):
                numbered = self._is_extracted(table)
                if extracts is not None and numbered:
                    files = extracts.files(table)
                else:
                    files = self.source.files(table, self.practices)
                self.running.run(records.view_of_files(table, files, numbered=numbered), again=False)
        self._open_registrations()
        standings = [self.standings[practice] for practice in self.practices]
        columns: list[object] = [list(self.practices), [standing.records_to for standing in standings]]
        columns.extend([table in standing.missing for standing in standings] for table in FRAME_TABLES)
        self.running.run(records.STANDINGS, columns)
        self.running.run(records.DATES, [list(self.index_dates)])
        self.running.run(records.LAST_DAY)
        self.running.run(records.READ_ON if self.outlook else records.READ_TO)
        for table in records.CODED:
            if table in tables:
                self.running.run(records.make_codes(table))

    def _open_registrations(self) -> None:
        """Open those of everyone: people may be registered anywhere."""
        everywhere = self.source.registration_files(self.practices)
        if self.extracts is not None and len(everywhere) > 1:
            kept = KeptRegistrations(self.extracts, everywhere)
            if not kept.is_made:
                kept.make(self.running)
            if len(self.practices) <= _FEW_PRACTICES:
                self.running.run(records.view_of_files("registrations", [kept.movers], "movers"), again=False)
                self.running.run(records.ALL_REGISTRATIONS)
                return
            everywhere = [kept.everyone]
        self.running.run(records.view_of_files("registrations", everywhere, "all_registrations"), again=False)

    # --- people ---------------------------------------------------------------------------------------------------

    def _find_candidates(self, program: Program, *, departed: bool) -> int:
        """Find them, and tell how many there are at most."""
        self.running.run(records.CANDIDATES)
        needed = program.plan.needed
        if needed is None:
            everyone = records.ALL_KNOWN if departed else records.ALL_REGISTERED
            return cast("int", self.running.run(everyone)[0][0])
        found = 0
        for table in sorted({rows.name for rows in needed}):
            if table in records.CODED:
                self._set_codes(program, table, [rows for rows in needed if rows.name == table])
            found += cast("int", self.running.run(records.candidates_with(table))[0][0])
        return found

    def _place_people(self, *, departed: bool) -> None:
        for statement in (records.REGISTERED, records.subjects(departed=departed)):
            self.running.run(statement)
        people = self.running.run(records.PERSONS)
        self._lists = Lists(cast("int", people[0][0]))
        for statement in (records.BASE, records.KEYS):
            self.running.run(statement)

    def _keep_members(self) -> None:
        self.running.foresee(outcomes=True)
        for statement in (records.MEMBERS_BASE, records.MEMBERS_KEYS):
            self.running.run(statement)

    def _look_ahead(self) -> None:
        """Find what is recorded already for days to come."""
        self.running.run(records.LATER)
        if (later := self._lists.later) is not None:
            self.running.connection.register("later_rows", later)
            self.running.run(records.LATER_ROWS)
        for statement in (*records.LATER_PEOPLE, records.MEMBERS_LOOKING):
            self.running.run(statement)

    # --- rows -----------------------------------------------------------------------------------------------------

    def _read_rows(self, program: Program, wanted: Sequence[Rows]) -> None:
        """Read the rows that are wanted and not read before, for the people in `keys`, and put all into lists."""
        new = [rows for rows in wanted if rows not in self._read and rows in program.fields]
        for table in dict.fromkeys(rows.name for rows in new):
            self._read_table(program, table, [rows for rows in new if rows.name == table])
        self._read.update(dict.fromkeys(new))
        if self._read:
            self.running.connection.register(LISTS, self._lists.table())

    def _read_table(self, program: Program, table: str, new: Sequence[Rows]) -> None:
        coded = table in records.CODED
        if coded:
            self._set_codes(program, table, new)
        if table not in self._matched:
            self._matched.add(table)
            self.running.run(records.matched(table, numbered=self._is_extracted(table)))
        fields = {program.numbering.rows[rows]: program.fields[rows] for rows in new}
        wanted = dict.fromkeys(name for names in fields.values() for name in names)
        number = None if coded else next(iter(fields))
        read = self.running.table(records.read_rows(table, wanted, len(program.numbering.groupings), number))
        if self.outlook:
            self._lists.note_later(read, self.index_dates[-1])
        self._lists.add(read, fields)

    def _set_codes(self, program: Program, table: str, rows: Iterable[Rows]) -> None:
        self.running.run(records.clear_codes(table))
        self.running.run(records.insert_codes(table), program.codes(rows))
