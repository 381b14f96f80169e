"""Generated definitions and records: DuckDB and Spark say of every row what the interpreter says.

Definitions are drawn by Hypothesis, which shrinks what differs. Records are drawn from a seed, many patients at once,
since a definition costs far more to compile than a patient to evaluate. FUZZ_EXAMPLES sets how many are tried.
"""

import os
import random
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cohortium_platform.engine.control import EngineSettings
from cohortium_platform.engine.duckdb import evaluate
from cohortium_platform.engine.evaluated import Kind
from cohortium_platform.engine.golden import record_files
from cohortium_plugins.interpreter import Evaluation
from cohortium_plugins.model import (
    Adjustment,
    Code,
    Codelist,
    Cohort,
    Conversion,
    Definition,
    Duration,
    Indicator,
    Parameter,
    Reason,
    Reference,
    Shown,
    Stratifier,
    Unit,
    ValueType,
    nodes,
)
from cohortium_plugins.model.nodes import ArithmeticOp, CompareOp, How
from cohortium_plugins.model.serialise import NODE_TYPES, bind
from cohortium_plugins.record import Record, Row
from cohortium_plugins.status import evaluate as interpret
from cohortium_plugins.status import is_member

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
BOOL, DATE, NUMBER, TEXT, CODE, DURATION = ValueType

# --- what rules and records are drawn from --------------------------------------------------------------------------

INDEX_DATES = [date(2025, 3, 31), date(2024, 2, 29), date(2025, 2, 28), date(2024, 9, 1)]
STEPS = [timedelta(days=n) for n in (0, 0, 1, -1, -2, -28, -31, -91, -365, -366, -730, -1461, 30)]
DAYS = sorted(
    {day + step for day in INDEX_DATES for step in STEPS} | {date(2024, 2, 29), date(2000, 2, 29), date(1, 1, 1)}
)
BIRTHS = [None, date(1960, 2, 29), date(1975, 3, 31), date(1985, 4, 1), date(2007, 9, 2), date(1925, 1, 1)]
NUMBERS = [0.0, -0.0, 1.0, 2.0, 2.5, -3.0, 0.1, 0.2, 30.0, 1e16, 1e308, -1e308]
WORDS = ["x", "y", "done", "first", "new", "review", "gp", "RT1", "telephone", "female", "A1", "B2", "it's"]
LISTS = {
    "a": Codelist("a", "A", "s", "1", (Code(1, "", "x"), Code(2, "", "y"), Code(3, ""))),
    "b": Codelist("b", "B", "s", "1", (Code(3, "", "x"), Code(4, "", "done"), Code(5, "", "x"), Code(5, "", "y"))),
    "groups": Codelist(
        "groups", "G", "s", "1", (Code(1, "", "one"), Code(2, "", "one"), Code(4, "", "two"), Code(5, ""))
    ),
    "empty": Codelist("empty", "E", "s", "1", ()),
}
PARAMETERS = (
    Parameter("count", "", 2.0, (1.0, 2.0), NUMBER),
    Parameter("length", "", Duration(12, Unit.MONTHS), (Duration(12, Unit.MONTHS), Duration(3, Unit.DAYS)), DURATION),
    Parameter("switch", "", True, (True, False), BOOL),  # noqa: FBT003
)
FACTS = {kind: [name for name, of in nodes.FACTS.items() if of is kind] for kind in ValueType}
COLUMNS = {
    (table, kind): [name for name in names if nodes.ROW_COLUMNS[name] is kind]
    for table, names in nodes.TABLES.items()
    for kind in ValueType
}


def constants(kind):
    return {
        BOOL: st.booleans(),
        DATE: st.sampled_from([*DAYS, date(9999, 12, 31), date(9999, 2, 28)]),
        NUMBER: st.sampled_from(NUMBERS),
        TEXT: st.sampled_from(WORDS),
        CODE: st.integers(1, 6),
        DURATION: st.builds(
            Duration, st.sampled_from([0, 1, 3, 12, 13, -1, 31, 60, 10**7, -(10**9)]), st.sampled_from(Unit)
        ),
    }[kind].map(lambda value: nodes.Constant(value, kind))


