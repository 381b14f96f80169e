"""The reference engine: what every operation means, in plain Python, one patient at a time.

Other engines are compared with this one. Not here: reading records, status (`status`), explaining (`explain`).
"""
# Longer than 400 lines because each node type has its meaning here, one beside the other.

from __future__ import annotations

import dataclasses
import functools
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import cast

from cohortium_plugins import dates
from cohortium_plugins.errors import DefinitionError
from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import Codelist
from cohortium_plugins.model.nodes import ArithmeticOp, CompareOp, How
from cohortium_plugins.model.values import Duration, Scalar
from cohortium_plugins.record import Record, Row

__all__ = ["Evaluation", "RowEvaluation", "Rowset", "Value", "calculated", "column", "is_about_row"]

FIRST_EPISODES = ("first", "new")


@dataclass(frozen=True, slots=True)
class Value:
    """A value, or None; with the reason when it cannot be decided (no codes configured, table never loaded)."""

    value: Scalar | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Rowset:
    """The rows of a frame in their order, each with its category; or the reason why they cannot be known."""

    rows: tuple[tuple[Row, str | None], ...]
    reason: str | None = None


TRUE, FALSE, UNKNOWN = Value(True), Value(False), Value(None)  # noqa: FBT003


class Evaluation:
    """The values of nodes for one record at one index date, each worked out once."""

    def __init__(self, record: Record, index_date: date, codelists: Mapping[str, Codelist]) -> None:
        self.record, self.index_date, self.codelists = record, index_date, codelists
        self._values: dict[nodes.Series, Value] = {}
        self._frames: dict[nodes.Frame, Rowset] = {}

    def following(self, record: Record, changed: Callable[[nodes.Rows], bool]) -> Evaluation:
        """Give the evaluation of a record that differs from this one's only in rows of the frames that changed; what is
        already known and does not stand on them is kept.
        """
        stale: dict[nodes.Node, bool] = {}

        def is_stale(node: nodes.Node) -> bool:
            if node not in stale:
                on_rows = isinstance(node, nodes.Rows) and changed(node)
                stale[node] = on_rows or any(is_stale(child) for child in nodes.children(node))
            return stale[node]

        other = Evaluation(record, self.index_date, self.codelists)
        other._values = {node: value for node, value in self._values.items() if not is_stale(node)}
        other._frames = {frame: rows for frame, rows in self._frames.items() if not is_stale(frame)}
        return other

    def later(self, index_date: date, holds: Callable[[nodes.Node], bool]) -> Evaluation:
        """Give the evaluation of the same record on a later day; what is already known and still holds then is kept."""
        other = Evaluation(self.record, index_date, self.codelists)
        other._values = {node: value for node, value in self._values.items() if holds(node)}
        other._frames = {frame: rows for frame, rows in self._frames.items() if holds(frame)}
        return other

    # --- frames and picks ---------------------------------------------------------------------------------------

    def frame(self, frame: nodes.Frame) -> Rowset:
        """Give the frame's rows."""
        if frame not in self._frames:
            self._frames[frame] = self._frame(frame)
        return self._frames[frame]

    def _frame(self, frame: nodes.Frame) -> Rowset:
        try:
            meaning = _FRAME_MEANINGS[type(frame)]
        except KeyError:
            raise DefinitionError(f"{type(frame).__name__} has no meaning in the interpreter.") from None
        return meaning(self, frame)

    def condition_reason(self, condition: nodes.Series) -> str | None:
        """Give the first reason among the parts of a condition that are about the patient, not the row."""
        if not is_about_row(condition):
            return self.value(condition).reason
        for child in nodes.children(condition):
            if isinstance(child, nodes.Series) and (reason := self.condition_reason(child)) is not None:
                return reason
        return None

    def pick(self, pick: nodes.Pick) -> tuple[Row, str | None] | None:
        """Give the picked row with its category, or None."""
        rows = self.frame(pick.frame).rows
        if pick.how is How.EARLIEST:
            return rows[0] if rows else None
        if pick.how is How.LATEST:
            return rows[-1] if rows else None
        sign = 1 if pick.how is How.HIGHEST else -1
        valued = [(sign * row.value, place) for place, (row, _) in enumerate(rows) if row.value is not None]
        return rows[max(valued)[1]] if valued else None

    # --- series -------------------------------------------------------------------------------------------------

    def value(self, node: nodes.Series) -> Value:
        """Give the series' value."""
        if node not in self._values:
            self._values[node] = self._work_out(node)
        return self._values[node]

    def _work_out(self, node: nodes.Series) -> Value:
        try:
            meaning = _MEANINGS[type(node)]
        except KeyError:
            raise DefinitionError(f"{type(node).__name__} has no meaning in the interpreter.") from None
        return meaning(self, node)

    def fact(self, name: str) -> Scalar | None:
        """Give a patient fact of `nodes.FACTS`."""
        record, day = self.record, self.index_date
        if name == "date_of_death":
            died = record.date_of_death
            return died if died is not None and died <= day else None
        if name == "records_to":
            return day if record.records_to is None else min(record.records_to, day)
        if name in ("is_registered", "registered_since"):
            since = self._registered_since()
            if name == "registered_since":
                return since
            return since is not None and self.fact("date_of_death") is None
        if name == "imd_decile":
            return None if record.imd_decile is None else float(record.imd_decile)
        return cast("Scalar | None", getattr(record, name))

    def _registered_since(self) -> date | None:
        """Give the first day of the registration that holds: the latest to start of those that run on the day."""
        day = self.index_date
        running = [
            (row.date, row.practice or "")
            for row in self.record.rows.get("registrations", ())
            if row.date <= day and (row.end_date is None or row.end_date >= day)
        ]
        since, practice = max(running, default=(None, ""))
        return since if practice == self.record.practice else None


