"""`cohortium audit`, as its page for IG officers shows it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from sqlmodel import select
from typer.testing import CliRunner

from cohortium_platform.audit import AuditEntry, Entry, record_many
from cohortium_platform.audit.models import AuditLeaf
from cohortium_platform.database import Database
from cohortium_platform.errors import BadInput, NotFound
from cohortium_platform.services import Services
from cohortium_platform.settings import Settings
from cohortium_tenants.tenants import Tenant
from cohortium_web.cli import app

DOCS = Path(__file__).resolve().parents[2] / "docs" / "ig-officer"
Run = Callable[..., Result]


@pytest.fixture
def environment(settings: Settings, services: Services) -> dict[str, str]:
    return {
        **services.settings_environment(),
        "COHORTIUM_STORE_URL": settings.store_url,
        "COHORTIUM_KEY_FILE": str(settings.key_file),
        "COHORTIUM_DEMO": "true",
    }


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run a command in an empty folder; errors of ours come through as they are."""
    monkeypatch.chdir(tmp_path)
    runner = CliRunner(env=environment)

    def run(*arguments: object, code: int = 0) -> Result:
        done = runner.invoke(app, ["audit", *map(str, arguments)])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == code, done.output
        return done

    return run


def as_json(done: Result) -> dict[str, object]:
    return json.loads(done.stdout)


def fill(database: Database, tenant: Tenant, number: int = 5) -> None:
    with database.tenant(tenant.id) as session:
        record_many(session, [Entry(action="view", resource=f"patient/{n}") for n in range(number)])


