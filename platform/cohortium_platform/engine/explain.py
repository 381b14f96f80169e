"""One patient's record, read from the files of the practice they are registered with, for the interpreter to explain.

Not here: the explanation (`cohortium_plugins.explain`), and whether someone may see it (auth).
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import duckdb

from cohortium_platform.engine.duckdb_kept_records import TABLES, KeptRecords
from cohortium_platform.engine.duckdb_registrations import KeptRegistrations
from cohortium_platform.engine.source import RecordSource
from cohortium_platform.errors import NotFound, Unavailable
from cohortium_plugins.record import Record, Row

__all__ = ["find_practice", "load_record"]

_PATIENT = """
    SELECT date_of_birth, sex, ethnicity, imd_decile, date_of_death
    FROM read_parquet($files) WHERE patient_id = $patient AND practice = $practice
"""
_REGISTRATIONS = """
    SELECT practice, start_date, end_date FROM read_parquet($files) WHERE patient_id = $patient
    ORDER BY start_date, practice
"""
_ROWS = {
    "events": "SELECT date, code, value, unit, episode, NULL, NULL, source, entry",
    "medications": "SELECT date, code, NULL, NULL, NULL, NULL, NULL, source, entry",
    "consultations": "SELECT date, NULL, NULL, NULL, NULL, kind, NULL, source, entry",
    "contacts": "SELECT date, NULL, NULL, NULL, NULL, kind, relationship, source, entry",
}
_KEPT = """
    SELECT of, date, code, value, unit, episode, kind, relationship, source, entry FROM read_parquet($files)
    WHERE patient_id = $patient ORDER BY ALL