class RowEvaluation(Evaluation):
    """The values of a filter's condition for one row; parts that are about the patient come from the evaluation."""

    def __init__(self, outer: Evaluation, row: Row, category: str | None) -> None:
        super().__init__(outer.record, outer.index_date, outer.codelists)
        self._outer, self._row, self._category = outer, row, category

    def value(self, node: nodes.Series) -> Value:
        """Give the series' value for this row."""
        if isinstance(node, nodes.RowValue):
            return Value(column(self._row, self._category, node.column, self.index_date))
        if is_about_row(node):
            return super().value(node)
        return self._outer.value(node)


@functools.lru_cache(maxsize=50_000)
def is_about_row(node: nodes.Series) -> bool:
    """Tell whether a part of a series is about the row at hand: what stands inside another frame is not."""
    stack: list[nodes.Node] = [node]
    while stack:
        part = stack.pop()
        if isinstance(part, nodes.RowValue):
            return True
        stack.extend(child for child in nodes.children(part) if isinstance(child, nodes.Series))
    return False


def column(row: Row, category: str | None, name: str, index_date: date) -> Scalar | None:
    """Give a column of a row as a rule sees it: an end date after the index date is not known yet."""
    if name == "category":
        return category
    found = cast("Scalar | None", getattr(row, name))
    if name == "end_date" and isinstance(found, date) and found > index_date:
        return None
    return found


# --- the meaning of each frame ------------------------------------------------------------------------------------


def _rows(evaluation: Evaluation, frame: nodes.Rows) -> Rowset:
    codelist = None if frame.codelist is None else evaluation.codelists[frame.codelist]
    if codelist is not None and not codelist.codes:
        return Rowset((), f"no_codes:{codelist.name}")
    if frame.name in evaluation.record.missing:
        return Rowset((), f"source_not_loaded:{frame.name}")
    by_code = {} if codelist is None else codelist.by_code
    visible = [
        row
        for row in evaluation.record.rows.get(frame.name, ())
        if row.date <= evaluation.index_date and (codelist is None or row.code in by_code)
    ]
    if frame.name == "registrations":
        visible = [row for row in visible if row.practice == evaluation.record.practice]
    visible.sort(key=Row.order)
    if codelist is None:
        return Rowset(tuple((row, None) for row in visible))
    return Rowset(tuple((row, by_code[row.code].category) for row in visible if row.code is not None))


