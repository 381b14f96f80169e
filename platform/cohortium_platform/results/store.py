"""Writing results: files under new names first, then one transaction that makes them the ones that count.

Here: `write` and `commit`, and the layout of the files. Not here: working results out (`engine`), reading (`reader`).

Four kinds of file, all Parquet, zstd, sorted by practice and patient: `results` (long, the newest index date),
`history` (the same for earlier dates), `list` (one row a member at the newest date, for pages) and `counts`
(by practice, indicator, index date and status, for rates).
"""

from __future__ import annotations

import datetime as dt
import enum
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from uuid import UUID, uuid4

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import update
from sqlmodel import Session, col, select

from cohortium_platform.database import tenant_of
from cohortium_platform.errors import CohortiumError, Conflict
from cohortium_platform.records.store import sha256_of
from cohortium_platform.results.arranging import arranged, by_practice, plain
from cohortium_platform.results.models import Evaluation, ResultFileRow
from cohortium_plugins.model import Status

__all__ = [
    "STATUS_CODES",
    "Count",
    "Evaluated",
    "Kept",
    "ResultKind",
    "ResultStore",
    "WrittenResults",
    "commit",
    "count_results",
    "counts_table",
    "list_table",
    "sorted_list",
    "write",
]

STATUS_CODES: Mapping[Status, int] = {
    Status.MET: 0,
    Status.DUE: 1,
    Status.OVERDUE: 2,
    Status.EXCLUDED: 3,
    Status.NOT_APPLICABLE: 4,
    Status.NOT_EVALUATED: 5,
}
"""How a `list` file writes a status. Numbers are never used again for another meaning."""

ROW_GROUP_ROWS = 16_384
LIST_ROW_GROUP_ROWS = 2_048
"""A list is read for a few practices at a time: groups of rows of other practices are skipped."""
_FOLDER = "results"


class ResultKind(enum.StrEnum):
    """What a file holds."""

    RESULTS = "results"
    HISTORY = "history"
    LIST = "list"
    COUNTS = "counts"


@dataclass(frozen=True, slots=True)
class Count:
    """How many people have a status. `closed`: whether the indicator's window had closed by the index date; None for
    one that has no window.
    """

    practice: str
    indicator: str
    index_date: dt.date
    status: Status
    closed: bool | None
    people: int


@dataclass(frozen=True)
class Evaluated:
    """What an engine found, and of what. `results` has a row for each patient, indicator and index date; `listed` one
    for each member at the newest date, with a column for each stratifier and a status code for each indicator
    (`status:<indicator>`). `practices` are those evaluated, whether or not they have a member; `windowed` are
    indicators that can be met only until a day, once.
    """

    pack: str
    version: str
    definition_hash: str
    parameters: Mapping[str, object]
    indicators: Sequence[str]
    stratifiers: Sequence[str]
    windowed: Sequence[str]
    snapshot: int
    index_dates: Sequence[dt.date]
    practices: Collection[str]
    engine: str
    started: dt.datetime
    results: pa.Table
    listed: pa.Table


@dataclass(frozen=True, slots=True)
class Kept:
    """What an evaluation takes over from those before for practices that it only brings forward: the files of their
    history (practice, path, SHA-256, rows), and the rows of their counts at earlier dates; and the lines of lists of
    people to whom nothing happened.
    """

    history: Sequence[tuple[str, str, str, int]]
    counts: pa.Table
    listed: pa.Table

    @property
    def practices(self) -> frozenset[str]:
        """The practices brought forward."""
        return frozenset(practice for practice, *_ in self.history)


@dataclass(frozen=True)
class WrittenResults:
    """Files that no catalogue names yet: by kind the path, the SHA-256, and each practice's rows; and what is kept."""

    evaluation_id: UUID
    files: Mapping[ResultKind, tuple[str, str, Mapping[str, int]]]
    kept: Kept | None = None


class ResultStore:
    """The results of one tenant, in the tenant's own folder below `root`."""

    def __init__(self, root: Path, tenant_id: UUID) -> None:
        self.tenant_id = tenant_id
        self._folder = root / str(tenant_id)

    def path(self, relative: str) -> Path:
        """Where a file of the catalogue lies. Raises `CohortiumError` on a name that leads out of the folder."""
        parts = relative.split("/")
        if parts[0] != _FOLDER or any(part in {"", ".", ".."} for part in parts):
            raise CohortiumError("The catalogue names a file that is not among this tenant's results.")
        return self._folder.joinpath(*parts)

    def write(self, pack: str, kind: ResultKind, rows: pa.Table) -> tuple[str, str]:
        """Write a new file; gives its path and SHA-256."""
        return self.write_pieces(pack, kind, rows.schema, [rows])

    def write_pieces(
        self, pack: str, kind: ResultKind, schema: pa.Schema, pieces: Iterable[pa.Table]
    ) -> tuple[str, str]:
        """Write a new file of rows that come in pieces, which leave no trace in it; gives its path and SHA-256."""
        relative = f"{_FOLDER}/{pack}/{kind}-{uuid4().hex}.parquet"
        path = self.path(relative)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        group = LIST_ROW_GROUP_ROWS if kind is ResultKind.LIST else ROW_GROUP_ROWS
        with path.open("xb") as file:
            with pq.ParquetWriter(file, schema, compression="zstd", store_schema=False) as writer:
                left = schema.empty_table()
                for piece in pieces:
                    rows = pa.concat_tables([left, piece.cast(schema)])
                    whole = rows.num_rows - rows.num_rows % group
                    if whole:
                        writer.write_table(rows.slice(0, whole).combine_chunks(), row_group_size=group)
                    left = rows.slice(whole)
                if left.num_rows:
                    writer.write_table(left.combine_chunks(), row_group_size=group)
            file.flush()
            os.fsync(file.fileno())
        return relative, sha256_of(path)

    def discard(self, written: WrittenResults) -> None:
        """Remove files that were never committed."""
        for relative, _, _ in written.files.values():
            self.path(relative).unlink(missing_ok=True)


