"""Opt-outs: the rule of type 1 over codes and days, and the cleared list that must be in date.

The type 1 cases were written down from the rules before the rule ran: the latest dated code counts; of those of one day
the last in the record; a day to come says nothing; any practice's record counts, and no trust's.
"""

from __future__ import annotations

import os
import stat
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import duckdb
import pyarrow as pa
import pytest
from sqlalchemy import text
from sqlmodel import select

from cohortium_auth.opt_outs import (
    DISSENT,
    WITHDRAWAL,
    ClearedList,
    asking,
    cleared_list,
    load_cleared_list,
    newest_list,
    sweep_lists,
    type_1,
    type_1_dissent,
    without_opted_out,
    write_question,
)
from cohortium_platform.errors import BadInput, CohortiumError, Forbidden, Unavailable
from cohortium_platform.identities import Identity
from cohortium_platform.identities.identity import VERSION
from cohortium_platform.identities.loading import bound_to
from cohortium_platform.identities.models import SealedIdentity
from cohortium_platform.identities.pseudonyms import Pseudonyms
from cohortium_platform.records import SCHEMAS, Load, RecordStore, RecordTable, Replacement, publish
from cohortium_tenants.keys import open_keys

TODAY = date(2026, 3, 10)
OLD, NEW, TRUST = "A81001", "B82002", "RZ9"
ASTHMA = 195967001
NUMBERS = ("9434765919", "9990000018", "9990000026", "9990000034")


class Said(NamedTuple):
    """One coded entry."""

    patient: int
    code: int
    day: date
    entry: int = 0
    practice: str = OLD
    source: str = "gp"


def day(year: int, month: int = 1, of: int = 1) -> date:
    return date(year, month, of)


@pytest.fixture
def store(settings, tenant) -> RecordStore:
    return RecordStore(settings.store_root, tenant.id)


@pytest.fixture
def cursor():
    with duckdb.connect() as connection:
        yield connection


@pytest.fixture
def load(database, tenant, store):
    """Publishes entries as what their practice and source hold now; gives the snapshot."""
    before: dict[tuple[str, str], UUID] = {}

    def put(*entries: Said) -> int:
        with database.tenant(tenant.id) as session:
            row = Load(
                tenant_id=tenant.id, started=datetime.now(UTC), importer="test", source="gp", delivery="d",
                actor="service", quality={},
            )  # fmt: skip
            session.add(row)
            session.flush()
            replacements = []
            for practice, source in sorted({(entry.practice, entry.source) for entry in entries}):
                rows = [
                    {"patient_id": e.patient, "practice": practice, "date": e.day, "code": e.code, "source": source,
                     "entry": e.entry}
                    for e in sorted(entries, key=lambda e: (e.code, e.patient, e.day))
                    if (e.practice, e.source) == (practice, source)
                ]  # fmt: skip
                table = pa.Table.from_pylist(rows, SCHEMAS[RecordTable.EVENTS].columns)
                file = store.write(practice, source, RecordTable.EVENTS, table)
                replacements.append(Replacement(practice, source, TODAY, [file]))
            expected = {(each.practice, each.source): before.get((each.practice, each.source)) for each in replacements}
            made = publish(session, replacements, load_id=row.id, expected=expected)
            before.update(dict.fromkeys(expected, row.id))
        assert made.snapshot is not None
        return made.snapshot

    return put


@pytest.fixture
def dissenting(database, tenant, store, cursor):
    """Who has dissented, of a snapshot, on a day."""

    def read(snapshot: int, on: date = TODAY) -> frozenset[int]:
        with database.tenant(tenant.id) as session:
            return type_1_dissent(session, store, cursor, snapshot=snapshot, on=on)

    return read


