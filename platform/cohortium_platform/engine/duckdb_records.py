"""From files to tables of people and rows: who is registered where on each date, and the rows that rules ask for.

A person's rows are those of the practice where they are registered at the date, told apart by practice and patient
together. Here: the statements, which are the same for every definition. Not here: what is done with the tables
(`duckdb_compile`), and in which order they are made (`duckdb`).

    files_<table>      views over the files; `files_all_registrations`: all that candidates have anywhere
    standings          practice, records_to, missing_<table>
    dates              as_of, main
    codes_<table>      codelist, code, category, groups (the code's category in each grouping codelist)
    candidates         practice, patient_id: whom membership could concern
    base               sid, pid, practice, patient_id, as_of, main, facts
    matched_<table>    codelist, pid, rid (in the order of the rows), date, the table's columns, category, groups
    lists              pid, and the rows of each codelist (`duckdb_rows`)
"""

# Longer than 400 lines because the statements follow one another, each reading the tables of those before it.

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from sqlglot import exp

from cohortium_platform.engine import sql
from cohortium_platform.engine.duckdb_frames import group_field

__all__ = [
    "ALL_KNOWN", "ALL_REGISTERED", "ALL_REGISTRATIONS", "BASE", "CANDIDATES", "CODED", "DATES", "KEYS", "LAST_DAY",
    "LATER", "LATER_PEOPLE", "LATER_ROWS", "LEAVE_SETTLED", "MEMBERS_BASE", "MEMBERS_KEYS", "MEMBERS_LOOKING", "ORDER",
    "PERSONS", "READ_ON", "READ_TO", "REGISTERED", "STANDINGS", "candidates_with", "clear_codes", "insert_codes",
    "largest_first", "make_codes", "matched", "read_rows", "subjects", "view_of_files",
]  # fmt: skip

CODED = ("events", "medications")
"""Tables whose rows are read by codelist."""

_COLUMNS: Mapping[str, Mapping[str, str]] = {
    "patients": {
        "practice": "VARCHAR", "patient_id": "BIGINT", "date_of_birth": "DATE", "sex": "VARCHAR",
        "ethnicity": "VARCHAR", "imd_decile": "TINYINT", "date_of_death": "DATE",
    },
    "registrations": {"practice": "VARCHAR", "patient_id": "BIGINT", "start_date": "DATE", "end_date": "DATE"},
    "events": {
        "practice": "VARCHAR", "patient_id": "BIGINT", "date": "DATE", "code": "BIGINT", "value": "DOUBLE",
        "unit": "VARCHAR", "episode": "VARCHAR", "source": "VARCHAR", "entry": "INTEGER",
    },
    "medications": {
        "practice": "VARCHAR", "patient_id": "BIGINT", "date": "DATE", "code": "BIGINT", "source": "VARCHAR",
        "entry": "INTEGER",
    },
    "consultations": {
        "practice": "VARCHAR", "patient_id": "BIGINT", "date": "DATE", "kind": "VARCHAR", "source": "VARCHAR",
        "entry": "INTEGER",
    },
    "contacts": {
        "practice": "VARCHAR", "patient_id": "BIGINT", "date": "DATE", "kind": "VARCHAR", "relationship": "VARCHAR",
        "source": "VARCHAR", "entry": "INTEGER",
    },
}  # fmt: skip
"""The record store's columns that an evaluation reads."""


def view_of_files(table: str, files: Sequence[str], name: str | None = None, *, numbered: bool = False) -> str:
    """Give the statement that makes a table's files one view; without files it has no rows. `numbered`: rows carry the
    number of `matched`.
    """
    columns = {**_COLUMNS[table], "rid": "INTEGER"} if numbered else _COLUMNS[table]
    if files:
        listed = exp.Array(expressions=[sql.text(file) for file in largest_first(files)])
        plain = exp.EQ(this=sql.column("hive_partitioning"), expression=sql.FALSE())
        source = exp.Table(this=sql.call("read_parquet", listed, plain))
        query = sql.select([_read(column) for column in columns], source)
    else:
        empty = [
            sql.aliased(exp.Cast(this=exp.Null(), to=exp.DataType.build(kind, dialect=sql.DIALECT)), column)
            for column, kind in columns.items()
        ]
        query = exp.Select(expressions=empty).where(sql.FALSE(), copy=False)
    view = exp.Create(
        this=sql.table(f"files_{name or table}"),
        kind="VIEW",
        expression=query,
        properties=exp.Properties(expressions=[exp.TemporaryProperty()]),
    )
    return sql.rendered(view)


