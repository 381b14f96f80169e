"""The nodes that every rule is made of: frames (many rows a patient), picks (one row), series (one value).

Nodes are data: frozen, typed, serialisable, and interned, so that two rules that say the same thing hold the same
object and an engine can share its work by identity. Not here: how authors write them (`language`), what they mean
(`interpreter`), how they become JSON (`serialise`).
"""
# Longer than 400 lines because the whole vocabulary of rules is one closed set of types.

from __future__ import annotations

import dataclasses
import enum
import threading
import weakref
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, dataclass_transform

from cohortium_plugins.errors import DefinitionError
from cohortium_plugins.model.values import Conversion, Scalar, Unit, ValueType

__all__ = [
    "FACTS", "ROW_COLUMNS", "TABLES", "And", "Arithmetic", "ArithmeticOp", "Case", "Coalesce", "Compare",
    "CompareOp", "Constant", "Count", "CountDays", "CountTrue", "DateAdd", "DateDifference", "Exists", "Extreme",
    "Filter", "FirstOfEach", "Frame", "HasCodes", "How", "InUnit", "IndexDate", "IsIn", "IsMissing", "Mean",
    "Named", "Near", "Node", "Not", "NthEarliest", "Or", "ParameterValue", "PatientFact", "Pick", "PickValue",
    "RowValue", "Rows", "SeasonStart", "Series", "children", "own_parts", "rows_of", "walk",
]  # fmt: skip

FACTS: dict[str, ValueType] = {
    "date_of_birth": ValueType.DATE,
    "sex": ValueType.TEXT,
    "ethnicity": ValueType.TEXT,
    "imd_decile": ValueType.NUMBER,
    "practice": ValueType.TEXT,
    "date_of_death": ValueType.DATE,
    "is_registered": ValueType.BOOL,
    "registered_since": ValueType.DATE,
    "records_to": ValueType.DATE,
}
"""What is known of a patient without looking at coded entries. `is_registered`: registered and alive at the index date;
`registered_since`: start of that registration; `records_to`: the day the practice's records run to, or the index date
when that is earlier; `date_of_death`: None when after the index date."""

TABLES: dict[str, tuple[str, ...]] = {
    "events": ("date", "code", "category", "value", "unit", "episode", "source"),
    "medications": ("date", "code", "category", "source"),
    "consultations": ("date", "kind", "source"),
    "registrations": ("date", "end_date", "practice"),
    "contacts": ("date", "kind", "relationship", "source"),
}
"""The tables a frame can stand on and the columns its rows have. A registration's date is its start."""

ROW_COLUMNS: dict[str, ValueType] = {
    "date": ValueType.DATE,
    "end_date": ValueType.DATE,
    "code": ValueType.CODE,
    "category": ValueType.TEXT,
    "value": ValueType.NUMBER,
    "unit": ValueType.TEXT,
    "episode": ValueType.TEXT,
    "kind": ValueType.TEXT,
    "relationship": ValueType.TEXT,
    "practice": ValueType.TEXT,
    "source": ValueType.TEXT,
}


class _Interned(type):
    """Gives one object for one meaning: equal class and arguments return the node made before."""

    _made: ClassVar[weakref.WeakValueDictionary[Hashable, Any]] = weakref.WeakValueDictionary()
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __call__(cls, *args: Any, **named: Any) -> Any:  # noqa: ANN401 - a metaclass serves every node class
        node = super().__call__(*args, **named)
        key = (cls, *(_key(getattr(node, name)) for name in _field_names(node)))
        with _Interned._lock:
            return _Interned._made.setdefault(key, node)


def _key(value: object) -> Hashable:
    """Tell True from 1 and 1 from 1.0, which Python holds equal."""
    if isinstance(value, tuple):
        return tuple(_key(item) for item in value)
    return (type(value), value)


def _field_names(node: Any) -> list[str]:  # noqa: ANN401
    return [field.name for field in dataclasses.fields(node)]


@dataclass_transform(frozen_default=True, eq_default=False)
class Node(metaclass=_Interned):
    """Anything a rule is made of. Compared by identity, which interning makes the same as by meaning."""

    __slots__ = ("__weakref__",)


