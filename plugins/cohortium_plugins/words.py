"""A rule in plain English.

Every kind of node has its words here; a test fails on one that has none. Not here: whole definitions (`statement`),
values (`explain`), the fixed words (`wording`).
"""

# Longer than 400 lines because each node type has its words here, one beside the other.

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise

from cohortium_plugins.measures import unit_of_frame
from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import Codelist
from cohortium_plugins.model.nodes import CompareOp, How
from cohortium_plugins.model.values import Duration, Scalar, Unit
from cohortium_plugins.wording import (
    ARITHMETIC,
    COLUMNS,
    COMPARISONS,
    DATE_COMPARISONS,
    EXTREMES,
    FACTS,
    PICKS,
    RANGES,
    ROW_COMPARISONS,
    SINGULAR,
    TABLES,
    label,
    listed,
    ordinal,
    plain_term,
    scalar,
)

__all__ = ["Words"]


class Words:
    """Renders the parts of one definition."""

    def __init__(self, codelists: Mapping[str, Codelist], named: Mapping[nodes.Node, str] | None = None) -> None:
        """Take codelists, and nodes that have a name of their own (the day of joining the registry)."""
        self.codelists, self.named = codelists, named or {}

    def codelist(self, name: str) -> str:
        """Name a codelist."""
        return f"‘{self.codelists[name].title}’"

    def of(self, node: nodes.Node) -> str:
        """Give a node's words."""
        return self.named.get(node) or _WORDS[type(node)](self, node)

    def term(self, code: Scalar) -> str:
        """Give a code with the term it has in one of the codelists."""
        found = (c.by_code[code].term for c in self.codelists.values() if isinstance(code, int) and code in c.by_code)
        return f"‘{plain_term(next(found, str(code)))}’"


def _rows(words: Words, node: nodes.Rows) -> str:
    if node.codelist is None:
        return TABLES[node.name]
    return f"{'prescriptions of ' if node.name == 'medications' else ''}{words.codelist(node.codelist)}"


def _frame(words: Words, frame: nodes.Frame, verb: str = "") -> str:
    """Say a frame: what it stands on, its categories in brackets, the verb, then what its rows must be."""
    conditions: list[nodes.Series] = []
    beside: list[str] = []
    unit: list[str] = []
    while True:
        if isinstance(frame, nodes.Filter):
            own = frame.condition.operands if isinstance(frame.condition, nodes.And) else (frame.condition,)
            conditions[:0] = own
        elif isinstance(frame, nodes.Near):
            beside.insert(0, _near(words, frame))
        elif isinstance(frame, nodes.InUnit) and not unit and not _asks_value(frame.frame):
            unit.append(f"in {frame.unit}")
        else:
            break
        frame = frame.frame
    kinds = [said for item in conditions if (said := _kind(item)) is not None]
    rest = _joined([*(_row_condition(words, item) for item in conditions if _kind(item) is None), *beside])
    brackets = f" ({', '.join([*kinds, *unit])})" if kinds or unit else ""
    return " ".join(part for part in (f"{words.of(frame)}{brackets}", verb, rest) if part)


def _asks_value(frame: nodes.Frame) -> bool:
    """Tell whether rows are chosen by their value or unit as the source gave it, or converted, before this."""
    about_row = (node for node in nodes.walk(frame) if isinstance(node, nodes.RowValue))
    return any(node.column in ("value", "unit") for node in about_row) or unit_of_frame(frame) is not None


