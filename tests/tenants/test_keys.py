from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import text
from sqlmodel import select

from cohortium_platform.database import Database
from cohortium_platform.errors import BadSettings, CohortiumError, Conflict, NotFound
from cohortium_platform.keys import FileKeyEncryption, KeyEncryption, TenantKeys, WrappedKey
from cohortium_platform.settings import Settings
from cohortium_tenants.keys import create_keys, destroy_keys, open_keys, open_log_key, rewrap_keys
from cohortium_tenants.keys.models import StoredKey
from cohortium_tenants.tenants import Tenant


def test_a_tenant_has_four_different_keys_that_no_log_shows(tenant_keys: TenantKeys) -> None:
    keys = [tenant_keys.data, tenant_keys.pseudonym, tenant_keys.search, tenant_keys.audit]
    assert len(set(keys)) == 4
    assert {len(key) for key in keys} == {32}
    assert repr(tenant_keys) == f"TenantKeys(tenant_id={tenant_keys.tenant_id!r})"


def test_a_sealed_value_opens_only_as_it_was_sealed(tenant_keys: TenantKeys) -> None:
    sealed = tenant_keys.seal(b"a name", b"patient 1, version 1")
    assert tenant_keys.open(sealed, b"patient 1, version 1") == b"a name"
    assert tenant_keys.seal(b"a name", b"patient 1, version 1") != sealed
    flipped = bytes([sealed[0] ^ 1, *sealed[1:]])
    for altered, context in [(sealed, b"patient 2, version 1"), (flipped, b"patient 1, version 1"), (b"", b"")]:
        with pytest.raises(CohortiumError, match="cannot be opened"):
            tenant_keys.open(altered, context)


def test_a_sealed_value_does_not_open_for_another_tenant(
    database: Database, key_encryption: KeyEncryption, tenant_keys: TenantKeys, other_tenant: Tenant
) -> None:
    with database.tenant(other_tenant.id) as session:
        others = open_keys(session, key_encryption)
    with pytest.raises(CohortiumError):
        others.open(tenant_keys.seal(b"a name", b"x"), b"x")
    assert others.search_hash(b"9434765919") != tenant_keys.search_hash(b"9434765919")


def test_keys_are_made_once(database: Database, key_encryption: KeyEncryption, tenant: Tenant) -> None:
    with pytest.raises(Conflict), database.tenant(tenant.id) as session:
        create_keys(session, key_encryption)


def test_a_rotation_of_the_key_encryption_key_keeps_every_key_and_can_be_resumed(
    database: Database, key_encryption: KeyEncryption, tenant: Tenant, tenant_keys: TenantKeys, tmp_path: Path
) -> None:
    sealed = tenant_keys.seal(b"a name", b"x")
    new = FileKeyEncryption.create_file(tmp_path / "new")
    with database.tenant(tenant.id) as session:
        assert rewrap_keys(session, key_encryption, new) == 5
    with database.tenant(tenant.id) as session:
        assert rewrap_keys(session, key_encryption, new) == 0
        rotated = open_keys(session, new)
        assert rotated == tenant_keys
        assert rotated.open(sealed, b"x") == b"a name"
    with database.tenant(tenant.id) as session, pytest.raises(CohortiumError, match="wrapped by"):
        open_keys(session, key_encryption)


def test_wrapped_keys_of_two_purposes_cannot_be_exchanged(
    database: Database, key_encryption: KeyEncryption, tenant: Tenant
) -> None:
    with database.tenant(tenant.id) as session:
        session.connection().execute(
            text(
                "UPDATE tenant_keys SET sealed = (SELECT sealed FROM tenant_keys WHERE purpose = 'data')"
                " WHERE purpose = 'search'"
            )
        )
    with database.tenant(tenant.id) as session, pytest.raises(CohortiumError, match="cannot be opened"):
        open_keys(session, key_encryption)


def test_the_key_that_signs_the_log_is_none_of_the_others(
    database: Database, key_encryption: KeyEncryption, tenant: Tenant, other_tenant: Tenant, tenant_keys: TenantKeys
) -> None:
    with database.tenant(tenant.id) as session:
        key = open_log_key(session, key_encryption)
    with database.tenant(other_tenant.id) as session:
        assert open_log_key(session, key_encryption) != key
    assert len(key) == 32
    assert key not in {tenant_keys.data, tenant_keys.pseudonym, tenant_keys.search, tenant_keys.audit}


