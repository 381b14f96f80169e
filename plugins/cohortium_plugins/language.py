"""What pack authors write. Everything here only builds data (`model`); nothing is evaluated.

    cancer = events("cancer-diagnosis").on_or_after(date(2003, 4, 1))
    diagnosis = cancer.earliest()
    due = diagnosis.date + months(12)

Frames (`events`, `medications`, `consultations`, `registrations`, `contacts`) hold many rows a patient and end at the
index date. A pick (`earliest`, `latest`, `highest`, `lowest`) is one row. Series are one value a patient, and combine
with `&`, `|`, `~`, comparisons and arithmetic. Cohorts and indicators are in `authoring`.
"""
# Longer than 250 lines because authors find the whole vocabulary in one place.

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING, Generic, NoReturn, Self, TypeVar, cast, overload

from cohortium_plugins import places, windows
from cohortium_plugins.errors import DefinitionError, UnknownWord, nearest
from cohortium_plugins.measures import Measure, check_units, unit_of_frame
from cohortium_plugins.model import nodes
from cohortium_plugins.model.nodes import CompareOp, How
from cohortium_plugins.model.values import Duration, Scalar, Unit, ValueType

if TYPE_CHECKING:
    from cohortium_plugins.seasons import Season

__all__ = [
    "BoolSeries",
    "CodeSeries",
    "DateSeries",
    "DurationSeries",
    "Frame",
    "Measure",
    "NumberSeries",
    "Pick",
    "Series",
    "TextSeries",
    "all_of",
    "any_of",
    "case",
    "coalesce",
    "code",
    "consultations",
    "contacts",
    "count_true",
    "days",
    "days_between",
    "end_date",
    "entry_date",
    "episode",
    "events",
    "has_codes",
    "index_date",
    "kind",
    "maximum_of",
    "medications",
    "minimum_of",
    "months",
    "months_between",
    "named",
    "nth_earliest",
    "otherwise",
    "patient",
    "registrations",
    "relationship",
    "season_start",
    "source",
    "text",
    "unit",
    "value",
    "weeks",
    "weeks_between",
    "when",
    "wrap",
    "years",
    "years_between",
]  # fmt: skip


def days(count: int) -> Duration:
    """A number of days."""
    return Duration(count, Unit.DAYS)


def weeks(count: int) -> Duration:
    """A number of weeks of seven days."""
    return Duration(count, Unit.WEEKS)


def months(count: int) -> Duration:
    """A number of months; the day of the month is kept, or the last day of a shorter month taken."""
    return Duration(count, Unit.MONTHS)


def years(count: int) -> Duration:
    """A number of years; 29 February becomes 28 February in a year without one."""
    return Duration(count, Unit.YEARS)


# --- series -----------------------------------------------------------------------------------------------------


class _Spoken:
    """Something of which a misspelt word is answered with the nearest one."""

    __slots__ = ()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            """Say which word is nearest."""
            if name.startswith("_"):
                raise AttributeError(name)
            known = [word for word in dir(type(self)) if not word.startswith("_")]
            raise UnknownWord(f"{type(self).__name__.lstrip('_')} has no {name}.", nearest(name, known))


class Series(_Spoken):
    """One value a patient and index date. Unknown is None, and three-valued logic holds as in SQL."""

    __slots__ = ("node",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, node: nodes.Series) -> None:
        self.node = node

    def __bool__(self) -> NoReturn:
        raise DefinitionError(
            "A rule has no truth value while it is being written.", "Use & for and, | for or, ~ for not."
        )

    def _compare(self, op: CompareOp, other: object) -> BoolSeries:
        return BoolSeries(_in_one_unit(nodes.Compare(op, self.node, as_node(other, like=self.node))))

    def __eq__(self, other: object) -> BoolSeries:  # type: ignore[override]
        return self._compare(CompareOp.EQ, other)

    def __ne__(self, other: object) -> BoolSeries:  # type: ignore[override]
        return self._compare(CompareOp.NE, other)

    @property
    def is_missing(self) -> BoolSeries:
        """Whether the value is unknown."""
        return BoolSeries(nodes.IsMissing(self.node))

    @property
    def is_known(self) -> BoolSeries:
        """Whether there is a value."""
        return BoolSeries(nodes.Not(nodes.IsMissing(self.node)))

    def is_in(self, *values: Scalar) -> BoolSeries:
        """Whether the value is one of those listed."""
        if not values:
            raise DefinitionError("is_in() needs at least one value.", "List the values that count.")
        for item in values:
            as_node(item, like=self.node)
        return BoolSeries(nodes.IsIn(self.node, values))


