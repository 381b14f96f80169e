"""What a definition can look at of a practice's records, kept beside them so that it is looked for once a load.

A registry of three people in a hundred looks at few codes of few people, and the rest need not be read each time. An
extract holds the rows whose code is on one of the definition's lists, of people without whom the rule of membership
cannot hold; evaluating extracts gives what evaluating the whole records gives, at any index date. It is named by the
files it was made from and by what was looked for: another load or another codelist makes another. Nothing stands on
extracts, and they may be removed at any time. Not here: when they are too old to keep (`records.sweep`).
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from uuid import uuid4

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from cohortium_platform.engine.duckdb_records import ORDER, largest_first
from cohortium_platform.engine.duckdb_running import Running
from cohortium_platform.engine.plan import Plan
from cohortium_platform.engine.source import RecordSource
from cohortium_platform.records.store import EXTRACT_SOURCES, safe_name
from cohortium_plugins.model.nodes import Rows

__all__ = ["EXTRACTED", "Extracts", "LookedAt"]

EXTRACTED = ("events", "medications", "consultations", "contacts")
"""The tables that extracts hold. Patients and registrations are few, and read whole."""

_FORMAT = 2
_SORTED_BY: Mapping[str, Sequence[str]] = {
    "events": ("code", "patient_id", "date", "entry"),
    "medications": ("code", "patient_id", "date", "entry"),
    "consultations": ("patient_id", "date", "entry"),
    "contacts": ("patient_id", "date", "entry"),
}

_CODES = "CREATE TEMP TABLE extract_codes (needed BOOLEAN, of_table VARCHAR, code BIGINT)"
_ADD_CODES = "INSERT INTO extract_codes SELECT $1, $2, unnest($3::BIGINT[])"
_PEOPLE = "CREATE OR REPLACE TEMP TABLE extract_people (patient_id BIGINT)"
_ADD_PEOPLE = """
    INSERT INTO extract_people SELECT DISTINCT patient_id FROM read_parquet($1, hive_partitioning = false)
    WHERE practice = $2
"""
_ADD_PEOPLE_CODED = """
    INSERT INTO extract_people SELECT DISTINCT patient_id FROM read_parquet($1, hive_partitioning = false)
    WHERE practice = $2 AND code IN (SELECT code FROM extract_codes WHERE needed AND of_table = $3)
"""
_ROWS: Mapping[tuple[bool, bool], str] = {
    (False, False): "FROM read_parquet($1, hive_partitioning = false) WHERE practice = $2",
    (False, True): """
        FROM read_parquet($1, hive_partitioning = false)
        WHERE practice = $2 AND patient_id IN (SELECT patient_id FROM extract_people)
    """,
    (True, False): """
        FROM read_parquet($1, hive_partitioning = false)
        WHERE practice = $2 AND code IN (SELECT code FROM extract_codes WHERE NOT needed AND of_table = $3)
    """,
    (True, True): """
        FROM read_parquet($1, hive_partitioning = false)
        WHERE practice = $2 AND code IN (SELECT code FROM extract_codes WHERE NOT needed AND of_table = $3)
            AND patient_id IN (SELECT patient_id FROM extract_people)
    """,
}
"""Rows of a practice: only of some codes or not, only of some people or not."""

_COLUMNS = {"events": "* REPLACE (CASE WHEN isfinite(value) THEN value END AS value)"}
_NUMBERED = """
    SELECT e.*, row_number() OVER (ORDER BY e.patient_id, {order})::INTEGER AS rid FROM (SELECT {columns} {rows}) AS e
"""
"""Rows with their number in the order of each patient's rows, which evaluations would otherwise work out each time."""


@dataclass(frozen=True)
class LookedAt:
    """What a definition looks at: for each table the codes (None: every row); and of whom (`needed`): people with a row
    of one of these, or everyone (None).
    """

    codes: Mapping[str, frozenset[int] | None]
    needed: Mapping[str, frozenset[int] | None] | None

    @classmethod
    def of(cls, plan: Plan) -> LookedAt:
        """Tell what a plan looks at."""
        codes = _by_table(plan, [*plan.membership.rows, *plan.everything.rows, *(plan.needed or ())])
        elsewhere = plan.needed is None or any(rows.name not in EXTRACTED for rows in plan.needed)
        return cls(codes, None if elsewhere else _by_table(plan, plan.needed or ()))

    @cached_property
    def digest(self) -> bytes:
        """Name what is looked at."""
        described = [_sorted(self.codes), None if self.needed is None else _sorted(self.needed)]
        return hashlib.sha256(orjson.dumps([_FORMAT, described])).digest()


