"""What an indicator says of a patient, in DuckDB: `cohortium_plugins.status`, line by line.

Here: status and reason as columns of the patient, and the rows of results, members and lists made from them. Not here:
the values that a status is decided from (`duckdb_patients`).
"""
# Longer than 400 lines because a status and every row that shows one are written in one place, as in `status`.

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from cohortium_platform.engine import sql
from cohortium_platform.engine.duckdb_outlook import Outlook, least
from cohortium_platform.engine.duckdb_patients import PatientScope
from cohortium_platform.engine.duckdb_results import Told, told_column
from cohortium_platform.engine.evaluated import MAY_CHANGE, RESULT_COLUMNS, STATUS_CODES, Kind
from cohortium_platform.engine.plan import AGE, EVENT_COLUMNS, SEX, Plan
from cohortium_platform.engine.sql import Sql
from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import Cohort, Indicator
from cohortium_plugins.model.nodes import CompareOp
from cohortium_plugins.model.values import Status, ValueType
from cohortium_plugins.status import UNDECIDED

__all__ = [
    "MEMBERSHIP_UNTIL", "Outputs", "compile_held_back", "compile_outputs", "member_column", "reason_column",
    "status_column",
]  # fmt: skip

OPEN = (Status.DUE, Status.OVERDUE)
DECIDED = tuple(status for status in Status if status not in UNDECIDED)
"""Statuses that show values, dates and events."""

_SHOWN = ("value", "value_code", "value_text", "event_date", "event_code", "event_source")
_ORDER = ("practice", "patient_id", "index_date", "position")

MEMBERSHIP_UNTIL, NEXT_RECORDED = "membership_until", "next_recorded"
"""Columns of a person that hold for all their rows: see `duckdb_outlook` and `duckdb_records`."""

POSITION = "position"
"""The column that puts rows of one patient and date in the order of the definition."""


def member_column(cohort: int) -> str:
    """Name the column that tells whether someone is in a cohort."""
    return f"member_{cohort}"


def status_column(indicator: int) -> str:
    """Name the column with an indicator's status, as a number."""
    return f"status_{indicator}"


def reason_column(indicator: int) -> str:
    """Name the column with the reason of an indicator that is not evaluated."""
    return f"reason_{indicator}"


@dataclass(frozen=True, slots=True)
class Outputs:
    """The columns that results, members and lists are made of, and the query that gives each of them from the table
    that has these columns. A list takes one parameter, its index date. Results come as one row a person and index date,
    which `duckdb_results` takes apart by what they have `told`.
    """

    columns: tuple[str, ...]
    queries: Mapping[Kind, Sql]
    told: Told


def compile_outputs(plan: Plan, scope: PatientScope, source: str, outlook: Outlook | None = None) -> Outputs:
    """Bind every status, and write what is read from the finished table `source`."""
    writer = _Writer(plan, scope, source, outlook)
    cohorts = list(enumerate(plan.rules.cohorts))
    queries = {
        Kind.RESULTS: writer.results(),
        Kind.MEMBERS: _listed([writer.members(number, cohort) for number, cohort in cohorts]),
        Kind.LIST: _listed([writer.listed(number, cohort) for number, cohort in cohorts]),
    }
    return Outputs(tuple(writer.columns), queries, writer.told())


