"""Windows that can never hold: bounds on one thing that contradict each other, whatever the record says.

    between(index_date, index_date - months(12))    the ends are the wrong way round
    on_or_after(index_date + days(1))               rows end at the index date
    where(value >= 50).where(value < 30)            no number is both

Only what is certain is said: months are taken at their shortest or longest. Not here: anything about codes (`checks`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from cohortium_plugins import dates
from cohortium_plugins.model import nodes
from cohortium_plugins.model.nodes import CompareOp, Node
from cohortium_plugins.model.values import Duration, Scalar, Unit
from cohortium_plugins.wording import day_in_words, scalar

__all__ = ["conflict", "conflict_in_frame", "wrong_way_round"]

MONTH, YEAR, SLACK = 30.436875, 365.2425, 3
FLIPPED = {
    CompareOp.EQ: CompareOp.EQ, CompareOp.NE: CompareOp.NE, CompareOp.LT: CompareOp.GT, CompareOp.LE: CompareOp.GE,
    CompareOp.GT: CompareOp.LT, CompareOp.GE: CompareOp.LE,
}  # fmt: skip
LOWER, UPPER = (CompareOp.GE, CompareOp.GT, CompareOp.EQ), (CompareOp.LE, CompareOp.LT, CompareOp.EQ)
STRICT = (CompareOp.GT, CompareOp.LT)


@dataclass(frozen=True, slots=True)
class _Point:
    """Where a bound lies: so far from an anchor (None: the calendar's or the numbers' own beginning), at least and at
    most.
    """

    anchor: Node | None
    least: float
    most: float
    said: str


@dataclass(frozen=True, slots=True)
class _Bound:
    op: CompareOp
    point: _Point


Subject = tuple[Node, int]
"""What is bounded: a series, or a column of a row before (0) or after so many conversions of its value."""


def conflict(conditions: Iterable[nodes.Series]) -> str | None:
    """Say which two of several conditions that must all hold cannot; None when they may."""
    return _conflict((condition, 0) for condition in conditions)


def conflict_in_frame(frame: nodes.Frame) -> str | None:
    """Say why no row can ever be in a frame; None when one may."""
    for part in _chain(frame):
        if isinstance(part, nodes.Near) and wrong_way_round(part.first, part.last):
            return "The window around each row ends before it begins."
    return _conflict(_conditions(frame))


def wrong_way_round(low: nodes.Series, high: nodes.Series) -> bool:
    """Tell whether the lower end of a range certainly lies above the upper one."""
    first, last = _point(low), _point(high)
    return first.anchor is last.anchor and first.least > last.most


def _conditions(frame: nodes.Frame) -> Iterator[tuple[nodes.Series, int]]:
    """Yield the conditions on the way from a frame to its rows, with the number of conversions after them."""
    conversions = 0
    for part in _chain(frame):
        if isinstance(part, nodes.InUnit):
            conversions += 1
        if isinstance(part, nodes.Filter):
            yield from ((condition, conversions) for condition in _parts(part.condition))


def _chain(frame: nodes.Frame) -> Iterator[nodes.Frame]:
    """Yield a frame and those that its rows come through, down to the table's."""
    while not isinstance(frame, nodes.Rows):
        yield frame
        frame = next(child for child in nodes.children(frame) if isinstance(child, nodes.Frame))


def _parts(condition: nodes.Series) -> Iterator[nodes.Series]:
    if isinstance(condition, nodes.And):
        for operand in condition.operands:
            yield from _parts(operand)
    else:
        yield condition


def _conflict(conditions: Iterable[tuple[nodes.Series, int]]) -> str | None:
    bounds: dict[Subject, list[_Bound]] = {}
    allowed: dict[Subject, set[Scalar]] = {}
    for condition, conversions in conditions:
        if isinstance(condition, nodes.Compare):
            subject, op, point = _bound(condition, conversions)
            bounds.setdefault(subject, []).append(_Bound(op, point))
        listed = _listed(condition, conversions)
        if listed is not None:
            subject, values = listed
            both = allowed.get(subject, values) & values
            if not both:
                return f"No {_name(subject[0])} is both {_words(allowed[subject])} and {_words(values)}."
            allowed[subject] = both
    for subject, found in bounds.items():
        said = _of_bounds(subject[0], found)
        if said is not None:
            return said
    return None