def _near(words: Words, frame: nodes.Near) -> str:
    """Say where the other frame's row must be: 'within 7 days of ‘Weight’', 'on the day of ‘Height’'."""
    before, after = (
        length.value if isinstance(length, nodes.Constant) else None for length in (frame.before, frame.after)
    )
    other = _frame(words, frame.other)
    if frame.before is frame.after:
        return f"on the day of {other}" if _is_nothing(before) else f"within {words.of(frame.before)} of {other}"
    if _is_nothing(after):
        return f"at most {words.of(frame.before)} after {other}"
    if _is_nothing(before):
        return f"at most {words.of(frame.after)} before {other}"
    if isinstance(after, Duration) and after.count < 0:
        nearest = Duration(-after.count, after.unit)
        return f"at least {nearest} and at most {words.of(frame.before)} after {other}"
    return f"at most {words.of(frame.before)} after or {words.of(frame.after)} before {other}"


def _is_nothing(length: object) -> bool:
    return isinstance(length, Duration) and length.count == 0


def _in_unit(words: Words, node: nodes.InUnit) -> str:
    return f"{_frame(words, node.frame)} (converted to {node.unit})" if _asks_value(node.frame) else _frame(words, node)


def _kind(node: nodes.Series) -> str | None:
    """Give the words for a condition on category, kind or episode, which stand in brackets; None for any other."""
    plain = ("category", "kind", "episode", "relationship")
    operands = node.operands if isinstance(node, nodes.Or) else (node,)
    said: list[str] = []
    for item in operands:
        inner = item.operand if isinstance(item, nodes.Not | nodes.IsMissing) else item
        match inner:
            case nodes.RowValue(column=name) if name in plain and isinstance(item, nodes.IsMissing):
                said.append(f"{name} not given")
            case nodes.IsIn(operand=nodes.RowValue(column=name), values=values) if name in plain:
                negated = "not " if isinstance(item, nodes.Not) else ""
                after = f" {name}" if name == "episode" else ""
                said.append(negated + listed([label(value) for value in values], "or") + after)
            case nodes.Compare(
                op=CompareOp.EQ, left=nodes.RowValue(column=name), right=nodes.Constant(value=value)
            ) if name in plain and inner is item:
                said.append(label(value) if name != "relationship" else f"{name} {label(value)}")
            case _:
                return None
    if len(said) > 1 and any(item.startswith("not ") for item in said):
        said = [item for item in said if item.startswith("not ")]
    return listed(said, "or")


def _joined(said: Sequence[str]) -> str:
    """Join the conditions of a row; a lower and an upper bound become one range."""
    parts = list(said)
    for first, second in pairwise(said):
        for low, high, between in RANGES:
            if first.startswith(low) and second.startswith(high) and first in parts and second in parts:
                parts[parts.index(first)] = f"{between} {first.removeprefix(low)} to {second.removeprefix(high)}"
                parts.remove(second)
    return listed(parts, "and") if parts else ""


def _row_condition(words: Words, node: nodes.Series) -> str:
    """Say what a row must be: 'on or after 1 April 2003', 'in the last 12 months', 'with a value of at least 10'."""
    if isinstance(node, nodes.Compare) and isinstance(node.left, nodes.RowValue):
        return _row_comparison(words, node, node.left.column)
    if isinstance(node, nodes.IsIn) and isinstance(node.operand, nodes.RowValue) and node.operand.column == "code":
        return f"as {listed([words.term(item) for item in node.values], 'or')}"
    if isinstance(node, nodes.IsMissing) and isinstance(node.operand, nodes.RowValue):
        return f"without a {node.operand.column}"
    return f"where {_inner(words, node)}"


def _row_comparison(words: Words, node: nodes.Compare, column: str) -> str:
    right = node.right
    back = column == "date" and node.op is CompareOp.GE and isinstance(right, nodes.DateAdd) and right.sign < 0
    if back and isinstance(right, nodes.DateAdd) and _today(right.date):
        return f"in the last {words.of(right.duration)}"
    if column == "date":
        return f"{DATE_COMPARISONS[node.op].removeprefix('is ')} {words.of(right)}"
    if column == "code" and isinstance(right, nodes.Constant):
        return f"{'' if node.op is CompareOp.EQ else 'not '}as {words.term(right.value)}"
    return f"with a {column} {ROW_COMPARISONS[node.op]}{words.of(right)}"