class Series(Node):
    """One value a patient and index date. Unknown is None."""

    __slots__ = ()

    @property
    def type(self) -> ValueType:
        """What the series holds."""
        raise NotImplementedError


class Frame(Node):
    """Many rows a patient, none of them after the index date."""

    __slots__ = ()

    @property
    def table(self) -> str:
        """The table that the rows come from."""
        raise NotImplementedError


# --- frames and picks -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Rows(Frame):
    """The patient's rows of a table up to the index date; for coded tables, those whose code is in the codelist."""

    name: str
    codelist: str | None = None

    @property
    def table(self) -> str:
        """The table that the rows come from."""
        return self.name


@dataclass(frozen=True, slots=True, eq=False)
class _Made(Frame):
    """A frame made of another one's rows."""

    frame: Frame

    @property
    def table(self) -> str:
        """The table that the rows come from."""
        return rows_of(self).name


@dataclass(frozen=True, slots=True, eq=False)
class Filter(_Made):
    """The frame's rows for which the condition is true (unknown drops the row). When a part of the condition that is
    about the patient cannot be decided, neither can the frame, whatever the rest of the condition says of a row.
    """

    condition: Series


@dataclass(frozen=True, slots=True, eq=False)
class FirstOfEach(_Made):
    """The rows that begin something: rows whose episode is `first` or `new`; and of rows that carry no episode, the
    earliest row of its group, when no row of the group comes before it. A group is the code's category in the
    grouping codelist; codes that are not in it are one group together.
    """

    codelist: str


@dataclass(frozen=True, slots=True, eq=False)
class Near(_Made):
    """The frame's rows that have a row of `other` near: one dated from `before` before the row to `after` after it,
    both ends included. `other` may stand on another table. A negative length moves the end the other way, so that
    `after` of -7 days asks for a row at least 7 days earlier. A row from which an end lies outside the years 1 to 9999
    is dropped. When the frame, `other` or a length cannot be decided (in this order), neither can this.
    """

    other: Frame
    before: Series
    after: Series

    @property
    def first(self) -> DateAdd:
        """The first day on which a row of `other` counts, for a row of the frame."""
        return DateAdd(RowValue("date"), self.before, -1)

    @property
    def last(self) -> DateAdd:
        """The last day on which it does."""
        return DateAdd(RowValue("date"), self.after, 1)


@dataclass(frozen=True, slots=True, eq=False)
class InUnit(_Made):
    """The frame's rows with `value` converted to one unit: that of a row already in the unit stays; where a conversion
    names the row's unit (None: the row has none), the value times its factor plus its offset, and the row is then in
    the unit. In any other unit the row has no value, and keeps the unit it has. A value that would grow beyond a
    double is none. The order of the rows is that of the frame.
    """

    unit: str
    conversions: tuple[Conversion, ...]


class How(enum.StrEnum):
    """Which row a pick takes. Rows of one day stand in the order of `Row.order`: entry, code, value, source, then what
    is left, unknown first.
    """

    EARLIEST = "earliest"
    LATEST = "latest"
    HIGHEST = "highest"
    LOWEST = "lowest"


@dataclass(frozen=True, slots=True, eq=False)
class Pick(Node):
    """One row of a frame: the first or last in time, or that with the highest or lowest value (of several, the last
    in time; rows without a value are not candidates).
    """

    frame: Frame
    how: How


# --- series -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Constant(Series):
    """A fixed value."""

    value: Scalar
    kind: ValueType

    @property
    def type(self) -> ValueType:
        """What the series holds."""
        return self.kind


@dataclass(frozen=True, slots=True, eq=False)
class IndexDate(Series):
    """The date the rule is evaluated as of."""

    @property
    def type(self) -> ValueType:
        """What the series holds."""
        return ValueType.DATE


@dataclass(frozen=True, slots=True, eq=False)
class ParameterValue(Series):
    """The value a tenant has chosen for a parameter of the pack; replaced by a constant before evaluation."""

    name: str
    kind: ValueType

    @property
    def type(self) -> ValueType:
        """What the series holds."""
        return self.kind


