"""The Spark engine beside its answers: the same tables as DuckDB's, what it refuses, that it can be stopped and reached
from elsewhere, and that a whole tenant is evaluated by it.

That its answers are right is held by the specification, by golden patients and by generated definitions.
"""

import json
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlmodel import select

from cohortium_platform import engine
from cohortium_platform.engine import duckdb, engines, spark, spark_frames, spark_series
from cohortium_platform.engine.control import Cancellation, EngineSettings
from cohortium_platform.engine.evaluated import MAY_CHANGE, Kind
from cohortium_platform.engine.golden import record_files
from cohortium_platform.engine.refresh import refresh_tenant
from cohortium_platform.engine.service import Request, evaluate_tenant
from cohortium_platform.engine.source import RecordFiles
from cohortium_platform.engine.spark_compile import Program
from cohortium_platform.engine.spark_running import opened
from cohortium_platform.errors import BadInput, Cancelled, Unavailable
from cohortium_platform.records import GP, SCHEMAS, Load, RecordStore, Replacement, publish
from cohortium_platform.results import Evaluation
from cohortium_plugins.authoring import Cohort, Indicator, Stratifier, age_band, declined
from cohortium_plugins.language import case, events, months, otherwise, patient, value, when
from cohortium_plugins.model import Code, Codelist, Definition, nodes
from cohortium_plugins.model.serialise import NODE_TYPES, to_json
from cohortium_plugins.pack import Pack
from cohortium_plugins.record import Record, Row

pytestmark = pytest.mark.xdist_group("spark")

TODAY, BEFORE = date(2025, 6, 30), date(2025, 1, 31)
LISTS = {
    name: Codelist(name, name, "made for this test", "1", (Code(number, name, "done"),))
    for number, name in enumerate(("illness", "review", "weight", "declined"), 1)
} | {"empty": Codelist("empty", "empty", "made for this test", "1", ())}
illness = events("illness").earliest()
people = Cohort(
    "people", title="People", members=patient.is_registered & illness.exists, since=illness.date, shows=[illness.code]
)
INDICATORS = tuple(
    Indicator(name, title=name, cohort=people, source="x", **parts)
    for name, parts in {
        "reviewed": {"met": events("review").latest(), "every": months(12), "adjustments": [declined("declined")]},
        "weighed": {"met": events("weight").exists, "shows": [events("weight").mean]},
        "undecided": {"met": events("empty").exists},
    }.items()
)
STRATA = (Stratifier("age", title="", value=age_band(0, 50), labels={}),)
DEFINITION = Definition(LISTS, (), (people,), INDICATORS, STRATA)
PRACTICES = ["Y00000", "Y00001", "Y00002"]


def records(count=120):
    rows = [
        Row(date(2023 + n % 3, 1 + n % 12, 1 + n % 28), code=1 + n % 4, value=n / 7, entry=n % 3) for n in range(40)
    ]
    return [
        Record(
            n,
            PRACTICES[n % 3],
            date(1960 + n % 30, 5, 5),
            "female",
            rows={
                "registrations": (Row(date(2000, 1, 1), practice=PRACTICES[n % 3]),),
                "events": tuple(rows[n % 7 :: 1 + n % 5]),
            },
            records_to=date(2025, 3, 1) if n % 3 == 2 else None,
        )
        for n in range(count)
    ]


# --- nothing is left out ----------------------------------------------------------------------------------------------


def test_every_kind_of_node_has_a_method():
    decided = {nodes.ParameterValue, nodes.HasCodes, nodes.Named}  # in the plan there is what they stand for
    kinds = set(NODE_TYPES.values()) - decided
    assert set(spark_series.SERIES_METHODS) == {kind for kind in kinds if issubclass(kind, nodes.Series)}
    assert set(spark_frames.FRAME_METHODS) == {kind for kind in kinds if issubclass(kind, nodes.Frame)}
    assert set(spark_frames.PICK_METHODS) == set(nodes.How)


# --- the same tables --------------------------------------------------------------------------------------------------


def test_tables_are_those_of_duckdb(by_spark, tmp_path):
    source, days = record_files(records(), tmp_path), [BEFORE, TODAY]
    scattered = RecordFiles({table: _scattered(path) for table, (path,) in source.tables.items()}, source.standings)
    with (
        duckdb.evaluate(DEFINITION, source, PRACTICES, days) as theirs,
        by_spark(DEFINITION, scattered, PRACTICES, days) as ours,
    ):
        for kind in Kind:
            assert ours.fetch(kind).schema == theirs.fetch(kind).schema
            assert ours.fetch(kind).to_pylist() == theirs.fetch(kind).to_pylist()
        assert ours.fetch(Kind.RESULTS).num_rows > 300
        assert {"records_to:2025-03-01", "no_codes:empty"} <= set(ours.fetch(Kind.RESULTS)["reason"].to_pylist())


