"""Results that count now, as the next evaluation finds them: whose they are, and the rows that go on unchanged.

Not here: reading them for pages (`reader`), and deciding what to work out again (`cohortium_platform.engine.refresh`).
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa
from sqlalchemy import func, update
from sqlmodel import Session, col, select

from cohortium_platform.database import tenant_of
from cohortium_platform.results.models import Evaluation, ResultFileRow
from cohortium_platform.results.store import Kept, ResultKind, ResultStore

__all__ = ["Former", "bring_back", "evaluated_packs", "former_results", "newest_switch"]


@dataclass(frozen=True)
class Former:
    """What one evaluation still says of some practices. `files`: by kind a row a practice (practice, path, SHA-256,
    rows).
    """

    evaluation: Evaluation
    files: Mapping[str, Sequence[tuple[str, str, str, int]]]

    @property
    def practices(self) -> frozenset[str]:
        """The practices for which it counts."""
        return frozenset(practice for practice, *_ in self.files[ResultKind.RESULTS])

    @property
    def earlier_dates(self) -> Sequence[dt.date]:
        """Its index dates but the newest."""
        return [dt.date.fromisoformat(day) for day in self.evaluation.index_dates][:-1]

    def settled(self, store: ResultStore, practices: Collection[str], day: dt.date) -> pa.Table:
        """Give people of these practices in whose rows nothing can have changed by a day: practice, patient_id."""
        return self._read(store, ResultKind.LIST, _SETTLED, practices, {"day": day})

    def results(self, store: ResultStore, practices: Collection[str], day: dt.date, settled: pa.Table) -> pa.Table:
        """Give the results of people who are settled, as of a day."""
        return self._read(store, ResultKind.RESULTS, _RESULTS, practices, {"day": day}, settled)

    def statuses(self, store: ResultStore, indicators: Collection[str]) -> pa.Table:
        """Give what some indicators say at the newest date: practice, patient_id, indicator, status."""
        wanted = {"indicators": sorted(indicators)}
        return self._read(store, ResultKind.RESULTS, _STATUSES, self.practices, wanted)

    def kept(self, store: ResultStore, practices: Collection[str], settled: pa.Table) -> Kept:
        """Give what else an evaluation takes over that brings these practices forward."""
        day = {"day": self.evaluation.index_date}
        return Kept(
            history=[file for file in self.files[ResultKind.HISTORY] if file[0] in practices],
            counts=self._read(store, ResultKind.COUNTS, _COUNTS, practices, day),
            listed=self._read(store, ResultKind.LIST, _LISTED, practices, {}, settled),
        )

    def _read(  # noqa: PLR0913, PLR0917 - which file, what of it
        self,
        store: ResultStore,
        kind: ResultKind,
        query: str,
        practices: Collection[str],
        parameters: Mapping[str, object],
        settled: pa.Table | None = None,
    ) -> pa.Table:
        """Read rows of these practices. Raises `duckdb.Error` when a file cannot be read or is of another layout."""
        chosen = [(practice, str(store.path(path))) for practice, path, *_ in self.files[kind] if practice in practices]
        scope = {
            "files": sorted({path for _, path in chosen}),
            "paths": [path for _, path in chosen],
            "of": [practice for practice, _ in chosen],
        }
        with duckdb.connect() as connection:
            if settled is not None:
                connection.register("settled", settled)
            return connection.sql(query, params={**scope, **parameters}).to_arrow_table()


_SCOPED = """
    FROM read_parquet($files, filename = true)
    SEMI JOIN (SELECT unnest($paths) AS filename, unnest($of) AS practice) USING (filename, practice)
"""
_SETTLED = f"""
    SELECT practice, patient_id {_SCOPED}
    GROUP BY practice, patient_id HAVING bool_and(may_change IS NULL OR may_change > $day)
"""
_RESULTS = f"""
    SELECT * EXCLUDE (filename) REPLACE ($day::DATE AS index_date) {_SCOPED}
    SEMI JOIN settled USING (practice, patient_id)
"""
_STATUSES = f"""
    SELECT practice, patient_id, indicator, status {_SCOPED} WHERE list_contains($indicators, indicator)
"""
_COUNTS = f"SELECT * EXCLUDE (filename) {_SCOPED} WHERE index_date < $day"
_LISTED = f"SELECT * EXCLUDE (filename) {_SCOPED} SEMI JOIN settled USING (practice, patient_id)"


def former_results(session: Session, pack: str) -> Sequence[Former]:
    """Give the results of a pack that count, by the evaluation they come from, the newest first."""
    rows = session.exec(
        select(ResultFileRow).where(ResultFileRow.pack == pack, col(ResultFileRow.superseded).is_(None))
    ).all()
    found: dict[object, dict[str, list[tuple[str, str, str, int]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        found[row.evaluation_id][row.kind].append((row.practice, row.path, row.sha256, row.rows))
    formers = [Former(session.get_one(Evaluation, (tenant_of(session), key)), kinds) for key, kinds in found.items()]
    return sorted(formers, key=lambda former: (former.evaluation.index_date, former.evaluation.finished), reverse=True)


def evaluated_packs(session: Session) -> frozenset[str]:
    """Packs that have results."""
    return frozenset(session.exec(select(ResultFileRow.pack).where(col(ResultFileRow.superseded).is_(None)).distinct()))


def newest_switch(session: Session, pack: str) -> dt.datetime | None:
    """The moment of the newest evaluation of a pack, as the files it took the place of say it; None before any."""
    return session.exec(select(func.max(Evaluation.finished)).where(Evaluation.pack == pack)).one()


def bring_back(
    session: Session, pack: str, superseded: dt.datetime, *, at: dt.datetime | None = None, only_look: bool = False
) -> bool:
    """Let the results that were superseded at a moment count again, and supersede `at` another those that count now, in
    the caller's transaction; tells whether there were any. With `only_look` nothing changes.
    """
    former = (col(ResultFileRow.pack) == pack, col(ResultFileRow.superseded) == superseded)
    found = session.exec(select(ResultFileRow.path).where(*former).limit(1)).first() is not None
    if only_look or not found:
        return found
    session.flush()
    connection = session.connection()
    counting = (col(ResultFileRow.pack) == pack, col(ResultFileRow.superseded).is_(None))
    connection.execute(update(ResultFileRow).where(*counting).values(superseded=at or dt.datetime.now(dt.UTC)))
    connection.execute(update(ResultFileRow).where(*former).values(superseded=None))
    session.expire_all()
    return True
