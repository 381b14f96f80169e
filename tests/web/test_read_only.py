"""A read-only period: everything is read as before, nothing is changed, by a page, a job, a load or a command."""

import re
import threading
from html import unescape

import pytest
from sqlmodel import select
from typer.testing import CliRunner

from cohortium_auth.ig_settings import LIMITS, change_ig_settings
from cohortium_auth.login import Role
from cohortium_platform.audit import AuditEntry, Entry
from cohortium_platform.database import tenant_tables
from cohortium_platform.engine.service import Request, evaluate_tenant
from cohortium_platform.errors import BadInput, Conflict, ReadOnly
from cohortium_platform.jobs import Job, JobState, enqueue, find_job, load_kinds, run_job
from cohortium_platform.portability.read_only import begin_read_only, end_read_only, read_only_period
from cohortium_plugins.importing import ImportOptions
from cohortium_tenants.exit.exporting import export_bundle
from cohortium_tenants.loading import IMPORT, ImportDelivery, LoadOptions, load_delivery
from cohortium_tenants.packs import definition_of
from cohortium_tenants.tenants.signing import log_signer
from cohortium_web.cli import app as commands

PCN, LIST = "U90001", "/registries/cancer-care/"
REASON = "Leaving on 31 March"
CHANGES = {
    "approval_decisions", "approvals", "audit_entries", "audit_heads", "audit_leaves", "audit_nodes",
    "audit_open_tickets", "audit_patients", "audit_sequencers", "audit_voids", "break_glass", "break_glass_reviews",
    "incident_reports", "jobs", "kept_searches", "local_accounts", "memberships", "people", "programs",
    "provider_links", "read_only_periods", "sign_in_attempts", "sign_in_providers", "sign_in_sessions", "tenant_keys",
    "used_tokens",
}  # fmt: skip


def environment_of(services, settings) -> dict[str, str]:
    return {
        **services.settings_environment(),
        "COHORTIUM_STORE_URL": settings.store_url,
        "COHORTIUM_KEY_FILE": str(settings.key_file),
        "COHORTIUM_DEMO": "true",
    }


@pytest.fixture
def closed(make_registry, database):
    """A tenant in a read-only period."""
    tenant = make_registry()
    with database.tenant(tenant.id) as session:
        begin_read_only(session, reason=f" {REASON}  ", by="test")
    return tenant


def test_each_table_says_whether_it_changes_and_the_database_holds_the_others(owner_database):
    assert {name for name, model in tenant_tables().items() if model.changes_while_read_only} == CHANGES
    with owner_database.engine.connect() as connection:
        held = connection.exec_driver_sql(
            "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'read_only' AND tgenabled = 'O'"
        ).scalars()
        assert set(held) == set(tenant_tables()) - CHANGES


def test_pages_read_as_before_say_so_and_change_nothing(closed, database, add_someone, sign_in, form_token):
    clinician = sign_in(add_someone(closed, (Role.CLINICIAN, PCN)))
    page = clinician.get(LIST)
    assert page.status_code == 200
    assert REASON in page.text
    assert "Nothing can be changed since" in page.text
    answer = clinician.post(LIST + "search", data={"form_token": form_token(page.text), "who": "o\u2019cardew"})
    assert answer.status_code == 303
    listed = clinician.get(answer.headers["location"])
    assert listed.status_code == 200
    path = re.search(r'app-list__who" scope="row"><a href="([^"]+)"', listed.text)[1]
    assert clinician.get(path).status_code == 200
    form = clinician.get(f"{path}reviews/cancer-care-review/")
    assert form.status_code == 200
    number = re.search(r'name="number" value="(\d+)"', form.text)[1]
    typed = {"form_token": form_token(form.text), "number": number, "day": "2025-11-30", "q-matters.words": "My garden"}
    refused = clinician.post(f"{path}reviews/cancer-care-review/save", data=typed)
    assert refused.status_code == 409
    assert "Nothing can be changed since" in refused.text
    assert REASON in refused.text

    officer = sign_in(add_someone(closed, (Role.IG_OFFICER, "QT1")))
    rules = officer.get("/ig/rules/")
    assert rules.status_code == 200
    with database.tenant(closed.id) as session:
        end_read_only(session, by="test")
    assert "Nothing can be changed" not in clinician.get(LIST).text
    assert clinician.post(f"{path}reviews/cancer-care-review/save", data=typed).status_code == 303