def _scattered(path):
    """The same rows in two files, in another order."""
    rows = pq.read_table(path)
    order = sorted(range(rows.num_rows), key=lambda n: n * 7919 % 1009)
    paths = [path.replace(".parquet", f"-{half}.parquet") for half in (0, 1)]
    for half, where in enumerate(paths):
        pq.write_table(rows.take(pa.array(order[half::2], pa.int64())), where)
    return paths


def test_who_is_settled_is_left_out_and_the_next_day_may_change_the_rest(by_spark, tmp_path):
    source = record_files(records(30), tmp_path)
    settled = pa.table({"practice": [PRACTICES[0]], "patient_id": pa.array([0], pa.int64())})
    with by_spark(DEFINITION, source, PRACTICES[:1], [BEFORE, TODAY], outlook=True, settled=settled) as tables:
        results = tables.fetch(Kind.RESULTS)
        assert 0 not in results["patient_id"].to_pylist()
        may_change = {(row["index_date"], row[MAY_CHANGE]) for row in results.to_pylist()}
        assert may_change == {(BEFORE, None), (TODAY, date(2025, 7, 1))}
        assert set(tables.fetch(Kind.LIST)[MAY_CHANGE].to_pylist()) == {date(2025, 7, 1)}


def test_a_definition_may_have_no_indicator_and_no_record(by_spark):
    with by_spark(Definition(LISTS, (), (people,), ()), RecordFiles({}), ["Y1"], [TODAY]) as tables:
        assert [tables.fetch(kind).num_rows for kind in Kind] == [0, 0, 0]


def test_a_deep_rule_is_worked_out(by_spark, tmp_path):
    rule = otherwise_it = events("weight").highest().value
    for _ in range(25):
        rule = case(when(rule >= 0).then(rule + 1), otherwise(otherwise_it))
    deep = Indicator(
        "deep", title="", cohort=people, met=events("weight").where(value >= 0).exists, shows=[rule], source="x"
    )
    record = replace(records(1)[0], rows={**records(1)[0].rows, "events": (Row(TODAY, 1), Row(TODAY, 3, 1.0))})
    with by_spark(Definition(LISTS, (), (people,), (deep,)), record_files([record], tmp_path), PRACTICES, [TODAY]) as t:
        assert t.fetch(Kind.RESULTS)["value"].to_pylist() == [26.0]


# --- a whole tenant ---------------------------------------------------------------------------------------------------


def test_a_tenant_is_evaluated_by_the_engine_that_the_settings_name(by_spark, database, settings, tenant, tmp_path):
    del by_spark  # starts Spark
    store, everyone = RecordStore(settings.store_root, tenant.id), records(60)
    written = []
    for practice in PRACTICES:
        source = record_files([each for each in everyone if each.practice == practice], tmp_path)
        files = [
            store.write(practice, GP, table, pq.read_table(source.tables[table][0]).cast(schema.columns))
            for table, schema in SCHEMAS.items()
        ]
        written.append(Replacement(practice, GP, TODAY, files))
    with database.tenant(tenant.id) as session:
        load = Load(tenant_id=tenant.id, started=datetime.now(UTC), importer="test", source=GP, delivery="d",
                    actor="service", quality={})  # fmt: skip
        session.add(load)
        session.flush()
        publish(session, written, load_id=load.id, expected={})
    request = Request(Pack("made-up", "1", "Made up", "nobody", DEFINITION), DEFINITION, {}, [BEFORE, TODAY])
    on_spark = settings.model_copy(update={"engine": "spark"})
    by_both = [evaluate_tenant(database, chosen, tenant.id, request) for chosen in (settings, on_spark)]
    assert by_both[0].counts == by_both[1].counts
    assert by_both[1].members > 10
    with database.tenant(tenant.id) as session:
        assert sorted(session.exec(select(Evaluation.engine)).all()) == ["duckdb", "spark"]
    brought_forward = refresh_tenant(database, on_spark, tenant.id, request, to=date(2025, 7, 31))
    assert brought_forward.kept == 0, "Spark does not look ahead, so that everyone is looked at again"
    assert brought_forward.evaluation.members == by_both[1].members


