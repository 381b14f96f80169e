"""Until when values stay as they are if nothing more is recorded.

For each series and frame a day before which it cannot change: never too late, sometimes too early. A kind of node that
is not listed here may change on the next day, which is always safe. Not here: how series move (`moving`), and the day
on which a status really changes (`next_change`), which is found by going from bound to bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import cast

from cohortium_plugins.interpreter import Evaluation, RowEvaluation, Value, is_about_row
from cohortium_plugins.model import nodes
from cohortium_plugins.model.nodes import How
from cohortium_plugins.moving import Motion, first_day, motion_of
from cohortium_plugins.record import Row

__all__ = ["FRAME_OUTLOOKS", "SERIES_OUTLOOKS", "FrameOutlook", "Outlook"]

A_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class FrameOutlook:
    """What a frame's rows will do. `leaves`: for each row in their order, the day before which it is sure to stay;
    `enters`: the day before which no other row comes; `decided`: the day before which it stays decided, or undecided.
    """

    leaves: tuple[date, ...]
    enters: date
    decided: date

    @property
    def until(self) -> date:
        """The day before which nothing changes at all."""
        return min(self.enters, self.decided, *self.leaves)


class Outlook:
    """The days before which the values of one evaluation cannot change. `horizon` stands for never."""

    def __init__(
        self, evaluation: Evaluation, horizon: date, undecidable: dict[nodes.Node, bool] | None = None
    ) -> None:
        """Look ahead from an evaluation. `undecidable` is what another outlook of the same record has found."""
        self.evaluation, self.horizon = evaluation, horizon
        self.undecidable = {} if undecidable is None else undecidable
        self.next_day = min(evaluation.index_date + A_DAY, horizon)
        self._until: dict[nodes.Series, date] = {}
        self._frames: dict[nodes.Frame, FrameOutlook] = {}
        self._motions: dict[nodes.Series, Motion | None] = {}

    def later(self, day: date) -> Outlook:
        """Give the outlook from a later day, keeping what still holds there."""

        def holds(node: nodes.Node) -> bool:
            if isinstance(node, nodes.Frame):
                return node in self._frames and self._frames[node].until > day
            return self._until.get(cast("nodes.Series", node), day) > day

        other = Outlook(self.evaluation.later(day, holds), self.horizon, self.undecidable)
        other._until = {node: until for node, until in self._until.items() if until > day}
        other._frames = {frame: found for frame, found in self._frames.items() if found.until > day}
        other._motions = {node: found for node, found in self._motions.items() if found and found.until > day}
        return other

    # --- series ---------------------------------------------------------------------------------------------------

    def value(self, node: nodes.Series) -> Value:
        """Give the value at the index date."""
        return self.evaluation.value(node)

    def until(self, node: nodes.Series) -> date:
        """Give the first later day on which the value, or the reason why there is none, may differ."""
        if node not in self._until:
            self._until[node] = min(self._work_out(node), self.horizon)
        return self._until[node]

    def _work_out(self, node: nodes.Series) -> date:
        method = SERIES_OUTLOOKS.get(type(node))
        found = self.next_day if method is None else method(self, node)
        motion = None if found >= self.horizon else self.motion(node)
        if motion is None:
            return found
        start, now = self.evaluation.index_date, motion.at(self.evaluation.index_date)
        return max(found, first_day(start, motion.until, lambda day: motion.at(day) != now))

    def least(self, series: Sequence[nodes.Series]) -> date:
        """Give the first day on which any of several may differ."""
        return min((self.until(node) for node in series), default=self.horizon)

    def motion(self, node: nodes.Series) -> Motion | None:
        """Give how a series moves, if it does so steadily."""
        if node not in self._motions:
            self._motions[node] = motion_of(self, node)
        return self._motions[node]

    def moving(self, node: nodes.Series) -> Motion | None:
        """Give how a series moves; one that stands still is known for as long as it does."""
        found = self.motion(node)
        value = self.value(node).value
        if found is not None or value is None:
            return found
        return Motion(lambda _day: value, 0, self.until(node))

    def can_be_undecided(self, node: nodes.Node) -> bool:
        """Tell whether a part stands on rows that nobody can know: no codes configured, table never loaded."""
        if node not in self.undecidable:
            unknown = isinstance(node, nodes.Rows) and self.evaluation.frame(node).reason is not None
            self.undecidable[node] = unknown or any(self.can_be_undecided(child) for child in nodes.children(node))
        return self.undecidable[node]

    # --- frames ---------------------------------------------------------------------------------------------------

    def frame(self, frame: nodes.Frame) -> FrameOutlook:
        """Give what the frame's rows will do."""
        if frame not in self._frames:
            method = FRAME_OUTLOOKS.get(type(frame))
            rows = self.evaluation.frame(frame).rows
            self._frames[frame] = self.alike(len(rows), self.next_day) if method is None else method(self, frame)
        return self._frames[frame]

    @staticmethod
    def alike(rows: int, until: date) -> FrameOutlook:
        """Give the outlook of a frame of which nothing is known but that it does not change before a day."""
        return FrameOutlook((until,) * rows, until, until)


