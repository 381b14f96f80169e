"""Published tables, read by Delta Lake's own reader: whole snapshots, whatever is killed in between."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from sqlalchemy import text

from cohortium_platform.errors import CohortiumError
from cohortium_platform.jobs import JobState, find_job, run_job
from cohortium_platform.records import SCHEMAS, Load, RecordStore, RecordTable, Replacement, files, publish, sources
from cohortium_platform.records.published import bring_up, published_snapshot
from cohortium_platform.records.tasks import PUBLISH, ask_to_publish, publish_now

DAY = date(2025, 11, 30)
PATIENTS, EVENTS = RecordTable.PATIENTS, RecordTable.EVENTS


class Tables:
    """A tenant whose records change, and its published tables as Delta Lake reads them."""

    def __init__(self, database, settings, tenant) -> None:
        self.database, self.tenant = database, tenant
        self.store = RecordStore(settings.store_root, tenant.id)
        self.folder = settings.store_root / str(tenant.id)

    def load(self, practice: str, *patients: int, values: tuple[float, ...] = ()) -> int:
        """Replace what a practice has."""
        people = [{"patient_id": p, "practice": practice, "date_of_birth": date(1950, 1, 1)} for p in patients]
        rows = [
            {"patient_id": patients[0], "practice": practice, "date": DAY, "code": 11, "value": value, "unit": "kg",
             "source": "gp", "entry": place}
            for place, value in enumerate(values)
        ]  # fmt: skip
        written = [
            self.store.write(practice, "gp", table, pa.Table.from_pylist(found, SCHEMAS[table].columns))
            for table, found in ((PATIENTS, people), (EVENTS, rows))
        ]
        with self.database.tenant(self.tenant.id) as session:
            load = Load(
                tenant_id=self.tenant.id, started=datetime.now(UTC), importer="test", source="gp", delivery="d",
                actor="service", quality={},
            )  # fmt: skip
            session.add(load)
            session.flush()
            standing = {(s.practice, s.source): s.load_id for s in sources(session, 10**6)}
            replacement = Replacement(practice, "gp", DAY, written)
            done = publish(session, [replacement], load_id=load.id, expected={(practice, "gp"): None} | standing)
        assert done.snapshot is not None
        return done.snapshot

    def files(self, snapshot: int):
        with self.database.tenant(self.tenant.id) as session:
            return files(session, snapshot)

    def bring_up(self, snapshot: int, **how):
        return bring_up(self.folder, snapshot, self.files(snapshot), **how)

    def table(self, table: RecordTable = PATIENTS, version: int | None = None) -> DeltaTable:
        return DeltaTable(str(self.folder / "published" / table), version=version)

    def patients(self, version: int | None = None) -> list[int]:
        rows = pa.table(self.table(version=version).to_pyarrow_table())
        return sorted(rows.column("patient_id").to_pylist())


@pytest.fixture
def tables(database, settings, tenant) -> Tables:
    return Tables(database, settings, tenant)


@pytest.fixture
def worker(settings, monkeypatch) -> None:
    """The environment of a worker, which reads its settings from there."""
    for name in ("database_url", "redis_url"):
        monkeypatch.setenv(f"COHORTIUM_{name.upper()}", getattr(settings, name).get_secret_value())
    monkeypatch.setenv("COHORTIUM_STORE_URL", settings.store_url)
    monkeypatch.setenv("COHORTIUM_KEY_FILE", str(settings.key_file))
    monkeypatch.setenv("COHORTIUM_DEMO", "true")


def test_each_snapshot_is_a_version_and_former_ones_stay_readable(tables) -> None:
    first = tables.load("Y1", 1, 2, values=(70.5,))
    assert tables.bring_up(first).snapshot == first
    assert tables.patients() == [1, 2]
    second = tables.load("Y2", 3)
    third = tables.load("Y1", 2, 4)
    tables.bring_up(second)
    done = tables.bring_up(third)
    assert tables.patients() == [2, 3, 4]
    assert tables.patients(version=1) == [1, 2, 3]
    assert tables.patients(version=0) == [1, 2]
    assert published_snapshot(tables.folder) == done
    assert done.tables["patients"] == 2


def test_rows_and_types_are_those_of_the_record_store(tables) -> None:
    tables.bring_up(tables.load("Y1", 1, values=(70.5, 71.0)))
    found = pa.table(tables.table(EVENTS).to_pyarrow_table())
    expected = SCHEMAS[EVENTS].columns
    assert [(f.name, f.nullable) for f in found.schema] == [(f.name, f.nullable) for f in expected]
    assert found.column("value").to_pylist() == [70.5, 71.0]
    assert found.column("date").to_pylist() == [DAY, DAY]
    described = tables.table(PATIENTS).schema()
    assert {f.name: f.type.type for f in described.fields}["imd_decile"] == "byte"


def test_published_files_are_the_same_bytes_on_disk(tables) -> None:
    snapshot = tables.load("Y1", 1)
    tables.bring_up(snapshot)
    file = next(file for file in tables.files(snapshot) if file.table is PATIENTS)
    (published,) = (tables.folder / "published" / "patients").rglob("*.parquet")
    assert published.samefile(tables.store.path(file.path))


def test_a_snapshot_is_published_once_and_an_older_one_not_after_it(tables) -> None:
    first = tables.load("Y1", 1)
    second = tables.load("Y1", 2)
    done = tables.bring_up(second)
    assert tables.bring_up(second) == done
    assert tables.bring_up(first) == done
    assert tables.patients() == [2]
    assert tables.table().version() == 0


def test_what_no_version_holds_any_more_goes_after_its_time(tables) -> None:
    tables.bring_up(tables.load("Y1", 1))
    second = tables.load("Y1", 2)
    tables.bring_up(second)
    folder = tables.folder / "published" / "patients"
    assert len(list(folder.rglob("*.parquet"))) == 2
    tables.bring_up(second, kept_for=timedelta(seconds=-1))
    assert len(list(folder.rglob("*.parquet"))) == 1
    assert tables.patients() == [2]


def test_a_log_with_a_gap_is_refused_with_advice(tables) -> None:
    for patient in range(3):
        tables.bring_up(tables.load("Y1", patient))
    (tables.folder / "published" / "patients" / "_delta_log" / f"{1:020}.json").unlink()
    with pytest.raises(CohortiumError, match="lacks version 1") as refused:
        tables.bring_up(tables.load("Y1", 9))
    assert "publish again" in refused.value.advice


_FOR_EVER = """
import sys, json, dataclasses
from pathlib import Path
from cohortium_platform.records import RecordTable
from cohortium_platform.records.catalogue import RecordFile
from cohortium_platform.records.published import bring_up
snapshots = json.loads(sys.stdin.read())
print("ready", flush=True)
while True:
    for number, files in snapshots:
        bring_up(Path(sys.argv[1]), number, [RecordFile(**{**f, "table": RecordTable(f["table"])}) for f in files])
    number, files = snapshots[-1]
    snapshots = [[number + 1 + n, found] for n, (_, found) in enumerate(snapshots)]
