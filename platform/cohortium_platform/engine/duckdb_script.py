"""An evaluation as a script that DuckDB runs alone, which recomputes results from files and compares them.

The statements are those of the engine itself (`duckdb_records`, `duckdb_compile`), in the order of `duckdb`, with their
parameters written in. What the engine does outside DuckDB because it is faster there is written in SQL here: rows
become lists (`duckdb_rows`), a row a person becomes a row a result (`duckdb_results`), and entries made after the day
that records run to decide what they decide (`cohortium_plugins.entered`). Not here: which files a bundle holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import sqlglot
from sqlglot import exp

from cohortium_platform.engine import duckdb_records as records
from cohortium_platform.engine import sql
from cohortium_platform.engine.duckdb_compile import LISTS, Program, Work, compiled
from cohortium_platform.engine.duckdb_frames import group_field, rows_column
from cohortium_platform.engine.duckdb_results import told_column
from cohortium_platform.engine.duckdb_running import DO_NOT_FORESEE, FORESEE
from cohortium_platform.engine.evaluated import RESULT_COLUMNS, STATUS_CODES, Kind
from cohortium_platform.engine.source import FRAME_TABLES, RecordFiles, Standing
from cohortium_platform.records.schema import COHORTIUM
from cohortium_plugins.model.definition import Definition
from cohortium_plugins.model.nodes import Rows
from cohortium_plugins.model.values import Status, ValueType

__all__ = ["Recomputation", "recompute_script"]


@dataclass(frozen=True, slots=True)
class Recomputation:
    """Results of one pack, and what they were worked out from. Files are named as the script finds them; `entries` are
    those of `events` with what was entered in Cohortium; `results` are those with the results to compare with.
    """

    pack: str
    definition: Definition
    source: RecordFiles
    practices: Sequence[str]
    index_dates: Sequence[date]
    entries: Sequence[str]
    results: Sequence[str]


_TYPES = {
    ValueType.CODE: "BIGINT",
    ValueType.TEXT: "VARCHAR",
    ValueType.DATE: "DATE",
    ValueType.BOOL: "BOOLEAN",
    ValueType.NUMBER: "DOUBLE",
}
_KEYS = ("patient_id", "practice", "indicator", "index_date")
_COLUMNS = ", ".join(RESULT_COLUMNS)
_TYPED = ", ".join(f"{name} {_TYPES[kind]}" for name, kind in RESULT_COLUMNS.items())
_STATUSES = ", ".join(f"'{status.value}'" for status in STATUS_CODES)
_SAID = ", ".join(f"{name} := {name}" for name in RESULT_COLUMNS if name not in _KEYS)

_BEGIN = f"""
CREATE OR REPLACE TEMP TABLE differences (pack VARCHAR, found VARCHAR, {_TYPED});
CREATE OR REPLACE TEMP TABLE compared (pack VARCHAR, index_dates BIGINT, results BIGINT, recomputed BIGINT,
    differing BIGINT);
"""
_END = """
SELECT * FROM compared ORDER BY pack;
"""
_COMPARE = """
CREATE OR REPLACE TEMP VIEW results AS SELECT {columns} FROM read_parquet({files}, hive_partitioning = false,
    union_by_name = true);
INSERT INTO differences SELECT {pack}, 'only in results', * FROM (
    SELECT {columns} FROM results EXCEPT ALL SELECT {columns} FROM recomputed
);
INSERT INTO differences SELECT {pack}, 'only recomputed', * FROM (
    SELECT {columns} FROM recomputed EXCEPT ALL SELECT {columns} FROM results
);
INSERT INTO compared SELECT {pack}, (SELECT count(DISTINCT index_date) FROM results), (SELECT count(*) FROM results),
    (SELECT count(*) FROM recomputed), (SELECT count(*) FROM differences WHERE pack = {pack});
