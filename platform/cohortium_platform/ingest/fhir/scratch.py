"""What reading leaves for resolving: Parquet files of rows whose references are not yet looked up.

Here: the scratch tables' columns and writing them in parts of bounded size. Not here: what fills them (`extraction`)
and what reads them (`resolving`). They live in a folder of their own, which goes with the load.

A resource's `place` is its position in the whole delivery, unique and in the order given: the number of its file times
`PLACES_A_FILE`, and its position in the file. It ties a patient's tables together and decides between versions that
carry no date.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cohortium_platform.ingest.fhir.contacts import Contact, Reach
from cohortium_platform.ingest.fhir.people import Person
from cohortium_platform.ingest.fhir.practices import Registration

__all__ = ["PART_ROWS", "PLACES_A_FILE", "SCHEMAS", "Scratch"]

_TEXT, _PLACE, _SMALL, _LINE, _FLAG = pa.string(), pa.int64(), pa.int16(), pa.int32(), pa.bool_()

_PROVENANCE = [("key", _TEXT), ("version", _TEXT), ("place", _PLACE), ("line", _LINE)]
"""`key` is `references.identity`, `version` the text of meta.lastUpdated."""

_TYPES = {"died": _FLAG, "is_current": _FLAG}


def _texts(row: type[Any]) -> list[tuple[str, pa.DataType]]:
    return [(name, _TYPES.get(name, _TEXT)) for name in row._fields]


SCHEMAS: dict[str, pa.Schema] = {
    "rows": pa.schema(
        [
            *_PROVENANCE, ("subject", _TEXT), ("type", _SMALL), ("target", _SMALL), ("fate", _SMALL),
            ("reason", _SMALL), ("day", _TEXT), ("code", pa.int64()), ("value", pa.float64()), ("unit", _TEXT),
            ("episode", _TEXT), ("kind", _TEXT), ("medication", _TEXT),
        ]
    ),
    "patients": pa.schema([*_PROVENANCE, ("updated", _TEXT), *_texts(Person), *_texts(Reach)]),
    "registrations": pa.schema([("patient_place", _PLACE), *_texts(Registration)]),
    "contacts": pa.schema([("patient_place", _PLACE), *_texts(Contact)]),
    "organisations": pa.schema([*_PROVENANCE, ("practice", _TEXT)]),
    "medicines": pa.schema([*_PROVENANCE, ("code", pa.int64()), ("reason", _SMALL)]),
    "names": pa.schema([("name", _TEXT), ("kind", _TEXT), ("place", _PLACE)]),
    "remarks": pa.schema([("place", _PLACE), ("reason", _SMALL)]),
}  # fmt: skip
"""The scratch tables. `names` holds every name (`references.names`) that the resource at `place` answers to."""

PLACES_A_FILE = 2**40

PART_ROWS = 50_000
"""Rows of a table from which a part is written."""


class Scratch:
    """Writes the scratch tables of one block of a delivery. `stem` tells its files apart from other blocks'."""

    def __init__(self, directory: Path, stem: str) -> None:
        self._directory, self._stem, self._parts = directory, stem, 0
        self._tables: dict[str, list[tuple[Any, ...]]] = {name: [] for name in SCHEMAS}

    def table(self, name: str) -> list[tuple[Any, ...]]:
        """The rows of a table not yet written, to append to."""
        return self._tables[name]

    def flush(self) -> None:
        """Write what has gathered."""
        for name, rows in self._tables.items():
            if rows:
                columns = zip(*rows, strict=True)
                schema = SCHEMAS[name]
                arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
                path = self._directory / f"{name}-{self._stem}-{self._parts}.parquet"
                pq.write_table(
                    pa.Table.from_arrays(arrays, schema=schema), path, compression="lz4", write_statistics=False
                )
                rows.clear()
        self._parts += 1