@pytest.mark.parametrize(
    ("said", "opted_out"),
    [
        pytest.param([Said(1, DISSENT, day(2020))], True, id="dissent"),
        pytest.param([Said(1, ASTHMA, day(2020))], False, id="another code"),
        pytest.param([Said(1, WITHDRAWAL, day(2020))], False, id="withdrawn and never said"),
        pytest.param([Said(1, DISSENT, day(2020)), Said(1, WITHDRAWAL, day(2021), 1)], False, id="withdrawn later"),
        pytest.param(
            [Said(1, WITHDRAWAL, day(2021), 0), Said(1, DISSENT, day(2020), 1)], False, id="dates count, not order"
        ),
        pytest.param(
            [Said(1, DISSENT, day(2019)), Said(1, WITHDRAWAL, day(2020), 1), Said(1, DISSENT, day(2021), 2)],
            True,
            id="said again later",
        ),
        pytest.param(
            [Said(1, DISSENT, day(2020), 3), Said(1, WITHDRAWAL, day(2020), 4)], False, id="withdrawn that day"
        ),
        pytest.param(
            [Said(1, WITHDRAWAL, day(2020), 3), Said(1, DISSENT, day(2020), 4)], True, id="said again that day"
        ),
        pytest.param(
            [Said(1, DISSENT, day(2020), 1), Said(1, WITHDRAWAL, day(2020), 2), Said(1, DISSENT, day(2020), 3)],
            True,
            id="three on one day",
        ),
        pytest.param([Said(1, DISSENT, TODAY)], True, id="today"),
        pytest.param([Said(1, DISSENT, TODAY + timedelta(days=1))], False, id="tomorrow says nothing yet"),
        pytest.param(
            [Said(1, DISSENT, day(2020)), Said(1, WITHDRAWAL, TODAY + timedelta(days=1), 1)],
            True,
            id="a withdrawal to come",
        ),
        pytest.param(
            [Said(1, DISSENT, day(2020)), Said(1, ASTHMA, day(2024), practice=NEW)], True, id="at a former practice"
        ),
        pytest.param(
            [Said(1, DISSENT, day(2020)), Said(1, WITHDRAWAL, day(2022), practice=NEW)],
            False,
            id="withdrawn at the new practice",
        ),
        pytest.param(
            [
                Said(1, DISSENT, day(2020), 7),
                Said(1, WITHDRAWAL, day(2021), 8),
                Said(1, DISSENT, day(2020), 90, NEW),
                Said(1, WITHDRAWAL, day(2021), 2, NEW),
            ],
            False,
            id="a copied history says the same again",
        ),
        pytest.param(
            [
                Said(1, WITHDRAWAL, day(2020), 99),
                Said(1, DISSENT, day(2020), 1, NEW),
            ],
            True,
            id="one day at two practices, whose orders mean nothing to each other",
        ),
        pytest.param([Said(1, DISSENT, day(2020), source=TRUST)], False, id="only a trust says so"),
        pytest.param(
            [Said(1, DISSENT, day(2020)), Said(1, WITHDRAWAL, day(2022), source=TRUST)],
            True,
            id="a trust cannot withdraw it",
        ),
    ],
)
def test_the_latest_dated_code_of_the_gp_record_counts(load, dissenting, said, opted_out) -> None:
    snapshot = load(*said, Said(2, ASTHMA, day(2020), 50))
    assert dissenting(snapshot) == (frozenset({1}) if opted_out else frozenset())


def test_nobody_dissents_where_nothing_was_loaded(dissenting) -> None:
    assert dissenting(0) == frozenset()


def test_a_kept_answer_is_of_its_snapshot_and_its_day(load, dissenting, monkeypatch) -> None:
    first = load(Said(1, DISSENT, day(2020)), Said(2, DISSENT, TODAY))
    assert dissenting(first) == dissenting(first) == {1, 2}
    assert dissenting(first, TODAY - timedelta(days=1)) == {1}
    second = load(Said(1, DISSENT, day(2020)), Said(1, WITHDRAWAL, day(2021), 1), Said(3, DISSENT, day(2021)))
    assert dissenting(second) == {3}
    assert dissenting(first) == {1, 2}, "a former snapshot says what it said"
    monkeypatch.setattr(type_1, "_kept", type_1._Kept())
    for days in range(type_1.MOST_KEPT * 2):
        assert dissenting(second, TODAY + timedelta(days=days)) == {3}
    assert len(type_1._kept) == type_1.MOST_KEPT