class Draw:
    """Draws series of a type; `table` is the table whose rows a condition looks at, if it is one."""

    def __init__(self, draw):
        self.draw = draw

    def pick(self, options):
        return self.draw(st.sampled_from(options))

    def several(self, kind, depth, table, most=3):
        return tuple(self.series(kind, depth - 1, table) for _ in range(self.draw(st.integers(1, most))))

    def series(self, kind, depth, table=None):
        makers = [maker for maker in MAKERS if maker.gives(kind, table)]
        leaves = [maker for maker in makers if maker.leaf]
        others = [maker for maker in makers if not maker.leaf]
        ends = depth <= 0 or self.draw(st.integers(0, 5)) == 0
        return self.pick(leaves if ends or not others else others).make(self, kind, depth, table)

    def any_kind(self, *, ordered=False):
        kinds = [DATE, NUMBER, TEXT, CODE, BOOL]
        return self.pick(kinds if ordered else [*kinds, DURATION])

    def frame(self, depth, table=None):
        table = table or self.pick(
            ["events", "events", "events", "medications", "consultations", "contacts", "registrations"]
        )
        maker = self.pick([FRAMES[0], FRAMES[0], *(FRAMES[1:] if depth > 0 else ())])
        return maker(self, depth, table)

    def taken(self, depth, table=None):
        table = table or self.pick(["events", "events", *nodes.TABLES])
        hows = list(How) if "value" in nodes.TABLES[table] else [How.EARLIEST, How.LATEST]
        return nodes.Pick(self.frame(depth, table), self.pick(hows))


def rows(d, _depth, table):
    return nodes.Rows(table, d.pick(["a", "b", "a", "b", "empty"]) if table in ("events", "medications") else None)


def filtered(d, depth, table):
    return nodes.Filter(d.frame(depth - 1, table), d.series(BOOL, depth - 1, table))


def first_of_each(d, depth, table):
    if table != "events":
        return filtered(d, depth, table)
    return nodes.FirstOfEach(d.frame(depth - 1, table), d.pick(["groups", "a", "empty"]))


def near(d, depth, table):
    lengths = [d.series(DURATION, min(depth - 1, d.pick([0, 2]))) for _ in range(2)]
    return nodes.Near(d.frame(depth - 1, table), d.frame(depth - 1), *lengths)


def in_unit(d, depth, table):
    if table != "events":
        return near(d, depth, table)
    unit, *others = d.draw(st.permutations(["x", "y", "z", None]).filter(lambda listed: listed[0] is not None))
    some = others[: d.draw(st.integers(0, 3))]
    conversions = tuple(Conversion(other, d.pick([1.0, -2.5, 0.1, 1e308]), d.pick(NUMBERS)) for other in some)
    return nodes.InUnit(d.frame(depth - 1, table), unit, conversions)


FRAMES = [rows, filtered, filtered, first_of_each, near, in_unit]


class Maker:
    """How to draw one node type: the types it can give, and whether it needs nothing below it."""

    def __init__(self, node, kinds, make, *, leaf=False, about_rows=None):
        self.node, self.kinds, self.make, self.leaf, self.about_rows = node, kinds, make, leaf, about_rows

    def gives(self, kind, table):
        if self.about_rows:
            return table is not None and bool(COLUMNS[table, kind])
        return kind in self.kinds and (self.node is not nodes.PatientFact or bool(FACTS[kind]))


def pick_value(d, kind, depth, _table):
    table = d.pick([table for (table, of), names in COLUMNS.items() if of is kind and names])
    return nodes.PickValue(d.taken(depth - 1, table), d.pick(COLUMNS[table, kind]))


def compare(d, _kind, depth, table):
    of = d.any_kind()
    op = d.pick([CompareOp.EQ, CompareOp.NE] if of is DURATION else list(CompareOp))
    return nodes.Compare(op, d.series(of, depth - 1, table), d.series(of, depth - 1, table))


def is_in(d, _kind, depth, table):
    of = d.any_kind()
    values = tuple(d.draw(constants(of)).value for _ in range(d.draw(st.integers(1, 3))))
    return nodes.IsIn(d.series(of, depth - 1, table), values)


def case(d, kind, depth, table):
    conditions = d.several(BOOL, depth, table)
    values = tuple(d.series(kind, depth - 1, table) for _ in conditions)
    return nodes.Case(conditions, values, d.series(kind, depth - 1, table) if d.draw(st.booleans()) else None)


