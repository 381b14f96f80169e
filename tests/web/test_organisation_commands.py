"""`cohortium organisation` and the rule that only an operator lowers: what the README says, and what the log keeps."""

from datetime import date

import pytest
from sqlmodel import select
from typer.testing import CliRunner

from cohortium_auth.ig_settings import read_ig_settings
from cohortium_auth.policy import practices_sharing_with
from cohortium_platform.audit import AuditEntry
from cohortium_platform.errors import BadInput, NotFound
from cohortium_tenants.onboarding import live_organisations
from cohortium_web.cli import app

DAY = date(2026, 2, 1)


@pytest.fixture
def run(settings, services, tmp_path, monkeypatch):
    """Run a command; errors of ours come through as they are."""
    monkeypatch.chdir(tmp_path)
    environment = {
        **services.settings_environment(),
        "COHORTIUM_STORE_URL": settings.store_url,
        "COHORTIUM_KEY_FILE": str(settings.key_file),
        "COHORTIUM_DEMO": "true",
    }
    runner = CliRunner(env=environment)

    def run(*arguments: str) -> str:
        done = runner.invoke(app, list(arguments))
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


def test_a_practice_is_added_onboarded_and_shares_and_the_log_says_so(run, database, tenant) -> None:
    of = ["--tenant", tenant.slug]
    for code, kind in (("Z00001", "practice"), ("U00001", "pcn")):
        run("organisation", "add", code, *of, "--name", code, "--type", kind, "--start", "2020-01-01")
    run("organisation", "relate", "Z00001", "U00001", *of, "--start", "2020-01-01")
    run("organisation", "onboard", "Z00001", *of, "--on", "2026-01-31", "--document", "Minutes 7")
    run(
        "organisation", "share", "Z00001", "--with", "U00001", *of, "--start", "2026-02-01", "--document", "DSA 12",
    )  # fmt: skip
    with database.tenant(tenant.id) as session:
        assert live_organisations(session, DAY) == {"Z00001"}
        assert live_organisations(session, date(2026, 1, 30)) == set()
        assert practices_sharing_with(session, "U00001", DAY) == {"Z00001"}
        actions = [entry.action for entry in session.exec(select(AuditEntry))]
    assert actions.count("manage-organisations") == 5
    with pytest.raises(NotFound, match="no organisation Z9"):
        run("organisation", "share", "Z9", "--with", "U00001", *of, "--start", "2026-02-01", "--document", "DSA")
    with pytest.raises(BadInput, match="no document"):
        run("organisation", "share", "Z00001", "--with", "U00001", *of, "--start", "2026-02-01", "--document", " ")


def test_a_rule_for_access_is_changed_by_the_operator_and_recorded(run, database, tenant) -> None:
    for officers in ("2", "1"):
        run("tenant", "change-access-rule", tenant.slug, "officers_to_approve", officers)
    with database.tenant(tenant.id) as session:
        assert read_ig_settings(session).officers_to_approve == 1
        changes = [e.detail for e in session.exec(select(AuditEntry)) if e.action == "manage-ig-settings"]
    assert [(change["before"], change["after"]) for change in changes] == [(1, 2), (2, 1)]
    with pytest.raises(BadInput, match="no rule"):
        run("tenant", "change-access-rule", tenant.slug, "nonsense", "1")