# --- stopping, and what goes wrong ------------------------------------------------------------------------------------


def test_a_running_evaluation_is_stopped(by_spark, tmp_path, monkeypatch):
    source, cancellation, begun = record_files(records(30), tmp_path), Cancellation(), []

    def forever(_program):
        begun.append(time.monotonic())
        threading.Timer(1, cancellation.cancel).start()
        return "SELECT sum(id % 7) FROM range(0, 100000000000000, 1, 100000)"

    monkeypatch.setattr(Program, "lines", forever)
    with pytest.raises(Cancelled):
        by_spark(DEFINITION, source, PRACTICES, [TODAY], cancellation=cancellation)
    assert time.monotonic() - begun[0] < 60


def test_a_cancelled_evaluation_does_not_begin(by_spark, tmp_path):
    cancellation = Cancellation()
    cancellation.cancel()
    with pytest.raises(Cancelled):
        by_spark(DEFINITION, record_files(records(3), tmp_path), PRACTICES, [TODAY], cancellation=cancellation)


def test_a_damaged_file_is_told_without_its_content(by_spark, tmp_path):
    source = record_files(records(3), tmp_path)
    (tmp_path / "events.parquet").write_bytes(b"a secret of someone")
    with pytest.raises(Unavailable, match="cannot be read") as failure:
        by_spark(DEFINITION, source, PRACTICES, [TODAY])
    assert "secret" not in str(failure.value)


@pytest.mark.parametrize(("practices", "days"), [([], [TODAY]), (["Y1"], [])])
def test_nothing_to_evaluate_is_refused(by_spark, practices, days):
    with pytest.raises(BadInput, match="at least one practice and one index date"):
        by_spark(DEFINITION, RecordFiles({}), practices, days)


def test_a_missing_package_is_told(settings, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    monkeypatch.delitem(sys.modules, spark.__name__)
    monkeypatch.delattr(engine, "spark")
    with pytest.raises(Unavailable, match=r"pip install 'cohortium\[spark\]'"):
        engines.engine_of(settings.model_copy(update={"engine": "spark"}))
    assert engines.engine_of(settings) is duckdb.evaluate


def test_a_missing_java_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(Unavailable, match="needs Java 17"):
        spark.evaluate(DEFINITION, RecordFiles({}), PRACTICES, [TODAY])


# --- from elsewhere ---------------------------------------------------------------------------------------------------

_CLIENT = """
import datetime, json, sys
from cohortium_platform.engine.evaluated import Kind
from cohortium_platform.engine.source import RecordFiles
from cohortium_platform.engine.spark_compile import Program
from cohortium_platform.engine.spark_running import opened
from cohortium_platform.engine.spark import evaluate
from cohortium_plugins.model.serialise import from_json
asked = json.load(sys.stdin)
days = [datetime.date.fromisoformat(day) for day in asked["days"]]
source = RecordFiles(asked["files"])
with evaluate(from_json(asked["definition"]), source, asked["practices"], days, master=asked["master"]) as tables:
    print(json.dumps([str(tables.fetch(kind).to_pylist()) for kind in Kind]))
"""


@pytest.fixture
def connect():
    """The address of a Spark Connect server, in the Java machine that is there already."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with opened("local", EngineSettings()) as session:
        java = session._jvm
        settings = java.org.apache.spark.SparkEnv.get().conf()
        settings.set("spark.connect.grpc.binding.port", str(port))
        settings.set("spark.connect.grpc.binding.address", "127.0.0.1")
        service = java.org.apache.spark.sql.connect.service.SparkConnectService
        service.start(session._jsc.sc())
        yield f"sc://127.0.0.1:{port}"
        service.stop(java.scala.Option.empty(), java.scala.Option.empty())


def test_spark_connect_gives_the_same(by_spark, connect, tmp_path):
    source, days = record_files([replace(each, records_to=None) for each in records(30)], tmp_path), [BEFORE, TODAY]
    asked = {
        "definition": to_json(DEFINITION),
        "files": source.tables,
        "practices": PRACTICES,
        "days": [day.isoformat() for day in days],
        "master": connect,
    }
    client = subprocess.run([sys.executable, "-c", _CLIENT], input=json.dumps(asked), capture_output=True, text=True,
                            check=False, timeout=300)  # fmt: skip
    assert client.returncode == 0, client.stderr
    with by_spark(DEFINITION, source, PRACTICES, days) as tables:
        assert json.loads(client.stdout) == [str(tables.fetch(kind).to_pylist()) for kind in Kind]
