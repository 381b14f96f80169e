"""Exchanging what a registry shows, and back: in one moment, whole or not at all, byte for byte."""

import hashlib
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from uuid import uuid4

import pyarrow.parquet as pq
import pytest
from sqlmodel import col, select

from cohortium_platform.audit import Entry, record
from cohortium_platform.engine.catalogue import CatalogueSource
from cohortium_platform.errors import BadInput, Conflict, NotFound
from cohortium_platform.jobs import Job, JobState, enqueue, find_job, load_kinds, run_job
from cohortium_platform.records import RecordStore, snapshot_current
from cohortium_platform.results import RegistryResults, ResultFileRow, ResultReader, ResultStore, former_results
from cohortium_plugins.importing import ImportOptions
from cohortium_plugins.model import Duration, Status, Unit
from cohortium_tenants.loading import LoadOptions, load_delivery
from cohortium_tenants.packs import (
    EVALUATE,
    Choice,
    EvaluatePack,
    OwnCode,
    ask_to_switch,
    chosen_now,
    definition_of,
    enable_pack,
    enabled_packs,
    enablements,
    former_of,
    roll_back,
)
from cohortium_tenants.packs.catalogue.deciding import withdraw
from cohortium_tenants.packs.catalogue.publishers import revoke_key
from cohortium_tenants.packs.files import TenantFiles
from cohortium_tenants.packs.incidents import ask_for_report, find_report
from cohortium_tenants.packs.previews import ask_for_preview, find_preview
from cohortium_tenants.sensitive.changing import NewCode, add_codes

DAY = date(2025, 11, 30)
PATIENTS = {1: "female", 2: "male", 3: "female", 4: "male"}
EVENTS = [(1, "2020-05-01", 64859006), (1, "2024-12-01", 312681000), (2, "2021-05-01", 64859006),
          (3, "2022-05-01", 125605004), (4, "2022-05-01", 900001)]  # fmt: skip
MONTHS_12 = Duration(12, Unit.MONTHS)


class Everything:
    def practices(self, _day):
        return frozenset({"Y00001"})


def write(folder, rows):
    folder.mkdir()
    nhs = {1: "9990000018", 2: "9990000026", 3: "9990000034", 4: "9990000042"}
    tables = {
        "patients": ["local_id,nhs_number,date_of_birth,sex,practice"]
        + [f"{who},{nhs[who]},1950-01-01,{sex},Y00001" for who, sex in PATIENTS.items()],
        "registrations": ["local_id,practice,start_date"] + [f"{who},Y00001,2000-01-01" for who in PATIENTS],
        "events": ["local_id,practice,date,code"] + [f"{who},Y00001,{day},{code}" for who, day, code in rows],
    }
    for name, lines in tables.items():
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture
def fill(database, settings, key_encryption, tmp_path, monkeypatch):
    """Load the four patients into a tenant."""
    monkeypatch.setattr("cohortium_tenants.loading.service.load_graph", lambda _session: Everything())
    monkeypatch.setattr("cohortium_tenants.packs.tasks.load_settings", lambda: settings)
    monkeypatch.setattr("cohortium_tenants.packs.previews.load_settings", lambda: settings)
    monkeypatch.setattr("cohortium_tenants.packs.incidents.load_settings", lambda: settings)

    def load(tenant, rows=EVENTS, records_to=DAY):
        folder = tmp_path / uuid4().hex
        write(folder, rows)
        asked = ImportOptions(practice="Y00001", records_to=records_to)
        load_delivery(database, settings, key_encryption, tenant.id, folder, asked, LoadOptions())

    return load


@pytest.fixture(scope="module")
def press(database, make_catalogue_tenant, made_packs):
    """A publisher of this module's own, whose two versions are released."""
    press = made_packs.Press()
    with database.tenant(make_catalogue_tenant.id) as session:
        press.key_id = press.enter(session)
        for version in ("1.0.0", "2.0.0"):
            press.release(session, press.make(version))
    return press