class BoolSeries(Series):
    """True, false or unknown."""

    __slots__ = ()

    def __and__(self, other: BoolSeries | bool) -> BoolSeries:
        return all_of(self, other)

    def __or__(self, other: BoolSeries | bool) -> BoolSeries:
        return any_of(self, other)

    def __invert__(self) -> BoolSeries:
        return BoolSeries(nodes.Not(self.node))


class _Ordered(Series):
    __slots__ = ()

    def __lt__(self, other: object) -> BoolSeries:
        return self._compare(CompareOp.LT, other)

    def __le__(self, other: object) -> BoolSeries:
        return self._compare(CompareOp.LE, other)

    def __gt__(self, other: object) -> BoolSeries:
        return self._compare(CompareOp.GT, other)

    def __ge__(self, other: object) -> BoolSeries:
        return self._compare(CompareOp.GE, other)

    def between(self, low: object, high: object) -> BoolSeries:
        """Whether the value lies between two others, both ends included."""
        lowest, highest = as_node(low, like=self.node), as_node(high, like=self.node)
        if windows.wrong_way_round(lowest, highest):
            raise DefinitionError("The ends of this range are the wrong way round.", "Write the lower end first.")
        return (self >= low) & (self <= high)


class DateSeries(_Ordered):
    """A day."""

    __slots__ = ()

    def __add__(self, other: Duration | DurationSeries) -> DateSeries:
        return self._moved(other, 1)

    def __sub__(self, other: Duration | DurationSeries) -> DateSeries:
        return self._moved(other, -1)

    def in_season(self, season: Season) -> BoolSeries:
        """Whether the day lies in a season, both ends included."""
        return season.contains(self)

    def _moved(self, other: Duration | DurationSeries, sign: int) -> DateSeries:
        if isinstance(other, int | float):
            raise DefinitionError(
                "A date cannot move by a bare number.", f"Say a unit: days({other}), months({other})."
            )
        if isinstance(other, date | DateSeries) and sign > 0:
            raise DefinitionError("Two days cannot be added.", "Move a day by a length of time: date + months(3).")
        return DateSeries(nodes.DateAdd(self.node, as_node(other, kind=ValueType.DURATION), sign))


class NumberSeries(_Ordered):
    """A number; counts too."""

    __slots__ = ()

    def __add__(self, other: NumberSeries | float) -> NumberSeries:
        return self._combine(nodes.ArithmeticOp.ADD, other)

    def __sub__(self, other: NumberSeries | float) -> NumberSeries:
        return self._combine(nodes.ArithmeticOp.SUBTRACT, other)

    def __mul__(self, other: NumberSeries | float) -> NumberSeries:
        return self._combine(nodes.ArithmeticOp.MULTIPLY, other)

    def __truediv__(self, other: NumberSeries | float) -> NumberSeries:
        return self._combine(nodes.ArithmeticOp.DIVIDE, other)

    def __radd__(self, other: float) -> NumberSeries:
        return self + other

    def __rsub__(self, other: float) -> NumberSeries:
        return NumberSeries(as_node(other, like=self.node)) - self

    def __rmul__(self, other: float) -> NumberSeries:
        return self * other

    def __rtruediv__(self, other: float) -> NumberSeries:
        return NumberSeries(as_node(other, like=self.node)) / self

    def __neg__(self) -> NumberSeries:
        return self * -1

    def _combine(self, op: nodes.ArithmeticOp, other: object) -> NumberSeries:
        return NumberSeries(_in_one_unit(nodes.Arithmetic(op, self.node, as_node(other, like=self.node))))


class TextSeries(Series):
    """A word: a category, a kind, a letter."""

    __slots__ = ()


class CodeSeries(Series):
    """A SNOMED CT identifier."""

    __slots__ = ()


class DurationSeries(Series):
    """A length of time; only parameters give one. Lengths have no order: a month is longer than 30 days or not."""

    __slots__ = ()

    def _no_order(self, _other: object) -> NoReturn:
        raise DefinitionError("Durations have no order.", "Compare the dates that they lead to.")

    __lt__ = __le__ = __gt__ = __ge__ = _no_order