class _RowOutlook(Outlook):
    """The outlook of a filter's condition for one row; parts about the patient are looked up outside."""

    def __init__(self, outer: Outlook, row: Row, category: str | None) -> None:
        super().__init__(RowEvaluation(outer.evaluation, row, category), outer.horizon, outer.undecidable)
        self._outer, self._row = outer, row

    def until(self, node: nodes.Series) -> date:
        """Give the first later day on which the value may differ for this row."""
        if isinstance(node, nodes.RowValue):
            return _row_until(self, self._row, node.column)
        return super().until(node) if is_about_row(node) else self._outer.until(node)

    def motion(self, node: nodes.Series) -> Motion | None:
        """Give how a series moves for this row."""
        return super().motion(node) if is_about_row(node) else self._outer.motion(node)


def _row_until(outlook: Outlook, row: Row, column: str) -> date:
    """An end date is not known before it comes; the rest of a row never changes."""
    later = column == "end_date" and row.end_date is not None and row.end_date > outlook.evaluation.index_date
    return cast("date", row.end_date) if later else outlook.horizon


# --- frames -------------------------------------------------------------------------------------------------------


def _rows(outlook: Outlook, frame: nodes.Rows) -> FrameOutlook:
    evaluation = outlook.evaluation
    found = evaluation.frame(frame)
    if found.reason is not None:
        return FrameOutlook((), outlook.horizon, outlook.horizon)
    codes = None if frame.codelist is None else evaluation.codelists[frame.codelist].by_code
    here = evaluation.record.practice if frame.name == "registrations" else None
    later = (
        row.date
        for row in evaluation.record.rows.get(frame.name, ())
        if row.date > evaluation.index_date and (codes is None or row.code in codes) and here in (None, row.practice)
    )
    return FrameOutlook((outlook.horizon,) * len(found.rows), min(later, default=outlook.horizon), outlook.horizon)


def _filter(outlook: Outlook, frame: nodes.Filter) -> FrameOutlook:
    inner, known = outlook.frame(frame.frame), outlook.evaluation.frame(frame.frame)
    undecided = [part for part in _patient_parts(frame.condition) if outlook.can_be_undecided(part)]
    decided = min(inner.decided, outlook.least(undecided))
    if outlook.evaluation.frame(frame).reason is not None:
        return FrameOutlook((), decided, decided)
    leaves: list[date] = []
    enters = inner.enters
    for (row, category), inner_leaves in zip(known.rows, inner.leaves, strict=True):
        own = _RowOutlook(outlook, row, category)
        if own.value(frame.condition).value is True:
            leaves.append(min(inner_leaves, own.until(frame.condition)))
        else:
            enters = min(enters, own.until(frame.condition))
    return FrameOutlook(tuple(leaves), enters, decided)


def _patient_parts(condition: nodes.Series) -> Iterator[nodes.Series]:
    """Yield the largest parts of a condition that are about the patient, not the row."""
    if not is_about_row(condition):
        yield condition
        return
    for child in nodes.children(condition):
        if isinstance(child, nodes.Series):
            yield from _patient_parts(child)