@pytest.fixture(scope="module")
def make_catalogue_tenant(database, key_encryption):
    from cohortium_tenants.tenants import create_tenant  # noqa: PLC0415

    return create_tenant(database, key_encryption, slug=f"t{uuid4().hex}", name="Catalogue ICB", ods_code="QT9")


def switch(database, tenant, choice, *, by="admin"):
    with database.tenant(tenant.id) as session:
        job = ask_to_switch(session, None, choice, reason="a test", by=by)
    state = run_job(database, load_kinds(), tenant.id, job)
    with database.tenant(tenant.id) as session:
        return state, find_job(session, job)


def pack_id(press):
    return press.pack_id


def shown(database, settings, tenant, pack):
    """Statuses as pages read them."""
    reader = ResultReader(threads=1)
    try:
        with database.tenant(tenant.id) as session:
            store = ResultStore(settings.store_root, tenant.id)
            results = RegistryResults(session, reader, store, pack, {"Y00001"})
            return results.evaluation.version, {
                k: {s: n for s, n in v.items() if n} for k, v in results.tiles().items()
            }
    finally:
        reader.close()


def files(database, settings, tenant, pack):
    """Every file that counts, byte for byte."""
    store = ResultStore(settings.store_root, tenant.id)
    with database.tenant(tenant.id) as session:
        rows = session.exec(
            select(ResultFileRow).where(ResultFileRow.pack == pack, col(ResultFileRow.superseded).is_(None))
        ).all()
        definition = definition_of(session, pack).hash
        chosen = chosen_now(session, pack)
    found = {
        (r.practice, r.kind, r.path, r.rows, hashlib.sha256(store.path(r.path).read_bytes()).hexdigest()) for r in rows
    }
    return found, definition, (chosen.version, chosen.parameters, tuple(chosen.codes))


def test_a_version_is_enabled_with_its_history_exchanged_and_rolled_back(database, settings, tenant, fill, press):
    pack = pack_id(press)
    fill(tenant)
    state, job = switch(database, tenant, Choice(pack, "1.0.0"))
    assert state is JobState.SUCCEEDED, job.error
    with database.tenant(tenant.id) as session:
        evaluation = former_results(session, pack)[0].evaluation
        assert len(evaluation.index_dates) == 24
        assert evaluation.index_dates[:1] + evaluation.index_dates[-2:] == ["2023-12-31", "2025-10-31", "2025-11-30"]
        assert former_of(session, pack) is None
        with pytest.raises(NotFound, match="no former results"):
            roll_back(session, pack, by="admin", reason="")
    before = files(database, settings, tenant, pack)
    assert shown(database, settings, tenant, pack) == (
        "1.0.0",
        {"scanned": {Status.MET: 1, Status.OVERDUE: 1}, "advised": {Status.OVERDUE: 2}},
    )
    # Version 2 knows fractures (the third patient); with 12 months the first one's scan of December 2024 still counts.
    own = OwnCode("bone-disease", 900001, "Brittle bones (own code)", "Recorded so by Y00001")
    choice = Choice.of(pack, "2.0.0", {"scan-interval": MONTHS_12}, [own])
    state, job = switch(database, tenant, choice)
    assert state is JobState.SUCCEEDED, job.error
    after = files(database, settings, tenant, pack)
    assert shown(database, settings, tenant, pack) == (
        "2.0.0",
        {"scanned": {Status.MET: 1, Status.OVERDUE: 3}, "advised": {Status.OVERDUE: 4}},
    )
    with database.tenant(tenant.id) as session:
        assert former_of(session, pack).version == "1.0.0"
        roll_back(session, pack, by="admin", reason="The fracture codes are too wide")
    assert files(database, settings, tenant, pack) == before
    assert shown(database, settings, tenant, pack)[0] == "1.0.0"
    with database.tenant(tenant.id) as session:
        roll_back(session, pack, by="admin", reason="They were right")
        assert [each.how for each in enablements(session, pack)] == ["rolled back", "rolled back", "enabled", "enabled"]
    assert files(database, settings, tenant, pack) == after


