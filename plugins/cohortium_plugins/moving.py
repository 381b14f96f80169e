"""How series move with the index date: which rise or fall steadily, and on which day a steady one first turns.

A date some months back from the index date rises as days pass; so does an age; so does the start of the season. Where
one side of a comparison stands still and the other moves one way, the comparison turns at most once a phase, and the
day is found by halving. Not here: how long values stay (`outlook`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Protocol, cast

from cohortium_plugins import dates
from cohortium_plugins.interpreter import Evaluation, Value, calculated
from cohortium_plugins.model import nodes
from cohortium_plugins.model.nodes import ArithmeticOp
from cohortium_plugins.model.values import Duration, Scalar

__all__ = ["Motion", "Seen", "first_day", "motion_of", "together"]


@dataclass(frozen=True, slots=True)
class Motion:
    """The value on a day, known on each from the index date to the day before `until`. `rises`: 1 when it never falls,
    -1 when it never rises, 0 when it stands still.
    """

    at: Callable[[date], Scalar | None]
    rises: int
    until: date


class Seen(Protocol):
    """What the motion of a series is found from: `outlook.Outlook`."""

    evaluation: Evaluation
    horizon: date

    def value(self, node: nodes.Series) -> Value:
        """Give the value at the index date."""

    def until(self, node: nodes.Series) -> date:
        """Give the first later day on which the value may differ."""

    def motion(self, node: nodes.Series) -> Motion | None:
        """Give how a series moves, if it does so steadily."""

    def moving(self, node: nodes.Series) -> Motion | None:
        """Give how a series moves; one that stands still is known for as long as it does."""


def first_day(after: date, end: date, turned: Callable[[date], bool], near: date | None = None) -> date:
    """Give the first day after a day on which something has turned that stays so; `end` when none before it has.

    `near` is a guess, from which the search begins.
    """
    low, high = after.toordinal(), end.toordinal()

    def has_turned(day: int) -> bool:
        return turned(date.fromordinal(day))

    step = 1
    if near is not None and low < (guess := min(max(near.toordinal(), low + 1), high - 1)):
        if has_turned(guess):
            high = guess
            while (probe := high - step) > low and has_turned(probe):
                high, step = probe, step * 2
            low = max(low, probe)
        else:
            low = guess
    step = 1
    while (probe := low + step) < high and not has_turned(probe):
        low, step = probe, step * 2
    high = min(high, probe)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if has_turned(middle) else (middle, high)
    return date.fromordinal(high)


def together(*ways: int) -> int | None:
    """Give the way in which several move: None when one rises and another falls."""
    if 1 in ways and -1 in ways:
        return None
    return next((way for way in ways if way), 0)


def motion_of(seen: Seen, node: nodes.Series) -> Motion | None:
    """Give how a series moves, if it does so steadily and stays known."""
    found = _MOTIONS[type(node)](seen, node) if type(node) in _MOTIONS else None
    if found is None or found.rises == 0 or found.until <= seen.evaluation.index_date:
        return None
    last = date.fromordinal(found.until.toordinal() - 1)
    known = found.at(seen.evaluation.index_date) is not None and found.at(last) is not None
    return found if known else None


def _index_date(seen: Seen, _node: nodes.IndexDate) -> Motion:
    return Motion(lambda day: day, 1, seen.horizon)


def _fact(seen: Seen, node: nodes.PatientFact) -> Motion | None:
    if node.name != "records_to":
        return None
    end = seen.evaluation.record.records_to
    return Motion(lambda day: day if end is None else min(end, day), 1, seen.horizon)


def _date_add(seen: Seen, node: nodes.DateAdd) -> Motion | None:
    day, length = seen.motion(node.date), seen.value(node.duration).value
    if day is None or not isinstance(length, Duration):
        return None
    until = min(day.until, seen.until(node.duration))
    return Motion(lambda on: dates.add(cast("date", day.at(on)), length, node.sign), day.rises, until)


def _difference(seen: Seen, node: nodes.DateDifference) -> Motion | None:
    start, end = seen.moving(node.start), seen.moving(node.end)
    way = None if start is None or end is None else together(-start.rises, end.rises)
    if start is None or end is None or way is None:
        return None

    def at(day: date) -> float:
        return float(dates.completed(cast("date", start.at(day)), cast("date", end.at(day)), node.unit))

    return Motion(at, way, min(start.until, end.until))


def _season_start(seen: Seen, node: nodes.SeasonStart) -> Motion | None:
    day = seen.motion(node.date)
    if day is None:
        return None
    return Motion(lambda on: dates.season_start(cast("date", day.at(on)), node.month, node.day), day.rises, day.until)


def _arithmetic(seen: Seen, node: nodes.Arithmetic) -> Motion | None:
    left, right = seen.moving(node.left), seen.moving(node.right)
    if left is None or right is None:
        return None
    way = _way(node.op, left, right, seen.evaluation.index_date)
    if way is None:
        return None

    def at(day: date) -> float | None:
        return calculated(node.op, cast("float", left.at(day)), cast("float", right.at(day)))

    return Motion(at, way, min(left.until, right.until))


def _way(op: ArithmeticOp, left: Motion, right: Motion, day: date) -> int | None:
    """Sums move as their parts do, products and quotients as their one moving part does, by the other's sign."""
    if op is ArithmeticOp.ADD:
        return together(left.rises, right.rises)
    if op is ArithmeticOp.SUBTRACT:
        return together(left.rises, -right.rises)
    if op is ArithmeticOp.MULTIPLY and not left.rises:
        left, right = right, left
    if right.rises:
        return None
    factor = cast("float", right.at(day))
    return left.rises * ((factor > 0) - (factor < 0))