_WRAPPERS: dict[ValueType, type[Series]] = {
    ValueType.BOOL: BoolSeries,
    ValueType.DATE: DateSeries,
    ValueType.NUMBER: NumberSeries,
    ValueType.TEXT: TextSeries,
    ValueType.CODE: CodeSeries,
    ValueType.DURATION: DurationSeries,
}

S = TypeVar("S", bound=Series)
S_co = TypeVar("S_co", bound=Series, covariant=True)


def wrap(node: nodes.Series) -> Series:
    """Give the author's object for a series node."""
    return _WRAPPERS[node.type](node)


N = TypeVar("N", bound=nodes.Series)


def _in_one_unit(node: N) -> N:
    """Give the node, having made sure that its numbers are in one unit."""
    check_units(node)
    return node


def type_of(item: object) -> ValueType | None:
    """Give the type that a Python value has as a constant; None when it cannot be one."""
    for kinds, result in (
        ((bool,), ValueType.BOOL),
        ((int, float), ValueType.NUMBER),
        ((date,), ValueType.DATE),
        ((str,), ValueType.TEXT),
        ((Duration,), ValueType.DURATION),
    ):
        if isinstance(item, kinds):
            return result
    return None


def as_node(item: object, *, like: nodes.Series | None = None, kind: ValueType | None = None) -> nodes.Series:
    """Turn what an author wrote into a series node of the wanted type, or say what does not fit."""
    wanted = like.type if like is not None else kind
    if isinstance(item, Pick):
        raise DefinitionError("A picked row is not a value.", "Take one of its columns: .date, .value, .code.")
    if isinstance(item, Series):
        node = item.node
    else:
        found = type_of(item)
        if found is None:
            raise DefinitionError(
                f"{type(item).__name__} cannot stand in a rule.", "Use a date, number, text or series."
            )
        if found is ValueType.NUMBER and wanted is ValueType.CODE and isinstance(item, int):
            found = ValueType.CODE
        scalar = float(item) if found is ValueType.NUMBER else item  # type: ignore[arg-type]
        node = nodes.Constant(scalar, found)  # type: ignore[arg-type]
    if wanted is not None and node.type is not wanted:
        message = f"A {wanted} was expected here, and this is a {node.type}."
        raise DefinitionError(message, _MIXED.get((wanted, node.type), LIKE_WITH_LIKE))
    return node


LIKE_WITH_LIKE = "Compare like with like: dates with dates, numbers with numbers."
_MIXED: dict[tuple[ValueType, ValueType], str] = {
    (ValueType.NUMBER, ValueType.DATE): "From two days to a number: days_between(first, last), years_between(...).",
    (ValueType.DATE, ValueType.NUMBER): "From a day to another: date + days(7). Between days: days_between(...).",
    (ValueType.DATE, ValueType.DURATION): "A length of time is moved by: index_date - months(12).",
    (ValueType.DURATION, ValueType.DATE): "Between two days: days_between(first, last), months_between(...).",
    (ValueType.DURATION, ValueType.NUMBER): "Say a unit: days(7), months(12).",
    (ValueType.DATE, ValueType.TEXT): "Write date(2025, 4, 1), with `from datetime import date`.",
    (ValueType.NUMBER, ValueType.TEXT): "Write the number without quotes.",
    (ValueType.CODE, ValueType.TEXT): "Write the code without quotes.",
    (ValueType.TEXT, ValueType.NUMBER): "Write the word in quotes.",
    (ValueType.BOOL, ValueType.NUMBER): "Make a condition of it: count >= 1.",
}
"""What to write instead, by what was expected and what it is."""


# --- picks and frames -------------------------------------------------------------------------------------------


