"""The DuckDB engine beside its answers: what it reads, what it refuses, that it can be stopped, that it repeats
itself."""

import dataclasses
import threading
from datetime import date
from functools import partial

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cohortium_platform.engine import duckdb_frames, duckdb_parts, duckdb_series
from cohortium_platform.engine.candidates import needed_rows
from cohortium_platform.engine.checks import check
from cohortium_platform.engine.control import Cancellation, EngineSettings
from cohortium_platform.engine.duckdb import evaluate
from cohortium_platform.engine.evaluated import Kind
from cohortium_platform.engine.fold import folded
from cohortium_platform.engine.golden import record_files
from cohortium_platform.engine.plan import make_plan
from cohortium_platform.engine.source import RecordFiles
from cohortium_platform.errors import BadInput, Cancelled, Unavailable
from cohortium_plugins import interpreter, model
from cohortium_plugins.authoring import Cohort, Indicator, Stratifier, age_band
from cohortium_plugins.errors import DefinitionError
from cohortium_plugins.language import (
    BoolSeries,
    any_of,
    case,
    code,
    consultations,
    count_true,
    entry_date,
    events,
    has_codes,
    index_date,
    medications,
    months,
    named,
    otherwise,
    patient,
    value,
    when,
)
from cohortium_plugins.model import Code, Codelist, Definition, Duration, Unit, ValueType, nodes
from cohortium_plugins.model.serialise import NODE_TYPES, bind
from cohortium_plugins.record import Record, Row

TODAY = date(2025, 6, 30)
LISTS = {
    name: Codelist(name, name, "made for this test", "1", tuple(Code(number, "", word) for number, word in codes))
    for name, codes in {
        "illness": [(1, "new"), (2, "history")],
        "review": [(3, "done"), (4, "declined")],
        "weight": [(5, None)],
        "drug": [(6, None)],
        "empty": [],
    }.items()
}
illness = events("illness").earliest()
people = Cohort("people", title="People", members=patient.is_registered & illness.exists, since=illness.date)
reviewed = Indicator(
    "reviewed", title="Reviewed", cohort=people, met=events("review").latest(), every=months(12), source="x"
)


def definition(*indicators, cohort=people, **more):
    return Definition(LISTS, (), (cohort,), indicators or (reviewed,), **more)


def a_record(number, practice="Y1", *, registered=None, **tables):
    spans = registered or (Row(date(2000, 1, 1), practice=practice),)
    return Record(number, practice, date(1960, 5, 5), "female", rows={"registrations": spans, **tables})


def answer(rules, records, folder, *, practices=("Y1",), days=(TODAY,), kind=Kind.RESULTS, **settings):
    source = record_files(records, folder)
    with evaluate(rules, source, list(practices), list(days), settings=EngineSettings(**settings)) as tables:
        return tables.fetch(kind)


# --- nothing is left out ----------------------------------------------------------------------------------------------


FOLDED_AWAY = {nodes.HasCodes, nodes.Named}
"""Kinds that a plan has no more: there is what they stand for."""


def test_every_kind_of_node_has_a_method_and_a_meaning():
    kinds = set(NODE_TYPES.values()) - {nodes.ParameterValue}  # a constant by the time that anything is evaluated
    series = {kind for kind in kinds if issubclass(kind, nodes.Series)}
    assert set(duckdb_series.SERIES_METHODS) == series - FOLDED_AWAY
    assert set(interpreter._MEANINGS) | {nodes.RowValue} == series
    assert set(duckdb_frames.FRAME_METHODS) == {kind for kind in kinds if issubclass(kind, nodes.Frame)}
    assert set(duckdb_frames.PICK_METHODS) == set(nodes.How)


def test_a_plan_has_what_names_and_lists_with_codes_stand_for():
    has = Indicator("has", title="", cohort=people, met=named("a review", has_codes("review")) & patient.age.is_known,
                    source="x")  # fmt: skip
    plan = make_plan(definition(has))
    kinds = {type(node) for node in nodes.walk(*plan.rules.roots())}
    assert kinds & FOLDED_AWAY == set()
    assert {type(node) for node in nodes.walk(*plan.definition.roots())} >= FOLDED_AWAY


# --- what is read -----------------------------------------------------------------------------------------------------


def test_rows_that_several_rules_ask_for_are_read_once():
    again = Indicator("again", title="", cohort=people, met=events("review").earliest(), source="x")
    recent = Indicator("recent", title="", cohort=people, met=events("review").in_last(months(6)).latest(), source="x")
    plan = make_plan(definition(reviewed, again, recent))
    assert [rows.codelist for rows in plan.everything.rows] == ["illness", "review"]