_COUNTS = """
    SELECT practice, indicator, index_date, status,
           CASE WHEN list_contains($windowed, indicator) THEN coalesce(window_end < index_date, true) END AS closed,
           count(*)::BIGINT AS people
    FROM results GROUP BY ALL ORDER BY practice, indicator, index_date, status, closed
"""


def write(store: ResultStore, evaluated: Evaluated, kept: Kept | None = None) -> WrittenResults:
    """Write an evaluation's files. Nothing counts until `commit`. The same results give the same bytes."""
    tables = {
        ResultKind.LIST: list_table(evaluated),
        ResultKind.COUNTS: counts_table(evaluated.results, evaluated.windowed),
    }
    if kept is not None:
        together = _with(tables[ResultKind.COUNTS], kept.counts)
        keys = ["practice", "indicator", "index_date", "status", "closed"]
        tables[ResultKind.COUNTS] = together.sort_by([(key, "ascending") for key in keys])
        tables[ResultKind.LIST] = sorted_list(_with(tables[ResultKind.LIST], kept.listed))
    files = {}
    for kind in (ResultKind.RESULTS, ResultKind.HISTORY):
        elsewhere = kept.practices if kept is not None and kind is ResultKind.HISTORY else frozenset()
        practices = [practice for practice in evaluated.practices if practice not in elsewhere]
        if practices:
            path, sha256, rows = _write_results(store, evaluated, kind)
            files[kind] = (path, sha256, {practice: rows.get(practice, 0) for practice in practices})
    for kind, table in tables.items():
        counted: list[dict[str, object]] = pc.value_counts(table.column("practice")).to_pylist()
        by = {str(item["values"]): cast("int", item["counts"]) for item in counted}
        path, sha256 = store.write(evaluated.pack, kind, table)
        files[kind] = (path, sha256, {practice: by.get(practice, 0) for practice in evaluated.practices})
    return WrittenResults(uuid4(), files, kept)


def _write_results(store: ResultStore, evaluated: Evaluated, kind: ResultKind) -> tuple[str, str, Mapping[str, int]]:
    """Write the rows of the newest index date, or of those before; gives how many each practice has."""
    earlier, rows = kind is ResultKind.HISTORY, dict[str, int]()
    schema = plain(evaluated.results.schema, ["may_change"] if earlier else [])

    def pieces() -> Iterator[pa.Table]:
        for practice, found in by_practice(evaluated.results):
            piece = arranged(found, max(evaluated.index_dates), earlier=earlier).select(schema.names)
            rows[practice] = piece.num_rows
            yield piece

    path, sha256 = store.write_pieces(evaluated.pack, kind, schema, pieces())
    return path, sha256, rows


def list_table(evaluated: Evaluated) -> pa.Table:
    """Put statuses and strata into one list column each, in the order of the evaluation, so that every filter of a page
    is fixed text with parameters.
    """
    listed = evaluated.listed
    names = ["practice", "patient_id", "age", "sex", "since", "shown_code", "shown_text", "gaps", "due"]
    kept = listed.select([*names, *(name for name in ["may_change"] if name in listed.column_names)])
    elsewhere = STATUS_CODES[Status.NOT_APPLICABLE]  # an indicator of another cohort of the pack
    statuses = [listed.column(f"status:{name}").fill_null(elsewhere) for name in evaluated.indicators]
    strata = [listed.column(name) for name in evaluated.stratifiers]
    together = kept.append_column("statuses", _as_lists(statuses, listed.num_rows, pa.uint8()))
    together = together.append_column("strata", _as_lists(strata, listed.num_rows, pa.string()))
    return sorted_list(together)


def counts_table(results: pa.Table, windowed: Sequence[str]) -> pa.Table:
    """Count results by practice, indicator, index date, status and whether the window had closed."""
    with duckdb.connect() as connection:
        connection.register("results", results)
        return connection.sql(_COUNTS, params={"windowed": list(windowed)}).to_arrow_table()


