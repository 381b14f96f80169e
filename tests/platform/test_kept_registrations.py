"""Registrations kept in one file a snapshot: results and records are those from every practice's own file."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from cohortium_platform.engine.control import EngineSettings
from cohortium_platform.engine.duckdb import evaluate
from cohortium_platform.engine.duckdb_registrations import KeptRegistrations
from cohortium_platform.engine.evaluated import Kind
from cohortium_platform.engine.explain import load_record
from cohortium_platform.engine.golden import record_files
from cohortium_platform.engine.source import RecordFiles, Standing
from cohortium_plugins.authoring import Cohort, Indicator
from cohortium_plugins.language import events, index_date, months, patient
from cohortium_plugins.model import Code, Codelist, Definition
from cohortium_plugins.record import Record, Row

PRACTICES = [f"Y{number:02}" for number in range(12)]
DAYS = [date(2025, 6, 30), date(2024, 6, 30)]
LIST = Codelist("a", "a", "made for the tests", "1", (Code(11, "a"),))


@dataclass(frozen=True)
class ByPractice:
    """Each practice's records in files of its own, as the record store keeps them."""

    of: dict[str, RecordFiles]

    def files(self, table, practices):
        return [path for practice in practices for path in self.of[practice].files(table, [])]

    def registration_files(self, _practices):
        return self.files("registrations", sorted(self.of))

    def standing(self, _practice):
        return Standing(DAYS[0] - timedelta(days=90))


def definition() -> Definition:
    cohort = Cohort("c", title="C", members=events("a").exists & patient.is_registered, since=patient.registered_since)
    recent = events("a").in_last(months(12))
    seen = Indicator("seen", title="Seen", cohort=cohort, met=recent.latest(), due=index_date, source="x")
    return Definition({"a": LIST}, (), (cohort,), (seen,))


def moves(draw: random.Random) -> list[tuple[str, date, date | None]]:
    """Draw where someone was registered: with nobody, one practice, or several one after the other or at once."""
    spans = []
    for _ in range(draw.randrange(4)):
        start = date(2022, 1, 1) + timedelta(days=draw.randrange(1200))
        end = None if draw.random() < 0.4 else start + timedelta(days=draw.randrange(600))
        spans.append((draw.choice(PRACTICES), start, end))
    return spans


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> ByPractice:
    """People whose events lie in some practices and whose registrations in others."""
    draw = random.Random(5)  # noqa: S311 - drawn for a test
    found: dict[str, list[Record]] = {practice: [] for practice in PRACTICES}
    for number in range(300):
        spans = moves(draw)
        for practice in {*(where for where, _, _ in spans), draw.choice(PRACTICES)}:
            day = date(2023, 1, 1) + timedelta(days=draw.randrange(1000))
            rows = {
                "events": (Row(day, code=11, source="gp", entry=0),),
                "registrations": tuple(Row(a, practice=w, end_date=b) for w, a, b in spans if w == practice),
            }
            found[practice].append(Record(number, practice, date(1970, 1, 1), rows=rows))
    folder = tmp_path_factory.mktemp("records")
    made = {}
    for practice, people in found.items():
        (folder / practice).mkdir()
        made[practice] = record_files(people, folder / practice)
    return ByPractice(made)


def results(source: ByPractice, practices: list[str], extracts: Path | None = None) -> list[list[dict[str, object]]]:
    settings = EngineSettings(threads=1, extracts=extracts)
    with evaluate(definition(), source, practices, DAYS, settings=settings, outlook=True) as tables:
        return [tables.fetch(kind).to_pylist() for kind in Kind]


@pytest.mark.parametrize("practices", [PRACTICES[:1], PRACTICES[3:6], PRACTICES])
def test_results_are_those_from_every_practices_file(source, practices, tmp_path) -> None:
    expected = results(source, practices)
    assert expected[0]
    assert results(source, practices, tmp_path) == expected
    assert results(source, practices, tmp_path) == expected
    assert KeptRegistrations(tmp_path, source.registration_files([])).is_made


def test_a_record_is_read_from_it_and_without_it(source, tmp_path) -> None:
    with duckdb.connect() as connection:
        people = connection.execute(
            "SELECT DISTINCT practice, patient_id FROM read_parquet($1) ORDER BY ALL",
            [source.files("patients", PRACTICES)],
        ).fetchall()[:40]
        plain = [load_record(connection, source, *who) for who in people]
        assert max(len(record.rows["registrations"]) for record in plain) > 1
        assert [load_record(connection, source, *who, extracts=tmp_path) for who in people] == plain
        results(source, PRACTICES[:1], tmp_path)
        kept = KeptRegistrations(tmp_path, source.registration_files([]))
        assert [load_record(connection, source, *who, extracts=tmp_path) for who in people] == plain
        Path(kept.everyone).write_bytes(b"no Parquet")
        assert load_record(connection, source, *people[0], extracts=tmp_path) == plain[0]
        Path(kept.everyone).unlink()
        assert load_record(connection, source, *people[0], extracts=tmp_path) == plain[0]


def test_other_files_make_another(source, tmp_path) -> None:
    files = source.registration_files([])
    results(source, PRACTICES[:1], tmp_path)
    assert KeptRegistrations(tmp_path, files[::-1]).is_made
    assert not KeptRegistrations(tmp_path, files[1:]).is_made