def test_two_tenants_run_two_versions_at_once(database, settings, tenant, other_tenant, fill, press):
    pack = pack_id(press)
    for each, version in ((tenant, "1.0.0"), (other_tenant, "2.0.0")):
        fill(each)
        switch(database, each, Choice(pack, version))
    assert shown(database, settings, tenant, pack)[0] == "1.0.0"
    assert shown(database, settings, other_tenant, pack) == (
        "2.0.0",
        {"scanned": {Status.MET: 1, Status.OVERDUE: 2}, "advised": {Status.OVERDUE: 3}},
    )


@pytest.mark.parametrize(
    ("parameters", "codes", "says"),
    [
        ({"scan-interval": {"duration": [13, "months"]}}, [], "is not a choice"),
        ({"colour": 1}, [], "no parameter colour"),
        ({"scan-interval": {"duration": ["x", "months"]}}, [], "malformed"),
        ({}, [OwnCode("bone-diseases", 900001, "x", "y")], "no codelist"),
        ({}, [OwnCode("bone-disease", 73211009, "x", "y")], "SNOMED CT concept"),
        ({}, [OwnCode("bone-disease", 900001, "x", " ")], "needs a term and a reason"),
        ({}, [OwnCode("bone-disease", 0, "x", "y")], "positive number"),
        ({}, [OwnCode("bone-disease", 2**63, "x", "y")], "positive number"),
    ],
)
def test_only_what_the_pack_declares_can_be_chosen(database, tenant, press, parameters, codes, says):
    with database.tenant(tenant.id) as session, pytest.raises(BadInput, match=says):
        ask_to_switch(session, None, Choice(pack_id(press), "1.0.0", parameters, codes), reason="", by="admin")


def test_while_one_exchange_waits_no_other_is_asked_for_and_nothing_is_rolled_back(database, tenant, fill, press):
    pack = pack_id(press)
    fill(tenant)
    switch(database, tenant, Choice(pack, "1.0.0"))
    switch(database, tenant, Choice(pack, "2.0.0"))
    with database.tenant(tenant.id) as session:
        ask_to_switch(session, None, Choice(pack, "1.0.0"), reason="", by="admin")
    for act in (
        lambda s: ask_to_switch(s, None, Choice(pack, "2.0.0"), reason="", by="admin"),
        lambda s: roll_back(s, pack, by="admin", reason=""),
    ):
        with database.tenant(tenant.id) as session, pytest.raises(Conflict, match="being exchanged"):
            act(session)


def test_what_has_results_is_not_changed_beside_them(database, tenant, fill, press):
    pack = pack_id(press)
    fill(tenant)
    switch(database, tenant, Choice(pack, "1.0.0"))
    with database.tenant(tenant.id) as session, pytest.raises(Conflict, match="in one moment"):
        enable_pack(session, pack, by="admin", version="2.0.0")


def test_an_evaluation_begun_before_an_exchange_publishes_nothing_of_before(
    database, settings, tenant, fill, press, monkeypatch
):
    """It is asked for under version 1 and comes to its end after the exchange: it begins again under version 2."""
    pack = pack_id(press)
    fill(tenant)
    switch(database, tenant, Choice(pack, "1.0.0"))
    switch(database, tenant, Choice(pack, "2.0.0"))
    with database.tenant(tenant.id) as session:
        job = enqueue(session, None, EVALUATE, EvaluatePack(pack), requested_by="admin")
    from cohortium_tenants.packs import tasks  # noqa: PLC0415

    evaluate, seen = tasks.evaluate_tenant, []

    def slow(*args, **kwargs):
        seen.append(args[3].pack.version)
        if len(seen) == 1:
            with database.tenant(tenant.id) as session:
                roll_back(session, pack, by="admin", reason="while it runs")
        return evaluate(*args, **kwargs)

    monkeypatch.setattr(tasks, "evaluate_tenant", slow)
    assert run_job(database, load_kinds(), tenant.id, job) is JobState.SUCCEEDED
    assert seen == ["2.0.0", "1.0.0"]
    assert shown(database, settings, tenant, pack)[0] == "1.0.0"