def largest_first(files: Iterable[str]) -> list[str]:
    """Order files for DuckDB, which guesses from the first how many rows they all have: after a small one (a trust's,
    say) it joins the wrong way round and reads every row.
    """
    return sorted(files, key=_size, reverse=True)


def _size(file: str) -> int:
    try:
        return Path(file).stat().st_size
    except OSError:  # reading it will say so
        return 0


def _read(column: str) -> sql.Sql:
    """Read a column; a value that is no finite number is none."""
    if column != "value":
        return sql.column(column)
    finite = sql.case([(sql.call("isfinite", sql.column(column)), sql.column(column))])
    return sql.aliased(finite, column)


ALL_REGISTRATIONS = """
    CREATE TEMP VIEW files_all_registrations AS FROM files_registrations UNION ALL FROM files_movers
"""
"""For few practices: their people's registrations there, and anywhere of people who have several. A registration may
come twice."""

STANDINGS = """
    CREATE TEMP TABLE standings AS SELECT
        unnest($1::VARCHAR[]) AS practice, unnest($2::DATE[]) AS records_to, unnest($3::BOOLEAN[]) AS missing_events,
        unnest($4::BOOLEAN[]) AS missing_medications, unnest($5::BOOLEAN[]) AS missing_consultations,
        unnest($6::BOOLEAN[]) AS missing_registrations, unnest($7::BOOLEAN[]) AS missing_contacts
"""
"""Parameters, as lists of one length: practices, records_to, and for each of `FRAME_TABLES` whether it is missing."""

DATES = """
    CREATE TEMP TABLE dates AS SELECT as_of, bool_or(main) AS main FROM (
        SELECT unnest($1::DATE[]) AS as_of, TRUE AS main
        UNION ALL
        SELECT records_to, FALSE FROM standings WHERE records_to < (SELECT max(day) FROM unnest($1::DATE[]) AS d(day))
    ) GROUP BY as_of
"""
"""Parameter: the index dates. The days to which stale practices' records run join them."""

LAST_DAY = "SET VARIABLE last_day = (SELECT max(as_of) FROM dates)"
READ_TO = "SET VARIABLE read_to = getvariable('last_day')"
READ_ON = "SET VARIABLE read_to = DATE '9999-12-31'"
"""No row after the last index date is read, unless one looks ahead; rules never see it. Variables, because a subquery
would hide the date from the readers."""

# --- codes --------------------------------------------------------------------------------------------------------


def make_codes(table: str) -> str:
    """Give the statement that makes the table of codes that rows of a coded table are read by."""
    return _CODES[table]


def clear_codes(table: str) -> str:
    """Give the statement that forgets the codes."""
    return _CLEARED[table]


def insert_codes(table: str) -> str:
    """Give the statement that adds codes. Parameters, as lists of one length: codelist numbers, categories, lists of
    categories in each grouping codelist, and the codes of each such combination as text with spaces between them.
    """
    return _ADDED[table]


_CODES = {
    "events": "CREATE TEMP TABLE codes_events (codelist INTEGER, code BIGINT, category VARCHAR, groups VARCHAR[])",
    "medications": """
        CREATE TEMP TABLE codes_medications (codelist INTEGER, code BIGINT, category VARCHAR, groups VARCHAR[])
    """,
}
_CLEARED = {"events": "DELETE FROM codes_events", "medications": "DELETE FROM codes_medications"}
_ADDED = {
    "events": """
        INSERT INTO codes_events
        SELECT codelist, unnest(string_split(codes, ' '))::BIGINT, category, groups FROM (
            SELECT unnest($1::INTEGER[]) AS codelist, unnest($2::VARCHAR[]) AS category,
                unnest($3::VARCHAR[][]) AS groups, unnest($4::VARCHAR[]) AS codes
        )
    """,
    "medications": """
        INSERT INTO codes_medications
        SELECT codelist, unnest(string_split(codes, ' '))::BIGINT, category, groups FROM (
            SELECT unnest($1::INTEGER[]) AS codelist, unnest($2::VARCHAR[]) AS category,
                unnest($3::VARCHAR[][]) AS groups, unnest($4::VARCHAR[]) AS codes
        )
    """,
}

