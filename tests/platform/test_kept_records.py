"""Records kept in patient order: a patient's record is read from them as from the record files, and nothing stands on
them.
"""

from __future__ import annotations

import os
import random
import time
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from cohortium_platform.engine.catalogue import CatalogueSource
from cohortium_platform.engine.control import Cancellation, EngineSettings
from cohortium_platform.engine.duckdb_kept_records import KeptRecords
from cohortium_platform.engine.duckdb_running import Running, lend
from cohortium_platform.engine.explain import find_practice, load_record
from cohortium_platform.engine.golden import record_files
from cohortium_platform.engine.tasks import KEEP, ask_to_keep
from cohortium_platform.jobs import JobState, find_job, run_job
from cohortium_platform.records import sweep
from cohortium_plugins.record import Record, Row

PRACTICES = ["Y1", "Y2"]


def drawn() -> list[Record]:
    """People of two practices with rows in every table, several on one day, many with nothing in a column."""
    draw = random.Random(11)  # noqa: S311 - drawn for a test

    def day() -> date:
        return date(2024, 1, 1) + timedelta(days=draw.randrange(30))

    def coded(n: int) -> Row:
        value = draw.choice([None, 1.5, 30.0])
        return Row(day(), code=draw.choice([11, 12]), value=value, unit=draw.choice([None, "kg"]), source="gp", entry=n)

    found = []
    for number in range(60):
        practice = draw.choice(PRACTICES)
        rows = {
            "events": tuple(coded(n) for n in range(draw.randrange(6))),
            "medications": tuple(Row(day(), code=21, source="gp", entry=n) for n in range(draw.randrange(4))),
            "consultations": tuple(Row(day(), kind="nurse", source="gp", entry=n) for n in range(draw.randrange(4))),
            "contacts": tuple(
                Row(day(), kind="telephone", relationship=draw.choice([None, "N"]), source="gp", entry=n)
                for n in range(draw.randrange(3))
            ),
            "registrations": (Row(date(2000, 1, 1), practice=practice),),
        }
        found.append(Record(number, practice, date(1970, 1, 1), rows=rows))
    return found


def make(kept: KeptRecords) -> None:
    lent = lend(EngineSettings(threads=1))
    kept.make(Running(lent.connection, Cancellation()))
    lent.close()


@pytest.fixture
def source(tmp_path):
    (tmp_path / "records").mkdir()
    return record_files(drawn(), tmp_path / "records")


def test_a_record_is_the_same_from_either(source, tmp_path) -> None:
    people = [(record.practice, record.patient_id) for record in drawn()]
    with duckdb.connect() as connection:
        plain = [load_record(connection, source, *who) for who in people]
        assert max(len(record.rows["events"]) for record in plain) > 3
        for practice in PRACTICES:
            make(KeptRecords(tmp_path / "kept", source, practice))
            assert KeptRecords(tmp_path / "kept", source, practice).is_made
        assert [load_record(connection, source, *who, extracts=tmp_path / "kept") for who in people] == plain


def test_it_is_read_instead_of_the_record_files(source, tmp_path) -> None:
    who = next((record.practice, record.patient_id) for record in drawn() if record.rows["events"])
    make(KeptRecords(tmp_path / "kept", source, who[0]))
    with duckdb.connect() as connection:
        plain = load_record(connection, source, *who)
        for file in source.files("events", [who[0]]):
            Path(file).write_bytes(b"no Parquet")
        assert load_record(connection, source, *who, extracts=tmp_path / "kept") == plain


def test_one_that_cannot_be_read_is_thrown_away(source, tmp_path) -> None:
    kept = KeptRecords(tmp_path / "kept", source, "Y1")
    who = next(("Y1", record.patient_id) for record in drawn() if record.practice == "Y1")
    with duckdb.connect() as connection:
        plain = load_record(connection, source, *who)
        for damage in (lambda: Path(kept.file).write_bytes(b"no Parquet"), lambda: Path(kept.file).unlink()):
            make(kept)
            damage()
            assert load_record(connection, source, *who, extracts=tmp_path / "kept") == plain
            assert not kept.is_made


def test_after_a_load_a_job_keeps_them_anew(loads, tenant, database, settings, monkeypatch) -> None:
    store = loads.target.store
    monkeypatch.setattr("cohortium_platform.engine.tasks.load_settings", lambda: settings)

    def delivery(code: int) -> dict[str, str]:
        return {
            "patients.csv": "local_id,nhs_number,date_of_birth,sex,practice\np1,9434765919,1950-01-01,female,A81001\n",
            "registrations.csv": "local_id,practice,start_date\np1,A81001,2000-01-01\n",
            "events.csv": f"local_id,practice,date,code\np1,A81001,2024-01-01,{code}\n",
        }

    def codes() -> list[int | None]:
        with database.tenant(tenant.id) as session:
            source = CatalogueSource(session, store, loads.snapshot())
            job_id = ask_to_keep(session, "test")
        run_job(database, {KEEP.name: KEEP}, tenant.id, job_id)
        with database.tenant(tenant.id) as session:
            job = find_job(session, job_id)
            assert (job.state, job.result) == (JobState.SUCCEEDED, {"practices": 1, "snapshot": source.snapshot})
        assert KeptRecords(store.extracts, source, "A81001").is_made
        with duckdb.connect() as connection:
            files = source.files("patients", ["A81001"])
            ((patient,),) = connection.execute("SELECT patient_id FROM read_parquet($1)", [list(files)]).fetchall()
            day = date(2024, 6, 1)
            assert find_practice(connection, source, patient, day, extracts=store.extracts) == "A81001"
            record = load_record(connection, source, "A81001", patient, extracts=store.extracts)
        return [row.code for row in record.rows["events"]]

    loads.load(delivery(11))
    assert codes() == [11]
    loads.load(delivery(12))
    assert codes() == [12]
    kept = list(store.extracts.glob("*/*"))
    assert len(kept) == 2
    for folder in kept:
        os.utime(folder, (time.time() - 7 * 86400,) * 2)
    assert sweep(database, tenant.id, store).extracts == 1
    assert len(list(store.extracts.glob("*/*"))) == 1