def test_codes_that_became_sensitive_keep_former_results_from_coming_back(database, tenant, fill, press):
    pack = pack_id(press)
    fill(tenant)
    switch(database, tenant, Choice(pack, "1.0.0"))
    switch(database, tenant, Choice(pack, "2.0.0"))
    with database.tenant(tenant.id) as session:
        assert former_of(session, pack) is not None
        add_codes(session, [NewCode("64859006", "gender", "a test's own decision")], by="officer")
        assert former_of(session, pack) is None
        with pytest.raises(NotFound, match="no former results"):
            roll_back(session, pack, by="admin", reason="")


def test_a_version_is_not_enabled_once_withdrawn_or_its_key_revoked(database, tenant, fill, made_packs):
    press = made_packs.Press()
    fill(tenant)
    with database.tenant(tenant.id) as session:
        key = press.enter(session)
        for version in ("1.0.0", "2.0.0"):
            press.release(session, press.make(version))
    pack = pack_id(press)
    switch(database, tenant, Choice(pack, "1.0.0"))
    with database.tenant(tenant.id) as session:
        job = ask_to_switch(session, None, Choice(pack, "2.0.0"), reason="", by="admin")
    with database.tenant(tenant.id) as session:
        revoke_key(session, key, why="It was on a lost laptop", by=made_packs.OPERATOR)
        assert former_of(session, pack) is None
    assert run_job(database, load_kinds(), tenant.id, job) is JobState.FAILED
    with database.tenant(tenant.id) as session:
        assert "key that signed it was revoked" in find_job(session, job).error
        assert [(row.pack, row.version) for row in enabled_packs(session)] == [(pack, "1.0.0")]


def test_what_was_withdrawn_does_not_come_back_by_rolling_back(database, tenant, fill, made_packs):
    press = made_packs.Press()
    fill(tenant)
    with database.tenant(tenant.id) as session:
        press.enter(session)
        first = press.release(session, press.make("1.0.0"))
        press.release(session, press.make("2.0.0"))
    pack = pack_id(press)
    switch(database, tenant, Choice(pack, "1.0.0"))
    switch(database, tenant, Choice(pack, "2.0.0"))
    with database.tenant(tenant.id) as session:
        withdraw(session, first, why="It counts scans of knees", by=made_packs.OPERATOR)
        with pytest.raises(Conflict, match="knees"):
            roll_back(session, pack, by="admin", reason="")