class Pick(_Spoken):
    """One row of a frame. Unknown values are None when there is no such row."""

    __slots__ = ("node",)

    def __init__(self, node: nodes.Pick) -> None:
        self.node = node

    def _column(self, name: str, wrapper: type[S]) -> S:
        columns = nodes.TABLES[self.node.frame.table]
        if name not in columns:
            raise DefinitionError(
                f"Rows of {self.node.frame.table} have no {name}.", f"They have {', '.join(columns)}."
            )
        return wrapper(nodes.PickValue(self.node, name))

    @property
    def exists(self) -> BoolSeries:
        """Whether there is such a row."""
        if self.node.how in (How.HIGHEST, How.LOWEST):
            return self._column("date", DateSeries).is_known
        return BoolSeries(nodes.Exists(self.node.frame))

    @property
    def date(self) -> DateSeries:
        """The row's day; a registration's first."""
        return self._column("date", DateSeries)

    @property
    def end_date(self) -> DateSeries:
        """The last day of a registration; unknown while it runs."""
        return self._column("end_date", DateSeries)

    @property
    def code(self) -> CodeSeries:
        """The row's code."""
        return self._column("code", CodeSeries)

    @property
    def category(self) -> TextSeries:
        """The code's category in the frame's codelist."""
        return self._column("category", TextSeries)

    @property
    def value(self) -> NumberSeries:
        """The row's number."""
        return self._column("value", NumberSeries)

    @property
    def unit(self) -> TextSeries:
        """The unit of the row's number, as the source wrote it."""
        return self._column("unit", TextSeries)

    @property
    def episode(self) -> TextSeries:
        """The episode type of the entry: first, new, review; unknown where the feed does not carry it."""
        return self._column("episode", TextSeries)

    @property
    def kind(self) -> TextSeries:
        """The kind of consultation or contact."""
        return self._column("kind", TextSeries)

    @property
    def relationship(self) -> TextSeries:
        """A contact's relationship code."""
        return self._column("relationship", TextSeries)

    @property
    def source(self) -> TextSeries:
        """Where the row came from."""
        return self._column("source", TextSeries)


class Frame(_Spoken):
    """Many rows a patient, none after the index date."""

    __slots__ = ("node",)

    def __init__(self, node: nodes.Frame) -> None:
        self.node = node

    def where(self, condition: BoolSeries) -> Self:
        """Keep rows for which a condition on their columns holds (`value >= 30`, `kind == "telephone"`)."""
        if not isinstance(condition, BoolSeries):
            raise DefinitionError("where() takes a condition.", 'Write where(value >= 30), or where(kind == "mobile").')
        columns = nodes.TABLES[self.node.table]
        for node in nodes.own_parts(condition.node):
            if isinstance(node, nodes.RowValue) and node.column not in columns:
                raise DefinitionError(
                    f"Rows of {self.node.table} have no {node.column}.", f"They have {', '.join(columns)}."
                )
            check_units(node, unit_of_frame(self.node))
        kept = nodes.Filter(self.node, condition.node)
        if (conflict := windows.conflict_in_frame(kept)) is not None:
            raise DefinitionError(f"This frame can never hold a row. {conflict}", "Swap or widen the bounds.")
        return type(self)(kept)

    def on_or_after(self, day: DateSeries | date) -> Self:
        """Keep rows on this day or later."""
        return self.where(entry_date >= day)

    def on_or_before(self, day: DateSeries | date) -> Self:
        """Keep rows on this day or earlier."""
        return self.where(entry_date <= day)

    def between(self, first: DateSeries | date, last: DateSeries | date) -> Self:
        """Keep rows from one day to another, both included."""
        return self.where(entry_date.between(first, last))

    def in_last(self, length: Duration | DurationSeries) -> Self:
        """Keep rows no older than this at the index date, both ends included."""
        return self.where(entry_date >= index_date - length)

    def in_season(self, season: Season, *, on: DateSeries | date | None = None) -> Self:
        """Keep rows of the season that a day lies in (the index date unless said), or of the last one before it."""
        day = index_date if on is None else on
        return self.between(season.start(day), season.end(day))

    def where_category(self, *categories: str) -> Self:
        """Keep rows whose code has one of these categories in the frame's codelist."""
        self._note_categories(categories)
        return self.where(category.is_in(*categories))

    def where_not_category(self, *categories: str) -> Self:
        """Leave out rows whose code has one of these categories; codes without a category stay."""
        self._note_categories(categories)
        return self.where(category.is_missing | ~category.is_in(*categories))

    def _note_categories(self, categories: Iterable[str]) -> None:
        for word in categories:
            places.note(f"category of {nodes.rows_of(self.node).codelist}", word)

    def first_of_each(self, codelist: str) -> Self:
        """Keep the rows that begin something: see `model.nodes.FirstOfEach`."""
        if "episode" not in nodes.TABLES[self.node.table]:
            raise DefinitionError("first_of_each() works on events.", "Start from events(...).")
        places.note("codelist", codelist)
        return type(self)(nodes.FirstOfEach(self.node, codelist))

    def within(self, length: Duration | DurationSeries, *, of: Frame) -> Self:
        """Keep rows that have a row of the other frame at most this long before or after them; the same day counts."""
        return self._near(of, length, length)

    def within_after(self, length: Duration | DurationSeries, other: Frame) -> Self:
        """Keep rows at most this long after a row of the other frame, or on the same day."""
        return self._near(other, length, days(0))

    def within_before(self, length: Duration | DurationSeries, other: Frame) -> Self:
        """Keep rows at most this long before a row of the other frame, or on the same day."""
        return self._near(other, days(0), length)

    def on_same_day_as(self, other: Frame) -> Self:
        """Keep rows on a day on which there is a row of the other frame."""
        return self._near(other, days(0), days(0))

    def _near(self, other: Frame, before: Duration | DurationSeries, after: Duration | DurationSeries) -> Self:
        if not isinstance(other, Frame):
            raise DefinitionError("Rows are near rows of another frame.", 'Write of=events("...").')
        for length in (before, after):
            if isinstance(length, Duration) and length.count < 0:
                raise DefinitionError(f"Nothing is within {length}.", f"Write {length.unit}({-length.count}).")
        lengths = [as_node(length, kind=ValueType.DURATION) for length in (before, after)]
        return type(self)(nodes.Near(self.node, other.node, *lengths))

    def measured(self, measure: Measure) -> Self:
        """Convert every value to the measure's unit; a value that does not convert is none. Conditions and picks after
        this see converted values, those before it the values as the source gave them.
        """
        self._needs_values()
        return type(self)(nodes.InUnit(self.node, measure.unit, measure.conversions))

    def nearest_before(self, day: DateSeries | date) -> Pick:
        """The last row on or before a day."""
        return self.on_or_before(day).latest()

    def nearest_after(self, day: DateSeries | date) -> Pick:
        """The first row on or after a day."""
        return self.on_or_after(day).earliest()

    def earliest(self) -> Pick:
        """The first row in time."""
        return Pick(nodes.Pick(self.node, How.EARLIEST))

    def latest(self) -> Pick:
        """The last row in time."""
        return Pick(nodes.Pick(self.node, How.LATEST))

    def highest(self) -> Pick:
        """The row with the highest value; of several, the last in time."""
        self._needs_values()
        return Pick(nodes.Pick(self.node, How.HIGHEST))

    def lowest(self) -> Pick:
        """The row with the lowest value; of several, the last in time."""
        self._needs_values()
        return Pick(nodes.Pick(self.node, How.LOWEST))

    @property
    def exists(self) -> BoolSeries:
        """Whether there is a row."""
        return BoolSeries(nodes.Exists(self.node))

    @property
    def count(self) -> NumberSeries:
        """How many rows there are."""
        return NumberSeries(nodes.Count(self.node))

    @property
    def count_days(self) -> NumberSeries:
        """On how many days there is a row."""
        return NumberSeries(nodes.CountDays(self.node))

    @property
    def mean(self) -> NumberSeries:
        """The mean of the rows' values."""
        self._needs_values()
        return NumberSeries(nodes.Mean(self.node))

    def _needs_values(self) -> None:
        if "value" not in nodes.TABLES[self.node.table]:
            raise DefinitionError(f"Rows of {self.node.table} have no values.", "Start from events(...).")