# --- people -------------------------------------------------------------------------------------------------------

CANDIDATES = "CREATE TEMP TABLE candidates (practice VARCHAR, patient_id BIGINT)"

ALL_REGISTERED = """
    INSERT INTO candidates
    SELECT DISTINCT practice, patient_id FROM files_registrations WHERE practice IN (SELECT practice FROM standings)
"""
"""Takes everyone into account who was ever registered."""

ALL_KNOWN = """
    INSERT INTO candidates
    SELECT DISTINCT practice, patient_id FROM files_patients WHERE practice IN (SELECT practice FROM standings)
"""
"""Takes everyone into account of whom a practice has a record."""

_CANDIDATES_WITH = {
    "events": """
        INSERT INTO candidates SELECT DISTINCT e.practice, e.patient_id FROM files_events AS e
        WHERE e.code IN (SELECT code FROM codes_events) AND e.date <= getvariable('last_day')
    """,
    "medications": """
        INSERT INTO candidates SELECT DISTINCT e.practice, e.patient_id FROM files_medications AS e
        WHERE e.code IN (SELECT code FROM codes_medications) AND e.date <= getvariable('last_day')
    """,
    "consultations": "INSERT INTO candidates SELECT DISTINCT practice, patient_id FROM files_consultations",
    "contacts": "INSERT INTO candidates SELECT DISTINCT practice, patient_id FROM files_contacts",
    "registrations": ALL_REGISTERED,
}


def candidates_with(table: str) -> str:
    """Give the statement that takes into account whoever has rows of a table, of coded tables with the codes that
    stand in `codes_<table>`.
    """
    return _CANDIDATES_WITH[table]


LEAVE_SETTLED = """
    DELETE FROM candidates WHERE (practice, patient_id) IN (SELECT (practice, patient_id) FROM settled)
"""
"""Leaves out people of whom nothing has changed."""

REGISTERED = """
    CREATE TEMP TABLE registered AS
    SELECT r.patient_id, d.as_of, max(struct_pack(start_date := r.start_date, practice := r.practice)) AS latest
    FROM files_all_registrations AS r SEMI JOIN candidates AS c ON c.patient_id = r.patient_id
    JOIN dates AS d ON r.start_date <= d.as_of AND (r.end_date IS NULL OR r.end_date >= d.as_of)
    GROUP BY r.patient_id, d.as_of
"""
"""Where each candidate is registered on each date: of the registrations that run, the latest to start counts, and of
several on one day that with the greatest practice code."""

_REGISTERED_SUBJECTS = """
        SELECT r.latest.practice AS practice, r.patient_id, r.as_of, s.records_to
        FROM registered AS r JOIN dates AS d ON d.as_of = r.as_of AND d.main
        JOIN standings AS s ON s.practice = r.latest.practice
        SEMI JOIN candidates AS c ON c.practice = r.latest.practice AND c.patient_id = r.patient_id
"""
_ALL_SUBJECTS = """
        SELECT DISTINCT c.practice, c.patient_id, d.as_of, s.records_to
        FROM candidates AS c JOIN standings AS s ON s.practice = c.practice CROSS JOIN dates AS d WHERE d.main
"""
_SUBJECTS = """
    CREATE TEMP TABLE subjects AS
    WITH main AS ({main})
    SELECT practice, patient_id, as_of, bool_or(main) AS main, bool_or(NOT main) AS before FROM (
        SELECT practice, patient_id, as_of, TRUE AS main FROM main
        UNION ALL SELECT practice, patient_id, records_to, FALSE FROM main WHERE records_to < as_of
    ) GROUP BY practice, patient_id, as_of
"""


def subjects(*, departed: bool) -> str:
    """Give the statement that finds everyone at each index date (`main`), and people of stale practices on the day to
    which the records run (`before`); those who have left a practice too (`departed`), where a cohort asks for them.
    """
    return _SUBJECTS.format(main=_ALL_SUBJECTS if departed else _REGISTERED_SUBJECTS)


PERSONS = """
    CREATE TEMP TABLE persons AS
    SELECT row_number() OVER (ORDER BY practice, patient_id) AS pid, practice, patient_id
    FROM (SELECT DISTINCT practice, patient_id FROM subjects)
"""
"""Their numbers are in the order of results."""