def compile_held_back(plan: Plan, source: str) -> exp.Select:
    """Write the query that holds back what turned only after a practice's records end: `status.result_of`."""
    cohorts = {cohort.name: number for number, cohort in enumerate(plan.rules.cohorts)}
    now, then = "f", "b"
    unknown = sql.integer(STATUS_CODES[Status.NOT_APPLICABLE])
    replaced = {}
    for number, indicator in enumerate(plan.rules.indicators):
        status = sql.column(status_column(number), now)
        member = sql.column(member_column(cohorts[indicator.cohort]), then)
        before = sql.case([(member, sql.column(status_column(number), then))], unknown.copy())
        turned = sql.all_of(
            [
                sql.binary(exp.LT, sql.column("records_end", now), sql.column("as_of", now)),
                sql.binary(exp.NEQ, status, unknown.copy()),
                sql.binary(exp.NEQ, before, status.copy()),
            ]
        )
        reason = exp.DPipe(
            this=sql.text("records_to:"), expression=sql.cast(sql.column("records_end", now), ValueType.TEXT)
        )
        replaced[status_column(number)] = sql.case([(turned, _code(Status.NOT_EVALUATED))], status.copy())
        replaced[reason_column(number)] = sql.case([(turned.copy(), reason)], sql.column(reason_column(number), now))
    everything = exp.Column(
        this=exp.Star(replace=[sql.aliased(value, name) for name, value in replaced.items()]), table=sql.name(now)
    )
    same = sql.all_of(
        [
            exp.EQ(this=sql.column("pid", then), expression=sql.column("pid", now)),
            exp.EQ(this=sql.column("as_of", then), expression=sql.column("records_end", now)),
        ]
    )
    query = sql.select([everything], sql.table(source, now))
    return query.join(sql.table(source, then), on=same, join_type="left", copy=False)


def _shown(of: Mapping[str, Sql], status: Sql) -> dict[str, Sql]:
    """Give of a result what its status shows: see `status._result`."""

    def visible(name: str, *statuses: Status) -> Sql:
        return _where(_is_one(status, statuses or DECIDED), of[name].copy())

    open_without = sql.all_of([_is_one(status, OPEN), sql.is_missing(of["due"].copy())])
    due = sql.call("coalesce", of["due"].copy(), of["begins"].copy())
    met = sql.call("coalesce", of["date"].copy(), of["event_date"].copy())
    opened = _is_one(status, (Status.EXCLUDED, *OPEN))
    return {
        "status": status.copy(),
        "reason": of["reason"],
        "due_date": sql.case([(_is_one(status, (Status.MET,)), of["renews"].copy()), (opened, due)]),
        "due_now": open_without,
        "met_date": _where(_is_one(status, (Status.MET,)), met),
        "adjustment": visible("adjustment", Status.EXCLUDED),
        "window_end": visible("due"),
        **{name: visible(name) for name in _SHOWN},
    }


def _where(condition: Sql, value: Sql) -> Sql:
    return value if _is_nothing(value) else sql.case([(condition, value)])


def _is_nothing(value: Sql) -> bool:
    return isinstance(value, exp.Null) or (isinstance(value, exp.Cast) and isinstance(value.this, exp.Null))


def _joined(parts: Sequence[exp.Select]) -> exp.Query:
    """Put rows of several indicators or cohorts together."""
    whole: exp.Query = parts[0]
    for part in parts[1:]:
        whole = exp.Union(this=whole, expression=part, distinct=False)
    return whole


def _listed(parts: Sequence[exp.Select]) -> exp.Select:
    """Put rows together and sort them by what nothing but their content decides."""
    source = exp.Subquery(this=_joined(parts), alias=exp.TableAlias(this=sql.name("r")))
    listed = [sql.column(part.alias) for part in parts[0].expressions if part.alias != POSITION]
    return sql.select(listed, source).order_by(*(sql.ordered(sql.column(name)) for name in _ORDER), copy=False)


