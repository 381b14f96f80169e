"""The canonical tables of a record store: columns, types, and the order of rows in a file.

Here: what every file of a table looks like, whoever wrote it. Not here: writing and reading files (`store`), and which
files there are (`catalogue`).

Every table is keyed by practice and `patient_id`. A `patient_id` is a pseudonym (int64), never an NHS number; a
practice is an ODS code. `source` is `gp` for the practice's own system, otherwise the ODS code of the trust that
supplied the row, or `cohortium`. `entry` is the place, from 0, at which the source gave the row among that patient's
rows of that table: it settles the order of rows of one day, which is (date, entry, code, value, source), NULLs first.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

__all__ = ["COHORTIUM", "GP", "ROW_GROUP_ROWS", "SCHEMAS", "RecordTable", "TableSchema"]

GP = "gp"
"""The source of what a practice's own system supplied."""

COHORTIUM = "cohortium"
"""The source of what was entered in Cohortium itself: no delivery may name it, and none replaces it."""

ROW_GROUP_ROWS = 122_880
"""Rows of a row group. With rows sorted by code, one group holds the events of few codes, so that a codelist skips most
groups by their statistics; smaller groups skip a little more and make files up to twice as large (a group has its own
dictionary of patients), and were slower in every read but one. 60 DuckDB vectors."""


class RecordTable(enum.StrEnum):
    """The tables of a record store."""

    PATIENTS = "patients"
    REGISTRATIONS = "registrations"
    EVENTS = "events"
    MEDICATIONS = "medications"
    CONSULTATIONS = "consultations"
    CONTACTS = "contacts"


@dataclass(frozen=True, slots=True)
class TableSchema:
    """Columns of a table in the order they stand in a file, and the columns its rows are sorted by."""

    table: RecordTable
    columns: pa.Schema
    order: tuple[str, ...]


_KEY = [pa.field("patient_id", pa.int64(), nullable=False), pa.field("practice", pa.string(), nullable=False)]
_ORIGIN = [pa.field("source", pa.string(), nullable=False), pa.field("entry", pa.int32(), nullable=False)]
_DAY = pa.field("date", pa.date32(), nullable=False)
_CODE = pa.field("code", pa.int64(), nullable=False)
_BY_CODE = ("code", "patient_id", "date", "entry")
_BY_PATIENT = ("patient_id", "date", "entry")


def _schemas() -> list[TableSchema]:
    return [
        TableSchema(
            RecordTable.PATIENTS,
            pa.schema(
                [
                    *_KEY,
                    pa.field("date_of_birth", pa.date32(), nullable=False),
                    pa.field("sex", pa.string()),  # male, female, indeterminate
                    pa.field("ethnicity", pa.string()),  # the letter of the 16+1 groups; Z is not stated
                    pa.field("imd_decile", pa.int8()),  # 1 is the most deprived
                    pa.field("date_of_death", pa.date32()),
                ]
            ),
            ("patient_id",),
        ),
        TableSchema(
            RecordTable.REGISTRATIONS,
            pa.schema([*_KEY, pa.field("start_date", pa.date32(), nullable=False), pa.field("end_date", pa.date32())]),
            ("patient_id", "start_date", "end_date"),
        ),
        TableSchema(
            RecordTable.EVENTS,
            pa.schema(
                [
                    *_KEY,
                    _DAY,
                    _CODE,
                    pa.field("value", pa.float64()),
                    pa.field("unit", pa.string()),
                    pa.field("episode", pa.string()),  # first, new, review and the like, where a feed carries it
                    *_ORIGIN,
                ]
            ),
            _BY_CODE,
        ),
        TableSchema(RecordTable.MEDICATIONS, pa.schema([*_KEY, _DAY, _CODE, *_ORIGIN]), _BY_CODE),
        TableSchema(
            RecordTable.CONSULTATIONS,
            pa.schema([*_KEY, _DAY, pa.field("kind", pa.string()), *_ORIGIN]),
            _BY_PATIENT,
        ),
        TableSchema(
            RecordTable.CONTACTS,
            pa.schema(
                [
                    *_KEY,
                    _DAY,  # when it was recorded
                    pa.field("kind", pa.string()),  # telephone, mobile, email, address, next-of-kin
                    pa.field("relationship", pa.string()),  # UK Core relationship code, such as N
                    *_ORIGIN,
                ]
            ),
            _BY_PATIENT,
        ),
    ]


SCHEMAS: Mapping[RecordTable, TableSchema] = {schema.table: schema for schema in _schemas()}
"""The schema of each table. Of a contact it is kept here that there is one: number, address and name are identities."""