def _today(node: nodes.Series) -> bool:
    return isinstance(node, nodes.IndexDate)


def _pick(words: Words, node: nodes.Pick) -> str:
    said, table = _frame(words, node.frame), nodes.rows_of(node.frame).name
    if table in SINGULAR:
        said = SINGULAR[table] + said.removeprefix(TABLES[table])
    if node.how in (How.HIGHEST, How.LOWEST):
        return f"the {said} with the {PICKS[node.how]} value"
    return f"the {PICKS[node.how]} {said}"


def _pick_value(words: Words, node: nodes.PickValue) -> str:
    if node.column == "value" and node.pick.how in (How.HIGHEST, How.LOWEST):
        return f"the {PICKS[node.pick.how]} value of {_frame(words, node.pick.frame)}"
    return f"{COLUMNS.get(node.column, f'the {node.column}')} of {words.of(node.pick)}"


def _row_value(_words: Words, node: nodes.RowValue) -> str:
    return COLUMNS.get(node.column, f"the {node.column}")


def _compare(words: Words, node: nodes.Compare) -> str:
    left, right = node.left, node.right
    if node.op is CompareOp.GE and isinstance(left, nodes.DateAdd) and left.sign > 0 and _today(right):
        return f"{_subject(words, left.date)} is in the last {words.of(left.duration)}"
    if node.op is CompareOp.GE and isinstance(right, nodes.DateAdd) and right.sign < 0 and _today(right.date):
        return f"{_subject(words, left)} is in the last {words.of(right.duration)}"
    if isinstance(left, nodes.CountTrue) and isinstance(right, nodes.Constant):
        return f"{ROW_COMPARISONS[node.op].removeprefix('of ')}{words.of(right)} of these hold: ({_these(words, left)})"
    if isinstance(left, nodes.SeasonStart) and isinstance(right, nodes.SeasonStart) and left.date is right.date:
        return _season(words, node, left, right)
    verbs = DATE_COMPARISONS if left.type == "date" else COMPARISONS
    return f"{_inner(words, left)} {verbs[node.op]} {_operand(words, right, code=left.type == 'code')}"


def _season(words: Words, node: nodes.Compare, left: nodes.SeasonStart, right: nodes.SeasonStart) -> str:
    """Say that a day lies in a season: its latest first day is later than the latest day after its last."""
    if node.op is not CompareOp.GT:
        verb = DATE_COMPARISONS[node.op]
        return f"{words.of(left)} {verb} {words.of(right)}"
    last = date(2001, right.month, right.day) - timedelta(days=1)
    return f"{words.of(left.date)} is from {left.day} {date(2000, left.month, 1):%B} to {last.day} {last:%B}"


def _subject(words: Words, node: nodes.Series) -> str:
    """Say what a date belongs to rather than the date: 'the latest ‘Medication review’'."""
    is_date = isinstance(node, nodes.PickValue) and node.column == "date" and node not in words.named
    return words.of(node.pick if is_date and isinstance(node, nodes.PickValue) else node)


def _operand(words: Words, node: nodes.Series, *, code: bool) -> str:
    if not isinstance(node, nodes.Constant):
        return words.of(node)
    return words.term(node.value) if code else label(node.value)


def _is_in(words: Words, node: nodes.IsIn) -> str:
    say = words.term if node.operand.type == "code" else label
    return f"{words.of(node.operand)} is {listed([say(item) for item in node.values], 'or')}"


def _and(words: Words, node: nodes.And) -> str:
    compared = {frame for item in node.operands for frame in _compared_frames(item)}
    parts = [
        item
        for item in node.operands
        if not (isinstance(item, nodes.Constant) and item.value is True)
        and not (isinstance(item, nodes.Exists) and item.frame in compared)
    ]
    return listed([_inner(words, item) for item in parts] or ["always"], "and")