def _by_table(plan: Plan, rows: Iterable[Rows]) -> Mapping[str, frozenset[int] | None]:
    found: dict[str, frozenset[int] | None] = {}
    for item in rows:
        if item.codelist is None:
            found[item.name] = None
        else:
            codes = frozenset(plan.definition.codelists[item.codelist].by_code)
            found[item.name] = codes | (found.get(item.name) or frozenset())
    return {table: codes for table, codes in found.items() if table in EXTRACTED}


def _sorted(codes: Mapping[str, frozenset[int] | None]) -> list[tuple[str, list[int] | None]]:
    return [(table, None if some is None else sorted(some)) for table, some in sorted(codes.items())]


class Extracts:
    """Extracts of one tenant's practices in a folder, for one thing looked at."""

    def __init__(self, folder: Path, looked_at: LookedAt, source: RecordSource) -> None:
        self.folder, self.looked_at, self.source = folder, looked_at, source
        self._found: dict[str, Path] = {}

    def missing(self, practices: Sequence[str]) -> list[str]:
        """Look which practices have none yet."""
        self._found = {practice: self._place(practice) for practice in practices}
        return [practice for practice, place in self._found.items() if not place.is_dir()]

    def files(self, table: str) -> Sequence[str]:
        """Give the files with the rows of a table of the practices that were looked for."""
        return [str(path) for place in self._found.values() if (path := place / f"{table}.parquet").is_file()]

    def begin(self, running: Running) -> None:
        """Put what is looked for into a table of the connection."""
        running.run(_CODES)
        for needed, by_table in ((False, self.looked_at.codes), (True, self.looked_at.needed or {})):
            for table, codes in by_table.items():
                if codes is not None:
                    running.run(_ADD_CODES, [needed, table, sorted(codes)])

    def make(self, running: Running, practice: str) -> None:
        """Make a practice's extract whole, under its name; someone else's that came first is as good."""
        place = self._found[practice]
        part = self.folder / f".{uuid4().hex}"
        part.mkdir(mode=0o700, parents=True)
        try:
            sources = {table: largest_first(self.source.files(table, [practice])) for table in EXTRACTED}
            self._find_people(running, practice, sources)
            for table in self.looked_at.codes:
                if sources[table]:
                    rows = self._rows(running, table, sources[table], practice)
                    pq.write_table(rows, part / f"{table}.parquet", compression="zstd", store_schema=False)
            named = sorted(path for listed in sources.values() for path in listed)
            (part / EXTRACT_SOURCES).write_bytes(orjson.dumps(named))
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(OSError):
                part.rename(place)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _find_people(self, running: Running, practice: str, sources: Mapping[str, Sequence[str]]) -> None:
        running.run(_PEOPLE)
        for table, codes in (self.looked_at.needed or {}).items():
            if sources[table]:
                asked: list[object] = [list(sources[table]), practice]
                if codes is None:
                    running.run(_ADD_PEOPLE, asked)
                else:
                    running.run(_ADD_PEOPLE_CODED, [*asked, table])

    def _rows(self, running: Running, table: str, sources: Sequence[str], practice: str) -> pa.Table:
        coded, of_some = self.looked_at.codes[table] is not None, self.looked_at.needed is not None
        asked: list[object] = [list(sources), practice, *([table] if coded else [])]
        some = _ROWS[coded, of_some]
        columns = _COLUMNS.get(table, "*")
        rows = running.table(_NUMBERED.format(order=ORDER[table], columns=columns, rows=some), asked)
        return rows.sort_by([(column, "ascending") for column in _SORTED_BY[table]])

    def _place(self, practice: str) -> Path:
        named = sorted((table, path) for table in EXTRACTED for path in self.source.files(table, [practice]))
        digest = hashlib.sha256(self.looked_at.digest + orjson.dumps([practice, named])).hexdigest()
        return self.folder / safe_name(practice) / digest[:32]