def test_one_tenants_answer_is_not_anothers(settings, database, load, dissenting, other_tenant, cursor) -> None:
    assert dissenting(load(Said(1, DISSENT, day(2020)))) == {1}
    with database.tenant(other_tenant.id) as session:
        theirs = RecordStore(settings.store_root, other_tenant.id)
        assert type_1_dissent(session, theirs, cursor, snapshot=1, on=TODAY) == frozenset()


@pytest.fixture
def take(database, tenant, tenant_keys, store):
    """Takes in a list as at a day, in date for some days."""

    def load_list(numbers, as_at: date, days: int) -> str:
        with database.tenant(tenant.id) as session:
            expires = as_at + timedelta(days=days)
            return load_cleared_list(session, store, tenant_keys, numbers, as_at=as_at, expires=expires, by="test").path

    return load_list


def test_only_those_cleared_who_have_not_dissented_are_left(
    database, tenant, tenant_keys, store, cursor, load, take
) -> None:
    cleared, dissents, not_cleared = (Pseudonyms(tenant_keys).of_nhs_number(number) for number in NUMBERS[:3])
    nameless = 77
    snapshot = load(Said(dissents, DISSENT, day(2020)))
    take([f"{number},\n" for number in NUMBERS[:2]], TODAY, 7)
    everyone = [cleared, dissents, not_cleared, nameless]

    def left(on: date) -> frozenset[int]:
        with database.tenant(tenant.id) as session:
            return without_opted_out(session, store, cursor, everyone, snapshot=snapshot, on=on)

    assert left(TODAY) == left(TODAY + timedelta(days=7)) == {cleared}
    for off in (-1, 8):
        with pytest.raises(Forbidden, match="no national opt-out list in date"):
            left(TODAY + timedelta(days=off))


def test_a_list_that_cannot_be_read_stops_the_use(database, tenant, store, cursor, load, take) -> None:
    snapshot = load(Said(1, ASTHMA, day(2020)))
    (store.opt_outs / take(NUMBERS, TODAY, 7)).unlink()
    with database.tenant(tenant.id) as session, pytest.raises(Unavailable, match="cannot be read"):
        without_opted_out(session, store, cursor, [1], snapshot=snapshot, on=TODAY)


def test_an_older_list_never_counts_again(database, tenant, take) -> None:
    lasting, newer = take(NUMBERS, TODAY, 300), take(NUMBERS[:1], TODAY + timedelta(days=5), 2)
    with database.tenant(tenant.id) as session:

        def counts(days: int) -> str | None:
            found = cleared_list(session, TODAY + timedelta(days=days))
            return None if found is None else found.path

        assert [counts(days) for days in (-1, 0, 4, 5, 7, 8)] == [None, lasting, lasting, newer, newer, None]
        newest = newest_list(session, TODAY + timedelta(days=8))
        assert newest is not None
        assert newest.path == newer


def test_a_list_of_a_day_to_come_is_refused(take, store) -> None:
    with pytest.raises(BadInput, match="a day to come"):
        take(NUMBERS, datetime.now(UTC).date() + timedelta(days=1), 5)
    assert not store.opt_outs.exists()


def test_a_load_that_was_killed_counts_for_nothing_and_is_swept(database, tenant, tenant_keys, store, take) -> None:
    kept = take(NUMBERS, TODAY, 7)

    class Killed(BaseException):
        """The process ends before the transaction does."""

    def load_and_die() -> None:
        with database.tenant(tenant.id) as session:
            load_cleared_list(session, store, tenant_keys, NUMBERS[:1], as_at=TODAY, expires=TODAY, by="test")
            raise Killed

    with pytest.raises(Killed):
        load_and_die()
    [unnamed] = {path.name for path in store.opt_outs.iterdir()} - {kept}
    with database.tenant(tenant.id) as session:
        assert [row.path for row in session.exec(select(ClearedList))] == [kept]
        found = cleared_list(session, TODAY)
        assert found is not None
        assert found.path == kept
        assert sweep_lists(session, store, TODAY) == [], "it may be one that is being loaded now"
        old = datetime.now(UTC) - timedelta(days=2)
        os.utime(store.opt_outs / unnamed, (old.timestamp(), old.timestamp()))
        assert sweep_lists(session, store, TODAY) == [unnamed]
    assert [path.name for path in store.opt_outs.iterdir()] == [kept]