WIDE = model.Parameter("wide", "", default=False, choices=(True, False), type=ValueType.BOOL)


def test_what_a_parameter_switches_off_is_not_read():
    wide = BoolSeries(nodes.ParameterValue("wide", ValueType.BOOL))
    met = any_of(events("review").exists, wide & events("weight").exists)
    rules = definition(Indicator("i", title="", cohort=people, met=met, source="x"))
    parameters = Definition(LISTS, (WIDE,), rules.cohorts, rules.indicators)
    off, on = bind(parameters, {"wide": False}), bind(parameters, {"wide": True})
    assert {rows.codelist for rows in make_plan(off).everything.rows} == {"illness", "review"}
    assert {rows.codelist for rows in make_plan(on).everything.rows} == {"illness", "review", "weight"}


def test_folding_leaves_reasons_where_they_are():
    # A frame takes over the reason of every part of its condition, used or not.
    always = any_of(entry_date >= date(1900, 1, 1), nodes_true(), entry_date >= events("empty").earliest().date)
    rules = definition(Indicator("i", title="", cohort=people, met=events("review").where(always).latest(), source="x"))
    assert folded(rules) == rules


def nodes_true():
    return count_true(patient.is_registered) >= 0


@pytest.mark.parametrize(
    ("members", "needed"),
    [
        (patient.is_registered, None),
        (patient.is_registered & events("illness").exists, {"illness"}),
        (events("illness").exists | events("review").exists, {"illness", "review"}),
        (events("illness").exists | patient.is_registered, None),
        (~events("illness").exists, None),
        (events("illness").latest().date >= index_date - months(12), {"illness"}),
        (events("weight").highest().exists, {"weight"}),
        (events("illness").count >= 2, {"illness"}),
        (events("illness").count >= 0, None),
        (events("illness").count < 2, None),
        (count_true(events("illness").exists, events("review").exists) >= 1, {"illness", "review"}),
        (count_true(events("illness").exists, events("review").exists) >= 0, None),
    ],
)
def test_whom_a_rule_could_be_true_of(members, needed):
    found = needed_rows(members.node)
    assert (None if found is None else {rows.codelist for rows in found}) == needed


def test_only_practices_asked_for_are_evaluated(tmp_path):
    records = [a_record(n, practice, events=(Row(TODAY, code=1),)) for n, practice in enumerate(["Y1", "Y2", "Y3"])]
    found = answer(definition(), records, tmp_path, practices=["Y1", "Y3"])
    assert found.column("practice").to_pylist() == ["Y1", "Y3"]


def test_rows_of_two_practices_are_never_mixed(tmp_path):
    spans = (Row(date(2000, 1, 1), practice="Y1", end_date=date(2025, 1, 31)), Row(date(2025, 2, 1), practice="Y2"))
    here = a_record(1, "Y1", registered=spans, events=(Row(date(2024, 1, 1), code=1), Row(date(2025, 1, 1), code=3)))
    there = a_record(1, "Y2", registered=spans, events=(Row(date(2023, 1, 1), code=1),))
    days = [date(2025, 1, 15), TODAY]
    found = answer(definition(), [here, there], tmp_path, practices=["Y1", "Y2"], days=days).to_pylist()
    assert [(row["practice"], row["index_date"], row["status"]) for row in found] == [
        ("Y1", days[0], "met"),
        ("Y2", days[1], "overdue"),
    ]


def test_a_value_that_is_no_number_is_none(tmp_path):
    weights = (Row(TODAY, code=5, value=float("nan")), Row(TODAY, code=5, value=float("inf"), entry=1))
    record = a_record(1, events=(Row(TODAY, code=1), *weights, Row(TODAY, code=5, value=70.0, entry=2)))
    met = Indicator(
        "i", title="", cohort=people, met=events("weight").highest(), shows=[events("weight").mean], source="x"
    )
    assert answer(definition(met), [record], tmp_path).column("value").to_pylist() == [70.0]


def test_a_definition_may_have_no_indicator_and_no_record(tmp_path):
    rules = Definition(LISTS, (), (people,), ())
    assert answer(rules, [a_record(1)], tmp_path).num_rows == 0
    with evaluate(rules, RecordFiles({}), ["Y1"], [TODAY]) as tables:
        assert [tables.fetch(kind).num_rows for kind in Kind] == [0, 0, 0]


# --- the same again ---------------------------------------------------------------------------------------------------


def many_records():
    rows = [
        Row(date(2020 + n % 6, 1 + n % 12, 1 + n % 28), code=1 + n % 6, value=n / 7, entry=n % 3) for n in range(40)
    ]
    return [a_record(n, f"Y{n % 4}", events=tuple(rows[n % 7 :: 1 + n % 5])) for n in range(400)]