BASE = """
    CREATE TEMP TABLE base AS
    SELECT row_number() OVER () AS sid, k.pid, b.practice, b.patient_id, b.as_of, b.main, b.before,
        p.date_of_birth, p.sex, p.ethnicity, p.imd_decile::DOUBLE AS imd_decile,
        CASE WHEN p.date_of_death <= b.as_of THEN p.date_of_death END AS date_of_death,
        CASE WHEN r.latest.practice = b.practice THEN r.latest.start_date END AS registered_since,
        coalesce(r.latest.practice = b.practice, FALSE) AND NOT coalesce(p.date_of_death <= b.as_of, FALSE)
            AS is_registered,
        least(s.records_to, b.as_of) AS records_to, s.records_to AS records_end,
        s.missing_events, s.missing_medications, s.missing_consultations, s.missing_registrations, s.missing_contacts
    FROM subjects AS b
    JOIN persons AS k ON k.practice = b.practice AND k.patient_id = b.patient_id
    JOIN standings AS s ON s.practice = b.practice
    LEFT JOIN registered AS r ON r.patient_id = b.patient_id AND r.as_of = b.as_of
    LEFT JOIN files_patients AS p ON p.practice = b.practice AND p.patient_id = b.patient_id
"""

KEYS = "CREATE TEMP TABLE keys AS SELECT pid, practice, patient_id FROM persons"
"""The people whose rows are read: at first whoever could be a member."""

MEMBERS_BASE = """
    CREATE TEMP TABLE members_base AS
    WITH flagged AS (SELECT b.*, m.* EXCLUDE (sid, pid, as_of) FROM base AS b JOIN membership AS m ON m.sid = b.sid)
    SELECT * FROM flagged
    WHERE (main AND member) OR (before AND pid IN (SELECT pid FROM flagged WHERE main AND member))
"""
"""Members at each index date; and the same people on the day to which their practice's records run."""

LATER = "CREATE TEMP TABLE later (pid BIGINT, day DATE)"
"""Days after the last index date on which something that is recorded already comes into view."""

LATER_ROWS = "INSERT INTO later SELECT pid, date FROM later_rows"

LATER_PEOPLE = (
    """
    INSERT INTO later SELECT k.pid, unnest([r.start_date, r.end_date, r.end_date + 1])
    FROM files_all_registrations AS r JOIN keys AS k ON k.patient_id = r.patient_id
    WHERE r.start_date > getvariable('last_day') OR r.end_date >= getvariable('last_day')
    """,
    """
    INSERT INTO later SELECT k.pid, p.date_of_death FROM files_patients AS p
    JOIN keys AS k ON k.practice = p.practice AND k.patient_id = p.patient_id
    WHERE p.date_of_death > getvariable('last_day')
    """,
)
"""Registrations that begin or end, and deaths that are known. A registration counts until its last day."""

MEMBERS_LOOKING = """
    CREATE TEMP TABLE members_looking AS
    SELECT b.*, l.next_recorded FROM members_base AS b LEFT JOIN (
        SELECT pid, min(day) AS next_recorded FROM later WHERE day > getvariable('last_day') GROUP BY pid
    ) AS l ON l.pid = b.pid
"""

MEMBERS_KEYS = "DELETE FROM keys WHERE pid NOT IN (SELECT pid FROM members_base)"

# --- rows ---------------------------------------------------------------------------------------------------------

ORDER: Mapping[str, str] = {
    "events": "e.date, e.entry NULLS FIRST, e.code, e.value NULLS FIRST, e.source NULLS FIRST, e.unit NULLS FIRST, "
    "e.episode NULLS FIRST",
    "medications": "e.date, e.entry NULLS FIRST, e.code, e.source NULLS FIRST",
    "consultations": "e.date, e.entry NULLS FIRST, e.source NULLS FIRST, e.kind NULLS FIRST",
    "contacts": "e.date, e.entry NULLS FIRST, e.source NULLS FIRST, e.kind NULLS FIRST, e.relationship NULLS FIRST",
    "registrations": "e.start_date, e.end_date NULLS FIRST",
}
"""The one order of a patient's rows that every engine uses (`Row.order`)."""