def test_files_of_replaced_and_expired_lists_go_and_the_one_in_use_never(database, tenant, store, take) -> None:
    first, second = take(NUMBERS, TODAY, 30), take(NUMBERS[:2], TODAY + timedelta(days=3), 4)
    to_come = take(NUMBERS, TODAY + timedelta(days=9), 4)
    with database.tenant(tenant.id) as session:
        assert sweep_lists(session, store, TODAY) == [], "the others count from a later day"
        assert sweep_lists(session, store, TODAY + timedelta(days=3)) == [first]
        assert sweep_lists(session, store, TODAY + timedelta(days=7)) == []
        assert sweep_lists(session, store, TODAY + timedelta(days=8)) == [second]
        assert len(session.exec(select(ClearedList)).all()) == 3, "which lists there were stays known"
    assert [path.name for path in store.opt_outs.iterdir()] == [to_come]


@pytest.fixture
def known(database, tenant, tenant_keys):
    """Writes who people are at a practice, as a load would: pseudonym and NHS number."""

    def add(practice: str, *people: tuple[int, str | None]) -> None:
        with database.tenant(tenant.id) as session:
            for patient, number in people:
                session.add(
                    SealedIdentity(
                        tenant_id=tenant.id,
                        practice=practice,
                        patient_id=patient,
                        version=VERSION,
                        registered=True,
                        digest=b"",
                        sealed=tenant_keys.seal(
                            Identity(nhs_number=number, family_name="Smith").to_bytes(),
                            bound_to(practice, patient, VERSION),
                        ),
                        terms=[],
                    )
                )

    return add


def test_the_question_asks_once_about_everyone_with_a_trusted_number(
    database, tenant, tenant_keys, known, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(asking, "_AT_ONCE", 2)
    ids = {number: Pseudonyms(tenant_keys).of_nhs_number(number) for number in NUMBERS}
    known(OLD, *((ids[number], number) for number in NUMBERS[:3]), (5, NUMBERS[3]), (6, "9434765918"), (7, None))
    known(NEW, (ids[NUMBERS[0]], NUMBERS[0]), (ids[NUMBERS[1]], None))
    path = tmp_path / "ask.csv"
    with database.tenant(tenant.id) as session:
        assert write_question(session, tenant_keys, path) == 3
        wanted = "".join(f"{number},\n" for number in sorted(NUMBERS[:3], key=ids.__getitem__))
        assert path.read_bytes() == wanted.encode()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with pytest.raises(BadInput, match="already"):
            write_question(session, tenant_keys, path)
        assert path.read_bytes() == wanted.encode()
        with pytest.raises(BadInput, match="cannot be written"):
            write_question(session, tenant_keys, tmp_path / "nowhere" / "ask.csv")


def test_no_file_is_left_when_the_question_fails(
    database, other_tenant, tenant, key_encryption, tenant_keys, known, tmp_path
) -> None:
    known(OLD, (Pseudonyms(tenant_keys).of_nhs_number(NUMBERS[0]), NUMBERS[0]))
    path, link = tmp_path / "ask.csv", tmp_path / "link.csv"
    with database.tenant(other_tenant.id) as session:
        with pytest.raises(BadInput, match="Nobody here"):
            write_question(session, open_keys(session, key_encryption), path)
        assert not path.exists()
    link.symlink_to(tmp_path / "target")
    with database.tenant(tenant.id) as session:
        with pytest.raises(BadInput, match="already"):
            write_question(session, tenant_keys, link)
        session.connection().execute(text("UPDATE identities SET sealed = 'x'"))
        with pytest.raises(CohortiumError):
            write_question(session, tenant_keys, path)
    assert not path.exists()
