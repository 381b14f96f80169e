"""The record store: a tenant's coded health records as immutable Parquet files, and their catalogue in PostgreSQL.

Here: tables and their schema, files, the catalogue, sweeping. Not here: where records come from (`ingest`), who the
patients are (`identities`), and what rules say of them (`engine`).
"""

from cohortium_platform.records.catalogue import (
    Publication,
    RecordFile,
    Replacement,
    SourceState,
    files,
    lock,
    publish,
    records_to,
    snapshot_current,
    sources,
)
from cohortium_platform.records.changes import changed_practices, movers_practices
from cohortium_platform.records.entries import EntryRow, LaidOver, entered_since, fold_entries, lay_over, unfolded
from cohortium_platform.records.models import Load
from cohortium_platform.records.schema import COHORTIUM, GP, SCHEMAS, RecordTable, TableSchema
from cohortium_platform.records.store import RecordStore, StoredFile, WrittenFile
from cohortium_platform.records.sweep import Swept, release_snapshots, sweep

__all__ = [
    "COHORTIUM",
    "GP",
    "SCHEMAS",
    "EntryRow",
    "LaidOver",
    "Load",
    "Publication",
    "RecordFile",
    "RecordStore",
    "RecordTable",
    "Replacement",
    "SourceState",
    "StoredFile",
    "Swept",
    "TableSchema",
    "WrittenFile",
    "changed_practices",
    "entered_since",
    "files",
    "fold_entries",
    "lay_over",
    "lock",
    "movers_practices",
    "publish",
    "records_to",
    "release_snapshots",
    "snapshot_current",
    "sources",
    "sweep",
    "unfolded",
]