def _compared_frames(node: nodes.Series) -> Iterator[nodes.Frame]:
    """Yield the frames of which a comparison asks for a row: that there is one need not be said beside it."""
    for side in (node.left, node.right) if isinstance(node, nodes.Compare) else ():
        moved = side.date if isinstance(side, nodes.DateAdd) else side
        if isinstance(moved, nodes.PickValue):
            yield moved.pick.frame


def _or(words: Words, node: nodes.Or) -> str:
    return listed([_inner(words, item) for item in node.operands], "or")


def _inner(words: Words, node: nodes.Series) -> str:
    said = words.of(node)
    return f"({said})" if isinstance(node, nodes.And | nodes.Or | nodes.Case) and node not in words.named else said


def _these(words: Words, node: nodes.CountTrue) -> str:
    return "; ".join(words.of(operand) for operand in node.operands)


def _term(words: Words, node: nodes.Series) -> str:
    """Say a side of a sum or product; what is one itself stands in brackets."""
    said = words.of(node)
    return f"({said})" if isinstance(node, nodes.Arithmetic | nodes.Case | nodes.Coalesce) else said


def _exists(words: Words, node: nodes.Exists) -> str:
    return _frame(words, node.frame, "recorded")


def _not(words: Words, node: nodes.Not) -> str:
    if isinstance(node.operand, nodes.IsMissing):
        return f"{words.of(node.operand.operand)} is known"
    if isinstance(node.operand, nodes.Exists):
        return f"no {words.of(node.operand)}"
    if isinstance(node.operand, nodes.HasCodes):
        return f"there are no codes for {words.codelist(node.operand.codelist)}"
    return f"not: {_inner(words, node.operand)}"


def _date_add(words: Words, node: nodes.DateAdd) -> str:
    born = isinstance(node.date, nodes.PatientFact) and node.date.name == "date_of_birth"
    constant = node.duration.value if isinstance(node.duration, nodes.Constant) else None
    if node.sign < 0 and constant == Duration(1, Unit.DAYS) and isinstance(node.date, nodes.SeasonStart):
        return _season_start(words, node.date, -1)
    if born and node.sign > 0 and isinstance(constant, Duration) and constant.unit is Unit.YEARS:
        return f"the {ordinal(constant.count)} birthday"
    forward = (node.sign > 0) is not (isinstance(constant, Duration) and constant.count < 0)
    length = str(Duration(abs(constant.count), constant.unit)) if isinstance(constant, Duration) else None
    return f"{length or words.of(node.duration)} {'after' if forward else 'before'} {words.of(node.date)}"


def _season_start(words: Words, node: nodes.SeasonStart, days: int = 0) -> str:
    """Say a day of the year; with `days` -1, the day before it: the last one of what ends there."""
    day = date(2001, node.month, node.day) + timedelta(days=days)
    said = f"{day.day} {day:%B}"
    before = _next_season(node)
    if before is not None:
        return f"the {said} after {words.of(before)}"
    if days:
        return f"the day before {_season_start(words, node)}"
    return f"the latest {said}" if _today(node.date) else f"the latest {said} on or before {words.of(node.date)}"


def _next_season(node: nodes.Series) -> nodes.SeasonStart | None:
    """Give the day of the year after which this one is the next: it is looked for up to a year later."""
    match node:
        case nodes.SeasonStart(
            date=nodes.DateAdd(
                date=nodes.SeasonStart() as before,
                duration=nodes.Constant(value=Duration(count=1, unit=Unit.YEARS)),
                sign=1,
            )
        ):
            return before
    return None


def _difference(words: Words, node: nodes.DateDifference) -> str:
    if isinstance(node.start, nodes.PatientFact) and node.start.name == "date_of_birth":
        return "age" if isinstance(node.end, nodes.IndexDate) else f"age on {words.of(node.end)}"
    unit = node.unit if node.unit is Unit.DAYS else f"completed {node.unit}"
    return f"{unit} from {words.of(node.start)} to {words.of(node.end)}"


