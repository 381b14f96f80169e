"""What an indicator says of a patient, in Spark: `cohortium_plugins.status`, line by line.

One line a person and index date comes out, with a list of results (one for each indicator of the cohorts they are in)
and a list of memberships, so that everything is worked out and fetched in one go. Not here: the values that a status
is decided from (`spark_patients`), and how lists become tables (`spark_tables`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlglot import exp

from cohortium_platform.engine import spark_sql, sql
from cohortium_platform.engine.evaluated import RESULT_COLUMNS, STATUS_CODES
from cohortium_platform.engine.plan import AGE, EVENT_COLUMNS, SEX, Plan
from cohortium_platform.engine.spark_patients import PatientScope
from cohortium_platform.engine.sql import Sql
from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import Cohort, Indicator
from cohortium_plugins.model.values import Status, ValueType
from cohortium_plugins.status import UNDECIDED

__all__ = ["LINE_KEYS", "MEMBERS", "POSITION", "RESULTS", "compile_lines", "member_column"]

LINE_KEYS = ("practice", "patient_id", "as_of")
RESULTS, MEMBERS, POSITION = "results", "members", "position"
"""The columns of lists, and the field that tells which indicator or cohort an item is about."""

OPEN = (Status.DUE, Status.OVERDUE)
DECIDED = tuple(status for status in Status if status not in UNDECIDED)
"""Statuses that show values, dates and events."""

_EARLIER = "earlier"
_KEPT = ("practice", "patient_id", "as_of", "main", "before", "records_end")


def member_column(cohort: int) -> str:
    """Name the column that tells whether someone is in a cohort."""
    return f"member_{cohort}"


def _status(indicator: int) -> str:
    return f"status_{indicator}"


def _reason(indicator: int) -> str:
    return f"reason_{indicator}"


def compile_lines(plan: Plan, scope: PatientScope, source: str, *, stale: bool) -> exp.Select:
    """Write the query that gives a line a member and index date. `stale`: some practice's records end before one."""
    writer = _Writer(plan, scope)
    lists = {RESULTS: writer.results(), MEMBERS: writer.members()}
    indicators, cohorts = range(len(plan.rules.indicators)), range(len(plan.rules.cohorts))
    kept = [*_KEPT, *(member_column(number) for number in cohorts)]
    wanted = dict.fromkeys(name for made in lists.values() if made is not None for name in _names(made))
    wanted.update(dict.fromkeys([*map(_status, indicators), *map(_reason, indicators)]))
    whole = sql.select([exp.Star()], sql.table(source))
    query = scope.bindings.select([name for name in wanted if name not in kept], whole, kept)
    if stale:
        query = _held_back(plan, query, list(wanted))
    columns: list[Sql] = [sql.column(name) for name in LINE_KEYS]
    columns.extend(sql.aliased(made, name) for name, made in lists.items() if made is not None)
    return sql.select(columns, query).where(sql.column("main"), copy=False)


def _names(made: Sql) -> Iterator[str]:
    return (column.name for column in sql.columns_in(made))


def _held_back(plan: Plan, query: exp.Select, wanted: Sequence[str]) -> exp.Select:
    """Hold back what turned only after a practice's records end: `status.result_of`."""
    cohorts = {cohort.name: number for number, cohort in enumerate(plan.rules.cohorts)}
    indicators = plan.rules.indicators
    then = {member_column(number): sql.column(member_column(number)) for number in cohorts.values()}
    then.update({_status(number): sql.column(_status(number)) for number in range(len(indicators))})
    only = sql.call("max", sql.case([(sql.column("before"), spark_sql.struct(then))]))
    earlier = exp.Window(this=only, partition_by=[sql.column("practice"), sql.column("patient_id")])
    query = sql.select([exp.Star(), sql.aliased(earlier, _EARLIER)], query)
    replaced: dict[str, Sql] = {}
    for number, indicator in enumerate(indicators):
        turned = _turned(number, cohorts[indicator.cohort])
        ends = spark_sql.cast(sql.column("records_end"), ValueType.TEXT)
        reason = sql.call("concat", sql.text("records_to:"), ends)
        replaced[_status(number)] = sql.case([(turned, _code(Status.NOT_EVALUATED))], sql.column(_status(number)))
        replaced[_reason(number)] = sql.case([(turned.copy(), reason)], sql.column(_reason(number)))
    names = dict.fromkeys([*_KEPT, *(member_column(number) for number in cohorts.values()), *wanted])
    columns = [sql.aliased(replaced[name], name) if name in replaced else sql.column(name) for name in names]
    return sql.select(columns, query)