def _extreme(seen: Seen, node: nodes.Extreme) -> Motion | None:
    known = [part for part in node.operands if seen.value(part).value is not None]
    moving = [seen.moving(part) for part in known]
    found = [motion for motion in moving if motion is not None]
    way = together(*(motion.rises for motion in found))
    if way is None or len(found) < len(moving) or any(seen.value(part).reason for part in node.operands):
        return None
    pick = max if node.highest else min
    until = [seen.until(part) for part in node.operands if part not in known]

    def at(day: date) -> Scalar:
        return pick(cast("date", motion.at(day)) for motion in found)

    return Motion(at, way, min([motion.until for motion in found] + until, default=seen.horizon))


def _coalesce(seen: Seen, node: nodes.Coalesce) -> Motion | None:
    until = seen.horizon
    for part in node.operands:
        found = seen.value(part)
        if found.value is not None:
            return _for(seen.motion(part), until)
        if found.reason is not None:
            return None
        until = min(until, seen.until(part))
    return None


def _case(seen: Seen, node: nodes.Case) -> Motion | None:
    until = seen.horizon
    for condition, value in zip(node.conditions, node.values, strict=True):
        found = seen.value(condition)
        until = min(until, seen.until(condition))
        if found.reason is not None:
            return None
        if found.value is True:
            return _for(seen.motion(value), until)
    return None if node.otherwise is None else _for(seen.motion(node.otherwise), until)


def _for(motion: Motion | None, until: date) -> Motion | None:
    return None if motion is None else Motion(motion.at, motion.rises, min(motion.until, until))


_MOTIONS: Mapping[type[nodes.Series], Callable[..., Motion | None]] = {
    nodes.IndexDate: _index_date,
    nodes.PatientFact: _fact,
    nodes.DateAdd: _date_add,
    nodes.DateDifference: _difference,
    nodes.SeasonStart: _season_start,
    nodes.Arithmetic: _arithmetic,
    nodes.Extreme: _extreme,
    nodes.Coalesce: _coalesce,
    nodes.Case: _case,
    nodes.Named: lambda seen, node: seen.motion(node.operand),
}
