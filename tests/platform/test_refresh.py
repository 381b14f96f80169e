"""Results brought forward day by day and load by load are those of a full evaluation, row by row, for a year."""

import json
import random
import signal
import subprocess
import sys
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from sqlmodel import select

from cohortium_platform.engine.catalogue import CatalogueSource
from cohortium_platform.engine.control import EngineSettings
from cohortium_platform.engine.entered import OnePatient, reevaluate_patient
from cohortium_platform.engine.explain import load_record
from cohortium_platform.engine.golden import record_files
from cohortium_platform.engine.refresh import refresh_tenant
from cohortium_platform.engine.service import Asked, Request, evaluate_tenant, run
from cohortium_platform.errors import Cancelled, Unavailable
from cohortium_platform.records import (
    GP,
    SCHEMAS,
    EntryRow,
    Load,
    RecordStore,
    Replacement,
    files,
    lay_over,
    publish,
    snapshot_current,
)
from cohortium_platform.results import STATUS_CODES, ResultFileRow, ResultKind, ResultStore, former_results, write
from cohortium_plugins.authoring import Cohort, Indicator, Stratifier, age_band, declined
from cohortium_plugins.language import case, events, index_date, months, otherwise, patient, season_start, when
from cohortium_plugins.model import Code, Codelist, Definition, Status
from cohortium_plugins.model.serialise import content_hash
from cohortium_plugins.pack import Pack
from cohortium_plugins.record import Record, Row

START, PRACTICES = date(2024, 2, 20), ["Y00001", "Y00002", "Y00003"]
HISTORY = (date(2023, 12, 31), date(2024, 1, 31))
LISTS = {
    name: Codelist(name, name, "made for this test", "1", (Code(number, name),))
    for number, name in enumerate(("illness", "attendance", "review", "declined", "vaccine"), 1)
}

# --- what is evaluated: every clock there is --------------------------------------------------------------------------

season, lately = season_start(index_date, 9, 1), events("attendance").in_last(months(6))
ill = Cohort(
    "ill",
    title="Ill",
    members=patient.is_registered & events("illness").exists,
    since=events("illness").earliest().date,
    shows=[lately.count],
)
attending = Cohort("attending", title="Attending", members=patient.is_registered & lately.exists,
                   since=lately.earliest().date)  # fmt: skip


def indicator(name, cohort=ill, **parts):
    return Indicator(name, title=name, cohort=cohort, source="made for this test", **parts)


INDICATORS = (
    indicator("yearly", met=events("review").latest(), every=months(12), adjustments=[declined("declined")]),
    indicator("once", met=events("review").exists, due=events("illness").latest().date + months(3)),
    indicator("age", applies=(patient.age >= 50) & (patient.age < 65), met=events("review").in_last(months(9)).exists),
    indicator(
        "season",
        met=events("vaccine").on_or_after(season).latest(),
        due=case(when(index_date >= season + months(7)).then(season + months(12)), otherwise(season + months(1))),
    ),
    indicator("often", attending, met=lately.count >= 2, shows=[lately.count]),
)
BANDS = Stratifier("band", title="Age", value=age_band(0, 50, 65), labels={"0-49": "", "50-64": "", "65+": ""})
DEFINITION = Definition(LISTS, (), (ill, attending), INDICATORS, (BANDS,))
PACK = Pack("made-up", "1", "Made up", "nobody", DEFINITION)
REQUEST = Request(PACK, DEFINITION, {})

# --- a small world that goes on ---------------------------------------------------------------------------------------