_MATCHED: Mapping[str, str] = {
    "events": """
        CREATE TEMP VIEW matched_events AS
        SELECT c.codelist, k.pid, {number} AS rid, e.date, e.code, c.category, e.value, e.unit, e.episode, e.source,
            c.groups
        FROM {files} AS e JOIN codes_events AS c ON c.code = e.code
        JOIN keys AS k ON k.practice = e.practice AND k.patient_id = e.patient_id
        WHERE e.date <= getvariable('read_to')
    """,
    "medications": """
        CREATE TEMP VIEW matched_medications AS
        SELECT c.codelist, k.pid, {number} AS rid, e.date, e.code, c.category, e.source, c.groups
        FROM {files} AS e JOIN codes_medications AS c ON c.code = e.code
        JOIN keys AS k ON k.practice = e.practice AND k.patient_id = e.patient_id
        WHERE e.date <= getvariable('read_to')
    """,
    "consultations": """
        CREATE TEMP VIEW matched_consultations AS
        SELECT k.pid, {number} AS rid, e.date, e.kind, e.source
        FROM {files} AS e JOIN keys AS k ON k.practice = e.practice AND k.patient_id = e.patient_id
        WHERE e.date <= getvariable('read_to')
    """,
    "contacts": """
        CREATE TEMP VIEW matched_contacts AS
        SELECT k.pid, {number} AS rid, e.date, e.kind, e.relationship, e.source
        FROM {files} AS e JOIN keys AS k ON k.practice = e.practice AND k.patient_id = e.patient_id
        WHERE e.date <= getvariable('read_to')
    """,
    "registrations": """
        CREATE TEMP VIEW matched_registrations AS
        SELECT k.pid, {number} AS rid, e.start_date AS date, e.end_date, 'gp' AS source
        FROM files_registrations AS e JOIN keys AS k ON k.practice = e.practice AND k.patient_id = e.patient_id
        WHERE e.start_date <= getvariable('read_to')
    """,
}


_SIFTED: Mapping[str, str] = {
    "events": """(
        FROM files_events
        WHERE code IN (SELECT code FROM codes_events) AND patient_id IN (SELECT patient_id FROM keys)
    )""",
    "medications": """(
        FROM files_medications
        WHERE code IN (SELECT code FROM codes_medications) AND patient_id IN (SELECT patient_id FROM keys)
    )""",
    "consultations": "(FROM files_consultations WHERE patient_id IN (SELECT patient_id FROM keys))",
    "contacts": "(FROM files_contacts WHERE patient_id IN (SELECT patient_id FROM keys))",
}


def matched(table: str, *, numbered: bool) -> str:
    """Give the statement that makes a view of the rows of a table that rules ask for, with a number that follows the
    order of a patient's rows: the one that they carry (`numbered`), or one worked out now.

    Rows of whole records are sifted by code and by patient before they are joined: probing for a text and a number at
    once costs four times as much. Extracts are sifted already.
    """
    partition = "c.codelist, k.pid" if table in CODED else "k.pid"
    number = "e.rid" if numbered else f"row_number() OVER (PARTITION BY {partition} ORDER BY {ORDER[table]})"
    files = f"files_{table}" if numbered or table not in _SIFTED else _SIFTED[table]
    return _MATCHED[table].format(number=number, files=files)


def read_rows(table: str, fields: Iterable[str], groupings: int, number: int | None = None) -> str:
    """Give the query for the rows of the codes and people that stand in `codes_<table>` and `keys`, by codelist, person
    and their order. `number` is the codelist's of a table that is not read by code.
    """
    groups = {group_field(place): place for place in range(groupings)}
    codelist = sql.column("codelist") if number is None else sql.cast_integer(sql.integer(number))
    columns: list[sql.Sql] = [sql.aliased(codelist, "codelist"), sql.column("pid")]
    for name in fields:
        found: sql.Sql = sql.column(name)
        if name in groups:
            found = sql.call("list_extract", sql.column("groups"), sql.integer(groups[name] + 1))
        columns.append(sql.aliased(found, name))
    order = ("pid", "rid") if number is not None else ("codelist", "pid", "rid")
    query = sql.select(columns, sql.table(f"matched_{table}"))
    return sql.rendered(query.order_by(*(sql.ordered(sql.column(name)) for name in order), copy=False))
