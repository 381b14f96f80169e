"""Reading results for pages: lists, tiles, one patient, counts. Only for practices that the caller was allowed.

Here: queries over the files that count. Their text is fixed; everything a person chose is a parameter. Not here: who
may see what (auth), and names (`identities`).

A process keeps one `ResultReader`; each thread works on a cursor of its own.
"""
# Longer than 400 lines because what is asked of the files stands in one place, queries beside what they answer.

from __future__ import annotations

import copy
import datetime as dt
import re
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import duckdb
import pyarrow as pa
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select

from cohortium_platform.errors import BadInput, NotFound
from cohortium_platform.results.models import Evaluation, ResultFileRow
from cohortium_platform.results.store import STATUS_CODES, Count, ResultKind, ResultStore
from cohortium_plugins.model import Status
from cohortium_plugins.record import Result

__all__ = ["Adjusted", "ListPage", "ListQuery", "ListRow", "RegistryResults", "ResultReader"]

_STATUSES = {number: status for status, number in STATUS_CODES.items()}


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What a list shows. Every default leaves everyone in; `practices` narrows within what is allowed; `patients` to
    those found by a search; `at_least` to strata whose text sorts no lower. Sorted by gaps, then by the strata of
    `rank` (greatest text first), then by what is due, most first.
    """

    practices: frozenset[str] | None = None
    indicator: str | None = None
    status: Status | None = None
    min_gaps: int = 0
    age_from: int | None = None
    age_to: int | None = None
    strata: Mapping[str, str] = field(default_factory=dict)
    at_least: Mapping[str, str] = field(default_factory=dict)
    rank: Sequence[str] = ()
    patients: Sequence[int] | None = None
    offset: int = 0
    limit: int = 50


@dataclass(frozen=True, slots=True)
class ListRow:
    """One member as a list shows them. Statuses and strata are by name; a stratum may be unknown."""

    patient_id: int
    practice: str
    age: int | None
    sex: str | None
    since: dt.date | None
    shown_code: int | None
    shown_text: str | None
    gaps: int
    due: int
    statuses: Mapping[str, Status]
    strata: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class ListPage:
    """A page of rows, and how many there are on all pages."""

    rows: Sequence[ListRow]
    total: int


@dataclass(frozen=True, slots=True)
class Adjusted:
    """Somebody whom an adjustment takes out of one measure's QOF rate: which one, and when the measure fell due."""

    patient_id: int
    practice: str
    indicator: str
    adjustment: str
    due_date: dt.date | None


class ResultReader:
    """DuckDB over result files, opened once a process."""

    def __init__(self, *, threads: int = 2, memory_limit: str = "1GiB") -> None:
        self._connection = duckdb.connect(config={"threads": threads, "memory_limit": memory_limit})
        self._connection.execute("SET parquet_metadata_cache = true").fetchall()
        self._local = threading.local()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """This thread's cursor."""
        if not hasattr(self._local, "cursor"):
            self._local.cursor = self._connection.cursor()
        return cast("duckdb.DuckDBPyConnection", self._local.cursor)

    def rows(self, query: str, parameters: Mapping[str, object]) -> list[tuple[object, ...]]:
        """Run a query and take every row, so that no unfinished result holds the cursor."""
        used = {name: parameters[name] for name in _PARAMETER.findall(query)}
        cursor, only = self.cursor(), parameters.get("only")
        if only is not None:
            cursor.register(_ONLY_TABLE, only)
        try:
            return cast("list[tuple[object, ...]]", cursor.execute(query, used).fetchall())
        finally:
            if only is not None:
                cursor.unregister(_ONLY_TABLE)

    def close(self) -> None:
        """Close DuckDB, and let go of every thread's cursor."""
        self._local = threading.local()
        self._connection.close()