def events(codelist: str) -> Frame:
    """Coded entries whose code is in the codelist."""
    places.note("codelist", codelist)
    return Frame(nodes.Rows("events", codelist))


def medications(codelist: str) -> Frame:
    """Prescriptions and issues whose code is in the codelist."""
    places.note("codelist", codelist)
    return Frame(nodes.Rows("medications", codelist))


def consultations() -> Frame:
    """Consultations of every kind."""
    return Frame(nodes.Rows("consultations"))


def registrations() -> Frame:
    """Registrations with this practice, by first day."""
    return Frame(nodes.Rows("registrations"))


def contacts() -> Frame:
    """That a telephone number, address or next of kin is on record, and since when; never the number itself."""
    return Frame(nodes.Rows("contacts"))


# --- words for conditions on rows -------------------------------------------------------------------------------

entry_date = DateSeries(nodes.RowValue("date"))
end_date = DateSeries(nodes.RowValue("end_date"))
code = CodeSeries(nodes.RowValue("code"))
category = TextSeries(nodes.RowValue("category"))
value = NumberSeries(nodes.RowValue("value"))
unit = TextSeries(nodes.RowValue("unit"))
episode = TextSeries(nodes.RowValue("episode"))
kind = TextSeries(nodes.RowValue("kind"))
relationship = TextSeries(nodes.RowValue("relationship"))
source = TextSeries(nodes.RowValue("source"))