@dataclass(frozen=True, slots=True, eq=False)
class PatientFact(Series):
    """A fact of `FACTS`."""

    name: str

    @property
    def type(self) -> ValueType:
        """What the series holds."""
        return FACTS[self.name]


@dataclass(frozen=True, slots=True, eq=False)
class RowValue(Series):
    """A column of the row that a filter's condition looks at. Stands only inside `Filter.condition`."""

    column: str

    @property
    def type(self) -> ValueType:
        """What the series holds."""
        return ROW_COLUMNS[self.column]


@dataclass(frozen=True, slots=True, eq=False)
class PickValue(Series):
    """A column of the picked row; None when there is no row."""

    pick: Pick
    column: str

    @property
    def type(self) -> ValueType:
        """What the series holds."""
        return ROW_COLUMNS[self.column]


@dataclass(frozen=True, slots=True, eq=False)
class _BoolSeries(Series):
    @property
    def type(self) -> ValueType:
        """What the series holds."""
        return ValueType.BOOL


@dataclass(frozen=True, slots=True, eq=False)
class _NumberSeries(Series):
    @property
    def type(self) -> ValueType:
        """What the series holds."""
        return ValueType.NUMBER


@dataclass(frozen=True, slots=True, eq=False)
class _DateSeries(Series):
    @property
    def type(self) -> ValueType:
        """What the series holds."""
        return ValueType.DATE


@dataclass(frozen=True, slots=True, eq=False)
class Exists(_BoolSeries):
    """Whether the frame has a row."""

    frame: Frame


@dataclass(frozen=True, slots=True, eq=False)
class Count(_NumberSeries):
    """How many rows the frame has; 0 when none."""

    frame: Frame


@dataclass(frozen=True, slots=True, eq=False)
class CountDays(Count):
    """On how many days there is a row: one letter sent twice on a day is one invitation."""


@dataclass(frozen=True, slots=True, eq=False)
class Mean(_NumberSeries):
    """The mean of the rows' values, added one by one in the order of the rows; None when no row has one, or when the
    sum grows beyond what a double holds.
    """

    frame: Frame


class CompareOp(enum.StrEnum):
    """Comparisons of two values of one type."""

    EQ = "eq"
    NE = "ne"
    LT = "lt"
    LE = "le"
    GT = "gt"
    GE = "ge"


@dataclass(frozen=True, slots=True, eq=False)
class Compare(_BoolSeries):
    """A comparison; None when either side is."""

    op: CompareOp
    left: Series
    right: Series