def _first_of_each(outlook: Outlook, frame: nodes.FirstOfEach) -> FrameOutlook:
    return outlook.alike(len(outlook.evaluation.frame(frame).rows), outlook.frame(frame.frame).until)


def _near(outlook: Outlook, frame: nodes.Near) -> FrameOutlook:
    parts = [outlook.frame(frame.frame).until, outlook.frame(frame.other).until]
    until = min(*parts, outlook.least([frame.before, frame.after]))
    return outlook.alike(len(outlook.evaluation.frame(frame).rows), until)


def _in_unit(outlook: Outlook, frame: nodes.InUnit) -> FrameOutlook:
    return outlook.frame(frame.frame)


FRAME_OUTLOOKS: Mapping[type[nodes.Frame], Callable[..., FrameOutlook]] = {
    nodes.Rows: _rows,
    nodes.Filter: _filter,
    nodes.FirstOfEach: _first_of_each,
    nodes.Near: _near,
    nodes.InUnit: _in_unit,
}

# --- series -------------------------------------------------------------------------------------------------------


def _never(outlook: Outlook, _node: nodes.Series) -> date:
    return outlook.horizon


def _tomorrow(outlook: Outlook, _node: nodes.Series) -> date:
    return outlook.next_day


def _patient_fact(outlook: Outlook, node: nodes.PatientFact) -> date:
    record, day = outlook.evaluation.record, outlook.evaluation.index_date
    if node.name == "records_to":
        return outlook.next_day if record.records_to is None or record.records_to > day else outlook.horizon
    turns: list[date] = []
    if node.name in ("date_of_death", "is_registered") and record.date_of_death is not None:
        turns.append(record.date_of_death)
    if node.name in ("is_registered", "registered_since"):
        rows = record.rows.get("registrations", ())
        turns.extend(row.date for row in rows)
        turns.extend(row.end_date + A_DAY for row in rows if row.end_date is not None and row.end_date < date.max)
    return min((turn for turn in turns if turn > day), default=outlook.horizon)


def _pick_value(outlook: Outlook, node: nodes.PickValue) -> date:
    found, picked = outlook.frame(node.pick.frame), outlook.evaluation.pick(node.pick)
    if picked is None or node.pick.how not in (How.EARLIEST, How.LATEST):
        own = found.until
    else:
        leaves = found.leaves[0 if node.pick.how is How.EARLIEST else -1]
        own = min(leaves, found.enters, found.decided)
    return own if picked is None else min(own, _row_until(outlook, picked[0], node.column))


def _exists(outlook: Outlook, node: nodes.Exists) -> date:
    found = outlook.frame(node.frame)
    return min(found.decided, max(found.leaves) if found.leaves else found.enters)


def _whole_frame(outlook: Outlook, node: nodes.Count | nodes.Mean) -> date:
    return outlook.frame(node.frame).until


def _strict(outlook: Outlook, node: nodes.Series) -> date:
    """Nothing is known while an operand is unknown, whatever the others do."""
    operands = [child for child in nodes.children(node) if isinstance(child, nodes.Series)]
    found = outlook.least(operands)
    if found >= outlook.horizon:
        return found
    values = [outlook.value(operand) for operand in operands]
    undecidable = [outlook.can_be_undecided(operand) for operand in operands]
    for place, value in enumerate(values):
        if value.reason is not None:
            return found if any(undecidable[:place]) else max(found, outlook.until(operands[place]))
    if any(undecidable):
        return found
    unknown = (outlook.until(operand) for operand, value in zip(operands, values, strict=True) if value.value is None)
    return max([found, *unknown])


