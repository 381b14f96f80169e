"""Until when results stay as they are, worked out beside them: a day before which nothing in a row can change.

Never too late, often too early: a row is worked out again on that day, and little is lost where it has not changed. The
exact day is the interpreter's (`cohortium_plugins.next_change`). What is recorded already for a later day (rows,
registrations, deaths) counts for the whole person (`duckdb_records`); here are the clocks of the rules: whatever stands
on the index date. An unknown day means never. Not here: what the rules say (`duckdb_series`, `duckdb_frames`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlglot import exp

from cohortium_platform.engine import sql
from cohortium_platform.engine.duckdb_frames import ROW, RowScope
from cohortium_platform.engine.duckdb_lists import at, filtered, transformed, variable
from cohortium_platform.engine.duckdb_patients import PatientScope
from cohortium_platform.engine.shape import condition_of, is_about_row, parts_of, rows_of
from cohortium_platform.engine.sql import Sql
from cohortium_plugins.model import nodes
from cohortium_plugins.model.nodes import CompareOp, Frame, How, Node, Pick, Series
from cohortium_plugins.model.values import Duration, Unit, ValueType

__all__ = ["Aggregate", "Outlook", "least"]

Aggregate = nodes.Exists | nodes.Count | nodes.Mean | Pick
"""What can be taken from a frame."""

MOST_YEARS, MOST_UNITS = 500, 100_000
"""Moves beyond these are taken for a change every day: nobody's care is planned so far ahead."""
_IN_YEARS = {Unit.DAYS: 366, Unit.WEEKS: 53, Unit.MONTHS: 12, Unit.YEARS: 1}

Path = Sequence[Duration]
"""The lengths by which a series moves the index date, one after the other."""


def least(days: Iterable[Sql | None]) -> Sql | None:
    """Give the earliest of several days, leaving out those that never come; None when none does."""
    found = [day for day in days if day is not None]
    if len(found) < 2:  # noqa: PLR2004 - one needs no comparison
        return found[0] if found else None
    return sql.call("least", *found)


class _Scope(Protocol):
    """Where a series stands: of the patient, or of a row."""

    def value(self, node: Series) -> Sql:
        """Give its value."""

    def fact(self, name: str) -> Sql:
        """Give a fact of the patient, or the index date."""


class _Clocks:
    """The bounds of series in one scope."""

    def __init__(self, outlook: Outlook, scope: _Scope) -> None:
        self.outlook, self.scope = outlook, scope

    def until(self, node: Series) -> Sql | None:
        """Give the day before which an operand stays as it is."""
        raise NotImplementedError

    def work_out(self, node: Series) -> Sql | None:
        """Give the bound of a series from those of its operands."""
        method = _METHODS.get(type(node))
        return least(self.until(part) for part in parts_of(node)) if method is None else method(self, node)

    def next_day(self) -> Sql:
        """Give the day after the index date."""
        return sql.binary(exp.Add, self.scope.fact("as_of"), sql.cast_integer(sql.integer(1)))

    def not_before(self, path: Path, day: Sql) -> Sql:
        """Give a day before which the index date, moved along a path, does not reach a day; at least the next day."""
        for length in reversed(path):
            day = moved(day, Duration(-length.count, length.unit))
        return sql.call("greatest", self.next_day(), day)


class _PatientClocks(_Clocks):
    def until(self, node: Series) -> Sql | None:
        return self.outlook.until(node)


class _RowClocks(_Clocks):
    """The bounds of a filter's condition for the row at hand."""

    def __init__(self, outlook: Outlook, scope: RowScope) -> None:
        super().__init__(outlook, scope)

    def until(self, node: Series) -> Sql | None:
        if is_about_row(node):
            return self.work_out(node) if self.outlook.is_clocked(node) else None
        found = self.outlook.until(node)
        if found is not None:
            self.outlook.scope.keep(found)
        return found