class _Writer:
    def __init__(self, plan: Plan, scope: PatientScope, source: str, outlook: Outlook | None) -> None:
        self.plan, self.scope, self.source, self.outlook = plan, scope, source, outlook
        self.columns: dict[str, None] = {}

    # --- deciding -------------------------------------------------------------------------------------------------

    def decide(self, number: int) -> None:
        """Bind an indicator's status and reason."""
        indicator = self.plan.rules.indicators[number]
        scope = self.scope
        unsure = scope.reason(indicator.met)
        status = [
            (sql.negated(scope.value(indicator.applies)), _code(Status.NOT_APPLICABLE)),
            (sql.is_missing(scope.value(indicator.applies)), _code(Status.NOT_EVALUATED)),
        ]
        if unsure is not None:
            status.append((sql.is_known(unsure), _code(Status.NOT_EVALUATED)))
        status.append((scope.value(indicator.met), _code(Status.MET)))
        status.extend((scope.value(item.when), _code(Status.EXCLUDED)) for item in indicator.adjustments)
        in_time = sql.binary(exp.GTE, self.due(indicator), scope.fact("as_of"))
        status.append((in_time, _code(Status.DUE)))
        scope.bindings.define(status_column(number), sql.case(status, _code(Status.OVERDUE)))
        scope.bindings.define(reason_column(number), self._reason(number, indicator))

    def _reason(self, number: int, indicator: Indicator) -> Sql:
        scope = self.scope
        applies = scope.reason(indicator.applies)
        unknown = self._missing_fact(self.plan.definition.indicators[number])
        branches = [
            (
                sql.is_missing(scope.value(indicator.applies)),
                unknown if applies is None else sql.call("coalesce", applies, unknown),
            )
        ]
        unsure = scope.reason(indicator.met)
        if unsure is not None:
            branches.append((scope.value(indicator.applies), unsure))
        return sql.case(branches, sql.NULL(ValueType.TEXT))

    def _missing_fact(self, indicator: Indicator) -> Sql:
        """Name the first fact that is unknown, in the order in which the rule as written mentions them."""
        named = [node for node in nodes.walk(indicator.applies) if isinstance(node, nodes.PatientFact)]
        branches = [(sql.is_missing(self.scope.fact(fact.name)), sql.text(f"missing:{fact.name}")) for fact in named]
        return sql.case(branches, sql.text("missing:fact"))

    def due(self, indicator: Indicator) -> Sql:
        """Give the day on which it falls due, or began to apply."""
        begins = self.scope.value(indicator.begins)
        return begins if indicator.due is None else sql.call("coalesce", self.scope.value(indicator.due), begins)

    # --- rows -----------------------------------------------------------------------------------------------------

    def results(self) -> exp.Select:
        """Write a row a person and index date with what the results of all indicators say."""
        columns: dict[str, Sql] = {name: sql.column(name) for name in ("pid", "as_of", "practice", "patient_id")}
        members = dict.fromkeys(member for _, member in self.told().indicators)
        columns.update({name: sql.column(name) for name in members})
        kinds = {**RESULT_COLUMNS, MAY_CHANGE: ValueType.DATE}
        for number in range(len(self.plan.rules.indicators)):
            for name, value in self._result(number).items():
                if not _is_nothing(value):
                    whole = _as_code(value) if name == "status" else sql.cast(value, kinds[name])
                    columns[told_column(number, name)] = whole
        return self._select(columns, sql.any_of(sql.column(name) for name in members))

    def told(self) -> Told:
        """Tell what results are about: each indicator, and the column that tells its members."""
        cohorts = {cohort.name: number for number, cohort in enumerate(self.plan.rules.cohorts)}
        listed = tuple((item.name, member_column(cohorts[item.cohort])) for item in self.plan.rules.indicators)
        return Told(listed, ahead=self.outlook is not None)

    def _result(self, number: int) -> dict[str, Sql]:
        """Give what the rows of one indicator say."""
        self.decide(number)
        indicator = self.plan.rules.indicators[number]
        shown, event = indicator.shown, self._event(indicator.evidence)
        adjusted = [(self.scope.value(item.when), sql.text(item.name)) for item in indicator.adjustments]
        values = {
            "reason": sql.column(reason_column(number)),
            "due": self._optional(indicator.due),
            "begins": self.scope.value(indicator.begins),
            "renews": self._optional(indicator.renews),
            "date": self._optional(indicator.date),
            "value": self._optional(shown.number),
            "value_code": self._optional(shown.code),
            "value_text": self._optional(shown.text),
            "adjustment": sql.case(adjusted),
            **{f"event_{name}": value for name, value in event.items()},
        }
        status = sql.column(status_column(number))
        return {**_shown(values, status), **self._may_change([self._until(number)])}

    def _until(self, number: int) -> Sql:
        """Bind the day before which an indicator's row stays as it is, and give its column."""
        name = f"until_{number}"
        if self.outlook is None or name in self.scope.bindings:
            return sql.column(name)
        indicator, ahead = self.plan.rules.indicators[number], self.outlook
        series = [node for node in indicator.nodes() if isinstance(node, nodes.Series)]
        due = [day for day in (indicator.due, indicator.begins) if day is not None]
        passing = [ahead.until(nodes.Compare(CompareOp.GE, day, nodes.IndexDate())) for day in due]
        picks = [ahead.taken(pick) for pick in indicator.evidence]
        applies = ahead.until(indicator.applies)
        unknown = sql.NULL(ValueType.DATE)
        everything = least([*(ahead.until(node) for node in series), *passing, *picks]) or unknown
        elsewhere = sql.binary(
            exp.EQ, sql.column(status_column(number)), sql.integer(STATUS_CODES[Status.NOT_APPLICABLE])
        )
        until = sql.case([(elsewhere, applies or unknown.copy())], everything)
        self.scope.bindings.define(name, until)
        return sql.column(name)

    def _may_change(self, days: Sequence[Sql | None]) -> dict[str, Sql]:
        """Give the column that says so, for the last index date, with what holds for a person as a whole."""
        if self.outlook is None:
            return {}
        found = least([sql.column(NEXT_RECORDED), sql.column(MEMBERSHIP_UNTIL), *days]) or sql.NULL(ValueType.DATE)
        last = sql.binary(exp.EQ, sql.column("as_of"), sql.call("getvariable", sql.text("last_day")))
        known = sql.binary(exp.LTE, found.copy(), sql.literal(dt.date.max, ValueType.DATE))
        return {MAY_CHANGE: sql.case([(sql.all_of([last, known]), found)], sql.NULL(ValueType.DATE))}

    def _member_until(self, cohort: Cohort) -> Sql | None:
        """Give the day before which what a list shows of a member beside statuses stays as it is."""
        if self.outlook is None:
            return None
        rules = [node for node in cohort.nodes() if isinstance(node, nodes.Series) and node is not cohort.members]
        series = [*rules, AGE, SEX, *(stratifier.value for stratifier in self.plan.rules.stratifiers)]
        origin = None if cohort.origin is None else self.outlook.taken(cohort.origin)
        return least([*(self.outlook.until(node) for node in series), origin])

    def _event(self, evidence: Sequence[nodes.Pick]) -> dict[str, Sql]:
        """Give the latest of the picked rows, the first listed of those on one day."""
        if not evidence:
            return {column: exp.Null() for column in EVENT_COLUMNS}
        if len(evidence) == 1:
            return {column: self.scope.picked(evidence[0], column) for column in EVENT_COLUMNS}

        def latest() -> Sql:
            return sql.call("greatest", *(self.scope.picked(pick, "date") for pick in evidence))

        def of(column: str) -> Sql:
            return sql.case(
                (sql.binary(exp.EQ, self.scope.picked(pick, "date"), latest()), self.scope.picked(pick, column))
                for pick in evidence
            )

        return {column: of(column) for column in EVENT_COLUMNS}

    def _optional(self, node: nodes.Series | None) -> Sql:
        return exp.Null() if node is None else self.scope.value(node)

    def members(self, number: int, cohort: Cohort) -> exp.Select:
        """Write the rows of one cohort's members."""
        fixed = {
            "patient_id": sql.column("patient_id"),
            "practice": sql.column("practice"),
            "cohort": sql.text(cohort.name),
            "index_date": sql.column("as_of"),
        }
        order = {POSITION: sql.integer(number)}
        columns = {**fixed, **self._member_columns(cohort), **self._strata(), **order}
        return self._select(columns, sql.column(member_column(number)))

    def _member_columns(self, cohort: Cohort) -> dict[str, Sql]:
        shown = cohort.shown
        values = {
            "since": (self.scope.value(cohort.since), ValueType.DATE),
            "shown_number": (self._optional(shown.number), ValueType.NUMBER),
            "shown_code": (self._optional(shown.code), ValueType.CODE),
            "shown_text": (self._optional(shown.text), ValueType.TEXT),
        }
        origin = self._event(() if cohort.origin is None else (cohort.origin,))
        values["origin_date"] = (origin["date"], ValueType.DATE)
        values["origin_code"] = (origin["code"], ValueType.CODE)
        return {name: sql.cast(value, kind) for name, (value, kind) in values.items()}

    def _strata(self) -> dict[str, Sql]:
        made = {}
        for stratifier in self.plan.rules.stratifiers:
            made[stratifier.name] = self.scope.value(stratifier.value)
            made[f"{stratifier.name}__reason"] = self.scope.reason(stratifier.value) or sql.NULL(ValueType.TEXT)
        return made

    def listed(self, number: int, cohort: Cohort) -> exp.Select:
        """Write one line a member with every indicator's status: what a page of a list shows."""
        mine = [i for i, indicator in enumerate(self.plan.rules.indicators) if indicator.cohort == cohort.name]
        fixed = {
            "patient_id": sql.column("patient_id"),
            "practice": sql.column("practice"),
            "cohort": sql.text(cohort.name),
            "index_date": sql.column("as_of"),
            "gaps": _how_many(mine, Status.OVERDUE),
            "due": _how_many(mine, Status.DUE),
            "age": exp.Cast(this=self.scope.value(AGE), to=exp.DataType.build("SMALLINT")),
            "sex": self.scope.value(SEX),
        }
        statuses = {
            indicator.name: exp.Cast(
                this=sql.column(status_column(i)) if i in mine else exp.Null(),
                to=exp.DataType.build("UTINYINT", dialect="duckdb"),
            )
            for i, indicator in enumerate(self.plan.rules.indicators)
        }
        named = {f"status:{name}": value for name, value in statuses.items()}
        order = {POSITION: sql.integer(number)}
        ahead = self._may_change([self._member_until(cohort), *(self._until(i) for i in mine)])
        rest = {**self._member_columns(cohort), **self._strata(), **named, **ahead, **order}
        query = self._select({**fixed, **rest}, sql.column(member_column(number)))
        last = sql.binary(exp.EQ, sql.column("as_of"), exp.Parameter(this=exp.Literal.number("1")))
        return query.where(last, copy=False)

    def _select(self, columns: Mapping[str, Sql], members: Sql) -> exp.Select:
        asked = [*columns.values(), members, sql.column("main")]
        self.columns.update(dict.fromkeys(column.name for value in asked for column in sql.columns_in(value)))
        listed = [sql.aliased(value, name) for name, value in columns.items()]
        wanted = sql.all_of([sql.column("main"), members])
        return sql.select(listed, sql.table(self.source)).where(wanted, copy=False)


def _code(status: Status) -> Sql:
    return sql.integer(STATUS_CODES[status])


def _as_code(status: Sql) -> Sql:
    return exp.Cast(this=status, to=exp.DataType.build("UTINYINT", dialect="duckdb"))


def _is_one(status: Sql, options: Sequence[Status]) -> Sql:
    return sql.is_in(status.copy(), [_code(option) for option in options])


def _how_many(indicators: Sequence[int], status: Status) -> Sql:
    count = sql.integer(0)
    for number in indicators:
        is_so = sql.binary(exp.EQ, sql.column(status_column(number)), _code(status))
        count = sql.binary(exp.Add, count, sql.case([(is_so, sql.integer(1))], sql.integer(0)))
    return exp.Cast(this=count, to=exp.DataType.build("USMALLINT", dialect="duckdb"))