index_date = DateSeries(nodes.IndexDate())


class _Patient(_Spoken):
    """Facts of the patient, as at the index date."""

    date_of_birth = DateSeries(nodes.PatientFact("date_of_birth"))
    sex = TextSeries(nodes.PatientFact("sex"))
    ethnicity = TextSeries(nodes.PatientFact("ethnicity"))
    imd_decile = NumberSeries(nodes.PatientFact("imd_decile"))
    practice = TextSeries(nodes.PatientFact("practice"))
    date_of_death = DateSeries(nodes.PatientFact("date_of_death"))
    is_registered = BoolSeries(nodes.PatientFact("is_registered"))
    registered_since = DateSeries(nodes.PatientFact("registered_since"))
    records_to = DateSeries(nodes.PatientFact("records_to"))

    @property
    def age(self) -> NumberSeries:
        """Completed years at the index date."""
        return self.age_on(index_date)

    def age_on(self, day: DateSeries | date) -> NumberSeries:
        """Completed years on a day."""
        return years_between(self.date_of_birth, day)

    def birthday(self, age: int) -> DateSeries:
        """The day on which the patient reaches an age."""
        return self.date_of_birth + years(age)

    @property
    def imd_quintile(self) -> NumberSeries:
        """Fifth of deprivation, 1 the most deprived; two deciles each."""
        decile = self.imd_decile
        branches = [when(decile <= 2 * fifth).then(fifth) for fifth in (1, 2, 3, 4)]
        return case(*branches, when(decile.is_known).then(5))


patient = _Patient()

# --- functions --------------------------------------------------------------------------------------------------


def all_of(*conditions: BoolSeries | bool) -> BoolSeries:
    """Every condition holds."""
    return BoolSeries(nodes.And(_flat(nodes.And, conditions)))


def any_of(*conditions: BoolSeries | bool) -> BoolSeries:
    """At least one condition holds."""
    return BoolSeries(nodes.Or(_flat(nodes.Or, conditions)))


def _flat(kind: type[nodes.And | nodes.Or], conditions: Iterable[BoolSeries | bool]) -> tuple[nodes.Series, ...]:
    parts: list[nodes.Series] = []
    for condition in conditions:
        node = as_node(condition, kind=ValueType.BOOL)
        parts.extend(node.operands if isinstance(node, kind) else [node])
    return tuple(parts)


def count_true(*conditions: BoolSeries) -> NumberSeries:
    """How many of the conditions hold."""
    return NumberSeries(nodes.CountTrue(tuple(as_node(item, kind=ValueType.BOOL) for item in conditions)))


def minimum_of(first: S, *rest: S) -> S:
    """The least of several values, leaving unknown ones out."""
    return _extreme(False, first, *rest)  # noqa: FBT003


def maximum_of(first: S, *rest: S) -> S:
    """The greatest of several values, leaving unknown ones out."""
    return _extreme(True, first, *rest)  # noqa: FBT003


def _extreme(highest: bool, first: S, *rest: S) -> S:  # noqa: FBT001
    operands = (first.node, *(as_node(item, like=first.node) for item in rest))
    return type(first)(_in_one_unit(nodes.Extreme(highest, operands)))


def coalesce(first: S, *rest: S | Scalar) -> S:
    """The first value that is known."""
    operands = (first.node, *(as_node(item, like=first.node) for item in rest))
    return type(first)(_in_one_unit(nodes.Coalesce(operands)))


def nth_earliest(number: int | NumberSeries, *days: DateSeries) -> DateSeries:
    """The day by which so many of several days have come: the second earliest of three, say. Unknown days do not count;
    unknown when fewer are known. How many may be a parameter.
    """
    if isinstance(number, int) and not 1 <= number <= len(days):
        raise DefinitionError(f"There is no day number {number} of {len(days)}.", "Count from 1.")
    place = as_node(number, kind=ValueType.NUMBER)
    if not isinstance(place, nodes.Constant | nodes.ParameterValue):
        raise DefinitionError("How many days must have come is the same for everyone.", "Give a number or a parameter.")
    return DateSeries(nodes.NthEarliest(place, tuple(as_node(day, kind=ValueType.DATE) for day in days)))


def named(title: str, value: S) -> S:
    """Give a value a name, by which rules that use it are read: "on the asthma register". What the name stands for is
    said once.
    """
    return type(value)(nodes.Named(title, value.node))