@dataclass(frozen=True, slots=True)
class _Conditions:
    """What a frame asks of rows of `base`: that which the clock changes, and the rest."""

    base: Frame
    clocked: tuple[Series, ...]
    fixed: tuple[Series, ...]


class Outlook:
    """Bounds of a patient's series, each bound to a name once; and what they take from frames."""

    def __init__(self, scope: PatientScope) -> None:
        self.scope = scope
        self._clocks = _PatientClocks(self, scope)
        self._clocked: dict[Node, bool] = {}
        self._until: dict[Series, Sql | None] = {}

    def is_clocked(self, node: Node) -> bool:
        """Tell whether a node may change with nothing but the index date."""
        if node not in self._clocked:
            for part in nodes.walk(node):
                own = isinstance(part, nodes.IndexDate) or part is nodes.PatientFact("records_to")
                self._clocked[part] = own or any(self._clocked[child] for child in nodes.children(part))
        return self._clocked[node]

    def until(self, node: Series) -> Sql | None:
        """Give the day before which a series keeps its value and its reason; None: it never changes."""
        if node not in self._until:
            for part in nodes.walk(node):  # parts first, so that a deep rule does not nest calls
                if isinstance(part, Series) and part not in self._until and not is_about_row(part):
                    self._until[part] = self._bound(part) if self.is_clocked(part) else None
        found = self._until[node]
        return None if found is None else found.copy()

    def _bound(self, node: Series) -> Sql | None:
        made = self._clocks.work_out(node)
        if made is None or isinstance(made, exp.Column):
            return made
        name = f"u{self.scope.number(node)}"
        self.scope.bindings.define(name, made)
        return sql.column(name)

    # --- frames ---------------------------------------------------------------------------------------------------

    def conditions(self, frame: Frame) -> _Conditions | None:
        """Take a frame apart into its filters' conditions; None when the clock changes more than these."""
        listed: list[Series] = []
        while isinstance(frame, nodes.Filter | nodes.InUnit):
            if isinstance(frame, nodes.Filter):
                condition = condition_of(frame)
                listed.extend(condition.operands if isinstance(condition, nodes.And) else (condition,))
            frame = frame.frame
        if self.is_clocked(frame):
            return None
        clocked = tuple(condition for condition in listed if self.is_clocked(condition))
        return _Conditions(frame, clocked, tuple(condition for condition in listed if condition not in clocked))

    def taken(self, aggregate: Aggregate) -> Sql | None:
        """Give the day before which what is taken from a frame stays: rows that it holds leave it, others come."""
        if not self.is_clocked(aggregate.frame):
            return None
        asked = self.conditions(aggregate.frame)
        if asked is None:
            return self._clocks.next_day()
        place = _END_OF.get(aggregate.how) if isinstance(aggregate, Pick) else None
        if not isinstance(aggregate, nodes.Exists) and place is None:
            return sql.call("list_min", self._days(aggregate.frame, asked, self._lasting(aggregate.frame, asked)))
        held = self._days(aggregate.frame, asked, self._part(aggregate.frame, asked, held=True))
        others = self._days(aggregate.frame, asked, self._part(aggregate.frame, asked, held=False))
        enters = sql.call("list_min", others)
        if place is None:
            return sql.call("coalesce", sql.call("list_max", held), enters)
        return sql.call("least", at(held, place), enters)

    def _lasting(self, frame: Frame, asked: _Conditions) -> Sql:
        """Give the rows that lie in a frame at some time: those for which all holds that the clock does not change."""
        base = self.scope.frame(asked.base)
        if not asked.fixed:
            return base
        name = f"lasting{self.scope.number(frame)}"
        if name not in self.scope.bindings:
            scope = self._row(frame)
            self.scope.bindings.define(name, filtered(base, ROW, scope.written(*asked.fixed, join=sql.all_of)))
        return sql.column(name)

    def _part(self, frame: Frame, asked: _Conditions, *, held: bool) -> Sql:
        """Give those of these rows that lie in the frame now, or the others."""

        def join(found: list[Sql]) -> Sql:
            condition = sql.is_true(sql.all_of(found))
            return condition if held else sql.negated(condition)

        return filtered(self._lasting(frame, asked), ROW, self._row(frame).written(*asked.clocked, join=join))

    def _days(self, frame: Frame, asked: _Conditions, rows: Sql) -> Sql:
        """Give for each row the day before which it stays in the frame, or outside it."""
        clocks = _RowClocks(self, self._row(frame))
        found = least(clocks.until(condition) for condition in asked.clocked) or sql.NULL(ValueType.DATE)
        return transformed(rows, ROW, found)

    def _row(self, frame: Frame) -> RowScope:
        return RowScope(self.scope, rows_of(frame), lambda: variable(ROW))


