"""The statements that work a section of a plan out, stage by stage, from a table of people and tables of rows.

Each stage takes what it needs from frames and adds the columns that follow from it. Frames of several codelists are
taken in one grouping (`lists_a_join`): one grouping and join for each would cost a few milliseconds a codelist however
few the rows, and all in one would look at every row for every frame. Which is cheaper depends on the amount, the
answer does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from cohortium_platform.engine import sql
from cohortium_platform.engine.duckdb_frames import AGGREGATE_METHODS, PICK_METHODS, RowScope
from cohortium_platform.engine.duckdb_outlook import ENTERS, LEAVES, Outlook
from cohortium_platform.engine.duckdb_patients import PatientScope, taken_column
from cohortium_platform.engine.plan import Aggregate, Section
from cohortium_platform.engine.shape import rows_of
from cohortium_platform.engine.sql import Sql
from cohortium_plugins.model.nodes import Pick, Rows

__all__ = ["KEYS", "Numbering", "StageWriter", "create"]

KEYS = ("sid", "pid", "as_of")
"""What tells a person at an index date: a number for both, a number for the person, the date."""


@dataclass(frozen=True, slots=True)
class Numbering:
    """The numbers that stand for codelists in tables of rows: as a frame's rows, and as a grouping."""

    rows: Mapping[Rows, int]
    groupings: Mapping[str, int]


@dataclass(slots=True)
class _Taking:
    """One grouping over one table's rows: the aggregates to take, and the scope in which they are written."""

    table: str
    scope: RowScope
    aggregates: list[tuple[str, Sql]]


class StageWriter:
    """Writes a section's statements, from last to first, so that each stage keeps only what a later one asks for."""

    def __init__(
        self,
        scope: PatientScope,
        section: Section,
        numbering: Numbering,
        lists_a_join: int,
        outlook: Outlook | None = None,
    ) -> None:
        self.scope, self.section, self.numbering, self.lists_a_join = scope, section, numbering, lists_a_join
        self.outlook = outlook

    def statements(self, outputs: Iterable[str], base: str, last: str) -> list[str]:
        """Give the statements that make, from the table `base`, the table `last` with the outputs."""
        wanted = dict.fromkeys([*KEYS, *outputs])
        made: list[str] = []
        stages = len(self.section.aggregates)
        tables = [*(f"{last}_{stage}" for stage in range(stages)), last]
        for stage in range(stages, -1, -1):
            source = base if stage == 0 else tables[stage - 1]
            _, before = self.scope.bindings.needed(wanted, stage)
            takings = [] if stage == 0 else list(self._takings(stage - 1, before))
            taken = {name for taking in takings for name, _ in taking.aggregates}
            kept = dict.fromkeys([*KEYS, *(name for name in before if name not in taken)])
            joined = self._joined(source, kept, takings)
            query = self.scope.bindings.select(list(wanted), stage, joined, KEYS)
            made.append(create(tables[stage], query))
            wanted = dict.fromkeys([*kept, *(column for taking in takings for column in taking.scope.asked())])
        return list(reversed(made))

    def _takings(self, stage: int, wanted: Sequence[str]) -> Iterator[_Taking]:
        """Yield the groupings of a stage that give something wanted."""
        asked = frozenset(wanted)
        tables: dict[str, dict[Rows, list[Aggregate]]] = {}
        for aggregate in self.section.aggregates[stage]:
            rows = rows_of(aggregate.frame)
            tables.setdefault(rows.name, {}).setdefault(rows, []).append(aggregate)
        for table, by_rows in tables.items():
            listed = list(by_rows)
            for start in range(0, len(listed), self.lists_a_join):
                some = {rows: by_rows[rows] for rows in listed[start : start + self.lists_a_join]}
                taking = self._taking(table, some, asked)
                if taking.aggregates:
                    yield taking

    def _taking(self, table: str, by_rows: Mapping[Rows, Sequence[Aggregate]], asked: frozenset[str]) -> _Taking:
        numbers = {rows: self.numbering.rows[rows] for rows in by_rows}
        scope = RowScope(self.scope, numbers, self.numbering.groupings, alone=len(numbers) == 1)
        found: list[tuple[str, Sql]] = []
        for aggregate in (aggregate for aggregates in by_rows.values() for aggregate in aggregates):
            number = self.scope.number(aggregate)
            if isinstance(aggregate, Pick):
                method = PICK_METHODS[aggregate.how]
                columns = [c for c in self.section.columns[aggregate] if taken_column(number, c) in asked]
                found.extend((taken_column(number, c), method(scope, aggregate, c)) for c in columns)
            elif taken_column(number) in asked:
                found.append((taken_column(number), AGGREGATE_METHODS[type(aggregate)](scope, aggregate)))
            ahead = {taken_column(number, name) for name in (LEAVES, ENTERS)}
            if self.outlook is not None and ahead & asked:
                made = self.outlook.aggregates(scope, aggregate)
                found.extend((taken_column(number, name), value) for name, value in made.items())
        return _Taking(table, scope, found)

    @staticmethod
    def _joined(source: str, kept: Iterable[str], takings: Sequence[_Taking]) -> exp.Select:
        """Write the people of the stage before, beside what each grouping took."""
        columns: list[Sql] = [sql.column(name, "s") for name in kept]
        for number, taking in enumerate(takings):
            columns.extend(sql.column(name, f"t{number}") for name, _ in taking.aggregates)
        query = sql.select(columns, sql.table(source, "s"))
        for number, taking in enumerate(takings):
            taken = taking.scope.select(taking.aggregates, source, taking.table)
            side = exp.Subquery(this=taken, alias=exp.TableAlias(this=sql.name(f"t{number}")))
            same = exp.EQ(this=sql.column("sid", f"t{number}"), expression=sql.column("sid", "s"))
            query = query.join(side, on=same, join_type="left", copy=False)
        return query


def create(table: str, query: sql.Sql, *, anew: bool = False) -> str:
    """Write the statement that keeps a query's rows as a temporary table, in place of one of this name if `anew`."""
    statement = exp.Create(
        this=sql.table(table),
        kind="TABLE",
        replace=anew,
        expression=query,
        properties=exp.Properties(expressions=[exp.TemporaryProperty()]),
    )
    return sql.rendered(statement)