def _case(words: Words, node: nodes.Case) -> str:
    parts = [
        f"{_branch(words, value)} if {words.of(condition)}"
        for condition, value in zip(node.conditions, node.values, strict=True)
    ]
    if node.otherwise is not None:
        parts.append(f"otherwise {_branch(words, node.otherwise)}")
    return "; ".join(parts)


def _branch(words: Words, node: nodes.Series) -> str:
    if isinstance(node, nodes.Constant):
        return {True: "yes", False: "no"}[node.value] if isinstance(node.value, bool) else label(node.value)
    return words.of(node)


def _extreme(words: Words, node: nodes.Extreme) -> str:
    of_two, of_more = EXTREMES[node.type == "date", node.highest]
    word = of_two if len(node.operands) <= 2 else of_more  # noqa: PLR2004 - English has a form for two
    return f"the {word} of ({listed([words.of(item) for item in node.operands], 'and')})"


def _coalesce(words: Words, node: nodes.Coalesce) -> str:
    *first, last = node.operands
    if not first:
        return words.of(last)
    known = [_inner(words, item) for item in first]
    of = known[0] if len(known) == 1 else f"the first known of {listed(known, 'and')}"
    if isinstance(last, nodes.Constant):
        return f"{of}, or {words.of(last)} where that is not known"
    return f"the first known of {listed([*known, _inner(words, last)], 'and')}"


def _nth_earliest(words: Words, node: nodes.NthEarliest) -> str:
    days = "; ".join(words.of(day) for day in node.operands)
    return f"the day by which {words.of(node.number)} of these have come: ({days})"


def _constant(_words: Words, node: nodes.Constant) -> str:
    if isinstance(node.value, bool):
        return "always" if node.value else "never"
    return scalar(node.value)


_WORDS: Mapping[type[nodes.Node], Callable[..., str]] = {
    nodes.Rows: _rows,
    nodes.Filter: _frame,
    nodes.Near: _frame,
    nodes.InUnit: _in_unit,
    nodes.FirstOfEach: lambda words, node: f"{words.of(node.frame)} that begins a new {words.codelist(node.codelist)}",
    nodes.Pick: _pick,
    nodes.PickValue: _pick_value,
    nodes.RowValue: _row_value,
    nodes.Constant: _constant,
    nodes.IndexDate: lambda _words, _node: "the index date",
    nodes.ParameterValue: lambda _words, node: f"the parameter ‘{node.name}’",
    nodes.PatientFact: lambda _words, node: FACTS[node.name],
    nodes.Exists: _exists,
    nodes.Count: lambda words, node: f"the number of {_frame(words, node.frame)}",
    nodes.CountDays: lambda words, node: f"the number of days with {_frame(words, node.frame)}",
    nodes.Mean: lambda words, node: f"the mean value of {_frame(words, node.frame)}",
    nodes.Compare: _compare,
    nodes.IsIn: _is_in,
    nodes.And: _and,
    nodes.Or: _or,
    nodes.Not: _not,
    nodes.IsMissing: lambda words, node: f"{words.of(node.operand)} is not recorded",
    nodes.Arithmetic: lambda words, node: f"{_term(words, node.left)} {ARITHMETIC[node.op]} {_term(words, node.right)}",
    nodes.DateAdd: _date_add,
    nodes.DateDifference: _difference,
    nodes.SeasonStart: _season_start,
    nodes.Case: _case,
    nodes.Extreme: _extreme,
    nodes.Coalesce: _coalesce,
    nodes.CountTrue: lambda words, node: f"how many of these hold: ({_these(words, node)})",
    nodes.NthEarliest: _nth_earliest,
    nodes.Named: lambda _words, node: node.title,
    nodes.HasCodes: lambda words, node: f"there are codes for {words.codelist(node.codelist)}",
}