# A file counts for some practices only: `paths` and `of` list both, side by side. Conditions stand in a query only when
# they are asked for: each costs its columns.
_SCOPED = """
    FROM read_parquet($files, filename = true)
    SEMI JOIN (SELECT unnest($paths) AS filename, unnest($of) AS practice) USING (filename, practice)
"""
_CONDITIONS = {
    "practices": "list_contains($practices, practice)",
    "status": "statuses[$position] = $status",
    "min_gaps": "gaps >= $min_gaps",
    "age_from": "age >= $age_from",
    "age_to": "age <= $age_to",
    "patients": "patient_id IN (SELECT unnest($patients::BIGINT[]))",
}
_STRATUM = "strata[$stratum{0}] = $value{0}"
_AT_LEAST = "strata[$least_stratum{0}] >= $least{0}"
_RANK = "strata[$rank{0}] {1}, "
_PAGE = """
    SELECT patient_id, practice, age, sex, since, shown_code, shown_text, gaps, due, statuses, strata {0}
    ORDER BY gaps {1}, {3}due {1}, practice {2}, patient_id {2}
    LIMIT $limit OFFSET $offset
"""
_FORWARD, _BACKWARD = ("DESC", "ASC"), ("ASC", "DESC")
_TOTAL = "SELECT count(*) {}"
_MEMBERS = "SELECT patient_id {}"
_TILES = """
    SELECT position, status, count(*)
    FROM (SELECT unnest(statuses) AS status, unnest(range(1, len(statuses) + 1)) AS position {})
    GROUP BY ALL
"""
_COUNTED_TILES = """
    SELECT indicator, status, sum(people)::BIGINT
    FROM (SELECT * {} QUALIFY index_date = max(index_date) OVER (PARTITION BY practice)) GROUP BY ALL
"""
_RESULTS = """
    SELECT patient_id, practice, indicator, index_date, status, reason, due_date, due_now, met_date, value, value_code,
           value_text, adjustment, event_date, event_code, event_source
    {} WHERE patient_id = $patient AND practice = $practice
"""
_COUNTS = f"""
    SELECT practice, indicator, index_date, status, closed, people {_SCOPED}
    WHERE $indicator IS NULL OR indicator = $indicator ORDER BY ALL
"""
_ADJUSTED = """
    {} WHERE status = 'excluded' AND list_contains($practices, practice)
    AND ($indicator IS NULL OR indicator = $indicator)
"""
_ADJUSTED_ROWS = (
    "SELECT patient_id, practice, indicator, adjustment, due_date {} ORDER BY ALL LIMIT $limit OFFSET $offset"
)
_ONLY_TABLE = "only_patients"
"""Those whom results are narrowed to, as a table of the cursor for one query: as a parameter, every query would take a
hundred thousand numbers apart anew."""
_ONLY = f" SEMI JOIN {_ONLY_TABLE} USING (patient_id)"
_COUNTS_OF_SOME = """
    SELECT practice, indicator, index_date, status,
           CASE WHEN list_contains($windowed, indicator) THEN coalesce(window_end < index_date, true) END AS closed,
           count(*)
    {} WHERE $indicator IS NULL OR indicator = $indicator GROUP BY ALL ORDER BY ALL
"""
_SPLIT = """
    SELECT practice, statuses[$position], [coalesce(strata[p], '') FOR p IN $axes::INTEGER[]], count(*)
    {} GROUP BY ALL ORDER BY ALL
"""
_PARAMETER = re.compile(r"\$(\w+)")