"""


def recompute_script(of: Iterable[Recomputation]) -> Iterator[str]:
    """Write the script, piece by piece. Its last statement gives a row a pack: how many results were compared, and how
    many rows differ, which the temporary table `differences` then holds.
    """
    yield _BEGIN
    for one in of:
        yield f"\n-- {one.pack} " + "-" * (115 - len(one.pack)) + "\n"
        yield from _recomputed(one)
        yield _COMPARE.format(columns=_COLUMNS, files=_literal(list(one.results)), pack=_literal(one.pack))
    yield _END


def _recomputed(one: Recomputation) -> Iterator[str]:
    yield from _Evaluation(one).statements("recomputed")
    if not one.entries:
        return
    yield from _late(one)
    standings = {practice: Standing(None, one.source.standing(practice).missing) for practice in one.practices}
    undated = replace(one, source=replace(one.source, standings=standings))
    yield from _Evaluation(undated, late=True).statements("with_entries")
    yield from _Evaluation(undated, late=True, without=True).statements("without_entries")
    yield _DECIDED.format(day=_literal(max(one.index_dates)), said=_SAID, nothing=_NOTHING, columns=_COLUMNS)


# --- entries after the day that records run to ------------------------------------------------------------------------

_LATE = """
CREATE OR REPLACE TEMP TABLE late AS
    SELECT practice, patient_id, any_value(s.sees) AS sees, greatest(max(e.date), {day}) AS day
    FROM read_parquet({files}, hive_partitioning = false) AS e
    JOIN (SELECT unnest({practices}::VARCHAR[]) AS practice, unnest({sees}::DATE[]) AS sees) AS s USING (practice)
    WHERE e.source = {source} AND e.date > s.sees GROUP BY practice, patient_id;
"""
_WITHOUT = """
    CREATE TEMP VIEW files_events AS FROM files_all_events AS e ANTI JOIN late AS l
    ON l.practice = e.practice AND l.patient_id = e.patient_id AND e.source = '{source}' AND e.date > l.sees
"""
_LATE_DATES = "CREATE TEMP TABLE dates AS SELECT DISTINCT day AS as_of, TRUE AS main FROM late"
_ONLY_LATE = "DELETE FROM candidates WHERE (practice, patient_id) NOT IN (SELECT (practice, patient_id) FROM late)"

_ABSENT: Mapping[str, str] = {
    "status": f"'{Status.NOT_APPLICABLE.value}'",
    "reason": "'not_a_member'",
    "due_now": "FALSE",
}
"""What an indicator says of someone who is not in its cohort on that day (`cohortium_plugins.status.standing`)."""
_NOTHING = ", ".join(
    f"{name} := {_ABSENT.get(name, 'NULL')}::{_TYPES[kind]}"
    for name, kind in RESULT_COLUMNS.items()
    if name not in _KEYS
)
_DECIDED = """
CREATE OR REPLACE TEMP TABLE decided AS
    WITH said_with AS (SELECT practice, patient_id, indicator, index_date AS day, struct_pack({said}) AS said
        FROM with_entries),
    said_without AS (SELECT practice, patient_id, indicator, index_date AS day, struct_pack({said}) AS said
        FROM without_entries)
    SELECT r.patient_id, r.practice, r.indicator, r.index_date,
        coalesce(w.said, struct_pack({nothing})) AS now, coalesce(o.said, struct_pack({nothing})) AS before
    FROM recomputed AS r JOIN late AS l ON l.practice = r.practice AND l.patient_id = r.patient_id
    LEFT JOIN said_with AS w ON w.practice = r.practice AND w.patient_id = r.patient_id
        AND w.indicator = r.indicator AND w.day = l.day
    LEFT JOIN said_without AS o ON o.practice = r.practice AND o.patient_id = r.patient_id
        AND o.indicator = r.indicator AND o.day = l.day
    WHERE r.index_date = {day};
DELETE FROM decided WHERE now IS NOT DISTINCT FROM before;
CREATE OR REPLACE TEMP TABLE recomputed AS
    SELECT {columns} FROM recomputed ANTI JOIN decided USING (patient_id, practice, indicator, index_date)
    UNION ALL BY NAME
    SELECT patient_id, practice, indicator, index_date, unnest(now) FROM decided;
"""


def _late(one: Recomputation) -> Iterator[str]:
    """Find who has such entries, the day that the practice's records show, and the day of the latest of them."""
    day = max(one.index_dates)
    ends = [one.source.standing(practice).records_to for practice in one.practices]
    yield _LATE.format(
        day=_literal(day),
        files=_literal(list(one.entries)),
        practices=_literal(list(one.practices)),
        sees=_literal([min(day, end or day) for end in ends]),
        source=_literal(COHORTIUM),
    )