def _filtered(evaluation: Evaluation, frame: nodes.Filter) -> Rowset:
    inner = evaluation.frame(frame.frame)
    reason = inner.reason or evaluation.condition_reason(frame.condition)
    if reason is not None:
        return Rowset((), reason)
    kept = tuple(
        (row, category)
        for row, category in inner.rows
        if RowEvaluation(evaluation, row, category).value(frame.condition).value is True
    )
    return Rowset(kept)


def _first_of_each(evaluation: Evaluation, frame: nodes.FirstOfEach) -> Rowset:
    inner = evaluation.frame(frame.frame)
    if inner.reason is not None:
        return inner
    groups = evaluation.codelists[frame.codelist].by_code
    seen: set[str | None] = set()
    kept = []
    for row, category in inner.rows:
        known = groups.get(row.code) if row.code is not None else None
        group = None if known is None else known.category
        begins = row.episode in FIRST_EPISODES if row.episode is not None else group not in seen
        seen.add(group)
        if begins:
            kept.append((row, category))
    return Rowset(tuple(kept))


def _near(evaluation: Evaluation, frame: nodes.Near) -> Rowset:
    inner, other = evaluation.frame(frame.frame), evaluation.frame(frame.other)
    lengths = [evaluation.value(length) for length in (frame.before, frame.after)]
    for reason in (inner.reason, other.reason, *(length.reason for length in lengths)):
        if reason is not None:
            return Rowset((), reason)
    before, after = (length.value for length in lengths)
    if not (isinstance(before, Duration) and isinstance(after, Duration)):
        return Rowset(())
    days = [row.date for row, _ in other.rows]

    def has_one_near(day: date) -> bool:
        first, last = dates.add(day, before, -1), dates.add(day, after)
        return first is not None and last is not None and any(first <= other_day <= last for other_day in days)

    return Rowset(tuple(item for item in inner.rows if has_one_near(item[0].date)))


def _in_unit(evaluation: Evaluation, frame: nodes.InUnit) -> Rowset:
    inner = evaluation.frame(frame.frame)
    by_unit = {conversion.unit: conversion for conversion in reversed(frame.conversions)}

    def converted(row: Row) -> Row:
        if row.unit == frame.unit:
            return row
        conversion = by_unit.get(row.unit)
        if conversion is None:
            return dataclasses.replace(row, value=None)
        value = None if row.value is None else _finite(row.value * conversion.factor + conversion.offset)
        return dataclasses.replace(row, value=value, unit=frame.unit)

    return Rowset(tuple((converted(row), category) for row, category in inner.rows), inner.reason)


_FRAME_MEANINGS: Mapping[type[nodes.Frame], Callable[..., Rowset]] = {
    nodes.Rows: _rows,
    nodes.Filter: _filtered,
    nodes.FirstOfEach: _first_of_each,
    nodes.Near: _near,
    nodes.InUnit: _in_unit,
}

# --- the meaning of each series -----------------------------------------------------------------------------------


def _constant(_evaluation: Evaluation, node: nodes.Constant) -> Value:
    return Value(node.value)


def _index_date(evaluation: Evaluation, _node: nodes.IndexDate) -> Value:
    return Value(evaluation.index_date)


def _patient_fact(evaluation: Evaluation, node: nodes.PatientFact) -> Value:
    return Value(evaluation.fact(node.name))


def _pick_value(evaluation: Evaluation, node: nodes.PickValue) -> Value:
    reason = evaluation.frame(node.pick.frame).reason
    if reason is not None:
        return Value(None, reason)
    found = evaluation.pick(node.pick)
    return UNKNOWN if found is None else Value(column(*found, node.column, evaluation.index_date))


def _exists(evaluation: Evaluation, node: nodes.Exists) -> Value:
    rows = evaluation.frame(node.frame)
    return Value(None, rows.reason) if rows.reason else Value(bool(rows.rows))