@dataclass(frozen=True, slots=True, eq=False)
class IsIn(_BoolSeries):
    """Whether the value is one of those listed; None when unknown."""

    operand: Series
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True, eq=False)
class And(_BoolSeries):
    """True when all are; false when any is false, whatever is unknown of the rest."""

    operands: tuple[Series, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Or(_BoolSeries):
    """True when any is, whatever is unknown of the rest; false when all are."""

    operands: tuple[Series, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Not(_BoolSeries):
    """The opposite; None stays None."""

    operand: Series


@dataclass(frozen=True, slots=True, eq=False)
class IsMissing(_BoolSeries):
    """Whether the value is None. Never unknown itself, except where it cannot be decided."""

    operand: Series


class ArithmeticOp(enum.StrEnum):
    """Arithmetic on numbers. Division by zero gives None."""

    ADD = "add"
    SUBTRACT = "subtract"
    MULTIPLY = "multiply"
    DIVIDE = "divide"


@dataclass(frozen=True, slots=True, eq=False)
class Arithmetic(_NumberSeries):
    """Arithmetic on two numbers; None when either is, on division by zero, and when the result is beyond a double."""

    op: ArithmeticOp
    left: Series
    right: Series


@dataclass(frozen=True, slots=True, eq=False)
class DateAdd(_DateSeries):
    """A date moved by a duration, forward or (`sign` -1) back. Months and years keep the day of the month, or take
    the last day of a shorter one. None when the result lies outside the years 1 to 9999.
    """

    date: Series
    duration: Series
    sign: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class DateDifference(_NumberSeries):
    """Completed units from start to end; negative, by completed units, when end is before start."""

    start: Series
    end: Series
    unit: Unit


@dataclass(frozen=True, slots=True, eq=False)
class SeasonStart(_DateSeries):
    """The latest date with this month and day on or before the given date, which every year has: the day is at most 28.
    None before the year 1.
    """

    date: Series
    month: int
    day: int


@dataclass(frozen=True, slots=True, eq=False)
class Case(Series):
    """The value of the first branch whose condition is true, else `otherwise` (None when absent)."""

    conditions: tuple[Series, ...]
    values: tuple[Series, ...]
    otherwise: Series | None = None

    @property
    def type(self) -> ValueType:
        """What the series holds."""
        return self.values[0].type


@dataclass(frozen=True, slots=True, eq=False)
class Extreme(Series):
    """The least (`highest` false) or greatest of several values, leaving unknown ones out; None when all are. Durations
    have no order, here and in `Compare`: days and months do not compare.
    """

    highest: bool
    operands: tuple[Series, ...]

    @property
    def type(self) -> ValueType:
        """What the series holds."""
        return self.operands[0].type


@dataclass(frozen=True, slots=True, eq=False)
class Coalesce(Series):
    """The first value that is known."""

    operands: tuple[Series, ...]

    @property
    def type(self) -> ValueType:
        """What the series holds."""
        return self.operands[0].type


@dataclass(frozen=True, slots=True, eq=False)
class CountTrue(_NumberSeries):
    """How many of the conditions are true; unknown ones are not."""

    operands: tuple[Series, ...]


@dataclass(frozen=True, slots=True, eq=False)
class NthEarliest(_DateSeries):
    """The day with this place among several days in time, from 1, leaving unknown ones out; of equal days each has a
    place of its own. None when fewer are known. The place is a constant once a tenant's parameters are put in.
    """

    number: Series
    operands: tuple[Series, ...]


@dataclass(frozen=True, slots=True, eq=False)
class HasCodes(_BoolSeries):
    """Whether the codelist has codes: an empty one waits for a tenant's. Always known, and the same for everyone."""

    codelist: str


@dataclass(frozen=True, slots=True, eq=False)
class Named(Series):
    """A value with a name of its own, by which rules that use it are read. It is what its operand is."""

    title: str
    operand: Series

    @property
    def type(self) -> ValueType:
        """What the series holds."""
        return self.operand.type


def rows_of(frame: Frame) -> Rows:
    """Give the rows that a frame stands on. Those that `Near` only looks for are not."""
    while isinstance(frame, _Made):
        frame = frame.frame
    if not isinstance(frame, Rows):
        raise DefinitionError(f"{type(frame).__name__} stands on no table.")
    return frame


def children(node: Node) -> Iterator[Node]:
    """Yield the nodes that a node stands on, in the order of its fields."""
    for name in _field_names(node):
        value = getattr(node, name)
        if isinstance(value, Node):
            yield value
        elif isinstance(value, tuple):
            yield from (item for item in value if isinstance(item, Node))


def own_parts(series: Series) -> Iterator[Series]:
    """Yield a series and every series that it is made of, each once; what stands inside a frame or pick is not."""
    seen: dict[Series, None] = {series: None}
    stack = [series]
    while stack:
        part = stack.pop()
        yield part
        new = [child for child in children(part) if isinstance(child, Series) and child not in seen]
        seen.update(dict.fromkeys(new))
        stack.extend(new)


def walk(*roots: Node) -> Iterator[Node]:
    """Yield every distinct node under the roots, children before parents, in a fixed order."""
    seen: set[Node] = set()
    stack: list[tuple[Node, bool]] = [(root, False) for root in reversed(roots)]
    while stack:
        node, opened = stack.pop()
        if opened:
            yield node
        elif node not in seen:
            if len(seen) > 200_000:  # noqa: PLR2004 - a bound on hostile input, far above any real pack
                raise DefinitionError("A definition has more than 200,000 parts.", "Split the pack.")
            seen.add(node)
            stack.append((node, True))
            stack.extend((child, False) for child in reversed(list(children(node))))