"""


def test_killed_at_any_moment_every_version_is_a_whole_snapshot(tables) -> None:
    snapshots = [tables.load("Y1", n, n + 100) for n in range(4)]
    fields = ("practice", "source", "table", "path", "rows", "bytes", "sha256")
    document = [[n, [{name: getattr(f, name) for name in fields} for f in tables.files(n)]] for n in snapshots]
    for pause in (0.0, 0.003, 0.01, 0.02, 0.05):
        with subprocess.Popen(
            [sys.executable, "-c", _FOR_EVER, str(tables.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(document).encode())
            process.stdin.close()
            process.stdout.readline()
            time.sleep(pause)
            process.send_signal(signal.SIGKILL)
        last = max((tables.folder / "published").glob("patients/_delta_log/*.json"), default=None)
        newest = -1 if last is None else int(last.stem)
        for version in range(max(0, newest - 3), newest + 1):
            assert len(tables.patients(version=version)) == 2
        above = (published_snapshot(tables.folder) or tables.bring_up(snapshots[0])).snapshot + 1
        document = [[above + n, found] for n, (_, found) in enumerate(document)]
    done = bring_up(tables.folder, above + 100, tables.files(snapshots[-1]))
    assert tables.patients(done.tables["patients"]) == [3, 103]


def test_a_reader_in_between_sees_whole_snapshots_only(tables) -> None:
    snapshots = [tables.load("Y1", n, n + 100) for n in range(5)]
    listed = [tables.files(n) for n in snapshots]
    bring_up(tables.folder, 1, listed[0])
    stop = threading.Event()

    def go_on() -> None:
        number = 2
        while not stop.is_set():
            bring_up(tables.folder, number, listed[number % len(listed)])
            number += 1

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        seen = {tuple(tables.patients()) for _ in range(25)}
    finally:
        stop.set()
        thread.join()
    assert seen <= {(n, n + 100) for n in range(5)}
    assert len(seen) > 1


@pytest.mark.usefixtures("worker")
def test_a_job_publishes_the_newest_snapshot_in_a_process_of_its_own(tables, database, tenant) -> None:
    tables.load("Y1", 1)
    snapshot = tables.load("Y1", 7)
    with database.tenant(tenant.id) as session:
        job_id = ask_to_publish(session, "service")
        assert ask_to_publish(session, "service") == job_id
    assert run_job(database, {PUBLISH.name: PUBLISH}, tenant.id, job_id) is JobState.SUCCEEDED
    with database.tenant(tenant.id) as session:
        assert find_job(session, job_id).result["snapshot"] == snapshot
    assert tables.patients() == [7]
    assert publish_now(database, tenant.id, "service") is JobState.SUCCEEDED
    assert tables.table().version() == 0


@pytest.mark.usefixtures("worker")
def test_a_job_that_cannot_publish_fails_and_leaves_the_tables(tables, database, tenant) -> None:
    snapshot = tables.load("Y1", 1)
    tables.bring_up(snapshot)
    tables.load("Y1", 2)
    with database.tenant(tenant.id) as session:
        session.connection().execute(text("UPDATE record_files SET path = path || 'x' WHERE to_snapshot IS NULL"))
    assert publish_now(database, tenant.id, "service") is not JobState.SUCCEEDED
    assert tables.patients() == [1]


def test_the_examples_of_the_page_for_operators_work(tables) -> None:
    tables.bring_up(tables.load("Y1", 1, values=(70.5,)))
    page = (Path(__file__).parents[2] / "docs" / "operator" / "published-tables.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        found = {"folder": str(tables.folder / "published")}
        exec(example, found)  # noqa: S102 - our own documentation
    assert pa.table(found["patients"].to_pyarrow_table()).num_rows == 1