def test_destroyed_keys_are_gone(database: Database, key_encryption: KeyEncryption, tenant: Tenant) -> None:
    with database.tenant(tenant.id) as session:
        assert destroy_keys(session, key_encryption) == 5
    for opened in (open_keys, open_log_key):
        with database.tenant(tenant.id) as session, pytest.raises(NotFound):
            opened(session, key_encryption)
    with database.tenant(tenant.id) as session, pytest.raises(Conflict, match="destroyed"):
        create_keys(session, key_encryption)
    with database.tenant(tenant.id) as session:
        assert destroy_keys(session, key_encryption) == 0


def test_a_restored_backup_of_the_database_opens_nothing_once_keys_are_destroyed(
    database: Database, settings: Settings, tenant: Tenant, other_tenant: Tenant, tenant_keys: TenantKeys
) -> None:
    assert settings.key_file is not None
    sealed = tenant_keys.seal(b"a name", b"x")
    with database.tenant(tenant.id) as session:
        backup = [key.model_dump() for key in session.exec(select(StoredKey))]
    before = FileKeyEncryption(settings.key_file)
    with database.tenant(tenant.id) as session:
        destroy_keys(session, before)
    with database.tenant(tenant.id) as session:
        session.add_all(StoredKey(**row) for row in backup)
    with database.tenant(tenant.id) as session:
        assert len(session.exec(select(StoredKey)).all()) == 5
    every_file = [path for path in settings.key_file.parent.rglob("*") if path.is_file()]
    kept = [path.read_bytes() for path in every_file]
    secrets = [path.read_bytes() for path in every_file if path.stat().st_size == 32]
    assert str(tenant.id) not in {path.name for path in every_file}
    for opened in (open_keys, open_log_key):
        with database.tenant(tenant.id) as session, pytest.raises(NotFound, match="destroyed"):
            opened(session, FileKeyEncryption(settings.key_file))
    for row in backup:
        context = tenant.id.bytes + row["purpose"].encode()
        for wrapping in (before, before.of(other_tenant.id)):
            with pytest.raises(CohortiumError):
                wrapping.unwrap(WrappedKey(wrapping.key_id, row["sealed"]), context)
        for secret in secrets:
            with pytest.raises(InvalidTag):
                AESGCM(secret).decrypt(row["sealed"][:12], row["sealed"][12:], context)
    assert tenant_keys.data not in kept
    with database.tenant(other_tenant.id) as session, pytest.raises(CohortiumError):
        open_keys(session, before).open(sealed, b"x")


def test_a_destruction_that_was_killed_gives_nobody_the_key_and_is_finished_by_the_next(
    tmp_path: Path, tenant: Tenant
) -> None:
    keys = FileKeyEncryption.create_file(tmp_path / "key")
    wrapped = keys.create(tenant.id).wrap(b"k" * 32, b"c")
    assert keys.create(tenant.id).unwrap(wrapped, b"c") == b"k" * 32
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom uuid import UUID\n"
        "from cohortium_platform import keys\n"
        "at = {at}\n"
        "real = os.fsync\n"
        "def fsync(descriptor):\n"
        "    global at\n"
        "    real(descriptor)\n"
        "    at -= 1\n"
        "    if at == 0: os.kill(os.getpid(), signal.SIGKILL)\n"
        "os.fsync = fsync\n"
        "keys.FileKeyEncryption(Path(sys.argv[1])).destroy(UUID(sys.argv[2]))\n"
    )
    for at in (1, 2):
        done = subprocess.run(
            [sys.executable, "-c", code.format(at=at), str(tmp_path / "key"), str(tenant.id)], check=False
        )
        assert done.returncode == -signal.SIGKILL
        with pytest.raises(NotFound, match="destroyed"):
            keys.of(tenant.id)
        assert (tmp_path / "key.tenants" / str(tenant.id)).exists()
    keys.destroy(tenant.id)
    assert sorted(path.name for path in (tmp_path / "key.tenants").iterdir()) == [f"{tenant.id}.destroyed"]


def test_the_key_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "key"
    FileKeyEncryption.create_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(path.read_bytes()) == 32
    assert FileKeyEncryption.create_file(path).key_id == FileKeyEncryption(path).key_id
    path.chmod(0o640)
    with pytest.raises(BadSettings, match="chmod 600"):
        FileKeyEncryption(path)
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(BadSettings, match="32 bytes"):
        FileKeyEncryption(path)
    with pytest.raises(BadSettings, match="no key file"):
        FileKeyEncryption(tmp_path / "absent")