@dataclass
class World:
    """People with records at practices, loaded practice by practice."""

    database: object
    settings: object
    tenant: object
    chance: random.Random
    people: dict = field(default_factory=dict)
    folder: object = None
    loads: dict = field(default_factory=dict)

    @property
    def store(self):
        return RecordStore(self.settings.store_root, self.tenant.id)

    def begin(self, people):
        for number in range(1, people + 1):
            born = date(1930, 1, 1) + timedelta(days=self.chance.randint(0, 25_000))
            spell = Row(date(2010, 1, 1), practice=self.chance.choice(PRACTICES))
            self.people[number] = Record(number, "", born, "female", rows={"registrations": (spell,), "events": ()})
            for _ in range(self.chance.randint(0, 5)):
                self.happens(number, START - timedelta(days=self.chance.randint(1, 900)))

    def happens(self, number, day):
        person = self.people[number]
        row = Row(day, code=self.chance.randint(1, 5), entry=len(person.rows["events"]))
        self.people[number] = replace(person, rows={**person.rows, "events": (*person.rows["events"], row)})

    def moves(self, number, day):
        person = self.people[number]
        *before, last = person.rows["registrations"]
        if last.date >= day:
            return None
        there = self.chance.choice([p for p in PRACTICES if p != last.practice])
        ended = replace(last, end_date=day - timedelta(days=self.chance.choice([0, 1, 30])))
        spells = (*before, ended if ended.end_date >= last.date else last, Row(day, practice=there))
        self.people[number] = replace(person, rows={**person.rows, "registrations": spells})
        return last.practice, there

    def load(self, practice, records_to):
        """Deliver what a practice knows: its own registrations, and everything of whoever was ever there."""
        known = []
        for person in self.people.values():
            own = tuple(row for row in person.rows["registrations"] if row.practice == practice)
            if own:
                known.append(replace(person, practice=practice, rows={**person.rows, "registrations": own}))
        source, written = record_files(known, self.folder), []
        for table, schema in SCHEMAS.items():
            rows = pq.read_table(source.tables[table][0]).cast(schema.columns)
            written.append(self.store.write(practice, GP, table, rows))
        with self.database.tenant(self.tenant.id) as session:
            load = Load(tenant_id=self.tenant.id, started=datetime.now(UTC), importer="test", source=GP, delivery="d",
                        actor="service", quality={})  # fmt: skip
            session.add(load)
            session.flush()
            expected = {(practice, GP): self.loads.get(practice)}
            replacement = Replacement(practice, GP, records_to, written)
            made = publish(session, [replacement], load_id=load.id, expected=expected)
            if made.snapshot is not None:
                self.loads[practice] = load.id

    def refresh(self, to=None):
        return refresh_tenant(self.database, self.settings, self.tenant.id, REQUEST, to=to)

    def goes_on(self, day):
        """Let things happen by a day: rows (some of the future), moves, deaths, loads."""
        loads = set()
        for number in self.people:
            if self.chance.random() < 0.15:
                self.happens(number, day + timedelta(days=self.chance.choice([-40, -1, 0, 20, 60])))
            if self.chance.random() < 0.03:
                loads.update(self.moves(number, day + timedelta(days=self.chance.choice([-20, 0, 15]))) or ())
            if self.chance.random() < 0.01:
                died = day + timedelta(days=self.chance.choice([-5, 10]))
                self.people[number] = replace(self.people[number], date_of_death=died)
        loads.update(p for p in PRACTICES if self.chance.random() < 0.15)
        for practice in sorted(loads) if self.chance.random() < 0.6 else ():
            self.load(practice, day - timedelta(days=self.chance.choice([0, 0, 3, 40])))


@pytest.fixture
def world(database, settings, tenant, tmp_path):
    made = World(database, settings, tenant, random.Random(11), folder=tmp_path)  # noqa: S311 - test data
    made.begin(60)
    for practice in PRACTICES:
        made.load(practice, START)
    evaluate_tenant(database, settings, tenant.id, replace(REQUEST, index_dates=(*HISTORY, START)))
    return made


def rows_of(table):
    rows = [{name: value for name, value in row.items() if name != "may_change"} for row in table.to_pylist()]
    return sorted(rows, key=repr)


def published(world):
    """What counts now, by kind of file."""
    store = ResultStore(world.settings.store_root, world.tenant.id)
    found = {kind: [] for kind in ResultKind}
    with world.database.tenant(world.tenant.id) as session:
        for former in former_results(session, PACK.id):
            for kind, listed in former.files.items():
                for practice, path, *_ in listed:
                    rows = pq.read_table(store.path(path))
                    found[kind].extend(row for row in rows_of(rows) if row["practice"] == practice)
    return {kind: sorted(rows, key=repr) for kind, rows in found.items()}