ANY, ORDERED = tuple(ValueType), (BOOL, DATE, NUMBER, TEXT, CODE)
MAKERS = [
    Maker(nodes.Constant, ANY, lambda d, kind, *_: d.draw(constants(kind)), leaf=True),
    Maker(nodes.IndexDate, (DATE,), lambda *_: nodes.IndexDate(), leaf=True),
    Maker(
        nodes.ParameterValue,
        (NUMBER, DURATION, BOOL),
        lambda _d, kind, *_: next(nodes.ParameterValue(p.name, kind) for p in PARAMETERS if p.type is kind),
        leaf=True,
    ),
    Maker(nodes.PatientFact, ANY, lambda d, kind, *_: nodes.PatientFact(d.pick(FACTS[kind])), leaf=True),
    Maker(nodes.RowValue, (), lambda d, k, _, t: nodes.RowValue(d.pick(COLUMNS[t, k])), leaf=True, about_rows=True),
    Maker(nodes.RowValue, (), lambda d, k, _, t: nodes.RowValue(d.pick(COLUMNS[t, k])), leaf=True, about_rows=True),
    Maker(nodes.PickValue, (DATE, NUMBER, TEXT, CODE), pick_value),
    Maker(nodes.Exists, (BOOL,), lambda d, _k, depth, _t: nodes.Exists(d.frame(depth - 1))),
    Maker(nodes.Count, (NUMBER,), lambda d, _k, depth, _t: nodes.Count(d.frame(depth - 1))),
    Maker(nodes.CountDays, (NUMBER,), lambda d, _k, depth, _t: nodes.CountDays(d.frame(depth - 1))),
    Maker(nodes.Mean, (NUMBER,), lambda d, _k, depth, _t: nodes.Mean(d.frame(depth - 1, "events"))),
    Maker(nodes.Compare, (BOOL,), compare),
    Maker(nodes.IsIn, (BOOL,), is_in),
    Maker(nodes.And, (BOOL,), lambda d, _k, depth, t: nodes.And(d.several(BOOL, depth, t))),
    Maker(nodes.Or, (BOOL,), lambda d, _k, depth, t: nodes.Or(d.several(BOOL, depth, t))),
    Maker(nodes.Not, (BOOL,), lambda d, _k, depth, t: nodes.Not(d.series(BOOL, depth - 1, t))),
    Maker(nodes.IsMissing, (BOOL,), lambda d, _k, depth, t: nodes.IsMissing(d.series(d.any_kind(), depth - 1, t))),
    Maker(
        nodes.Arithmetic,
        (NUMBER,),
        lambda d, _k, depth, t: nodes.Arithmetic(
            d.pick(list(ArithmeticOp)), d.series(NUMBER, depth - 1, t), d.series(NUMBER, depth - 1, t)
        ),
    ),
    Maker(
        nodes.DateAdd,
        (DATE,),
        lambda d, _k, depth, t: nodes.DateAdd(
            d.series(DATE, depth - 1, t), d.series(DURATION, min(depth - 1, 2), t), d.pick([1, -1])
        ),
    ),
    Maker(
        nodes.DateDifference,
        (NUMBER,),
        lambda d, _k, depth, t: nodes.DateDifference(
            d.series(DATE, depth - 1, t), d.series(DATE, depth - 1, t), d.pick(list(Unit))
        ),
    ),
    Maker(
        nodes.SeasonStart,
        (DATE,),
        lambda d, _k, depth, t: nodes.SeasonStart(d.series(DATE, depth - 1, t), d.pick([1, 2, 9]), d.pick([1, 28])),
    ),
    Maker(nodes.Case, ANY, case),
    Maker(nodes.Extreme, ORDERED, lambda d, k, depth, t: nodes.Extreme(d.draw(st.booleans()), d.several(k, depth, t))),
    Maker(nodes.Coalesce, ANY, lambda d, k, depth, t: nodes.Coalesce(d.several(k, depth, t))),
    Maker(nodes.CountTrue, (NUMBER,), lambda d, _k, depth, t: nodes.CountTrue(d.several(BOOL, depth, t))),
    Maker(
        nodes.NthEarliest,
        (DATE,),
        lambda d, _k, depth, t: nodes.NthEarliest(
            nodes.Constant(d.pick([1.0, 2.0, 3.0]), NUMBER), d.several(DATE, depth, t)
        ),
    ),
    Maker(nodes.Named, ANY, lambda d, k, depth, t: nodes.Named("a name", d.series(k, depth - 1, t))),
    Maker(nodes.HasCodes, (BOOL,), lambda d, *_: nodes.HasCodes(d.pick(list(LISTS))), leaf=True),
]


def test_every_node_type_is_drawn():
    drawn = {maker.node for maker in MAKERS} | {
        nodes.Rows,
        nodes.Filter,
        nodes.FirstOfEach,
        nodes.Near,
        nodes.InUnit,
        nodes.Pick,
    }
    assert drawn == set(NODE_TYPES.values())