"""
_FROM = " FROM read_parquet($files) WHERE patient_id = $patient AND practice = $practice ORDER BY ALL"


def load_record(
    cursor: duckdb.DuckDBPyConnection,
    source: RecordSource,
    practice: str,
    patient_id: int,
    *,
    extracts: Path | None = None,
) -> Record:
    """Read a patient's rows at a practice, from what is kept in patient order among `extracts`, if it is there.

    Raises `NotFound` when the practice's records do not know the patient, and `Unavailable` when a file of the practice
    that is needed cannot be read.
    """
    try:
        return _load(cursor, source, practice, patient_id, extracts)
    except duckdb.Error:
        raise Unavailable(
            f"A record file of practice {practice} is missing or damaged.",
            "Restore it from a backup, or load the practice's latest delivery again.",
        ) from None


def _load(
    cursor: duckdb.DuckDBPyConnection, source: RecordSource, practice: str, patient_id: int, extracts: Path | None
) -> Record:
    files = source.files("patients", [practice])
    who = {"patient": patient_id, "practice": practice}
    found = _rows(cursor, _PATIENT, {**who, "files": list(files)}) if files else []
    if not found:
        raise NotFound("This practice's records do not hold that patient.", "Check the tenant and the patient.")
    born, sex, ethnicity, imd_decile, died = cast(
        "tuple[dt.date, str | None, str | None, int | None, dt.date | None]", found[0]
    )
    standing = source.standing(practice)
    registered = _registrations(cursor, source.registration_files([practice]), patient_id, extracts)
    rows: dict[str, tuple[Row, ...]] = {"registrations": tuple(registered)}
    kept = None if extracts is None else _kept_rows(cursor, KeptRecords(extracts, source, practice), patient_id)
    rows.update(_read_rows(cursor, source, practice, patient_id) if kept is None else kept)
    return Record(
        patient_id=patient_id,
        practice=practice,
        date_of_birth=born,
        sex=sex,
        ethnicity=ethnicity,
        imd_decile=imd_decile,
        date_of_death=died,
        rows=rows,
        missing=standing.missing,
        records_to=standing.records_to,
    )


def _read_rows(
    cursor: duckdb.DuckDBPyConnection, source: RecordSource, practice: str, patient_id: int
) -> dict[str, tuple[Row, ...]]:
    rows: dict[str, tuple[Row, ...]] = {}
    for table, columns in _ROWS.items():
        paths = source.files(table, [practice])
        asked = {"patient": patient_id, "practice": practice, "files": list(paths)}
        rows[table] = tuple(_row(item) for item in _rows(cursor, columns + _FROM, asked)) if paths else ()
    return rows


def _kept_rows(
    cursor: duckdb.DuckDBPyConnection, kept: KeptRecords, patient_id: int
) -> dict[str, tuple[Row, ...]] | None:
    """Read them from the practice's one file in patient order; None when it is not there. One that cannot be read is
    thrown away, and made anew after the next load of any practice.
    """
    if not kept.is_made:
        return None
    try:
        found = _rows(cursor, _KEPT, {"files": [kept.file], "patient": patient_id})
    except (duckdb.InterruptException, duckdb.OutOfMemoryException):  # nothing is wrong with the file
        return None
    except duckdb.Error:
        kept.discard()
        return None
    rows: dict[str, list[Row]] = {table: [] for table in TABLES}
    for of, *item in found:
        rows[TABLES[cast("int", of)]].append(_row(tuple(item)))
    return {table: tuple(listed) for table, listed in rows.items()}


def find_practice(
    cursor: duckdb.DuckDBPyConnection,
    source: RecordSource,
    patient_id: int,
    on: dt.date,
    *,
    extracts: Path | None = None,
) -> str:
    """Give the practice where a patient was registered on a day, or the last one before it. Raises `NotFound`."""
    files = source.registration_files([])
    spans = None if extracts is None else _kept_spans(cursor, KeptRegistrations(extracts, files), patient_id)
    if spans is None:
        spans = _spans(cursor, files, patient_id)
    running = [(end is None or end >= on, start, practice) for practice, start, end in spans if start <= on]
    if not running:
        raise NotFound("No practice has that patient on this day.", "Check the tenant, the patient and the day.")
    return max(running)[2]


def _registrations(
    cursor: duckdb.DuckDBPyConnection, files: Sequence[str], patient_id: int, extracts: Path | None
) -> Sequence[Row]:
    spans = None if extracts is None else _kept_spans(cursor, KeptRegistrations(extracts, files), patient_id)
    if spans is None:
        spans = _spans(cursor, files, patient_id)
    return [Row(start, practice=where, end_date=end) for where, start, end in spans]


def _kept_spans(
    cursor: duckdb.DuckDBPyConnection, kept: KeptRegistrations, patient_id: int
) -> Sequence[tuple[str, dt.date, dt.date | None]] | None:
    """Read them from the one file in patient order; None when it is not there, or cannot be read."""
    if not kept.is_made:
        return None
    try:
        found = _rows(cursor, _REGISTRATIONS, {"files": [kept.everyone], "patient": patient_id})
    except duckdb.Error:
        return None
    return [cast("tuple[str, dt.date, dt.date | None]", item) for item in found]


def _spans(
    cursor: duckdb.DuckDBPyConnection, files: Sequence[str], patient_id: int
) -> Sequence[tuple[str, dt.date, dt.date | None]]:
    """Read a patient's registrations anywhere; a practice whose file cannot be read has none."""
    if not files:
        return []
    try:
        found = _rows(cursor, _REGISTRATIONS, {"files": list(files), "patient": patient_id})
    except duckdb.Error:
        found = []
        for file in files:
            with contextlib.suppress(duckdb.Error):
                found += _rows(cursor, _REGISTRATIONS, {"files": [file], "patient": patient_id})
    return [cast("tuple[str, dt.date, dt.date | None]", item) for item in found]


def _row(item: tuple[object, ...]) -> Row:
    day, code, value, unit, episode, kind, relationship, source, entry = cast(
        "tuple[dt.date, int | None, float | None, str | None, str | None, str | None, str | None, str, int]", item
    )
    return Row(
        day,
        code=code,
        value=value,
        unit=unit,
        episode=episode,
        kind=kind,
        relationship=relationship,
        source=source,
        entry=entry,
    )


def _rows(cursor: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, object]) -> list[tuple[object, ...]]:
    used = {name: value for name, value in parameters.items() if f"${name}" in query}
    return cast("list[tuple[object, ...]]", cursor.execute(query, used).fetchall())