def _bound(condition: nodes.Compare, conversions: int) -> tuple[Subject, CompareOp, _Point]:
    left, right, op = condition.left, condition.right, condition.op
    if isinstance(left, nodes.Constant) or isinstance(right, nodes.RowValue):
        left, right, op = right, left, FLIPPED[op]
    return _subject(left, conversions), op, _point(right)


def _subject(node: nodes.Series, conversions: int) -> Subject:
    converted = isinstance(node, nodes.RowValue) and node.column in ("value", "unit")
    return node, conversions if converted else 0


def _listed(condition: nodes.Series, conversions: int) -> tuple[Subject, set[Scalar]] | None:
    """Give the values that a condition lets a column have, when it lists them."""
    if isinstance(condition, nodes.IsIn):
        return _subject(condition.operand, conversions), set(condition.values)
    if isinstance(condition, nodes.Compare) and condition.op is CompareOp.EQ:
        value = condition.right.value if isinstance(condition.right, nodes.Constant) else None
        if isinstance(value, str) or (isinstance(value, int) and condition.left.type == "code"):
            return _subject(condition.left, conversions), {value}
    return None


def _of_bounds(subject: Node, bounds: list[_Bound]) -> str | None:
    of_row = isinstance(subject, nodes.RowValue) and subject.column == "date"
    for low in (bound for bound in bounds if bound.op in LOWER):
        if of_row and isinstance(low.point.anchor, nodes.IndexDate) and _from(low, subject) > 0:
            return f"No row is on or after {low.point.said}: a frame ends at the index date."
        for high in (bound for bound in bounds if bound.op in UPPER):
            if low.point.anchor is high.point.anchor and _apart(low, high, subject):
                return f"No {_name(subject)} is {_said(low)} and {_said(high)}."
    return None


def _from(bound: _Bound, subject: Node) -> float:
    """Give the least that a lower bound lets through; of days, the day after a strict one."""
    days = isinstance(subject, nodes.Series) and subject.type == "date"
    return bound.point.least + (1 if days and bound.op is CompareOp.GT else 0)


def _apart(low: _Bound, high: _Bound, subject: Node) -> bool:
    least, most = _from(low, subject), high.point.most
    if isinstance(subject, nodes.Series) and subject.type == "date":
        return least > most - (1 if high.op is CompareOp.LT else 0)
    return least > most or (least == most and (low.op in STRICT or high.op in STRICT))


def _point(node: nodes.Series) -> _Point:
    if isinstance(node, nodes.Constant):
        value = node.value
        if isinstance(value, date):
            return _Point(None, value.toordinal(), value.toordinal(), day_in_words(value))
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _Point(None, value, value, scalar(value))
    if isinstance(node, nodes.DateAdd) and isinstance(node.duration, nodes.Constant):
        duration = node.duration.value
        if isinstance(duration, Duration):
            return _moved(node.date, duration, node.sign)
    said = "the index date" if isinstance(node, nodes.IndexDate) else "that"
    return _Point(node, 0, 0, said)


def _moved(start: nodes.Series, duration: Duration, sign: int) -> _Point:
    fixed = start.value if isinstance(start, nodes.Constant) else None
    exact = dates.add(fixed, duration, sign) if isinstance(fixed, date) else None
    if exact is not None:
        return _Point(None, exact.toordinal(), exact.toordinal(), day_in_words(exact))
    point = _point(start)
    count = duration.count * sign
    way = "after" if count > 0 else "before"
    said = f"{Duration(abs(count), duration.unit)} {way} {point.said}"
    if duration.unit in (Unit.DAYS, Unit.WEEKS):
        days = count * (dates.DAYS_A_WEEK if duration.unit is Unit.WEEKS else 1)
        return _Point(point.anchor, point.least + days, point.most + days, said)
    about = count * (YEAR if duration.unit is Unit.YEARS else MONTH)
    slack = SLACK if count else 0
    return _Point(point.anchor, point.least + about - slack, point.most + about + slack, said)


def _name(subject: Node) -> str:
    if isinstance(subject, nodes.RowValue):
        return "row" if subject.column == "date" else f"{subject.column} of a row"
    return "value"


def _said(bound: _Bound) -> str:
    verbs = {
        CompareOp.GE: "at or after", CompareOp.GT: "after", CompareOp.LE: "at or before", CompareOp.LT: "before",
        CompareOp.EQ: "at",
    }  # fmt: skip
    return f"{verbs[bound.op]} {bound.point.said}"


def _words(values: set[Scalar]) -> str:
    return " or ".join(sorted(str(value) for value in values))