def test_the_commands_of_the_page_for_ig_officers_work(
    run: Run, database: Database, tenant: Tenant, tmp_path: Path
) -> None:
    fill(database, tenant)
    shutil.copy(DOCS / "verify_log.py", tmp_path)
    blocks = re.findall(r"^```sh\n(.*?)^```$", (DOCS / "proving-the-log.md").read_text(), re.MULTILINE | re.DOTALL)
    commands = [line.replace("north-london", tenant.slug) for block in blocks for line in block.splitlines()]
    assert len(commands) == 10
    for command in commands:
        if command.startswith("python "):
            done = subprocess.run(
                ["bash", "-c", command.replace("python", shlex.quote(sys.executable), 1)],
                cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr
            continue
        wanted, _, file = command.partition(" > ")
        done = run(*shlex.split(wanted)[2:])
        if file:
            (tmp_path / file).write_text(done.stdout)
    assert {path.name for path in tmp_path.iterdir()} == {
        "key.txt", "kept.txt", "log", "first.tlog-proof", "first.json", "goes-on.txt", "verify_log.py",
    }  # fmt: skip


def test_every_look_at_the_log_is_in_the_log(run: Run, database: Database, tenant: Tenant) -> None:
    run("status", "--tenant", tenant.slug)
    run("check", "--tenant", tenant.slug)
    run("export", "--tenant", tenant.slug, "--out", "log", "--from", "2026-01-01", "--to", "2099-12-31")
    run("prove", "--tenant", tenant.slug, "--place", 0)
    run("key", "--tenant", tenant.slug)
    with database.tenant(tenant.id) as session:
        entries = session.exec(select(AuditEntry).order_by(AuditEntry.ticket)).all()[1:]
    assert [entry.action for entry in entries] == [
        "audit-status", "audit-check", "audit-export", "audit-prove", "audit-key",
    ]  # fmt: skip
    assert all(entry.actor.startswith("operator:") for entry in entries)
    assert entries[2].detail == {"from": "2026-01-01", "to": "2099-12-31"}


def test_status_and_check_as_json(run: Run, database: Database, tenant: Tenant, owner_database: Database) -> None:
    fill(database, tenant)
    status = as_json(run("status", "--tenant", tenant.slug, "--json"))
    assert (status["entries"], status["tickets"], status["missing"], status["checkpoint"]) == (7, 7, 0, None)
    assert as_json(run("check", "--tenant", tenant.slug, "--json"))["whole"] is True
    head = as_json(run("checkpoint", "--tenant", tenant.slug, "--json"))
    assert head["size"] == 9
    assert re.fullmatch(r"[^\n]+\n10\n[^\n]{44}\n\n— [^\n]+\n", run("checkpoint", "--tenant", tenant.slug).stdout)
    assert as_json(run("status", "--tenant", tenant.slug, "--json"))["checkpoint"]["size"] == 10
    with owner_database.tenant(tenant.id) as session:
        session.delete(session.exec(select(AuditEntry).where(AuditEntry.resource == "patient/3")).one())
    done = as_json(run("check", "--tenant", tenant.slug, "--json", code=1))
    assert [problem["place"] for problem in done["checked"]["problems"]] == [4]
    with owner_database.tenant(tenant.id) as session:
        for leaf in session.exec(select(AuditLeaf).where(AuditLeaf.place > 6)):
            session.delete(leaf)
    assert "end at place 7" in as_json(run("status", "--tenant", tenant.slug, "--json"))["broken"]
    assert "BAD: The entry at place 4" in run("check", "--tenant", tenant.slug, code=1).output


def test_verify_needs_no_settings_and_names_the_first_bad_place(
    run: Run, database: Database, tenant: Tenant, tmp_path: Path
) -> None:
    fill(database, tenant)
    key = run("key", "--tenant", tenant.slug).stdout.strip()
    exported = as_json(run("export", "--tenant", tenant.slug, "--out", "log", "--json"))
    assert (exported["entries"], exported["size"]) == (8, 8)
    log = tmp_path / "log" / "log.ndjson"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:2] + lines[3:]))
    bare = {name: value for name, value in os.environ.items() if not name.startswith("COHORTIUM_")}
    program = Path(sys.executable).with_name("cohortium")
    done = subprocess.run(
        [program, "audit", "verify", "log", "--key", key, "--json"],
        cwd=tmp_path, env=bare, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert (found["whole"], found["first_bad_place"], found["not_before_place"]) == (False, 2, 2)
    assert found["verified"]["faults"][0]["kind"] == "deleted"
    assert "place 2" in run("verify", "log", "--key", key, code=1).output


def test_proofs_prove_their_own_entry(run: Run, database: Database, tenant: Tenant) -> None:
    fill(database, tenant)
    run("status", "--tenant", tenant.slug)
    with database.tenant(tenant.id) as session:
        leaf = session.exec(select(AuditLeaf).where(AuditLeaf.place == 3)).one()
    proved = as_json(run("prove", "--tenant", tenant.slug, "--entry", leaf.entry_id, "--out", "a.tlog-proof", "--json"))
    assert json.loads(proved["entry"])["id"] == str(leaf.entry_id)
    assert "\nindex 3\n" in proved["proof"]
    run("prove", "--tenant", tenant.slug, "--place", 2, "--out", "b.tlog-proof")
    good = as_json(run("verify-proof", "a.tlog-proof", "a.json", "--key", proved["key"], "--json"))
    assert good == {"proven": True, "place": 3}
    assert "BAD" in run("verify-proof", "a.tlog-proof", "b.json", "--key", proved["key"], code=1).output


def test_mistakes_say_what_to_do(run: Run, tenant: Tenant, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="Say what to prove"):
        run("prove", "--tenant", tenant.slug)
    with pytest.raises(BadInput, match="Say what to prove"):
        run("prove", "--tenant", tenant.slug, "--place", 0, "--entry", "x")
    with pytest.raises(BadInput, match="not an entry's id"):
        run("prove", "--tenant", tenant.slug, "--entry", "x")
    with pytest.raises(NotFound, match="no entry"):
        run("prove", "--tenant", tenant.slug, "--entry", tenant.id)
    with pytest.raises(BadInput, match="not under the checkpoint"):
        run("prove", "--tenant", tenant.slug, "--place", 99)
    with pytest.raises(BadInput, match="cannot be read"):
        run("prove", "--tenant", tenant.slug, "--kept", "absent.txt")
    with pytest.raises(BadInput, match="no exported audit log"):
        run("verify", tmp_path)
    with pytest.raises(BadInput, match="not a day"):
        run("export", "--tenant", tenant.slug, "--out", "log", "--from", "yesterday")
    with pytest.raises(NotFound, match="no tenant"):
        run("status", "--tenant", "nowhere")
