"""Checking the log where it is kept: whatever an owner of the tables changes by hand is named with its place."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import text

from cohortium_platform.audit import Entry, record_many
from cohortium_platform.audit.checking import check_log
from cohortium_platform.audit.heads import take_head
from cohortium_platform.audit.notes import LogSigner
from cohortium_platform.audit.sequencer import sequence
from cohortium_platform.audit.state import log_state
from cohortium_platform.database import Database
from cohortium_platform.keys import KeyEncryption
from cohortium_tenants.tenants import Tenant
from cohortium_tenants.tenants.signing import log_signer

RAW = (
    "INSERT INTO audit_entries (tenant_id, id, at, actor, role, organisation, purpose, action, resource,"
    " practices, patients, policy, outcome, request_id, detail) VALUES (:tenant, gen_random_uuid(), now(),"
    " 'service', '', '', '', {}, '', '{{}}', '{{}}', '', 'done', '', '{}')"
)


@pytest.fixture
def signer(database: Database, key_encryption: KeyEncryption, tenant: Tenant) -> LogSigner:
    return log_signer(database, key_encryption, tenant)


@pytest.fixture
def check(database: Database, tenant: Tenant, signer: LogSigner) -> Callable[[], list[tuple[int | None, str]]]:
    """Check the tenant's log: the problems as places and words."""

    def run() -> list[tuple[int | None, str]]:
        return [(each.place, each.message) for each in check_log(database, tenant.id, signer.key).problems]

    return run


def write(database: Database, tenant: Tenant, number: int) -> None:
    with database.tenant(tenant.id) as session:
        record_many(session, [Entry(action="view", resource="x", patients=[bytes([n % 7])]) for n in range(number)])


def as_owner(owner_database: Database, tenant: Tenant, *statements: str) -> None:
    with owner_database.tenant(tenant.id) as session:
        for statement in statements:
            values = {"tenant": tenant.id} if ":tenant" in statement else {}
            session.connection().execute(text(statement), values)


def test_a_whole_log_has_nothing_wrong(
    database: Database, tenant: Tenant, signer: LogSigner, check: Callable[[], list[tuple[int | None, str]]]
) -> None:
    for number in (3, 300, 260):
        write(database, tenant, number)
        take_head(database, tenant.id, signer)
    with pytest.raises(RuntimeError), database.tenant(tenant.id) as session:  # noqa: PT012 - a block is what fails
        record_many(session, [Entry(action="view", resource="x")] * 3)
        raise RuntimeError
    sequence(database, tenant.id)
    assert check() == []
    done = check_log(database, tenant.id, signer.key)
    assert (done.size, done.checkpoints, done.tickets) == (564, 3, 567)


@pytest.mark.parametrize(
    ("tampering", "place", "says"),
    [
        ("DELETE FROM audit_entries WHERE ticket = 5", 4, "The entry at place 4 (ticket 5"),
        ("UPDATE audit_entries SET actor = 'nobody' WHERE ticket = 5", 4, "was changed"),
        ("UPDATE audit_entries SET at = at + interval '1 hour' WHERE ticket = 5", 4, "was changed"),
        ("DELETE FROM audit_leaves WHERE place = 4", 4, "The leaf of place 4 is gone"),
        ("UPDATE audit_leaves SET hash = sha256('x') WHERE place = 4", 4, "was changed"),
        ("UPDATE audit_nodes SET hash = sha256('x')", 0, "kept hash over places 0 to 255"),
        ("DELETE FROM audit_nodes", 0, "kept hash over places 0 to 255"),
        ("UPDATE audit_heads SET root = sha256('x') WHERE size = 301", 11, "checkpoint of 301 entries does not hold"),
        ("DELETE FROM audit_leaves WHERE place > 299", 300, "the log ends at place 300"),
        ("DELETE FROM audit_patients WHERE place = 4", 4, "index of patients does not fit"),
        ("UPDATE audit_patients SET patient = 'x' WHERE place = 4", 4, "index of patients does not fit"),
        ("INSERT INTO audit_patients SELECT tenant_id, 'x', 4 FROM audit_leaves LIMIT 1", 4, "index of patients"),
        ("UPDATE audit_heads SET note = replace(note, '11', '12') WHERE size = 11", None, "proves nothing"),
    ],
)
def test_what_an_owner_changes_by_hand_is_named(
    database: Database,
    owner_database: Database,
    tenant: Tenant,
    signer: LogSigner,
    check: Callable[[], list[tuple[int | None, str]]],
    tampering: str,
    place: int | None,
    says: str,
) -> None:
    for number in (10, 290):
        write(database, tenant, number)
        take_head(database, tenant.id, signer)
    as_owner(owner_database, tenant, tampering)
    problems = check()
    assert any(found == place and says in message for found, message in problems), problems
    places = [found for found, _ in problems if found is not None]
    assert places == sorted(places)
    if place is not None:
        assert places[0] >= min(place, 11)


def test_an_entry_whose_place_was_taken_away_with_it_leaves_a_ticket(
    database: Database,
    owner_database: Database,
    tenant: Tenant,
    check: Callable[[], list[tuple[int | None, str]]],
) -> None:
    write(database, tenant, 6)
    sequence(database, tenant.id)
    as_owner(
        owner_database, tenant,
        "DELETE FROM audit_leaves WHERE ticket = 7", "DELETE FROM audit_entries WHERE ticket = 7",
        "DELETE FROM audit_patients WHERE place = 6", "UPDATE audit_sequencers SET size = 6",
    )  # fmt: skip
    assert check() == [(None, "Ticket 7 was drawn, and there is neither an entry nor a reason for that.")]


def test_an_entry_put_in_behind_the_sequencer_has_no_place(
    database: Database, owner_database: Database, tenant: Tenant, check: Callable[[], list[tuple[int | None, str]]]
) -> None:
    write(database, tenant, 2)
    sequence(database, tenant.id)
    as_owner(owner_database, tenant, RAW.format("'forged'", "{{}}".replace("{{}}", "{}")))
    as_owner(owner_database, tenant, "UPDATE audit_entries SET ticket = -1 WHERE action = 'forged'")
    sequence(database, tenant.id)
    messages = [message for _, message in check()]
    assert any("ticket -1" in message and "without a place" in message for message in messages), messages


def test_missing_tickets_count_as_reported_and_a_forged_report_does_no_harm(
    database: Database, tenant: Tenant, check: Callable[[], list[tuple[int | None, str]]]
) -> None:
    with pytest.raises(RuntimeError), database.tenant(tenant.id) as session:  # noqa: PT012 - a block is what fails
        session.connection().execute(text(RAW.format("'x'", "{}")), {"tenant": tenant.id})
        raise RuntimeError
    for _ in range(2):
        sequence(database, tenant.id)
    with database.tenant(tenant.id) as session:
        state = log_state(session)
        assert (state.waiting, state.missing, state.voided) == (1, 0, 0)
        assert state.oldest_wait is not None
        session.connection().execute(text("UPDATE audit_open_tickets SET seen = seen - interval '2 minutes'"))
        for forged in ('{"first_ticket": "all", "last_ticket": null}', "[]"):
            session.connection().execute(
                text(RAW.format("'audit-entry-missing'", "").removesuffix("'')") + "CAST(:detail AS jsonb))"),
                {"tenant": tenant.id, "detail": forged},
            )
    sequence(database, tenant.id)
    with database.tenant(tenant.id) as session:
        state = log_state(session)
        assert (state.waiting, state.missing, state.size, state.drawn) == (0, 1, 4, 5)
    assert check() == []