_END_OF: Mapping[How, int] = {How.EARLIEST: 1, How.LATEST: -1}
"""Where in a list the row is that is picked."""

# --- moving days --------------------------------------------------------------------------------------------------


def path_of(node: Series) -> Path | None:
    """Give the path by which a series moves the index date; None when it is something else, or goes too far."""
    path: list[Duration] = []
    while isinstance(node, nodes.DateAdd):
        length = node.duration.value if isinstance(node.duration, nodes.Constant) else None
        if not isinstance(length, Duration) or abs(length.count) > MOST_YEARS * _IN_YEARS[length.unit]:
            return None
        path.append(Duration(length.count * node.sign, length.unit))
        node = node.date
    return path[::-1] if isinstance(node, nodes.IndexDate) else None


def moved(day: Sql, length: Duration) -> Sql:
    """Move a day by a length of no more than `MOST_YEARS`."""
    return moved_by(day, sql.integer(length.count), length.unit)


def moved_by(day: Sql, count: Sql, unit: Unit) -> Sql:
    """Move a day by a number of units, a whole number of 32 bits."""
    times = {Unit.WEEKS: 7, Unit.YEARS: 12}.get(unit, 1)
    whole = sql.cast_integer(count if times == 1 else sql.binary(exp.Mul, count, sql.integer(times)))
    if unit in (Unit.DAYS, Unit.WEEKS):
        return sql.binary(exp.Add, day, whole)
    return sql.cast(sql.binary(exp.Add, day, sql.call("to_months", whole)), ValueType.DATE)


# --- series -------------------------------------------------------------------------------------------------------


def _tomorrow(clocks: _Clocks, _node: Series) -> Sql:
    return clocks.next_day()


def _records_to(clocks: _Clocks, _node: nodes.PatientFact) -> Sql:
    """It is the index date until the records end."""
    ends = clocks.scope.fact("records_end")
    ended = sql.is_true(sql.binary(exp.LTE, ends, clocks.scope.fact("as_of")))
    return sql.case([(sql.negated(ended), clocks.next_day())], sql.NULL(ValueType.DATE))


def _taken(clocks: _Clocks, node: nodes.Exists | nodes.Count | nodes.Mean) -> Sql | None:
    return clocks.outlook.taken(node)


def _pick_value(clocks: _Clocks, node: nodes.PickValue) -> Sql | None:
    return clocks.outlook.taken(node.pick)


def _is_missing(clocks: _Clocks, node: nodes.IsMissing) -> Sql | None:
    return None if path_of(node.operand) is not None else clocks.until(node.operand)


_SWAPPED = {
    CompareOp.LT: CompareOp.GT, CompareOp.GT: CompareOp.LT, CompareOp.LE: CompareOp.GE, CompareOp.GE: CompareOp.LE,
}  # fmt: skip


def _compare(clocks: _Clocks, node: nodes.Compare) -> Sql | None:
    """A day that moves with the index date passes one that stands still once."""
    left, right = path_of(node.left), path_of(node.right)
    if left is not None and right is not None:
        return clocks.next_day()
    if left is None and right is None:
        counted = _counted(clocks, node)
        return counted or least([clocks.until(node.left), clocks.until(node.right)])
    if left is not None:
        return least([clocks.until(node.right), _passing(clocks, left, node.op, node.left, node.right)])
    op = _SWAPPED.get(node.op, node.op)
    return least([clocks.until(node.left), _passing(clocks, right or (), op, node.right, node.left)])


