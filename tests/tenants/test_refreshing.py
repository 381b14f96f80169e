"""A load asks for its registries to be refreshed, and the job does it."""

from dataclasses import replace
from datetime import date

import pytest
from sqlmodel import col, select

from cohortium_platform.engine.service import Request, evaluate_tenant
from cohortium_platform.jobs import Job, JobState, find_job, load_kinds, run_job
from cohortium_platform.results import former_results
from cohortium_plugins.importing import ImportOptions
from cohortium_tenants.loading import LoadOptions, load_delivery
from cohortium_tenants.packs import definition_of, enable_pack

PACK, DAY = "cancer-care", date(2025, 11, 30)
PATIENTS = "local_id,nhs_number,date_of_birth,sex,practice\n1,9990000018,1950-01-01,female,Y00001\n"
REGISTRATIONS = "local_id,practice,start_date\n1,Y00001,2000-01-01\n"
EVENTS = "local_id,practice,date,code\n1,Y00001,2025-03-01,{code}\n"


@pytest.fixture
def load(database, settings, key_encryption, tenant, tmp_path, monkeypatch):
    """Load one practice's records to a day, as a command does."""
    monkeypatch.setattr("cohortium_tenants.loading.service.load_graph", lambda _session: Everything())

    def one(records_to):
        with database.tenant(tenant.id) as session:
            codes = definition_of(session, PACK).definition.codelists["cancer-diagnosis"].codes
        folder = tmp_path / records_to.isoformat()
        folder.mkdir()
        tables = {"patients": PATIENTS, "registrations": REGISTRATIONS, "events": EVENTS.format(code=codes[0].code)}
        for name, text in tables.items():
            (folder / f"{name}.csv").write_text(text)
        asked = ImportOptions(practice="Y00001", records_to=records_to)
        return load_delivery(database, settings, key_encryption, tenant.id, folder, asked, LoadOptions())

    with database.tenant(tenant.id) as session:
        enable_pack(session, PACK, by="test")
    return one


class Everything:
    def practices(self, _day):
        return frozenset({"Y00001"})


def refreshes(database, tenant):
    with database.tenant(tenant.id) as session:
        return session.exec(select(Job).where(Job.kind == "refresh").order_by(col(Job.created))).all()


def index_date(database, tenant):
    with database.tenant(tenant.id) as session:
        return former_results(session, PACK)[0].evaluation.index_date


def test_a_load_asks_for_a_refresh_and_the_job_does_it(database, settings, tenant, load, monkeypatch):
    monkeypatch.setattr("cohortium_tenants.packs.tasks.load_settings", lambda: settings)
    load(DAY)
    assert refreshes(database, tenant) == []  # there are no results to refresh yet
    with database.tenant(tenant.id) as session:
        found = definition_of(session, PACK)
    request = Request(found.pack, found.definition, found.parameters)
    evaluate_tenant(database, settings, tenant.id, replace(request, index_dates=(date(2025, 10, 31), DAY)))
    later = date(2025, 12, 31)
    load(later)
    (job,) = refreshes(database, tenant)
    run_job(database, load_kinds(), tenant.id, job.id)
    with database.tenant(tenant.id) as session:
        ended = find_job(session, job.id)
    assert ended.state == JobState.SUCCEEDED
    assert ended.result == {"index_date": "2025-12-31", "practices": ["Y00001"], "kept": 0}
    assert index_date(database, tenant) == later