@st.composite
def definitions(draw):
    d = Draw(draw)

    def maybe(make):
        return make() if draw(st.booleans()) else None

    def any_series(kind, most=3):  # shallow ones show each operation as it is, deep ones how they go together
        return d.series(kind, draw(st.integers(1, most)))

    def shown():
        return Shown(*(any_series(kind) for kind in (NUMBER, CODE, TEXT)))

    def members():
        registered = nodes.PatientFact("is_registered")
        options = [
            lambda: registered,
            lambda: nodes.Constant(True, BOOL),  # noqa: FBT003
            lambda: nodes.And((registered, nodes.Exists(d.frame(2)))),
            lambda: nodes.Or((nodes.Exists(d.frame(2)), d.series(BOOL, 3))),
            lambda: d.series(BOOL, 4),
        ]
        return d.pick(options)()

    def reference():
        return Reference("reference", "", members(), d.series(BOOL, 2), (Reason("reason", "", d.series(BOOL, 2)),), "")

    departed = draw(st.sampled_from([False, False, False, True]))

    def cohort(name):
        origin = maybe(lambda: d.taken(2))
        return Cohort(name, "", "", members(), any_series(DATE), origin, shown(), maybe(reference), "", departed)

    def indicator(name, cohorts):
        return Indicator(
            name=name,
            title="",
            description="",
            group="",
            cohort=d.pick(cohorts).name,
            applies=d.pick([nodes.Constant(True, BOOL), any_series(BOOL, 4)]),  # noqa: FBT003
            met=any_series(BOOL, 4),
            due=maybe(lambda: any_series(DATE)),
            begins=any_series(DATE, 2),
            renews=maybe(lambda: any_series(DATE)),
            date=maybe(lambda: any_series(DATE)),
            evidence=tuple(d.taken(2) for _ in range(draw(st.integers(0, 3)))),
            shown=shown(),
            adjustments=tuple(Adjustment(f"a{n}", "", any_series(BOOL, 2)) for n in range(draw(st.integers(0, 2)))),
            source="",
        )

    cohorts = tuple(cohort(f"c-{n}") for n in range(draw(st.integers(1, 2))))
    indicators = tuple(indicator(f"i-{n}", cohorts) for n in range(draw(st.integers(0, 9))))
    strata = tuple(Stratifier(f"s-{n}", "", any_series(TEXT), ()) for n in range(draw(st.integers(0, 2))))
    definition = Definition(LISTS, PARAMETERS, cohorts, indicators, strata)
    return bind(definition, {p.name: d.pick(list(p.choices)) for p in PARAMETERS})


# --- records --------------------------------------------------------------------------------------------------------

PRACTICES = ["A1", "B2", "C3"]
TABLES = ["events", "medications", "consultations", "contacts"]


def a_row(r, table, days, values):
    coded = table in ("events", "medications")
    event = table == "events"
    return Row(
        date=r.choice(days),
        code=r.randint(1, 6) if coded else None,
        value=r.choice(values) if event else None,
        unit=r.choice([None, "x", "y"]) if event else None,
        episode=r.choice([None, None, "first", "new", "review"]) if event else None,
        kind=None if coded else r.choice(["telephone", "mobile", "next-of-kin", None]),
        relationship=r.choice(["N", None]) if table == "contacts" else None,
        source=r.choice(["gp", "gp", "RT1"]),
        entry=r.randint(0, 2),
    )


def some_records(seed, patients):
    r = random.Random(seed)  # noqa: S311 - test data
    missing = {
        p: frozenset(t for t in nodes.TABLES if r.random() < often)
        for p, often in zip(PRACTICES, (0, 0.2, 0.6), strict=True)
    }
    records_to = {p: r.choice([None, None, r.choice(DAYS[-40:])]) for p in PRACTICES}
    records = []
    for patient_id in range(1, patients + 1):
        spans = tuple(
            Row(r.choice(DAYS[:-8]), practice=r.choice(PRACTICES), end_date=r.choice([None, None, r.choice(DAYS)]))
            for _ in range(r.randint(1, 3))
        )
        for practice in sorted({span.practice for span in spans}):
            days = r.sample(DAYS, r.choice([1, 3, 9]))  # few, so that many rows stand on one day with one value
            values = r.sample([None, *NUMBERS], r.choice([2, 9]))
            tables = {t: tuple(a_row(r, t, days, values) for _ in range(r.choice([0, 1, 3, 8]))) for t in TABLES}
            records.append(
                Record(
                    patient_id=patient_id,
                    practice=practice,
                    date_of_birth=r.choice(BIRTHS),
                    sex=r.choice(["female", "male", "indeterminate", None]),
                    ethnicity=r.choice(["A", "Z", None]),
                    imd_decile=r.choice([1, 10, None]),
                    date_of_death=r.choice([None, None, None, r.choice(DAYS)]),
                    rows={**tables, "registrations": spans},
                    missing=missing[practice],
                    records_to=records_to[practice],
                )
            )
    return records