def _passing(clocks: _Clocks, path: Path, op: CompareOp, moving: Series, still: Series) -> Sql:
    """Give when a moving day reaches one that stands still, or the day after, where that makes a difference."""
    value = clocks.scope.value
    below = sql.binary(exp.LT, value(moving), value(still))
    same = sql.binary(exp.EQ, value(moving), value(still))
    reaches = clocks.not_before(path, value(still))
    if op in (CompareOp.GE, CompareOp.LT):
        branches = [(below, reaches)]
    elif op in (CompareOp.GT, CompareOp.LE):
        after = sql.binary(exp.Add, value(still), sql.cast_integer(sql.integer(1)))
        branches = [(sql.any_of([below, same]), clocks.not_before(path, after))]
    else:
        branches = [(below, reaches), (same, clocks.next_day())]
    return sql.case(branches, sql.NULL(ValueType.DATE))


def _counted(clocks: _Clocks, node: nodes.Compare) -> Sql | None:
    """Read `age >= 65` and the like: the day on which so many units are completed."""
    sides = ((node.left, node.right, node.op), (node.right, node.left, _SWAPPED.get(node.op, node.op)))
    for counted, number, op in sides:
        path = path_of(counted.end) if isinstance(counted, nodes.DateDifference) else None
        if not isinstance(counted, nodes.DateDifference) or path is None or not isinstance(number, nodes.Constant):
            continue
        wanted = number.value
        if op in (CompareOp.EQ, CompareOp.NE) or not isinstance(wanted, float) or not 0 < wanted < MOST_UNITS:
            return None
        units = math.ceil(wanted) if op in (CompareOp.GE, CompareOp.LT) else math.floor(wanted) + 1
        short = sql.binary(exp.LT, clocks.scope.value(counted), sql.literal(float(units), ValueType.NUMBER))
        completed = moved(clocks.scope.value(counted.start), Duration(units, counted.unit))
        passing = sql.case([(short, clocks.not_before(path, completed))], sql.NULL(ValueType.DATE))
        return least([clocks.until(counted.start), passing])
    return None


def _difference(clocks: _Clocks, node: nodes.DateDifference) -> Sql | None:
    """It counts on when one unit more is completed."""
    path, value = path_of(node.end), clocks.scope.value
    if path is None:
        return least([clocks.until(node.start), clocks.until(node.end)])
    more = sql.binary(exp.Add, value(node), sql.integer(1))
    completed = moved_by(value(node.start), more, node.unit)
    ahead = sql.binary(exp.GTE, value(node.end), value(node.start))
    counting = sql.case(
        [(ahead, clocks.not_before(path, completed)), (sql.is_known(value(node)), clocks.next_day())],
        sql.NULL(ValueType.DATE),
    )
    return least([clocks.until(node.start), counting])


def _season_start(clocks: _Clocks, node: nodes.SeasonStart) -> Sql | None:
    path = path_of(node.date)
    if path is None:
        return clocks.until(node.date)
    following = moved(clocks.scope.value(node), Duration(1, Unit.YEARS))
    return clocks.not_before(path, following)


_METHODS: Mapping[type[Series], Callable[..., Sql | None]] = {
    nodes.IndexDate: _tomorrow,
    nodes.PatientFact: _records_to,
    nodes.Exists: _taken,
    nodes.Count: _taken,
    nodes.CountDays: _taken,
    nodes.Mean: _taken,
    nodes.PickValue: _pick_value,
    nodes.Compare: _compare,
    nodes.IsMissing: _is_missing,
    nodes.DateDifference: _difference,
    nodes.SeasonStart: _season_start,
}
"""Series that need more than the least of their operands' days."""