# --- one evaluation ---------------------------------------------------------------------------------------------------


class _Evaluation:
    """The statements of one evaluation. `late`: of people with late entries alone, each on the day of the latest of
    theirs; `without`: as if those had not been made.
    """

    def __init__(self, one: Recomputation, *, late: bool = False, without: bool = False) -> None:
        self.one, self.late, self.without = one, late, without
        self.standings = {practice: one.source.standing(practice) for practice in one.practices}
        self.days = sorted(set(one.index_dates))
        missing = {table for standing in self.standings.values() for table in standing.missing}
        ends = (standing.records_to for standing in self.standings.values())
        self.program = compiled(
            one.definition, missing, stale=not late and any(end is not None and end < self.days[-1] for end in ends)
        )
        self._listed: dict[Rows, None] = {}

    def statements(self, into: str) -> Iterator[str]:
        """Write all of them; the last one keeps the results in the table `into`."""
        for statement in self._written(into):
            yield statement.strip().rstrip(";") + ";\n"

    def _written(self, into: str) -> Iterator[str]:
        program, departed = self.program, any(cohort.departed for cohort in self.program.plan.definition.cohorts)
        yield FORESEE
        yield from self._files(program)
        yield from self._candidates(program)
        for statement in (
            records.REGISTERED,
            records.subjects(departed=departed),
            records.PERSONS,
            records.BASE,
            records.KEYS,
        ):
            yield _anew(statement)
        yield from self._lists(program, program.plan.membership.rows)
        yield from _decided(program.membership)
        yield from (_anew(statement) for statement in (records.MEMBERS_BASE, records.MEMBERS_KEYS))
        yield from self._lists(program, program.plan.everything.rows)
        yield from _decided(program.everything)
        yield _anew(f"CREATE TEMP TABLE said AS {program.everything.queries[Kind.RESULTS]}")
        yield from _results(program.everything, into)

    def _files(self, program: Program) -> Iterator[str]:
        tables = {rows.name for rows in program.numbering.rows}
        for table in ("patients", *FRAME_TABLES):
            if table in tables or table in {"patients", "registrations"}:
                sifted = self.without and table == "events"
                files = self.one.source.files(table, self.one.practices)
                yield _anew(records.view_of_files(table, files, "all_events" if sifted else None))
                if sifted:
                    yield _anew(_WITHOUT.format(source=COHORTIUM))
        everywhere = self.one.source.registration_files(self.one.practices)
        yield _anew(records.view_of_files("registrations", everywhere, "all_registrations"))
        columns: list[object] = [list(self.standings), [each.records_to for each in self.standings.values()]]
        columns.extend([table in each.missing for each in self.standings.values()] for table in FRAME_TABLES)
        yield _anew(records.STANDINGS, columns)
        yield _anew(_LATE_DATES) if self.late else _anew(records.DATES, [self.days])
        yield from (records.LAST_DAY, records.READ_TO)
        for table in records.CODED:
            if table in tables:
                yield _anew(records.make_codes(table))

    def _candidates(self, program: Program) -> Iterator[str]:
        yield _anew(records.CANDIDATES)
        needed = program.plan.needed
        if needed is None:
            departed = any(cohort.departed for cohort in program.plan.definition.cohorts)
            yield records.ALL_KNOWN if departed else records.ALL_REGISTERED
        else:
            for table in sorted({rows.name for rows in needed}):
                if table in records.CODED:
                    yield from _codes(program, table, [rows for rows in needed if rows.name == table])
                yield records.candidates_with(table)
        if self.late:
            yield _ONLY_LATE

    def _lists(self, program: Program, wanted: Sequence[Rows]) -> Iterator[str]:
        """Put the rows that are wanted and not read before into lists, and all lists side by side."""
        new = [rows for rows in wanted if rows not in self._listed and rows in program.fields]
        for table in dict.fromkeys(rows.name for rows in new):
            yield from _read(program, table, [rows for rows in new if rows.name == table])
        self._listed.update(dict.fromkeys(new))
        numbers = sorted(program.numbering.rows[rows] for rows in self._listed)
        names = [rows_column(number) for number in numbers]
        columns = "".join(f", coalesce({name}.items, []) AS {name}" for name in names)
        joins = "".join(f"\n    LEFT JOIN of_{name} AS {name} ON {name}.pid = p.pid" for name in names)
        yield _anew(f"CREATE TEMP TABLE {LISTS} AS SELECT p.pid{columns} FROM persons AS p{joins}")


