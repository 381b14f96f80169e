"""The record store: files that never change, a catalogue that alone says what exists, and the sweep."""

from __future__ import annotations

import os
import time
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlmodel import Session

from cohortium_platform.errors import CohortiumError, Conflict
from cohortium_platform.records import (
    SCHEMAS,
    Load,
    RecordStore,
    RecordTable,
    Replacement,
    files,
    publish,
    release_snapshots,
    snapshot_current,
    sources,
    sweep,
)
from cohortium_platform.records.models import Snapshot

DAY = date(2025, 11, 30)


@pytest.fixture
def store(settings, tenant) -> RecordStore:
    return RecordStore(settings.store_root, tenant.id)


def patients(practice: str, *ids: int) -> pa.Table:
    rows = [{"patient_id": patient, "practice": practice, "date_of_birth": date(1950, 1, 1)} for patient in ids]
    return pa.Table.from_pylist(rows, SCHEMAS[RecordTable.PATIENTS].columns)


def file_of(store: RecordStore, practice: str, *ids: int):
    return store.write(practice, "gp", RecordTable.PATIENTS, patients(practice, *ids))


def load_row(session: Session, tenant_id: UUID) -> UUID:
    load = Load(
        tenant_id=tenant_id, started=datetime.now(UTC), importer="test", source="gp", delivery="d", actor="service",
        quality={},
    )  # fmt: skip
    session.add(load)
    session.flush()
    return load.id


def replace(database, tenant, *replacements, expected=None) -> tuple[int | None, list[str], UUID]:
    with database.tenant(tenant.id) as session:
        load_id = load_row(session, tenant.id)
        published = publish(session, replacements, load_id=load_id, expected=expected or {})
    return published.snapshot, list(published.unused), load_id


def paths(database, tenant, snapshot: int) -> list[str]:
    with database.tenant(tenant.id) as session:
        return [file.path for file in files(session, snapshot)]


def test_a_tenant_begins_with_the_empty_snapshot(database, tenant):
    with database.tenant(tenant.id) as session:
        assert snapshot_current(session) == 0
        assert files(session, 0) == sources(session, 0) == []


def test_a_file_is_written_whole_under_a_new_name_each_time(store):
    first, second = file_of(store, "A81001", 1, 2), file_of(store, "A81001", 1, 2)
    assert first.path != second.path
    assert first.sha256 == second.sha256, "equal rows give equal bytes"
    assert (first.rows, first.bytes) == (2, store.path(first.path).stat().st_size)
    read = pq.read_table(store.path(first.path))
    assert read.schema.field("practice").type == pa.string()
    assert read["patient_id"].to_pylist() == [1, 2]
    assert pq.read_metadata(store.path(first.path)).row_group(0).column(0).compression == "ZSTD"


def test_a_file_of_other_columns_is_not_written(store):
    with pytest.raises(CohortiumError, match="columns"):
        store.write("A81001", "gp", RecordTable.EVENTS, patients("A81001", 1))


@pytest.mark.parametrize("path", ["../x", "records/../../x", "/etc/passwd", "records//x", "work/x", "records/./x"])
def test_no_name_leads_out_of_the_tenants_folder(store, path):
    with pytest.raises(CohortiumError):
        store.path(path)


@pytest.mark.parametrize("practice", ["../../etc", "a/b", "", ".", "..", "x" * 300, "Ω"])
def test_an_odd_practice_code_stays_inside(settings, store, practice):
    written = file_of(store, practice, 1)
    inside = (settings.store_root / str(store.tenant_id) / "records").resolve()
    assert store.path(written.path).resolve().is_relative_to(inside)
    store.discard(written.path)


def test_a_store_is_one_tenants(settings, store, other_tenant):
    written = file_of(store, "A81001", 1)
    assert not RecordStore(settings.store_root, other_tenant.id).path(written.path).exists()
    with pytest.raises(TypeError):
        RecordStore(settings.store_root, "../other")


def test_a_load_replaces_what_its_practice_had_of_its_source_and_nothing_else(database, tenant, store):
    one, two = file_of(store, "A81001", 1), file_of(store, "A81002", 2)
    snapshot, unused, load_id = replace(
        database, tenant, Replacement("A81001", "gp", DAY, [one]), Replacement("A81002", "gp", DAY, [two])
    )
    assert (snapshot, unused) == (1, [])
    newer = file_of(store, "A81001", 1, 3)
    snapshot, unused, second = replace(
        database, tenant, Replacement("A81001", "gp", DAY, [newer]), expected={("A81001", "gp"): load_id}
    )
    assert (snapshot, unused) == (2, [])
    assert paths(database, tenant, 1) == [one.path, two.path], "an older snapshot stays as it was"
    assert paths(database, tenant, 2) == [newer.path, two.path]
    with database.tenant(tenant.id) as session:
        states = sources(session, 2)
        assert [(state.practice, state.load_id) for state in states] == [("A81001", second), ("A81002", load_id)]
        assert states[0].tables == {RecordTable.PATIENTS}
        assert [file.practice for file in files(session, 2, practices=["A81002"])] == ["A81002"]
        assert files(session, 2, tables=[RecordTable.EVENTS]) == []