def in_words(table):
    """The same rows with words in place of their numbers, which each part counts for itself."""
    fields = [(f.name, f.type.value_type if pa.types.is_dictionary(f.type) else f.type) for f in table.schema]
    return table.cast(pa.schema(fields))


def test_threads_and_files_leave_no_trace(tmp_path):
    weigh = Indicator(
        "mean", title="", cohort=people, met=events("weight").exists, shows=[events("weight").mean], source="x"
    )
    strata = (Stratifier("age", title="", value=age_band(0, 50), labels={}),)
    rules, practices = definition(reviewed, weigh, stratifiers=strata), [f"Y{n}" for n in range(4)]
    source = record_files(many_records(), tmp_path)
    scattered = RecordFiles({table: _scattered(path, tmp_path) for table, (path,) in source.tables.items()})
    found = []
    for threads, files in ((1, source), (4, source), (3, scattered)):
        days = [date(2025, 1, 31), TODAY]
        with evaluate(rules, files, practices, days, settings=EngineSettings(threads=threads)) as tables:
            found.append([in_words(tables.fetch(kind)) for kind in Kind])
    assert found[0] == found[1] == found[2]
    assert found[0][0].num_rows > 500


def test_parts_give_what_one_piece_gives(tmp_path, monkeypatch):
    source, practices = record_files(many_records(), tmp_path), [f"Y{n}" for n in range(4)]
    days, found = [date(2025, 1, 31), TODAY], []
    for at_once in (duckdb_parts._AT_ONCE, 1, 2 * 2 * duckdb_parts._MEMBERS_A_PRACTICE):
        monkeypatch.setattr(duckdb_parts, "_AT_ONCE", at_once)
        limits, told = EngineSettings(threads=2, memory_limit="1.5GB"), []
        tell = partial(_note, told)
        with evaluate(definition(), source, practices, days, settings=limits, progress=tell) as tables:
            found.append([in_words(tables.fetch(kind)) for kind in Kind])
        assert told[-1][0] == 1.0
        assert [fraction for fraction, _ in told] == sorted(fraction for fraction, _ in told)
    assert found[0] == found[1] == found[2]
    assert found[0][0].num_rows > 400


def _note(told, fraction, step):
    told.append((fraction, step))


def test_practices_are_divided_in_their_order():
    practices = [f"Y{n:02}" for n in range(50)]
    assert duckdb_parts.parts_of(practices[:20], 1, 2, anyone=False) == [practices[:20]]
    assert duckdb_parts.parts_of(practices, 1, 2, anyone=False) == [practices[:25], practices[25:]]
    many = duckdb_parts.parts_of(practices, 24, 2, anyone=True)
    assert many == [[practice] for practice in practices]
    some = duckdb_parts.parts_of(practices, 12, 2, anyone=False)
    assert [practice for part in some for practice in part] == practices


@pytest.mark.parametrize(
    ("whole", "share"), [("3GB", "1.500GB"), ("500 MB", "250.000MB"), ("80%", "40.000%"), (None, None)]
)
def test_parts_share_the_memory_that_all_may_use(whole, share):
    part = duckdb_parts.settings_of_part(EngineSettings(4, whole), 2)
    assert (part.threads, part.memory_limit, part.temporary) == (1, share, None)


def test_parts_spill_into_folders_of_their_own(tmp_path):
    whole = EngineSettings(4, "3GB", tmp_path)
    folders = [duckdb_parts.settings_of_part(whole, 2).temporary for _ in range(2)]
    assert folders[0] != folders[1]
    assert {folder.parent for folder in folders} == {tmp_path}


def test_what_stops_one_part_stops_all(tmp_path, monkeypatch):
    monkeypatch.setattr(duckdb_parts, "_AT_ONCE", 1)
    source, practices = record_files(many_records(), tmp_path), [f"Y{n}" for n in range(4)]
    stopped = Cancellation()
    stopped.cancel()
    with pytest.raises(Cancelled):
        evaluate(definition(), source, practices, [TODAY], settings=EngineSettings(threads=2), cancellation=stopped)

    def refuse(_fraction, _step):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        evaluate(definition(), source, practices, [TODAY], settings=EngineSettings(threads=2), progress=refuse)


def _scattered(path, folder):
    """The same rows in two files, in another order."""
    rows = pq.read_table(path)
    order = sorted(range(rows.num_rows), key=lambda n: n * 7919 % 1009)
    paths = [str(folder / f"{half}-{path.rsplit('/', 1)[1]}") for half in (0, 1)]
    for half, where in enumerate(paths):
        pq.write_table(rows.take(pa.array(order[half::2], pa.int64())), where)
    return paths