def registered_at(record, day):
    """Where someone is registered: written here anew from the words of `RecordSource` and `FACTS`."""
    running = [s for s in record.rows["registrations"] if s.date <= day and (s.end_date is None or s.end_date >= day)]
    return max(((s.date, s.practice) for s in running), default=(None, None))[1]


# --- both engines ---------------------------------------------------------------------------------------------------


def by_interpreter(definition, records, index_dates):
    results, members = [], []
    for record in records:
        for day in index_dates:
            departed = any(cohort.departed for cohort in definition.cohorts)
            if not departed and registered_at(record, day) != record.practice:
                continue
            results.extend(interpret(definition, record, day))
            evaluation = Evaluation(record, day, definition.codelists)
            members.extend(
                a_member(definition, cohort, evaluation)
                for cohort in definition.cohorts
                if is_member(evaluation, cohort)
            )
    plain = [{name: getattr(result, name) for name in result.__slots__} for result in results]
    return plain, members


def a_member(definition, cohort, evaluation):
    strata = {}
    for stratifier in definition.stratifiers:
        found = evaluation.value(stratifier.value)
        strata[stratifier.name], strata[f"{stratifier.name}__reason"] = found.value, found.reason
    origin = None if cohort.origin is None else evaluation.pick(cohort.origin)
    shown = {
        f"shown_{name}": None if node is None else evaluation.value(node).value
        for name, node in (("number", cohort.shown.number), ("code", cohort.shown.code), ("text", cohort.shown.text))
    }
    return {
        "patient_id": evaluation.record.patient_id,
        "practice": evaluation.record.practice,
        "cohort": cohort.name,
        "index_date": evaluation.index_date,
        "since": evaluation.value(cohort.since).value,
        **shown,
        "origin_date": None if origin is None else origin[0].date,
        "origin_code": None if origin is None else origin[0].code,
        **strata,
    }


def by_duckdb(definition, records, index_dates, folder):
    source = record_files(records, folder)
    with evaluate(definition, source, PRACTICES, index_dates, settings=EngineSettings(threads=1)) as tables:
        return tables.fetch(Kind.RESULTS).to_pylist(), tables.fetch(Kind.MEMBERS).to_pylist()


def keyed(rows, name):
    found = {(row["practice"], row["patient_id"], row[name], row["index_date"]): row for row in rows}
    assert len(found) == len(rows)
    return found


def assert_agree(definition, records, index_dates, found):
    expected = by_interpreter(definition, records, index_dates)
    for wanted, got, name in zip(expected, found, ("indicator", "cohort"), strict=True):
        wanted_rows, got_rows = keyed(wanted, name), keyed(got, name)
        assert got_rows.keys() == wanted_rows.keys()
        for key, row in wanted_rows.items():
            assert got_rows[key] == row, key


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("records")


def tried(examples, share=1):
    """In CI so many examples; of those that are asked for one in `share`, where an engine takes that much longer."""
    return settings(
        max_examples=max(EXAMPLES // share, examples),
        deadline=None,
        derandomize=not EXAMPLES,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@tried(60)
@given(
    definition=definitions(),
    seed=st.integers(0, 2**32),
    patients=st.sampled_from([40, 40, 40, 5, 1]),
    index_dates=st.lists(st.sampled_from(INDEX_DATES), min_size=1, max_size=3, unique=True),
)
def test_engines_agree(definition, seed, patients, index_dates, folder):
    records, days = some_records(seed, patients), sorted(index_dates)
    assert_agree(definition, records, days, by_duckdb(definition, records, days, folder))


@pytest.mark.xdist_group("spark")
@tried(5, share=100)
@given(
    definition=definitions(),
    seed=st.integers(0, 2**32),
    index_dates=st.lists(st.sampled_from(INDEX_DATES), min_size=1, max_size=3, unique=True),
)
def test_spark_agrees(definition, seed, index_dates, folder, by_spark):
    records, days = some_records(seed, 40), sorted(index_dates)
    with by_spark(definition, record_files(records, folder), PRACTICES, days) as tables:
        found = tables.fetch(Kind.RESULTS).to_pylist(), tables.fetch(Kind.MEMBERS).to_pylist()
    assert_agree(definition, records, days, found)