def in_full(world, day):
    """What a full evaluation of the newest snapshot writes."""
    with world.database.tenant(world.tenant.id) as session:
        source = CatalogueSource(session, world.store, snapshot_current(session))
    asked = Asked(REQUEST, source, PRACTICES, [*HISTORY, day], datetime.now(UTC))
    store = ResultStore(world.settings.store_root, world.tenant.id)
    written = write(store, run(world.settings, world.tenant.id, asked))
    return {kind: rows_of(pq.read_table(store.path(path))) for kind, (path, *_) in written.files.items()}


def test_a_year_of_days_and_loads(world):
    day, kept, members, some = START, 0, 0, set()
    while day < START + timedelta(days=366):
        day += timedelta(days=world.chance.choice([1, 7, 31, 45]))
        world.goes_on(day)
        done = world.refresh(day)
        expected, found = in_full(world, day), published(world)
        for kind in ResultKind:
            assert found[kind] == expected[kind], (day, kind)
        kept, members = kept + done.kept, members + len(expected[ResultKind.LIST])
        some.add(len(done.whole))
    assert kept > members / 5
    assert {0, 2, 3} <= some


def test_a_load_of_one_practice_touches_it_and_where_its_movers_are(world):
    before = published(world)
    world.load(PRACTICES[0], START)
    assert world.refresh().evaluation is None  # the same delivery again is no change
    mover = next(row["patient_id"] for row in before[ResultKind.LIST] if row["practice"] == PRACTICES[0])
    world.people[mover] = replace(
        world.people[mover],
        rows={
            **world.people[mover].rows,
            "registrations": (
                Row(date(2010, 1, 1), practice=PRACTICES[0]),
                Row(date(2024, 2, 1), practice=PRACTICES[2]),
            ),
        },
    )
    world.load(PRACTICES[2], START)
    assert world.refresh().whole == [PRACTICES[0], PRACTICES[2]]
    assert world.refresh().evaluation is None
    assert published(world) == in_full(world, START)
    assert {row["practice"] for row in published(world)[ResultKind.LIST] if row["patient_id"] == mover} == {
        PRACTICES[2]
    }


def bytes_of(world, practices=PRACTICES):
    with world.database.tenant(world.tenant.id) as session:
        rows = session.exec(select(ResultFileRow).where(ResultFileRow.superseded.is_(None))).all()
        return {(row.practice, row.kind): (row.sha256, row.rows) for row in rows if row.practice in practices}


def test_the_same_four_give_the_same_bytes(world):
    first = bytes_of(world)
    for threads, memory in ((1, "512MB"), (2, "1GB"), (2, "300MB")):
        settings = world.settings.model_copy(update={"threads": threads, "memory_limit": memory})
        asked = replace(REQUEST, index_dates=(*HISTORY, START))
        evaluate_tenant(world.database, settings, world.tenant.id, asked)
        assert bytes_of(world) == first


@pytest.mark.parametrize("harm", ["missing", "cut short", "overwritten"])
@pytest.mark.parametrize("table", ["patients", "registrations"])
def test_a_practice_with_a_damaged_file_keeps_its_results_and_the_others_go_on(world, table, harm):
    former = bytes_of(world, PRACTICES[1:2])
    with world.database.tenant(world.tenant.id) as session:
        file = next(f for f in files(session, snapshot_current(session), [PRACTICES[1]]) if f.table == table)
    path = world.store.path(file.path)
    if harm == "missing":
        path.unlink()
    else:
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:-40] if harm == "cut short" else bytes(file.bytes))
    later = START + timedelta(days=20)
    done = world.refresh(later)
    assert done.evaluation.damaged == [PRACTICES[1]]
    assert bytes_of(world, PRACTICES[1:2]) == former
    rows = [row for row in published(world)[ResultKind.RESULTS] if row["practice"] != PRACTICES[1]]
    assert {row["index_date"] for row in rows} == {later}
    with world.database.tenant(world.tenant.id) as session:
        source = CatalogueSource(session, world.store, snapshot_current(session))
    with duckdb.connect() as connection:
        members = {row["practice"]: row["patient_id"] for row in published(world)[ResultKind.LIST]}
        assert load_record(connection, source, PRACTICES[0], members[PRACTICES[0]]).rows["events"]
        if table == "patients":
            with pytest.raises(Unavailable, match=PRACTICES[1]):
                load_record(connection, source, PRACTICES[1], members[PRACTICES[1]])
    with pytest.raises(Unavailable, match=PRACTICES[1]):
        evaluate_tenant(world.database, world.settings, world.tenant.id, replace(REQUEST, practices=PRACTICES[1:2]))