# --- stopping, and what goes wrong ------------------------------------------------------------------------------------


def test_a_cancelled_evaluation_does_not_begin(tmp_path):
    cancellation = Cancellation()
    cancellation.cancel()
    source = record_files([a_record(1)], tmp_path)
    with pytest.raises(Cancelled):
        evaluate(definition(), source, ["Y1"], [TODAY], cancellation=cancellation)


def test_a_running_statement_is_interrupted():
    cancellation, connection = Cancellation(), duckdb.connect()
    with connection, cancellation.watching(connection):
        timer = threading.Timer(0.2, cancellation.cancel)
        timer.start()
        with pytest.raises(duckdb.InterruptException):
            connection.execute(
                "SELECT sum((a.range + b.range) % 7) FROM range(10000000) a, range(10000000) b"
            ).fetchall()
        timer.join()
    assert cancellation.cancelled


def test_progress_may_stop_it(tmp_path):
    told = []

    def progress(fraction, step):
        told.append(step)
        if fraction > 0.2:
            raise Cancelled("Enough.")

    with pytest.raises(Cancelled, match=r"Enough\."):
        evaluate(definition(), record_files([a_record(1)], tmp_path), ["Y1"], [TODAY], progress=progress)
    assert told[0] == "Finding members"


def test_a_damaged_file_is_told_without_its_content(tmp_path):
    source = record_files([a_record(1, events=(Row(TODAY, code=1),))], tmp_path)
    (tmp_path / "events.parquet").write_bytes(b"a secret of someone")
    with pytest.raises(Unavailable) as failure:
        evaluate(definition(), source, ["Y1"], [TODAY])
    assert "secret" not in str(failure.value)


@pytest.mark.parametrize(("practices", "days"), [([], [TODAY]), (["Y1"], [])])
def test_nothing_to_evaluate_is_refused(practices, days):
    with pytest.raises(BadInput, match="at least one practice and one index date"):
        evaluate(definition(), RecordFiles({}), practices, days)


def _met(node):
    return dataclasses.replace(reviewed, met=node)


BOOL, DAYS = ValueType.BOOL, Duration(3, Unit.DAYS)
WRONG = {
    "stands outside any filter": nodes.Compare(nodes.CompareOp.EQ, code.node, nodes.Constant(1, ValueType.CODE)),
    "no codelist unknown": nodes.Exists(nodes.Rows("events", "unknown")),
    "no table letters": nodes.Exists(nodes.Rows("letters", None)),
    "read by a codelist": nodes.Exists(nodes.Rows("consultations", "illness")),
    "Such rows have no value": nodes.Exists(
        nodes.Filter(nodes.Rows("medications", "drug"), nodes.IsMissing(nodes.RowValue("value")))
    ),
    "Such rows have no code": nodes.IsMissing(nodes.PickValue(consultations().latest().node, "code")),
    "have no values": nodes.IsMissing(nodes.Mean(medications("drug").node)),
    "carry no episode": nodes.Exists(nodes.FirstOfEach(medications("drug").node, "illness")),
    "no fact height": nodes.IsMissing(nodes.PatientFact("height")),
    "Parameter p has no value": nodes.ParameterValue("p", BOOL),
    "cannot be compared": nodes.Compare(nodes.CompareOp.EQ, patient.sex.node, patient.age.node),
    "Durations have no order": nodes.Compare(
        nodes.CompareOp.LT, nodes.Constant(DAYS, ValueType.DURATION), nodes.Constant(DAYS, ValueType.DURATION)
    ),
}


@pytest.mark.parametrize("says", WRONG)
def test_definitions_without_meaning_are_refused(says):
    with pytest.raises((DefinitionError, KeyError), match=says):
        check(definition(_met(WRONG[says])))


def test_a_definition_about_nobody_is_refused():
    with pytest.raises(DefinitionError, match="about nobody"):
        check(Definition(LISTS, (), (), ()))


def test_rules_deeper_than_python_recurses_are_worked_out(tmp_path):
    rule = value_over = events("weight").highest().value
    for _ in range(60):
        rule = case(when(rule >= 0).then(rule + 1), otherwise(value_over))
    deep = Indicator(
        "deep", title="", cohort=people, met=events("weight").where(value >= 0).exists, shows=[rule], source="x"
    )
    record = a_record(1, events=(Row(TODAY, code=1), Row(TODAY, code=5, value=1.0)))
    assert answer(definition(deep), [record], tmp_path).column("value").to_pylist() == [61.0]