def sorted_list(listed: pa.Table) -> pa.Table:
    """Put lines in the order of a `list` file."""
    return listed.sort_by([("practice", "ascending"), ("patient_id", "ascending")])


def _with(rows: pa.Table, more: pa.Table) -> pa.Table:
    """Add rows that were read back from a file."""
    return pa.concat_tables([rows, more.select(rows.column_names).cast(rows.schema)])


def _as_lists(columns: Sequence[pa.ChunkedArray], rows: int, kind: pa.DataType) -> pa.Array:
    """Turn columns into one column of lists: row i holds each column's value i."""
    width = len(columns)
    plain = [pa.concat_arrays([chunk.cast(kind) for chunk in c.chunks] or [pa.array([], kind)]) for c in columns]
    values = pa.concat_arrays(plain) if plain else pa.array([], kind)
    by_row = np.arange(rows * width).reshape(width, rows).T.ravel() if width else np.arange(0)
    offsets = np.arange(0, rows * width + 1, width, dtype=np.int32) if width else np.zeros(rows + 1, dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values.take(pa.array(by_row)))


def count_results(results: pa.Table, windowed: Sequence[str]) -> Sequence[Count]:
    """Count results by practice, indicator, index date and status, without writing anything."""
    with duckdb.connect() as connection:
        connection.register("results", results)
        rows = connection.execute(_COUNTS, {"windowed": list(windowed)}).fetchall()
    return [Count(p, indicator, day, Status(status), closed, n) for p, indicator, day, status, closed, n in rows]


def commit(
    session: Session, evaluated: Evaluated, written: WrittenResults, left_behind: Collection[str] = ()
) -> Evaluation:
    """Make written files the ones that count for their practices, in the caller's transaction. Those left behind keep
    what they had, at the index date that they had it, or lose it when it comes from another definition.

    Raises `Conflict` when other practices still stand on another definition: a registry never mixes two.
    """
    _check_one_definition(session, evaluated, left_behind)
    tenant, now = tenant_of(session), dt.datetime.now(dt.UTC)
    evaluation = Evaluation(
        tenant_id=tenant,
        id=written.evaluation_id,
        pack=evaluated.pack,
        version=evaluated.version,
        definition_hash=evaluated.definition_hash,
        parameters=dict(evaluated.parameters),
        indicators=list(evaluated.indicators),
        stratifiers=list(evaluated.stratifiers),
        snapshot=evaluated.snapshot,
        index_date=max(evaluated.index_dates),
        index_dates=[day.isoformat() for day in sorted(evaluated.index_dates)],
        engine=evaluated.engine,
        started=evaluated.started,
        finished=now,
    )
    session.add(evaluation)
    session.flush()
    session.connection().execute(
        update(ResultFileRow)
        .where(
            col(ResultFileRow.pack) == evaluated.pack,
            col(ResultFileRow.practice).in_([*evaluated.practices, *_unfit(session, evaluated, left_behind)]),
            col(ResultFileRow.superseded).is_(None),
        )
        .values(superseded=now)
    )
    kept = [] if written.kept is None else written.kept.history
    session.add_all(
        ResultFileRow(
            tenant_id=tenant,
            evaluation_id=evaluation.id,
            practice=practice,
            kind=kind,
            pack=evaluated.pack,
            path=path,
            rows=rows,
            sha256=sha256,
        )
        for kind, practice, path, sha256, rows in (
            *((k, p, path, digest, n) for k, (path, digest, by) in written.files.items() for p, n in by.items()),
            *((ResultKind.HISTORY, *found) for found in kept),
        )
    )
    session.flush()
    return evaluation


def _unfit(session: Session, evaluated: Evaluated, left_behind: Collection[str]) -> Sequence[str]:
    """Practices left behind whose results come from another definition."""
    return session.exec(
        select(ResultFileRow.practice)
        .join(Evaluation, col(ResultFileRow.evaluation_id) == Evaluation.id)
        .where(
            ResultFileRow.pack == evaluated.pack,
            col(ResultFileRow.practice).in_(left_behind),
            col(ResultFileRow.superseded).is_(None),
            Evaluation.definition_hash != evaluated.definition_hash,
        )
        .distinct()
    ).all()


def _check_one_definition(session: Session, evaluated: Evaluated, left_behind: Collection[str]) -> None:
    others = session.exec(
        select(col(Evaluation.definition_hash), col(Evaluation.index_date))
        .join(ResultFileRow, col(ResultFileRow.evaluation_id) == Evaluation.id)
        .where(
            ResultFileRow.pack == evaluated.pack,
            col(ResultFileRow.superseded).is_(None),
            col(ResultFileRow.practice).not_in([*evaluated.practices, *left_behind]),
        )
        .distinct()
    ).all()
    if any(row != (evaluated.definition_hash, max(evaluated.index_dates)) for row in others):
        raise Conflict(
            "Other practices' results come from another definition or index date.", "Evaluate all practices together."
        )