def _compare(outlook: Outlook, node: nodes.Compare) -> date:
    """Below, equal, above: one side moving one way passes from one to the next once."""
    found = _strict(outlook, node)
    if found >= outlook.horizon or outlook.value(node).value is None:
        return found
    left, right = outlook.moving(node.left), outlook.moving(node.right)
    if left is None or right is None or not (left.rises or right.rises):
        return found
    if left.rises != right.rises:
        return max(found, _meeting(outlook, left, right))
    still = (_standing(outlook, node.left, left), _standing(outlook, node.right, right))  # as a season does for a year
    return max(found, _meeting(outlook, still[0], right), _meeting(outlook, left, still[1]))


def _standing(outlook: Outlook, node: nodes.Series, moves: Motion) -> Motion:
    now = moves.at(outlook.evaluation.index_date)
    return Motion(lambda _day: now, 0, outlook.until(node))


def _meeting(outlook: Outlook, left: Motion, right: Motion) -> date:
    """Give the day on which two that do not move the same way pass into another phase."""

    def phase(day: date) -> int:
        one, other = left.at(day), right.at(day)
        return (one > other) - (one < other)  # type: ignore[operator]

    start = outlook.evaluation.index_date
    now, end = phase(start), min(left.until, right.until)
    return first_day(start, end, lambda day: phase(day) != now, _guess(left, right, start))


def _guess(left: Motion, right: Motion, start: date) -> date | None:
    """Guess when two dates meet that come nearer by a day each day."""
    one, other = left.at(start), right.at(start)
    if not isinstance(one, date) or not isinstance(other, date):
        return None
    return date.fromordinal(min(start.toordinal() + abs((one - other).days), date.max.toordinal()))


def _connective(outlook: Outlook, node: nodes.And | nodes.Or) -> date:
    """What one operand settles stays so for as long as any such operand does."""
    settles = isinstance(node, nodes.Or)
    settled = [outlook.until(part) for part in node.operands if outlook.value(part).value is settles]
    return max(settled) if settled else outlook.least(node.operands)


def _is_missing(outlook: Outlook, node: nodes.IsMissing) -> date:
    moves = outlook.motion(node.operand)
    return outlook.until(node.operand) if moves is None else max(moves.until, outlook.until(node.operand))


def _case(outlook: Outlook, node: nodes.Case) -> date:
    found = outlook.horizon
    for condition, value in zip(node.conditions, node.values, strict=True):
        known = outlook.value(condition)
        found = min(found, outlook.until(condition))
        if known.reason is not None:
            return found
        if known.value is True:
            return min(found, outlook.until(value))
    return found if node.otherwise is None else min(found, outlook.until(node.otherwise))


def _coalesce(outlook: Outlook, node: nodes.Coalesce) -> date:
    found = outlook.horizon
    for operand in node.operands:
        found = min(found, outlook.until(operand))
        known = outlook.value(operand)
        if known.value is not None or known.reason is not None:
            break
    return found


def _of_all(outlook: Outlook, node: nodes.Extreme | nodes.CountTrue | nodes.NthEarliest) -> date:
    return outlook.least(node.operands)


def _named(outlook: Outlook, node: nodes.Named) -> date:
    return outlook.until(node.operand)


SERIES_OUTLOOKS: Mapping[type[nodes.Series], Callable[..., date]] = {
    nodes.Constant: _never,
    nodes.IndexDate: _tomorrow,
    nodes.PatientFact: _patient_fact,
    nodes.PickValue: _pick_value,
    nodes.Exists: _exists,
    nodes.Count: _whole_frame,
    nodes.CountDays: _whole_frame,
    nodes.Mean: _whole_frame,
    nodes.Compare: _compare,
    nodes.IsIn: _strict,
    nodes.And: _connective,
    nodes.Or: _connective,
    nodes.Not: _strict,
    nodes.IsMissing: _is_missing,
    nodes.Arithmetic: _strict,
    nodes.DateAdd: _strict,
    nodes.DateDifference: _strict,
    nodes.SeasonStart: _strict,
    nodes.Case: _case,
    nodes.Extreme: _of_all,
    nodes.Coalesce: _coalesce,
    nodes.CountTrue: _of_all,
    nodes.NthEarliest: _of_all,
    nodes.HasCodes: _never,
    nodes.Named: _named,
}