class RegistryResults:
    """The results of one pack that count, for the practices allowed."""

    def __init__(
        self, session: Session, reader: ResultReader, store: ResultStore, pack: str, practices: Collection[str]
    ) -> None:
        """Look up the files. Raises `NotFound` when the pack was never evaluated for any of these practices."""
        self._reader = reader
        file = ResultFileRow
        rows = session.connection().execute(
            select_columns(col(file.evaluation_id), col(file.kind), col(file.path), col(file.practice), col(file.rows))
            .where(col(file.pack) == pack, col(file.practice).in_(practices), col(file.superseded).is_(None))
        ).all()  # fmt: skip
        if not rows:
            raise NotFound(f"{pack} has no results for these practices yet.", "They are made by `cohortium evaluate`.")
        made = session.exec(select(Evaluation).where(col(Evaluation.id).in_({row[0] for row in rows}))).all()
        self.evaluation = max(made, key=lambda each: (each.index_date, each.finished))
        self.practices = frozenset(practice for *_, practice, _ in rows)
        by_id = {each.id: each for each in made}
        of = {practice: by_id[key] for key, kind, _, practice, _ in rows if kind == ResultKind.LIST}
        self.index_dates: Mapping[str, dt.date] = {practice: each.index_date for practice, each in of.items()}
        """The day that each practice's lists stand at."""
        self.snapshots: Mapping[str, int] = {practice: each.snapshot for practice, each in of.items()}
        """The snapshot of the records that each practice's results were made of."""
        self._members = sum(many for _, kind, *_, many in rows if kind == ResultKind.LIST)
        self._scoped = _SCOPED
        self._windowed: Sequence[str] = ()
        scopes: dict[str, dict[str, list[str]]] = {}
        paths = {path: str(store.path(path)) for _, _, path, *_ in rows}
        for _, kind, path, practice, _ in rows:
            scope = scopes.setdefault(kind, {"files": [], "paths": [], "of": []})
            if paths[path] not in scope["files"]:
                scope["files"].append(paths[path])
            scope["paths"].append(paths[path])
            scope["of"].append(practice)
        self._scopes: Mapping[str, Mapping[str, object]] = scopes

    @property
    def index_date(self) -> dt.date:
        """The day that lists and patients stand at."""
        return self.evaluation.index_date

    def members(self) -> Sequence[int]:
        """Every member's patient id."""
        found = self._reader.rows(_MEMBERS.format(self._scoped), self._scopes[ResultKind.LIST])
        return [cast("int", patient) for (patient,) in found]

    def narrowed(self, patients: Collection[int], windowed: Collection[str]) -> RegistryResults:
        """The same results as if nobody but these patients were in them: lists, tiles, patients and counts. `windowed`
        are the indicators whose counts tell closed windows apart.
        """
        narrow = copy.copy(self)
        only = pa.table({"patient_id": pa.array(list(patients), pa.int64())})
        scopes = {kind: {**scope, "only": only} for kind, scope in self._scopes.items()}
        vars(narrow).update(_scoped=_SCOPED + _ONLY, _windowed=sorted(windowed), _scopes=scopes)
        return narrow

    def page(self, query: ListQuery) -> ListPage:
        """One page of the list. Raises `BadInput` on an unknown indicator or stratifier."""
        matching, parameters = self._matching(query)
        total = self._total(matching, parameters)
        rows = self._page_rows(query, matching, parameters, total)
        return ListPage([self._list_row(row) for row in rows], total)

    def _total(self, matching: str, parameters: Mapping[str, object]) -> int:
        """How many people match; the catalogue knows it of everyone."""
        if matching == _SCOPED:
            return self._members
        return cast("int", self._reader.rows(_TOTAL.format(matching), parameters)[0][0])

    def _page_rows(
        self, query: ListQuery, matching: str, parameters: Mapping[str, object], total: int
    ) -> Sequence[tuple[object, ...]]:
        """Read from the nearer end, so that the last page costs no more than the first."""
        wanted = min(query.limit, total - query.offset)
        if wanted <= 0:
            return []
        if query.offset <= total // 2:
            return self._reader.rows(_PAGE.format(matching, *_FORWARD, _ranked(query, _FORWARD[0])), parameters)
        from_end = {**parameters, "limit": wanted, "offset": total - query.offset - wanted}
        return self._reader.rows(_PAGE.format(matching, *_BACKWARD, _ranked(query, _BACKWARD[0])), from_end)[::-1]

    def tiles(self, query: ListQuery | None = None) -> Mapping[str, Mapping[Status, int]]:
        """How many people have each status, by indicator, in the evaluation's order."""
        matching, parameters = self._matching(query or ListQuery())
        if matching == _SCOPED:
            return self._tiles_of_everyone()
        counts: dict[str, dict[Status, int]] = {name: dict.fromkeys(Status, 0) for name in self.evaluation.indicators}
        rows = self._reader.rows(_TILES.format(matching), parameters)
        for position, status, people in cast("list[tuple[int, int, int]]", rows):
            counts[self.evaluation.indicators[position - 1]][_STATUSES[status]] = people
        return counts

    def _tiles_of_everyone(self) -> Mapping[str, Mapping[Status, int]]:
        """The same from what was counted when the list was made; an indicator does not apply to all the others."""
        counts: dict[str, dict[Status, int]] = {name: dict.fromkeys(Status, 0) for name in self.evaluation.indicators}
        rows = self._reader.rows(_COUNTED_TILES.format(_SCOPED), self._scopes[ResultKind.COUNTS])
        for indicator, status, people in cast("list[tuple[str, str, int]]", rows):
            counts[indicator][Status(status)] = people
        for found in counts.values():
            found[Status.NOT_APPLICABLE] += self._members - sum(found.values())
        return counts

    def patient(self, patient_id: int) -> tuple[ListRow, Sequence[Result]]:
        """A member's row and results. Raises `NotFound` for anyone who is no member in the practices allowed."""
        page = self.page(ListQuery(patients=[patient_id], limit=1))
        if not page.rows:
            raise NotFound("There is no such patient in this registry.", "Go back to the list.")
        who = {"patient": patient_id, "practice": page.rows[0].practice}
        rows = self._reader.rows(_RESULTS.format(self._scoped), {**self._scopes[ResultKind.RESULTS], **who})
        found = {result.indicator: result for result in map(_result, rows)}
        return page.rows[0], [found[name] for name in self.evaluation.indicators if name in found]

    def counts(self, indicator: str | None = None) -> Sequence[Count]:
        """Counts by practice, indicator, index date and status, for rates; of one indicator or of all."""
        if self._scoped == _SCOPED:
            rows = self._reader.rows(_COUNTS, {**self._scopes[ResultKind.COUNTS], "indicator": indicator})
        else:
            rows = self._counts_of_some(indicator)
        return [
            Count(practice, indicator, day, Status(status), closed, people)
            for practice, indicator, day, status, closed, people in cast(
                "list[tuple[str, str, dt.date, str, bool | None, int]]", rows
            )
        ]

    def adjusted(self, query: ListQuery) -> tuple[Sequence[Adjusted], int]:
        """A page of the people whom an adjustment takes out of a QOF rate, a row a measure, of a query's practices and
        indicator; and how many rows there are. Nobody leaves this list by being exempted.
        """
        parameters = {
            **self._scopes[ResultKind.RESULTS],
            "practices": sorted(self.practices if query.practices is None else query.practices & self.practices),
            "indicator": query.indicator,
            "limit": query.limit,
            "offset": query.offset,
        }
        if query.indicator is not None:
            _position(self.evaluation.indicators, query.indicator, "indicator")
        matching = _ADJUSTED.format(self._scoped)
        total = cast("int", self._reader.rows(_TOTAL.format(matching), parameters)[0][0])
        rows = self._reader.rows(_ADJUSTED_ROWS.format(matching), parameters)
        return [Adjusted(*cast("tuple[int, str, str, str, dt.date | None]", row)) for row in rows], total

    def split_counts(
        self, indicator: str, stratifiers: Sequence[str]
    ) -> Mapping[tuple[str, Status, tuple[str, ...]], int]:
        """How many people of each practice have a status and a value of each stratifier, at the newest index date;
        empty text stands for a value that is not known. Raises `BadInput` on an unknown indicator or stratifier.
        """
        parameters = {
            **self._scopes[ResultKind.LIST],
            "position": _position(self.evaluation.indicators, indicator, "indicator"),
            "axes": [_position(self.evaluation.stratifiers, name, "stratifier") for name in stratifiers],
        }
        rows = self._reader.rows(_SPLIT.format(self._scoped), parameters)
        return {
            (practice, _STATUSES[status], tuple(key)): people
            for practice, status, key, people in cast("list[tuple[str, int, list[str], int]]", rows)
        }

    def _counts_of_some(self, indicator: str | None) -> list[tuple[object, ...]]:
        """Count the results of those whom these results are narrowed to, of now and of every date before."""
        found = []
        for kind in (ResultKind.RESULTS, ResultKind.HISTORY):
            if kind in self._scopes:
                scope = {**self._scopes[kind], "windowed": self._windowed, "indicator": indicator}
                found += self._reader.rows(_COUNTS_OF_SOME.format(self._scoped), scope)
        return found

    def _matching(self, query: ListQuery) -> tuple[str, dict[str, object]]:
        """What follows SELECT and its columns, and the parameters: fixed text, put together by what is asked."""
        wanted: dict[str, object] = {
            "practices": None if query.practices is None else sorted(query.practices),
            "status": None if query.status is None or query.indicator is None else STATUS_CODES[query.status],
            "min_gaps": query.min_gaps or None,
            "age_from": query.age_from,
            "age_to": query.age_to,
            "patients": None if query.patients is None else list(query.patients),
        }
        conditions = [text for name, text in _CONDITIONS.items() if wanted[name] is not None]
        for number, (name, value) in enumerate(query.strata.items()):
            conditions.append(_STRATUM.format(number))
            wanted[f"stratum{number}"] = _position(self.evaluation.stratifiers, name, "stratifier")
            wanted[f"value{number}"] = value
        for number, (name, value) in enumerate(query.at_least.items()):
            conditions.append(_AT_LEAST.format(number))
            wanted[f"least_stratum{number}"] = _position(self.evaluation.stratifiers, name, "stratifier")
            wanted[f"least{number}"] = value
        for number, name in enumerate(query.rank):
            wanted[f"rank{number}"] = _position(self.evaluation.stratifiers, name, "stratifier")
        if query.indicator is not None:
            wanted["position"] = _position(self.evaluation.indicators, query.indicator, "indicator")
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        parameters = {**self._scopes[ResultKind.LIST], **wanted, "limit": query.limit, "offset": query.offset}
        return self._scoped + where, parameters

    def _list_row(self, row: tuple[object, ...]) -> ListRow:
        *plain, statuses, strata = row
        return ListRow(
            *cast("tuple[int, str, int, str, dt.date, int, str, int, int]", tuple(plain)),
            statuses={
                name: _STATUSES[number]
                for name, number in zip(self.evaluation.indicators, cast("list[int]", statuses), strict=True)
            },
            strata=dict(zip(self.evaluation.stratifiers, cast("list[str | None]", strata), strict=True)),
        )


def _ranked(query: ListQuery, order: str) -> str:
    """What stands between gaps and what is due in the order of a page."""
    return "".join(_RANK.format(number, order) for number in range(len(query.rank)))


def _position(names: Sequence[str], name: str, kind: str) -> int:
    if name not in names:
        raise BadInput(f"There is no {kind} called {name}.", "Choose one from the list.")
    return names.index(name) + 1


def _result(row: tuple[object, ...]) -> Result:
    result = Result(*row)  # type: ignore[arg-type]
    return Result(**{**{name: getattr(result, name) for name in Result.__slots__}, "status": Status(result.status)})