def _count(evaluation: Evaluation, node: nodes.Count) -> Value:
    rows = evaluation.frame(node.frame)
    return Value(None, rows.reason) if rows.reason else Value(float(len(rows.rows)))


def _count_days(evaluation: Evaluation, node: nodes.CountDays) -> Value:
    rows = evaluation.frame(node.frame)
    return Value(None, rows.reason) if rows.reason else Value(float(len({row.date for row, _ in rows.rows})))


def _mean(evaluation: Evaluation, node: nodes.Mean) -> Value:
    rows = evaluation.frame(node.frame)
    numbers = [row.value for row, _ in rows.rows if row.value is not None]
    if rows.reason or not numbers:
        return Value(None, rows.reason)
    return Value(_finite(functools.reduce(operator.add, numbers) / len(numbers)))  # sum() would not add one by one


_COMPARISONS: Mapping[CompareOp, Callable[[object, object], bool]] = {
    CompareOp.EQ: lambda a, b: a == b,
    CompareOp.NE: lambda a, b: a != b,
    CompareOp.LT: lambda a, b: a < b,  # type: ignore[operator]
    CompareOp.LE: lambda a, b: a <= b,  # type: ignore[operator]
    CompareOp.GT: lambda a, b: a > b,  # type: ignore[operator]
    CompareOp.GE: lambda a, b: a >= b,  # type: ignore[operator]
}


def _strict(evaluation: Evaluation, operands: tuple[nodes.Series, ...], work: Callable[..., Scalar | None]) -> Value:
    """Work out from operands that must all be known; the first reason among them is the result's."""
    found = [evaluation.value(operand) for operand in operands]
    for item in found:
        if item.reason is not None:
            return Value(None, item.reason)
    if any(item.value is None for item in found):
        return UNKNOWN
    return Value(work(*(item.value for item in found)))


def _compare(evaluation: Evaluation, node: nodes.Compare) -> Value:
    return _strict(evaluation, (node.left, node.right), _COMPARISONS[node.op])


def _is_in(evaluation: Evaluation, node: nodes.IsIn) -> Value:
    return _strict(evaluation, (node.operand,), lambda found: found in node.values)


def _not(evaluation: Evaluation, node: nodes.Not) -> Value:
    return _strict(evaluation, (node.operand,), lambda found: not found)


_ARITHMETIC: Mapping[ArithmeticOp, Callable[[float, float], float]] = {
    ArithmeticOp.ADD: operator.add,
    ArithmeticOp.SUBTRACT: operator.sub,
    ArithmeticOp.MULTIPLY: operator.mul,
}


def _finite(number: float) -> float | None:
    """Give the number, or None when it has grown beyond what a double holds."""
    return number if math.isfinite(number) else None


def calculated(op: ArithmeticOp, left: float, right: float) -> float | None:
    """Do arithmetic on two known numbers; None where there is no finite answer."""
    if op is ArithmeticOp.DIVIDE:
        return None if right == 0 else _finite(left / right)
    return _finite(_ARITHMETIC[op](left, right))


def _arithmetic(evaluation: Evaluation, node: nodes.Arithmetic) -> Value:
    return _strict(evaluation, (node.left, node.right), functools.partial(calculated, node.op))


def _date_add(evaluation: Evaluation, node: nodes.DateAdd) -> Value:
    def work(day: date, duration: Duration) -> date | None:
        return dates.add(day, duration, node.sign)

    return _strict(evaluation, (node.date, node.duration), work)


def _date_difference(evaluation: Evaluation, node: nodes.DateDifference) -> Value:
    def work(start: date, end: date) -> float:
        return float(dates.completed(start, end, node.unit))

    return _strict(evaluation, (node.start, node.end), work)


def _season_start(evaluation: Evaluation, node: nodes.SeasonStart) -> Value:
    return _strict(evaluation, (node.date,), lambda day: dates.season_start(day, node.month, node.day))