@pytest.mark.parametrize("place", ["working", "written", "counting"])
def test_killed_on_the_way_former_results_stay_and_another_worker_ends_it(
    database, settings, tenant, fill, press, place
):
    pack = pack_id(press)
    fill(tenant)
    switch(database, tenant, Choice(pack, "1.0.0"))
    before = files(database, settings, tenant, pack)
    with database.tenant(tenant.id) as session:
        job = ask_to_switch(session, None, Choice(pack, "2.0.0"), reason="", by="admin")
    orders = [str(tenant.id), str(job), place]
    program = [sys.executable, str(Path(__file__).with_name("killed_switch.py")), *orders]
    environment = {
        "COHORTIUM_DATABASE_URL": settings.database_url.get_secret_value(),
        "COHORTIUM_REDIS_URL": settings.redis_url.get_secret_value(),
        "COHORTIUM_STORE_URL": settings.store_url,
        "COHORTIUM_KEY_FILE": str(settings.key_file),
        "COHORTIUM_DEMO": "true",
        "COHORTIUM_MEMORY_LIMIT": "1GB",
        "COHORTIUM_THREADS": "1",
    }
    ended = subprocess.run(program, env=environment, check=False, capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert files(database, settings, tenant, pack) == before
    with database.tenant(tenant.id) as session:
        row = session.get(Job, (tenant.id, job))
        assert row.state == JobState.RUNNING
        row.lease_until = row.created  # as when its worker has been silent for long
        session.add(row)
    assert run_job(database, load_kinds(), tenant.id, job) is JobState.SUCCEEDED
    assert shown(database, settings, tenant, pack)[0] == "2.0.0"


def test_what_is_loaded_during_an_exchange_is_asked_for_afterwards(database, tenant, fill, press, monkeypatch):
    pack = pack_id(press)
    fill(tenant)
    from cohortium_tenants.packs import tasks  # noqa: PLC0415

    evaluate = tasks.evaluate_tenant

    def loading(*args, **kwargs):
        fill(tenant, records_to=date(2025, 12, 31))
        return evaluate(*args, **kwargs)

    monkeypatch.setattr(tasks, "evaluate_tenant", loading)
    state, job = switch(database, tenant, Choice(pack, "1.0.0"))
    assert state is JobState.SUCCEEDED, job.error
    with database.tenant(tenant.id) as session:
        waiting = session.exec(select(Job.parameters).where(Job.kind == "refresh", Job.state == "queued")).all()
        assert [each["pack"] for each in waiting] == [pack]
        assert snapshot_current(session) == 2


# --- previews: what would change, beside what is shown -----------------------------------------------------------

SCANS = [*EVENTS, (2, "2024-10-01", 312681000)]
"""The second patient's scan of October 2024 counts for 24 months and no longer for 12."""


def preview(database, settings, tenant, choice):
    """Work a preview out; gives its row and every change."""
    with database.tenant(tenant.id) as session:
        asked = ask_for_preview(session, None, choice, by="admin")
    assert run_job(database, load_kinds(), tenant.id, asked.job_id) is JobState.SUCCEEDED
    with database.tenant(tenant.id) as session:
        found = find_preview(session, choice.pack, asked.id)
    rows = pq.read_table(TenantFiles(settings.store_root, tenant.id).path(found.path)).to_pylist()
    return found, sorted((r["part"], r["name"], r["before"] or "", r["after"] or "") for r in rows)


def test_a_preview_says_who_joins_and_which_statuses_turn_and_changes_nothing(database, settings, tenant, fill, press):
    pack = pack_id(press)
    fill(tenant, SCANS)
    first, joining = preview(database, settings, tenant, Choice(pack, "1.0.0"))
    assert (first.compared_with, first.cohorts, first.indicators) == ("", ["bone-disease"], ["advised", "scanned"])
    assert joining == [
        ("cohort", "bone-disease", "", "in"), ("cohort", "bone-disease", "", "in"),
        ("indicator", "advised", "", "overdue"), ("indicator", "advised", "", "overdue"),
        ("indicator", "scanned", "", "met"), ("indicator", "scanned", "", "met"),
    ]  # fmt: skip
    switch(database, tenant, Choice(pack, "1.0.0"))
    before = files(database, settings, tenant, pack)
    found, changes = preview(database, settings, tenant, Choice(pack, "2.0.0"))
    assert changes == [
        ("cohort", "bone-disease", "", "in"),
        ("indicator", "advised", "", "overdue"),
        ("indicator", "scanned", "", "overdue"),
    ]
    assert found.people == {"bone-disease": {"Y00001": [2, 3]}}
    tuned, turned = preview(database, settings, tenant, Choice.of(pack, "1.0.0", {"scan-interval": MONTHS_12}, []))
    assert turned == [("indicator", "scanned", "met", "overdue")]
    assert (tuned.cohorts, tuned.indicators, tuned.alike) == ([], ["scanned"], 2)
    assert files(database, settings, tenant, pack) == before


def test_a_preview_of_records_loaded_since_says_what_reading_results_would_not(database, settings, tenant, fill, press):
    """What stands written is of older records: both sides are worked out over the newest."""
    pack = pack_id(press)
    fill(tenant)
    switch(database, tenant, Choice(pack, "1.0.0"))
    fill(tenant, SCANS)
    _, turned = preview(database, settings, tenant, Choice.of(pack, "1.0.0", {"scan-interval": MONTHS_12}, []))
    assert turned == [("indicator", "scanned", "met", "overdue")]


def test_the_same_rules_in_other_words_change_nothing_for_anybody(database, settings, tenant, fill, made_packs):
    press = made_packs.Press()
    fill(tenant)
    first = press.make("1.0.0")
    indicators = tuple(replace(i, title=f"{i.title}, better said") for i in first.definition.indicators)
    lists = {n: replace(c, codes=c.codes[::-1], source="said otherwise") for n, c in first.definition.codelists.items()}
    definition = replace(first.definition, indicators=indicators, codelists=lists)
    with database.tenant(tenant.id) as session:
        press.enter(session)
        press.release(session, first)
        press.release(session, replace(first, version="1.0.1", definition=definition))
    switch(database, tenant, Choice(press.pack_id, "1.0.0"))
    found, changes = preview(database, settings, tenant, Choice(press.pack_id, "1.0.1"))
    assert (changes, found.indicators, found.alike) == ([], [], 3)


# --- after a wrong version ------------------------------------------------------------------------------------------


def test_a_report_names_who_opened_patients_with_a_wrong_status_while_they_were_shown(
    database, settings, tenant, tenant_keys, fill, press
):
    pack = pack_id(press)
    fill(tenant, SCANS)

    def look(actor, *patients, resource=f"registry/{pack}/patient"):
        hashes = [tenant_keys.audit_hash(patient.to_bytes(8, "big")) for patient in patients]
        with database.tenant(tenant.id) as session:
            record(session, Entry(action="view-patient", resource=resource, actor=actor, role="clinician",
                                  organisation="Y00001", patients=hashes, detail={"shown": "measures"}))  # fmt: skip

    with database.tenant(tenant.id) as session:
        source = CatalogueSource(session, RecordStore(settings.store_root, tenant.id), snapshot_current(session))
    listed = pq.read_table(source.files("events", ["Y00001"])[0], columns=["patient_id", "code"]).to_pylist()
    fractured = next(row["patient_id"] for row in listed if row["code"] == 125605004)
    scanned = next(row["patient_id"] for row in listed if row["code"] == 312681000)
    look("before", fractured)
    switch(database, tenant, Choice(pack, "2.0.0"))
    look("during", fractured, scanned)
    look("of another registry", fractured, resource="registry/other/patient")
    switch(database, tenant, Choice(pack, "1.0.0"))
    look("after", fractured)
    with database.tenant(tenant.id) as session:
        with pytest.raises(BadInput, match="with itself"):
            ask_for_report(session, None, pack, "2.0.0", "2.0.0", by="officer")
        asked = ask_for_report(session, None, pack, "2.0.0", "1.0.0", by="officer")
    assert run_job(database, load_kinds(), tenant.id, asked.job_id) is JobState.SUCCEEDED
    with database.tenant(tenant.id) as session:
        found = find_report(session, pack, asked.id)
    assert (found.viewers, found.views, found.patients, found.unchecked) == (1, 1, 1, [])
    (row,) = pq.read_table(TenantFiles(settings.store_root, tenant.id).path(found.path)).to_pylist()
    assert (row["actor"], row["role"], row["shown"], row["wrong"]) == ("during", "clinician", "measures", 3)
    assert row["patient"] == tenant_keys.audit_hash(fractured.to_bytes(8, "big")).hex()
    assert found.shown_from <= row["at"] <= found.shown_to


def test_no_report_of_a_version_that_never_ran_here(database, tenant, press):
    with database.tenant(tenant.id) as session, pytest.raises(NotFound, match="never enabled here"):
        ask_for_report(session, None, pack_id(press), "2.0.0", "1.0.0", by="officer")