def test_loads_jobs_settings_and_evaluations_are_refused_and_go_on_after_it(
    closed, other_tenant, database, settings, key_encryption, hand_made, tmp_path, tmp_path_factory
):
    delivery = hand_made.write_extract(tmp_path)
    (delivery / "extract.yaml").write_text("source: gp\nrecords_to: 2025-12-15\n")
    load = (database, settings, key_encryption, closed.id, delivery, ImportOptions(), LoadOptions())
    with pytest.raises(ReadOnly, match=f"since .*{REASON}"):
        load_delivery(*load)
    with database.tenant(closed.id) as session:
        found = definition_of(session, "cancer-care")
    with pytest.raises(ReadOnly):
        evaluate_tenant(database, settings, closed.id, Request(found.pack, found.definition, found.parameters))
    with pytest.raises(ReadOnly), database.tenant(closed.id) as session:
        change_ig_settings(session, {next(iter(LIMITS)): 1})
    asked = Entry(action="export-bundle", resource="bundle", actor="test")
    signer = log_signer(database, key_encryption, closed)
    assert export_bundle(
        database, settings, closed, signer, tmp_path_factory.mktemp("out") / "bundle", asked=asked
    ).files
    with database.tenant(other_tenant.id) as session:
        assert read_only_period(session) is None
    with database.tenant(closed.id) as session:
        end_read_only(session, by="test")
    assert not load_delivery(*load).unchanged
    evaluated = evaluate_tenant(database, settings, closed.id, Request(found.pack, found.definition, found.parameters))
    assert evaluated


def test_a_job_fails_in_words_and_one_asked_for_after_it_runs(
    closed, database, settings, services, hand_made, tmp_path, monkeypatch
):
    for name, value in environment_of(services, settings).items():
        monkeypatch.setenv(name, value)
    delivery = hand_made.write_extract(tmp_path)
    (delivery / "extract.yaml").write_text("source: gp\nrecords_to: 2025-12-15\n")

    def run() -> Job:
        with database.tenant(closed.id) as session:
            asked = ImportDelivery(delivery, "gp", None, None, None, "test")
            job = enqueue(session, None, IMPORT, asked, requested_by="test")
        run_job(database, load_kinds(), closed.id, job)
        with database.tenant(closed.id) as session:
            return find_job(session, job)

    failed = run()
    assert failed.state == JobState.FAILED
    assert "Nothing can be changed since" in failed.error
    with database.tenant(closed.id) as session:
        end_read_only(session, by="test")
    assert run().state == JobState.SUCCEEDED


def test_it_waits_for_nobody_and_nobody_slips_through(tenant, database):
    """What has changed something is at its end before a period begins; what comes later sees the period."""
    changed, done = threading.Event(), threading.Event()

    def write() -> None:
        with database.tenant(tenant.id) as session:
            session.connection().exec_driver_sql("UPDATE ig_settings SET tenant_id = tenant_id")
            changed.set()
            done.wait(10)

    writer = threading.Thread(target=write)
    writer.start()
    assert changed.wait(10)
    with pytest.raises(Conflict, match="being written"), database.tenant(tenant.id) as session:
        begin_read_only(session, reason=REASON, by="test")
    done.set()
    writer.join()
    with database.tenant(tenant.id) as session:
        begin_read_only(session, reason=REASON, by="test")
    with pytest.raises(ReadOnly), database.tenant(tenant.id) as session:
        session.connection().exec_driver_sql("UPDATE ig_settings SET tenant_id = tenant_id")
    with pytest.raises(Conflict, match="already"), database.tenant(tenant.id) as session:
        begin_read_only(session, reason=REASON, by="test")


@pytest.mark.parametrize("reason", ["", "  ", "x" * 201])
def test_a_reason_is_given(tenant, database, reason):
    with pytest.raises(BadInput), database.tenant(tenant.id) as session:
        begin_read_only(session, reason=reason, by="test")
    with pytest.raises(Conflict, match="no read-only"), database.tenant(tenant.id) as session:
        end_read_only(session, by="test")


def test_the_command(tenant, database, settings, services, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runner = CliRunner(env=environment_of(services, settings))
    begun = runner.invoke(commands, ["tenant", "read-only", tenant.slug, "--reason", REASON])
    assert begun.exit_code == 0, begun.output
    refused = runner.invoke(
        commands,
        [
            "organisation",
            "add",
            "--tenant",
            tenant.slug,
            "Z1",
            "--name",
            "A",
            "--type",
            "practice",
            "--start",
            "2020-01-01",
        ],
    )
    assert isinstance(refused.exception, ReadOnly)
    ended = runner.invoke(commands, ["tenant", "read-only", tenant.slug, "--end"])
    assert ended.exit_code == 0, ended.output
    with database.tenant(tenant.id) as session:
        of_periods = select(AuditEntry).where(AuditEntry.resource == "read-only-period").order_by(AuditEntry.ticket)
        entries = session.exec(of_periods).all()
    assert [entry.detail["read_only"] for entry in entries] == [True, False]
    assert unescape(ended.output).strip().endswith("can be changed again.")
