"""Extracts: what is evaluated from them is what is evaluated from the records, and nothing stands on them."""

from __future__ import annotations

import os
import random
import time
from datetime import date, timedelta

import duckdb
import pytest

from cohortium_platform.engine.catalogue import CatalogueSource
from cohortium_platform.engine.control import EngineSettings
from cohortium_platform.engine.duckdb import evaluate
from cohortium_platform.engine.duckdb_compile import Program
from cohortium_platform.engine.duckdb_extracts import LookedAt
from cohortium_platform.engine.evaluated import Kind
from cohortium_platform.engine.golden import record_files
from cohortium_platform.records import sweep
from cohortium_plugins.authoring import Cohort, Indicator
from cohortium_plugins.language import consultations, events, index_date, medications, months, patient
from cohortium_plugins.model import Code, Codelist, Definition
from cohortium_plugins.record import Record, Row

DAYS = [date(2025, 6, 30), date(2024, 6, 30)]
LISTS = {
    name: Codelist(name, name, "made for the tests", "1", tuple(Code(code, name) for code in codes))
    for name, codes in {"a": (11, 12), "b": (12, 21), "other": (31,)}.items()
}


def definition_of(members) -> Definition:
    cohort = Cohort("c", title="C", members=members, since=index_date)
    seen = events("b").in_last(months(12))
    indicators = [
        Indicator("seen", title="Seen", cohort=cohort, met=seen.latest(), source="x", shows=[seen.count]),
        Indicator("called", title="Called", cohort=cohort, met=consultations().latest(), source="x"),
        Indicator("given", title="Given", cohort=cohort, met=medications("a").latest(), source="x"),
    ]
    return Definition(LISTS, (), (cohort,), tuple(indicators))


COHORTS = {
    "with a code": events("a").exists & patient.is_registered,
    "with a prescription or a code": (medications("b").exists | events("a").exists) & patient.is_registered,
    "everyone": patient.is_registered,
    "everyone without": ~events("a").exists & patient.is_registered,
}


def row(day: int, code: int, entry: int) -> Row:
    return Row(date(2023, 1, 1) + timedelta(days=day), code=code, source="gp", entry=entry)


def people(seed: int) -> list[Record]:
    """Draw people of two practices, with few codes on few days."""
    draw = random.Random(seed)  # noqa: S311 - drawn for a test
    found = []
    for number in range(80):
        coded = {
            table: tuple(
                row(draw.randrange(1100), draw.choice([11, 12, 21, 31, 41]), n) for n in range(draw.randrange(4))
            )
            for table in ("events", "medications")
        }
        talks = tuple(
            Row(date(2023, 1, 1) + timedelta(days=draw.randrange(1100)), kind="telephone", source="gp", entry=n)
            for n in range(draw.randrange(3))
        )
        practice = draw.choice(["Y1", "Y2"])
        registered = (Row(date(2000, 1, 1), practice=practice),)
        tables = {**coded, "consultations": talks, "contacts": (), "registrations": registered}
        found.append(Record(patient_id=number, practice=practice, date_of_birth=date(1970, 1, 1), rows=tables))
    return found


def results(definition, source, practices, extracts=None):
    how = EngineSettings(threads=1, extracts=extracts)
    with evaluate(definition, source, practices, DAYS, settings=how) as tables:
        return [tables.fetch(kind).to_pylist() for kind in Kind]


@pytest.mark.parametrize("members", COHORTS)
def test_extracts_give_what_the_records_give(members, tmp_path) -> None:
    folder = tmp_path
    definition = definition_of(COHORTS[members])
    source = record_files(people(seed=len(members)), folder)
    practices = ["Y1", "Y2"]
    expected = results(definition, source, practices)
    assert len(expected[0]) > 20
    assert results(definition, source, practices, folder / "extracts") == expected
    assert results(definition, source, practices, folder / "extracts") == expected
    assert len(list((folder / "extracts").glob("*/*"))) == len(practices)


def test_an_extract_holds_rows_on_the_lists_of_people_who_can_be_members(tmp_path) -> None:
    def record(number, *codes):
        tables = {"events": tuple(row(1, code, n) for n, code in enumerate(codes))}
        tables["registrations"] = (Row(date(2000, 1, 1), practice="Y1"),)
        return Record(patient_id=number, practice="Y1", date_of_birth=date(1970, 1, 1), rows=tables)

    source = record_files([record(1, 11, 21, 31), record(2, 21), record(3, 41)], tmp_path)
    results(definition_of(COHORTS["with a code"]), source, ["Y1"], tmp_path / "extracts")
    (made,) = (tmp_path / "extracts").glob("*/*/events.parquet")
    with duckdb.connect() as connection:
        rows = connection.execute("SELECT patient_id, code FROM read_parquet($1)", [str(made)]).fetchall()
    assert sorted(rows) == [(1, 11), (1, 21)]


def test_other_codes_or_other_files_make_another_extract() -> None:
    def looked_at(lists, members):
        definition = definition_of(COHORTS[members])
        bound = Definition({**definition.codelists, **lists}, (), definition.cohorts, definition.indicators)
        return LookedAt.of(Program(bound, frozenset(), stale=False).plan).digest

    same = looked_at({}, "with a code")
    assert looked_at({}, "with a code") == same
    more = LISTS["b"].extended((Code(99, "local", local=True),))
    assert len({same, looked_at({"b": more}, "with a code"), looked_at({}, "everyone")}) == 3


def test_a_load_that_replaces_records_is_seen_and_its_old_extract_swept(loads, tenant, database) -> None:
    store = loads.target.store

    def delivery(code: int) -> dict[str, str]:
        return {
            "patients.csv": "local_id,nhs_number,date_of_birth,sex,practice\np1,9434765919,1950-01-01,female,A81001\n",
            "registrations.csv": "local_id,practice,start_date\np1,A81001,2000-01-01\n",
            "events.csv": f"local_id,practice,date,code\np1,A81001,2024-01-01,{code}\n",
        }

    def members() -> int:
        with database.tenant(tenant.id) as session:
            source = CatalogueSource(session, store, loads.snapshot())
        how = EngineSettings(threads=1, extracts=store.extracts)
        definition = definition_of(COHORTS["with a code"])
        with evaluate(definition, source, source.practices, DAYS[:1], settings=how) as tables:
            return tables.fetch(Kind.LIST).num_rows

    loads.load(delivery(11))
    assert members() == 1
    loads.load(delivery(41))
    assert members() == 0
    (kept, stale) = sorted((made for made, _ in store.extracts_made()), key=lambda made: made.modified, reverse=True)
    for made in (kept, stale):
        long_ago = time.time() - 10 * 86_400
        os.utime(store.extracts / made.path, (long_ago, long_ago))
    assert sweep(database, tenant.id, store).extracts == 1
    assert [made.path for made, _ in store.extracts_made()] == [kept.path]