def test_equal_files_make_no_snapshot(database, tenant, store):
    one = file_of(store, "A81001", 1)
    *_, load_id = replace(database, tenant, Replacement("A81001", "gp", DAY, [one]))
    same = file_of(store, "A81001", 1)
    expected = {("A81001", "gp"): load_id}
    assert replace(database, tenant, Replacement("A81001", "gp", DAY, [same]), expected=expected)[:2] == (
        None,
        [same.path],
    )
    later = Replacement("A81001", "gp", DAY + timedelta(1), [same])
    assert replace(database, tenant, later, expected=expected)[0] == 2, "records that run further are news"
    assert paths(database, tenant, 2) == [one.path]


def test_another_load_in_between_is_a_conflict(database, tenant, store):
    one, two = file_of(store, "A81001", 1), file_of(store, "A81001", 2)
    replace(database, tenant, Replacement("A81001", "gp", DAY, [one]))
    with pytest.raises(Conflict, match="A81001"):
        replace(database, tenant, Replacement("A81001", "gp", DAY, [two]))
    assert paths(database, tenant, 1) == [one.path]


def test_a_failed_transaction_publishes_nothing(database, tenant, store):
    replacement = Replacement("A81001", "gp", DAY, [file_of(store, "A81001", 1)])

    def fail_after_publishing(session: Session) -> None:
        publish(session, [replacement], load_id=load_row(session, tenant.id), expected={})
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), database.tenant(tenant.id) as session:
        fail_after_publishing(session)
    with database.tenant(tenant.id) as session:
        assert snapshot_current(session) == 0


def test_another_tenant_sees_none_of_it(database, tenant, other_tenant, store):
    replace(database, tenant, Replacement("A81001", "gp", DAY, [file_of(store, "A81001", 1)]))
    with database.tenant(other_tenant.id) as session:
        assert snapshot_current(session) == 0
        assert files(session, 1) == sources(session, 1) == []


def age(store: RecordStore, path: str, days: float) -> None:
    old = time.time() - days * 86_400
    os.utime(store.path(path), (old, old))


def test_the_sweep_removes_old_files_that_nothing_names(database, tenant, store):
    named, left, young = (file_of(store, "A81001", number) for number in (1, 2, 3))
    replace(database, tenant, Replacement("A81001", "gp", DAY, [named]))
    for file in (named, left):
        age(store, file.path, 2)
    swept = sweep(database, tenant.id, store)
    assert (swept.files, swept.bytes) == (1, left.bytes)
    assert [file.path for file in store.files()] == sorted([named.path, young.path])
    assert sweep(database, tenant.id, store, unnamed_for=timedelta(0)).files == 1
    assert [file.path for file in store.files()] == [named.path]


def test_the_sweep_removes_work_that_a_crash_left(database, tenant, store):
    with store.working() as folder:
        (folder / "identities").write_text("secret")
        assert folder.stat().st_mode & 0o077 == 0, "it may hold names: others cannot look"
        assert sweep(database, tenant.id, store).work_folders == 0
        old = time.time() - 2 * 86_400
        os.utime(folder / "identities", (old, old))
        os.utime(folder, (old, old))
        assert sweep(database, tenant.id, store).work_folders == 1
        assert not folder.exists()
    assert list(store.work_folders()) == []


def test_a_sweep_of_the_wrong_store_is_refused(database, settings, tenant, other_tenant):
    with pytest.raises(ValueError, match="another tenant"):
        sweep(database, tenant.id, RecordStore(settings.store_root, other_tenant.id))


def test_files_stay_while_a_kept_snapshot_names_them(database, tenant, store):
    first, second, third = (file_of(store, "A81001", number) for number in (1, 2, 3))
    load_id = None
    for file in (first, second, third):
        expected = {("A81001", "gp"): load_id}
        *_, load_id = replace(database, tenant, Replacement("A81001", "gp", DAY, [file]), expected=expected)
        age(store, file.path, 9)
    with database.tenant(tenant.id) as session:
        assert release_snapshots(session, before=session.get(Snapshot, (tenant.id, 2)).taken) == 1
    sweep(database, tenant.id, store)
    assert [file.path for file in store.files()] == sorted([second.path, third.path])
    assert paths(database, tenant, 2) == [second.path]
    with database.tenant(tenant.id) as session:
        assert release_snapshots(session, before=datetime.now(UTC) + timedelta(1)) == 1, "the newest always stays"
    sweep(database, tenant.id, store)
    assert [file.path for file in store.files()] == [third.path]


def test_every_table_has_its_key_and_its_order(store):
    for table, schema in SCHEMAS.items():
        assert schema.columns.names[:2] == ["patient_id", "practice"]
        assert set(schema.order) <= set(schema.columns.names)
        empty = store.write("A81001", "gp", table, schema.columns.empty_table())
        assert pq.read_schema(store.path(empty.path)).names == schema.columns.names
        assert empty.rows == 0