def _decided(work: Work) -> Iterator[str]:
    """Write compiled rules, for which DuckDB must not foresee outcomes (`duckdb_running`)."""
    yield DO_NOT_FORESEE
    yield from (_anew(statement) for statement in work.statements)
    yield FORESEE


def _codes(program: Program, table: str, rows: Iterable[Rows]) -> Iterator[str]:
    yield records.clear_codes(table)
    yield _inlined(records.insert_codes(table), program.codes(rows))


def _read(program: Program, table: str, new: Sequence[Rows]) -> Iterator[str]:
    """Read rows of a table once, and make of each codelist's a list a person."""
    coded = table in records.CODED
    if coded:
        yield from _codes(program, table, new)
    yield _anew(records.matched(table, numbered=False))
    fields = {program.numbering.rows[rows]: program.fields[rows] for rows in new}
    groups = {group_field(place): place + 1 for place in range(len(program.numbering.groupings))}
    asked = dict.fromkeys(name for names in fields.values() for name in names)
    columns = [f"groups[{groups[name]}] AS {name}" if name in groups else f'"{name}"' for name in asked]
    if coded:
        columns.append("codelist")
    yield _anew(f"CREATE TEMP TABLE read_{table} AS SELECT pid, rid, {', '.join(columns)} FROM matched_{table}")
    for number, names in fields.items():
        row = ", ".join(f'"{name}" := "{name}"' for name in names)
        of = f" WHERE codelist = {number}" if coded else ""
        yield _anew(
            f"CREATE TEMP TABLE of_{rows_column(number)} AS SELECT pid, list(struct_pack({row}) ORDER BY rid) AS items"
            f" FROM read_{table}{of} GROUP BY pid"
        )
    yield f"DROP TABLE read_{table}"


def _results(work: Work, into: str) -> Iterator[str]:
    """Write a row a result: `duckdb_results.unfolded`."""
    there = set(sqlglot.parse_one(work.queries[Kind.RESULTS], dialect=sql.DIALECT, into=exp.Select).named_selects)
    yield f"CREATE OR REPLACE TEMP TABLE {into} ({_TYPED})"
    for number, (indicator, member) in enumerate(work.told.indicators):
        of_person = {"practice": "practice", "patient_id": "patient_id", "index_date": "as_of"}
        columns = []
        for name in RESULT_COLUMNS:
            told = told_column(number, name)
            if name == "indicator":
                columns.append(_literal(indicator))
            elif name == "status":
                columns.append(f'([{_STATUSES}])["{told}" + 1]')
            elif name in of_person:
                columns.append(of_person[name])
            else:
                columns.append(f'"{told}"' if told in there else "NULL")
        yield f"INSERT INTO {into} SELECT {', '.join(columns)} FROM said WHERE {member}"


# --- writing ----------------------------------------------------------------------------------------------------------

_CREATE = re.compile(r"^\s*CREATE (TEMP|TEMPORARY) (TABLE|VIEW) ")
_PARAMETER = re.compile(r"\$(\d+)")


def _anew(statement: str, parameters: Sequence[object] = ()) -> str:
    """Write a statement so that what it makes takes the place of one of that name."""
    return _CREATE.sub(r"CREATE OR REPLACE TEMP \2 ", _inlined(statement, parameters))


def _inlined(statement: str, parameters: Sequence[object]) -> str:
    """Write parameters into a statement."""
    return _PARAMETER.sub(lambda found: _literal(parameters[int(found[1]) - 1]), statement) if parameters else statement


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    if isinstance(value, list):
        return f"[{', '.join(_literal(item) for item in value)}]"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    raise TypeError(type(value).__name__)
