"""Entries made in Cohortium: laid over the records, in every result at once, left alone by a practice's next load."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest

from cohortium_platform.engine.control import EngineSettings
from cohortium_platform.engine.entered import OnePatient, reevaluate_patient
from cohortium_platform.engine.refresh import refresh_tenant
from cohortium_platform.engine.service import Request, evaluate_tenant
from cohortium_platform.records import (
    COHORTIUM,
    EntryRow,
    RecordStore,
    files,
    fold_entries,
    lay_over,
    snapshot_current,
    unfolded,
)
from cohortium_platform.results import ListQuery, RegistryResults, ResultReader, ResultStore
from cohortium_plugins.importing import ImportOptions
from cohortium_plugins.model import Status
from cohortium_tenants.loading import LoadOptions, load_delivery
from cohortium_tenants.packs import definition_of

REVIEW = 720006006
HNA = 787261000000106
PACK = "cancer-care"


class World:
    """A tenant of the hand-made patients, and what its pages would read."""

    def __init__(self, database, settings, key_encryption, tenant, hand_made, reader) -> None:
        self.database, self.settings, self.key_encryption = database, settings, key_encryption
        self.tenant, self.hand_made, self.reader = tenant, hand_made, reader
        self.store = RecordStore(settings.store_root, tenant.id)
        self.results = ResultStore(settings.store_root, tenant.id)
        with database.tenant(tenant.id) as session:
            self.found = definition_of(session, PACK)
        practices = (hand_made.ELM, hand_made.OAK)
        with self.session() as session:
            rows = RegistryResults(session, reader, self.results, PACK, practices).page
            self.people = {}
            for row in rows(ListQuery(limit=500)).rows:
                self.people[row.practice, row.age, row.since] = row.patient_id

    def session(self):
        return self.database.tenant(self.tenant.id)

    def enter(self, practice, patient_id, *rows, withdrawn=()):
        with self.session() as session:
            lay_over(session, self.store, practice, rows, withdrawn, actor="test")
            who = OnePatient(PACK, self.found.definition, self.found.hash, practice, patient_id)
            assert reevaluate_patient(session, self.store, self.results, who, EngineSettings(threads=1))

    def stands(self, practice, patient_id):
        with self.session() as session:
            read = RegistryResults(session, self.reader, self.results, PACK, [practice])
            row, results = read.patient(patient_id)
            tiles = read.tiles()
        statuses = {result.indicator: result.status for result in results}
        for name, status in statuses.items():
            assert row.statuses[name] == status
            assert tiles[name][status] > 0
        assert row.gaps == list(statuses.values()).count(Status.OVERDUE)
        assert row.due == list(statuses.values()).count(Status.DUE)
        return {result.indicator: result for result in results}

    def everything(self):
        with self.session() as session:
            read = RegistryResults(session, self.reader, self.results, PACK, [self.hand_made.ELM, self.hand_made.OAK])
            return [
                (row, read.patient(row.patient_id)[1]) for row in read.page(ListQuery(limit=500)).rows
            ], read.tiles()

    def reload(self, folder):
        delivery = self.hand_made.write_extract(folder)
        (delivery / "extract.yaml").write_text("source: gp\nrecords_to: 2025-12-15\n")
        load_delivery(
            self.database, self.settings, self.key_encryption, self.tenant.id, delivery, ImportOptions(), LoadOptions()
        )

    def request(self, *days):
        return Request(self.found.pack, self.found.definition, self.found.parameters, days)


@pytest.fixture
def world(database, settings, key_encryption, make_registry, hand_made) -> Iterator[World]:
    reader = ResultReader(threads=1)
    yield World(database, settings, key_encryption, make_registry(), hand_made, reader)
    reader.close()


@pytest.fixture
def ben(world):
    return next(patient for (_, _, since), patient in world.people.items() if since == date(2018, 5, 5))


def entry(patient, day, code=REVIEW, number=0):
    return EntryRow(patient, number, day, code)


def test_an_entry_turns_the_tile_of_its_patient_and_of_nobody_else(world, ben):
    practice = world.hand_made.ELM
    before, _ = world.everything()
    assert world.stands(practice, ben)["care-review"].status is Status.OVERDUE
    world.enter(practice, ben, entry(ben, date(2025, 11, 20)))
    found = world.stands(practice, ben)["care-review"]
    assert (found.status, found.met_date, found.event_source) == (Status.MET, date(2025, 11, 20), COHORTIUM)
    after, _ = world.everything()
    assert [each for each in after if each[0].patient_id != ben] == [
        each for each in before if each[0].patient_id != ben
    ]


def test_the_same_comes_out_of_evaluating_everyone(world, ben):
    world.enter(world.hand_made.ELM, ben, entry(ben, date(2025, 11, 20)), entry(ben, date(2026, 1, 9), HNA, 1))
    at_once = world.everything()
    days = [date(2025, month, 28) for month in range(1, 11)]
    evaluate_tenant(world.database, world.settings, world.tenant.id, world.request(*days, world.hand_made.INDEX_DATE))
    assert world.everything() == at_once


def test_an_entry_after_the_records_end_counts_for_what_it_decides_and_nothing_else(world, ben):
    practice = world.hand_made.ELM
    before = world.stands(practice, ben)
    world.enter(practice, ben, entry(ben, date(2026, 11, 20)))
    after = world.stands(practice, ben)
    turned = {name for name in after if after[name] != before[name]}
    assert turned == {"care-review", "comprehensive-review"}
    assert (after["care-review"].status, after["care-review"].met_date) == (Status.MET, date(2026, 11, 20))
    assert after["care-review"].index_date == world.hand_made.INDEX_DATE


def test_a_practices_next_load_leaves_entries_alone(world, ben, tmp_path):
    practice = world.hand_made.ELM
    world.enter(practice, ben, entry(ben, date(2026, 1, 9)))
    world.reload(tmp_path)
    with world.session() as session:
        sources = {file.source for file in files(session, snapshot_current(session), [practice])}
    assert COHORTIUM in sources
    done = refresh_tenant(world.database, world.settings, world.tenant.id, world.request())
    assert practice in done.whole
    assert done.index_date == date(2025, 12, 15)
    assert world.stands(practice, ben)["care-review"].met_date == date(2026, 1, 9)
    refresh_tenant(world.database, world.settings, world.tenant.id, world.request(), to=date(2026, 2, 1))
    assert world.stands(practice, ben)["care-review"].met_date == date(2026, 1, 9)


def test_a_withdrawn_entry_is_gone_and_its_tile_red_again(world, ben):
    practice = world.hand_made.ELM
    before = world.everything()
    world.enter(practice, ben, entry(ben, date(2025, 11, 20)), entry(ben, date(2025, 11, 20), HNA, 1))
    world.enter(practice, ben, withdrawn=[(ben, 0)])
    stands = world.stands(practice, ben)
    assert stands["care-review"].status is Status.OVERDUE
    assert stands["holistic-needs-assessment"].status is Status.MET
    world.enter(practice, ben, withdrawn=[(ben, 1)])
    assert world.everything() == before


def test_folding_changes_no_row(world, ben):
    practice = world.hand_made.ELM
    for number, code in enumerate((REVIEW, HNA)):
        world.enter(practice, ben, entry(ben, date(2025, 11, 20 + number), code, number))
    stands = world.everything()
    with world.session() as session:
        assert unfolded(session) == [practice]
        fold_entries(session, world.store, practice, actor="test")
        assert unfolded(session) == []
        mine = [f for f in files(session, snapshot_current(session), [practice]) if f.source == COHORTIUM]
        assert [file.rows for file in mine] == [2]
    days = [date(2025, month, 28) for month in range(1, 11)]
    evaluate_tenant(world.database, world.settings, world.tenant.id, world.request(*days, world.hand_made.INDEX_DATE))
    assert world.everything() == stands


def test_an_entry_made_while_everyone_is_evaluated_is_not_lost(world, ben):
    practice = world.hand_made.ELM
    entered = []

    def progress(_fraction, _step):
        if not entered:
            entered.append(True)
            world.enter(practice, ben, entry(ben, date(2025, 11, 20)))

    days = [date(2025, month, 28) for month in range(1, 11)]
    request = world.request(*days, world.hand_made.INDEX_DATE)
    evaluate_tenant(world.database, world.settings, world.tenant.id, request, progress)
    assert entered
    assert world.stands(practice, ben)["care-review"].status is Status.MET


def test_of_another_definition_nothing_is_mixed_in(world, ben):
    with world.session() as session:
        lay_over(session, world.store, world.hand_made.ELM, [entry(ben, date(2025, 11, 20))], actor="test")
        who = OnePatient(PACK, world.found.definition, "0" * 64, world.hand_made.ELM, ben)
        assert not reevaluate_patient(session, world.store, world.results, who, EngineSettings(threads=1))
    assert replace(world.request(), publish=False).publish is False
    assert world.stands(world.hand_made.ELM, ben)["care-review"].status is Status.OVERDUE