def _turned(indicator: int, cohort: int) -> Sql:
    """Tell whether a status is another than on the day to which the records run."""
    was = spark_sql.field(sql.column(_EARLIER), _status(indicator))
    belonged = spark_sql.field(sql.column(_EARLIER), member_column(cohort))
    before = sql.case([(belonged, was)], _code(Status.NOT_APPLICABLE))
    return sql.all_of(
        [
            sql.binary(exp.LT, sql.column("records_end"), sql.column("as_of")),
            sql.binary(exp.NEQ, sql.column(_status(indicator)), _code(Status.NOT_APPLICABLE)),
            sql.binary(exp.NEQ, before, sql.column(_status(indicator))),
        ]
    )


class _Writer:
    def __init__(self, plan: Plan, scope: PatientScope) -> None:
        self.plan, self.scope = plan, scope

    # --- deciding -------------------------------------------------------------------------------------------------

    def decide(self, number: int) -> None:
        """Bind an indicator's status and reason."""
        indicator, scope = self.plan.rules.indicators[number], self.scope
        unsure = scope.reason(indicator.met)
        status = [
            (sql.negated(scope.value(indicator.applies)), _code(Status.NOT_APPLICABLE)),
            (sql.is_missing(scope.value(indicator.applies)), _code(Status.NOT_EVALUATED)),
        ]
        if unsure is not None:
            status.append((sql.is_known(unsure), _code(Status.NOT_EVALUATED)))
        status.append((scope.value(indicator.met), _code(Status.MET)))
        status.extend((scope.value(item.when), _code(Status.EXCLUDED)) for item in indicator.adjustments)
        due = scope.value(indicator.begins)
        if indicator.due is not None:
            due = sql.call("coalesce", scope.value(indicator.due), due)
        status.append((sql.binary(exp.GTE, due, scope.fact("as_of")), _code(Status.DUE)))
        scope.bindings.define(_status(number), sql.case(status, _code(Status.OVERDUE)))
        scope.bindings.define(_reason(number), self._why(number, indicator))

    def _why(self, number: int, indicator: Indicator) -> Sql:
        scope = self.scope
        known = scope.reason(indicator.applies)
        unknown = self._missing_fact(self.plan.definition.indicators[number])
        named = unknown if known is None else sql.call("coalesce", known, unknown)
        branches = [(sql.is_missing(scope.value(indicator.applies)), named)]
        unsure = scope.reason(indicator.met)
        if unsure is not None:
            branches.append((scope.value(indicator.applies), unsure))
        return sql.case(branches, spark_sql.NULL(ValueType.TEXT))

    def _missing_fact(self, indicator: Indicator) -> Sql:
        """Name the first fact that is unknown, in the order in which the rule as written mentions them."""
        named = [node for node in nodes.walk(indicator.applies) if isinstance(node, nodes.PatientFact)]
        branches = [(sql.is_missing(self.scope.fact(fact.name)), sql.text(f"missing:{fact.name}")) for fact in named]
        return sql.case(branches, sql.text("missing:fact"))

    # --- lists ----------------------------------------------------------------------------------------------------

    def results(self) -> Sql | None:
        """Write the list of what the indicators say."""
        cohorts = {cohort.name: number for number, cohort in enumerate(self.plan.rules.cohorts)}
        items = []
        for number, indicator in enumerate(self.plan.rules.indicators):
            self.decide(number)
            made = {POSITION: sql.integer(number), **self._result(number, indicator)}
            items.append((cohorts[indicator.cohort], made))
        return _list_of(items)

    def _result(self, number: int, indicator: Indicator) -> Mapping[str, Sql]:
        """Show of a result what its status shows: see `status._result`."""
        due, shown, event = self._optional(indicator.due), indicator.shown, self._event(indicator.evidence)

        def when(options: Sequence[Status], value: Sql) -> tuple[Sql, Sql]:
            return sql.is_in(sql.column(_status(number)), [_code(option) for option in options]), value

        def visible(value: Sql) -> Sql:
            return sql.case([when(DECIDED, value)])

        met_date = sql.call("coalesce", self._optional(indicator.date), event["date"].copy())
        open_due = sql.call("coalesce", due, self.scope.value(indicator.begins))
        adjusted = sql.case((self.scope.value(item.when), sql.text(item.name)) for item in indicator.adjustments)
        made = {
            "status": exp.Case(
                this=sql.column(_status(number)),
                ifs=[exp.If(this=_code(status), true=sql.text(status.value)) for status in STATUS_CODES],
            ),
            "reason": sql.column(_reason(number)),
            "due_date": sql.case(
                [when((Status.MET,), self._optional(indicator.renews)), when((Status.EXCLUDED, *OPEN), open_due)]
            ),
            "due_now": sql.all_of([when(OPEN, due)[0], sql.is_missing(due.copy())]),
            "met_date": sql.case([when((Status.MET,), met_date)]),
            "value": visible(self._optional(shown.number)),
            "value_code": visible(self._optional(shown.code)),
            "value_text": visible(self._optional(shown.text)),
            "adjustment": sql.case([when((Status.EXCLUDED,), adjusted)]),
            **{f"event_{name}": visible(value) for name, value in event.items()},
            "window_end": visible(due.copy()),
        }
        return {name: spark_sql.cast(value, RESULT_COLUMNS[name]) for name, value in made.items()}

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

    def members(self) -> Sql | None:
        """Write the list of the cohorts that someone is in, each with what a page of a list shows."""
        return _list_of(
            (number, {POSITION: sql.integer(number), **self._member(cohort)})
            for number, cohort in enumerate(self.plan.rules.cohorts)
        )

    def _member(self, cohort: Cohort) -> Mapping[str, Sql]:
        mine = [i for i, indicator in enumerate(self.plan.rules.indicators) if indicator.cohort == cohort.name]
        shown = cohort.shown
        origin = self._event(() if cohort.origin is None else (cohort.origin,))
        made = {
            "gaps": _how_many(mine, Status.OVERDUE),
            "due": _how_many(mine, Status.DUE),
            "age": spark_sql.cast_to(self.scope.value(AGE), "SMALLINT"),
            "sex": self.scope.value(SEX),
        }
        typed = {
            "since": (self.scope.value(cohort.since), ValueType.DATE),
            "shown_number": (self._optional(shown.number), ValueType.NUMBER),
            "shown_code": (self._optional(shown.code), ValueType.CODE),
            "shown_text": (self._optional(shown.text), ValueType.TEXT),
            "origin_date": (origin["date"], ValueType.DATE),
            "origin_code": (origin["code"], ValueType.CODE),
        }
        made.update({name: spark_sql.cast(value, kind) for name, (value, kind) in typed.items()})
        for stratifier in self.plan.rules.stratifiers:  # a stratifier may have the name of another column
            made[stratifier.name] = spark_sql.cast(self.scope.value(stratifier.value), ValueType.TEXT)
            reason = self.scope.reason(stratifier.value) or exp.Null()
            made[f"{stratifier.name}__reason"] = spark_sql.cast(reason, ValueType.TEXT)
        for number, indicator in enumerate(self.plan.rules.indicators):
            status = sql.column(_status(number)) if number in mine else exp.Null()
            made[f"status:{indicator.name}"] = spark_sql.cast_to(status, "SMALLINT")
        return made


def _list_of(items: Iterator[tuple[int, Mapping[str, Sql]]] | Sequence[tuple[int, Mapping[str, Sql]]]) -> Sql | None:
    """Write the list of the items whose cohort the person is in."""
    listed = [sql.case([(sql.column(member_column(cohort)), spark_sql.struct(fields))]) for cohort, fields in items]
    if not listed:
        return None
    return spark_sql.filtered(sql.call("array", *listed), "item", sql.is_known(spark_sql.variable("item")))


def _code(status: Status) -> Sql:
    return sql.integer(STATUS_CODES[status])


def _how_many(indicators: Sequence[int], status: Status) -> Sql:
    count = sql.integer(0)
    for number in indicators:
        is_so = sql.binary(exp.EQ, sql.column(_status(number)), _code(status))
        count = sql.binary(exp.Add, count, sql.case([(is_so, sql.integer(1))], sql.integer(0)))
    return count