def test_what_is_cancelled_leaves_the_former_results(world):
    former = bytes_of(world)

    def stop(fraction, _step):
        if fraction > 0.4:
            raise Cancelled("Stopped by this test.")

    with pytest.raises(Cancelled):
        refresh_tenant(world.database, world.settings, world.tenant.id, REQUEST, stop, to=START + timedelta(days=9))
    assert bytes_of(world) == former


@pytest.mark.parametrize("place", ["working", "written", "counting"])
def test_a_process_that_is_killed_leaves_the_former_results(world, place):
    """The next refresh does what it did not."""
    former, later = bytes_of(world), START + timedelta(days=9)
    program = Path(__file__).with_name("killed_refresh.py")
    plain = world.settings.model_dump(mode="json", exclude={"database_url", "owner_database_url", "redis_url"})
    secret = {"redis_url": world.settings.redis_url.get_secret_value(), "database_url": "postgresql://nobody@nowhere/x"}
    address = world.settings.database_url.get_secret_value()
    orders = [address, json.dumps({**plain, **secret}), str(world.tenant.id), later.isoformat(), place]
    ended = subprocess.run([sys.executable, str(program), *orders], check=False, capture_output=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert bytes_of(world) == former
    world.refresh(later)
    assert {row["index_date"] for row in published(world)[ResultKind.RESULTS]} == {later}


# --- an entry about somebody in two cohorts ---------------------------------------------------------------------------


def test_a_late_entry_decides_measures_of_every_cohort_that_somebody_is_in(world):
    before = published(world)
    names = {}
    for row in before[ResultKind.RESULTS]:
        names.setdefault((row["practice"], row["patient_id"]), set()).add(row["indicator"])
    practice, patient = min(who for who, some in names.items() if {"yearly", "often"} <= some)
    entries = [EntryRow(patient, number, START + timedelta(days=5), code) for number, code in enumerate((2, 2, 3))]
    results = ResultStore(world.settings.store_root, world.tenant.id)
    with world.database.tenant(world.tenant.id) as session:
        lay_over(session, world.store, practice, entries, actor="test")
        who = OnePatient(PACK.id, DEFINITION, content_hash(DEFINITION), practice, patient)
        assert reevaluate_patient(session, world.store, results, who, EngineSettings(threads=1))
    at_once = published(world)
    of_patient = {row["indicator"]: row for row in at_once[ResultKind.RESULTS] if row["patient_id"] == patient}
    assert {name: of_patient[name]["status"] for name in ("yearly", "often")} == {"yearly": "met", "often": "met"}
    assert of_patient["yearly"]["met_date"] == START + timedelta(days=5)
    lines = [row for row in at_once[ResultKind.LIST] if row["patient_id"] == patient]
    assert len(lines) == 1
    places = {indicator.name: place for place, indicator in enumerate(INDICATORS)}
    met = STATUS_CODES[Status.MET]
    assert [lines[0]["statuses"][places[name]] for name in ("yearly", "often")] == [met, met]
    evaluate_tenant(world.database, world.settings, world.tenant.id, replace(REQUEST, index_dates=(*HISTORY, START)))
    assert published(world) == at_once