def has_codes(codelist: str) -> BoolSeries:
    """Whether the codelist has codes. An empty one, which a tenant fills, leaves every rule over it undecided; where
    there is something to go by without it, say so: `~has_codes("x") | events("x").exists`.
    """
    places.note("codelist", codelist)
    return BoolSeries(nodes.HasCodes(codelist))


def season_start(day: DateSeries, month: int, day_of_month: int) -> DateSeries:
    """The latest such day of the year on or before a day: with 9 and 1, the first day of a flu season."""
    if not (1 <= month <= 12 and 1 <= day_of_month <= 28):  # noqa: PLR2004 - the calendar's own numbers
        raise DefinitionError("A season starts on a day that every year has.", "Use a month 1-12 and a day 1-28.")
    return DateSeries(nodes.SeasonStart(day.node, month, day_of_month))


def days_between(start: DateSeries | date, end: DateSeries | date) -> NumberSeries:
    """Days from one day to another."""
    return _difference(start, end, Unit.DAYS)


def weeks_between(start: DateSeries | date, end: DateSeries | date) -> NumberSeries:
    """Completed weeks from one day to another."""
    return _difference(start, end, Unit.WEEKS)


def months_between(start: DateSeries | date, end: DateSeries | date) -> NumberSeries:
    """Completed months from one day to another."""
    return _difference(start, end, Unit.MONTHS)


def years_between(start: DateSeries | date, end: DateSeries | date) -> NumberSeries:
    """Completed years from one day to another; from 31 December 2000 to 1 January 2001 it is 0."""
    return _difference(start, end, Unit.YEARS)


def _difference(start: DateSeries | date, end: DateSeries | date, unit: Unit) -> NumberSeries:
    kind = ValueType.DATE
    return NumberSeries(nodes.DateDifference(as_node(start, kind=kind), as_node(end, kind=kind), unit))


class _Branch(Generic[S_co]):
    def __init__(self, condition: BoolSeries | None, result: Series | Scalar) -> None:
        self.condition, self.result = condition, result


class _When:
    def __init__(self, condition: BoolSeries) -> None:
        self.condition = condition

    @overload
    def then(self, result: S) -> _Branch[S]: ...
    @overload
    def then(self, result: bool) -> _Branch[BoolSeries]: ...  # noqa: FBT001 - a value like any other
    @overload
    def then(self, result: str) -> _Branch[TextSeries]: ...
    @overload
    def then(self, result: float) -> _Branch[NumberSeries]: ...
    @overload
    def then(self, result: date) -> _Branch[DateSeries]: ...
    def then(self, result: Series | Scalar) -> _Branch[Series]:
        """Give the value of this branch."""
        return _Branch(self.condition, result)


def when(condition: BoolSeries) -> _When:
    """Begin a branch of `case`: the condition under which its value is taken."""
    return _When(condition)


@overload
def otherwise(result: S) -> _Branch[S]: ...
@overload
def otherwise(result: bool) -> _Branch[BoolSeries]: ...  # noqa: FBT001 - a value like any other
@overload
def otherwise(result: str) -> _Branch[TextSeries]: ...
@overload
def otherwise(result: float) -> _Branch[NumberSeries]: ...
@overload
def otherwise(result: date) -> _Branch[DateSeries]: ...
def otherwise(result: Series | Scalar) -> _Branch[Series]:
    """Give the last branch of `case`."""
    return _Branch(None, result)


def case(*branches: _Branch[S]) -> S:
    """The value of the first branch whose condition holds; unknown when none does and there is no `otherwise`."""
    conditions = [b.condition.node for b in branches if b.condition is not None]
    tested = [b for b in branches if b.condition is not None]
    if not tested or len(branches) - len(tested) > 1 or (len(tested) < len(branches) and branches[-1].condition):
        raise DefinitionError("case() takes when(...).then(...) branches and at most one otherwise(...), last.")
    first = as_node(tested[0].result)
    values = (first, *(as_node(b.result, like=first) for b in tested[1:]))
    last = as_node(branches[-1].result, like=first) if len(tested) < len(branches) else None
    return cast("S", wrap(_in_one_unit(nodes.Case(tuple(conditions), values, last))))


def text(constant: str) -> TextSeries:
    """A fixed word."""
    return TextSeries(nodes.Constant(constant, ValueType.TEXT))