def _connective(evaluation: Evaluation, operands: tuple[nodes.Series, ...], decisive: Value) -> Value:
    """One known decisive operand settles it; else the first reason; else unknown if any is; else the opposite."""
    found = [evaluation.value(operand) for operand in operands]
    if any(item.value is decisive.value for item in found):
        return decisive
    for item in found:
        if item.reason is not None:
            return Value(None, item.reason)
    if any(item.value is None for item in found):
        return UNKNOWN
    return Value(not decisive.value)


def _and(evaluation: Evaluation, node: nodes.And) -> Value:
    return _connective(evaluation, node.operands, FALSE)


def _or(evaluation: Evaluation, node: nodes.Or) -> Value:
    return _connective(evaluation, node.operands, TRUE)


def _is_missing(evaluation: Evaluation, node: nodes.IsMissing) -> Value:
    found = evaluation.value(node.operand)
    return found if found.reason is not None else Value(found.value is None)


def _case(evaluation: Evaluation, node: nodes.Case) -> Value:
    for condition, result in zip(node.conditions, node.values, strict=True):
        found = evaluation.value(condition)
        if found.reason is not None:
            return Value(None, found.reason)
        if found.value is True:
            return evaluation.value(result)
    return UNKNOWN if node.otherwise is None else evaluation.value(node.otherwise)


def _lenient(evaluation: Evaluation, operands: tuple[nodes.Series, ...]) -> tuple[list[Scalar], str | None]:
    """Give the known values and the first reason, if any."""
    found = [evaluation.value(operand) for operand in operands]
    reason = next((item.reason for item in found if item.reason is not None), None)
    return [item.value for item in found if item.value is not None], reason


def _extreme(evaluation: Evaluation, node: nodes.Extreme) -> Value:
    known, reason = _lenient(evaluation, node.operands)
    if reason is not None or not known:
        return Value(None, reason)
    return Value(max(known) if node.highest else min(known))  # type: ignore[type-var]


def _coalesce(evaluation: Evaluation, node: nodes.Coalesce) -> Value:
    for operand in node.operands:
        found = evaluation.value(operand)
        if found.value is not None or found.reason is not None:
            return found
    return UNKNOWN


def _count_true(evaluation: Evaluation, node: nodes.CountTrue) -> Value:
    known, reason = _lenient(evaluation, node.operands)
    return Value(None, reason) if reason is not None else Value(float(sum(item is True for item in known)))


def _nth_earliest(evaluation: Evaluation, node: nodes.NthEarliest) -> Value:
    number = evaluation.value(node.number)
    known, reason = _lenient(evaluation, node.operands)
    if number.reason is not None or reason is not None:
        return Value(None, number.reason or reason)
    days = sorted(cast("list[date]", known))
    place = cast("float | None", number.value)
    return Value(days[int(place) - 1]) if place is not None and 1 <= place <= len(days) else UNKNOWN


def _has_codes(evaluation: Evaluation, node: nodes.HasCodes) -> Value:
    return Value(bool(evaluation.codelists[node.codelist].codes))


def _named(evaluation: Evaluation, node: nodes.Named) -> Value:
    return evaluation.value(node.operand)


_MEANINGS: Mapping[type[nodes.Series], Callable[..., Value]] = {
    nodes.Constant: _constant,
    nodes.IndexDate: _index_date,
    nodes.PatientFact: _patient_fact,
    nodes.PickValue: _pick_value,
    nodes.Exists: _exists,
    nodes.Count: _count,
    nodes.CountDays: _count_days,
    nodes.Mean: _mean,
    nodes.Compare: _compare,
    nodes.IsIn: _is_in,
    nodes.And: _and,
    nodes.Or: _or,
    nodes.Not: _not,
    nodes.IsMissing: _is_missing,
    nodes.Arithmetic: _arithmetic,
    nodes.DateAdd: _date_add,
    nodes.DateDifference: _date_difference,
    nodes.SeasonStart: _season_start,
    nodes.Case: _case,
    nodes.Extreme: _extreme,
    nodes.Coalesce: _coalesce,
    nodes.CountTrue: _count_true,
    nodes.NthEarliest: _nth_earliest,
    nodes.HasCodes: _has_codes,
    nodes.Named: _named,
}
