"""Identities: sealed, found without being readable, bound to their row, changed only where a delivery differs."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from datetime import date

import pytest
from sqlalchemy import text

from cohortium_platform.errors import CohortiumError
from cohortium_platform.identities import Contact, Identity, IdentityBatch, erase, open_many, search
from cohortium_platform.identities.loading import IdentitySealer, apply_changes, digests
from cohortium_platform.identities.pseudonyms import Pseudonyms, pseudonym_of_nhs_number
from cohortium_platform.identities.terms import name_words, nhs_number_in

JANE = Identity(
    nhs_number="9990000018",
    nhs_number_status="01",
    family_name="O'Brien-Łucas",
    given_name="Zoë Anne",
    title="Ms",
    date_of_birth=date(1950, 2, 28),
    address="1 High Street",
    postcode="XX1 1XX",
    mobile="07700 900123",
    contacts=(Contact("next-of-kin", "N", "Sam Brien", "07700 900124"),),
)
WU = Identity(nhs_number="9990000026", family_name="Wu", given_name="Li")
SMITH = Identity(nhs_number="9990000034", family_name="Smith", given_name="Smiljan")


@pytest.fixture
def load(database, tenant, tenant_keys, tmp_path) -> Callable[..., int]:
    """Load one practice's identities as a delivery would, its numbers untrusted; gives how many rows were written."""
    count = iter(range(100))

    def load(practice: str, people: dict[int, Identity], left: Sequence[int] = ()) -> int:
        with database.tenant(tenant.id) as session:
            known = digests(session, practice)
        with IdentitySealer(tenant_keys, tmp_path / f"copy{next(count)}") as sealer:
            sealer.add(
                IdentityBatch(
                    practice,
                    list(people),
                    [patient not in left for patient in people],
                    [who.to_bytes() for who in people.values()],
                    [[who.family_name for who in people.values()], [who.given_name for who in people.values()]],
                    [who.nhs_number for who in people.values()],
                ),
                known,
            )
        with database.tenant(tenant.id) as session:
            apply_changes(session, sealer.changes)
        return sealer.changes.written

    return load


@pytest.fixture
def find(database, tenant, tenant_keys) -> Callable[[str, Sequence[str]], frozenset[int]]:
    """Search in a transaction of its own."""

    def find(typed: str, practices: Sequence[str]) -> frozenset[int]:
        with database.tenant(tenant.id) as session:
            return search(session, tenant_keys, typed, practices=practices)

    return find


def test_an_identity_comes_back_as_it_was(database, tenant, tenant_keys, load):
    load("A81001", {7: JANE, 8: WU})
    with database.tenant(tenant.id) as session:
        opened = open_many(session, tenant_keys, [7, 8, 9])
    assert opened == {7: JANE, 8: WU}
    assert opened[7].name == "O'BRIEN-ŁUCAS, Zoë Anne (Ms)"


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("9990000018", {7}),
        ("999 000 0018", {7}),
        ("999-000-0018", {7}),
        ("9990000019", set()),
        ("obrien", {7}),
        ("O’Brien", {7}),
        ("ZOE", {7}),
        ("brien zoe", set()),
        ("zoë obrien", {7}),
        ("zoe wu", set()),
        ("wu", {8}),
        ("W", set()),
        ("smith", {9}),
        ("smi", {9}),
        ("smil", {9}),
        ("smithers", {9}),
        ("smi wu", set()),
        ("", set()),
        ("  ", set()),
        ("%", set()),
    ],
)
def test_people_are_found_by_number_words_and_beginnings(load, find, typed, found):
    load("A81001", {7: JANE, 8: WU, 9: SMITH})
    assert find(typed, ["A81001", "A81002"]) == found


def test_a_trusted_nhs_number_is_found_by_the_pseudonym_made_of_it(tenant_keys, load, find):
    patient = pseudonym_of_nhs_number(tenant_keys, "9990000018")
    load("A81001", {patient: Identity(family_name="Known")})
    assert find("999 000 0018", ["A81001"]) == {patient}
    assert find("999 000 0018", ["A81002"]) == frozenset()


def test_a_pseudonym_is_the_beginning_of_an_hmac(tenant_keys):
    mac = hmac.digest(tenant_keys.pseudonym, b"patient\x009990000018", "sha256")
    assert pseudonym_of_nhs_number(tenant_keys, "9990000018") == int.from_bytes(mac[:8], "big") % 2**63
    mac = hmac.digest(tenant_keys.pseudonym, b"local\x00A81001\x00gp\x0017", "sha256")
    assert Pseudonyms(tenant_keys).of_local_id("A81001", "gp", "17") == int.from_bytes(mac[:8], "big") % 2**63


def test_search_stays_within_the_practices_asked_for(database, tenant, tenant_keys, load):
    load("A81001", {7: JANE})
    load("A81002", {9: SMITH})
    with database.tenant(tenant.id) as session:
        assert search(session, tenant_keys, "smith", practices=["A81001"]) == set()
        assert search(session, tenant_keys, "9990000034", practices=["A81001"]) == set()
        assert search(session, tenant_keys, "smith", practices=[]) == set()


def test_another_tenant_finds_and_opens_nothing(database, other_tenant, tenant_keys, load):
    load("A81001", {7: JANE})
    with database.tenant(other_tenant.id) as session:
        assert search(session, tenant_keys, "obrien", practices=["A81001"]) == set()
        assert open_many(session, tenant_keys, [7]) == {}


def test_only_what_changed_is_written(database, tenant, tenant_keys, load):
    assert load("A81001", {7: JANE, 8: WU}) == 2
    assert load("A81001", {7: JANE, 8: WU}) == 0
    married = Identity(nhs_number=JANE.nhs_number, family_name="Green", given_name="Zoë Anne")
    assert load("A81001", {7: married, 8: WU}) == 1
    with database.tenant(tenant.id) as session:
        assert search(session, tenant_keys, "green", practices=["A81001"]) == {7}
        assert search(session, tenant_keys, "obrien", practices=["A81001"]) == set()
        assert open_many(session, tenant_keys, [7])[7].family_name == "Green"
    assert load("A81001", {7: married, 8: WU}, left=[8]) == 1, "leaving the list is a change"


def test_people_who_left_the_extract_leave_the_store(database, tenant, tenant_keys, load):
    load("A81001", {7: JANE, 8: WU})
    load("A81002", {8: WU})
    load("A81001", {7: JANE})
    with database.tenant(tenant.id) as session:
        assert search(session, tenant_keys, "wu", practices=["A81001", "A81002"]) == {8}
        assert search(session, tenant_keys, "wu", practices=["A81001"]) == set()
        assert open_many(session, tenant_keys, [8]) == {8: WU}


def test_the_practice_where_someone_is_registered_is_believed(database, tenant, tenant_keys, load):
    moved = Identity(nhs_number=JANE.nhs_number, family_name="Moved", address="2 New Road")
    load("A81002", {7: moved})
    load("A81001", {7: JANE}, left=[7])
    with database.tenant(tenant.id) as session:
        assert open_many(session, tenant_keys, [7])[7] == moved
        assert open_many(session, tenant_keys, [7], practices=["A81001"])[7] == JANE, "its new address does not show"


def test_nothing_readable_lies_in_the_database(database, tenant, load):
    load("A81001", {7: JANE})
    with database.tenant(tenant.id) as session:
        row = session.exec(text("SELECT identities::text FROM identities")).one()[0].lower()
        terms = session.exec(text("SELECT string_agg(identity_terms::text, ' ') FROM identity_terms")).one()[0].lower()
    sealed = bytes.fromhex(max(row.split("\\\\x"), key=len).split('"')[0].split(",")[0])
    for secret in ["brien", "9990000018", "high street", "07700"]:
        assert secret not in row + terms
        assert secret.encode() not in sealed


@pytest.mark.parametrize(
    "tamper",
    [
        "UPDATE identities SET patient_id = 99 WHERE patient_id = 7",
        "UPDATE identities SET practice = 'A81009' WHERE patient_id = 7",
        "UPDATE identities SET version = 2 WHERE patient_id = 7",
        "UPDATE identities SET sealed = set_byte(sealed, 20, 255 - get_byte(sealed, 20))",
        "UPDATE identities SET sealed = ''",
    ],
)
def test_a_row_that_was_moved_or_altered_does_not_open(database, tenant, tenant_keys, load, tamper):
    load("A81001", {7: JANE})
    with database.tenant(tenant.id) as session:
        session.connection().execute(text(tamper))
        with pytest.raises(CohortiumError) as refused:
            open_many(session, tenant_keys, [7, 99])
        assert "brien" not in str(refused.value).lower()


def test_erasing_leaves_nothing(database, tenant, tenant_keys, load):
    load("A81001", {7: JANE, 8: WU})
    load("A81002", {7: JANE})
    with database.tenant(tenant.id) as session:
        assert erase(session, [7]) == 2
    with database.tenant(tenant.id) as session:
        assert open_many(session, tenant_keys, [7, 8]) == {8: WU}
        found_by = session.exec(text("SELECT patient_ids FROM identity_terms ORDER BY term")).all()
        assert found_by == [([8],)] * 3, "wu, li and the number; nothing that only Jane was found by"


def test_a_search_is_an_index_scan(database, tenant, load):
    load("A81001", {patient: Identity(family_name=f"Name{patient}") for patient in range(3000)})
    with database.tenant(tenant.id) as session:
        plan = session.exec(
            text("EXPLAIN SELECT patient_ids FROM identity_terms WHERE term IN (1, 2) AND practice IN ('A81001')")
        )
        lines = "\n".join(line for (line,) in plan)
        assert "Index" in lines
        assert "Index Cond: ((tenant_id =" in lines
        assert session.exec(text("SELECT count(*) FROM identities")).one()[0] == 3000


def test_names_are_compared_without_case_accents_and_apostrophes():
    assert name_words("O'Brien-Łucas  zoë A.") == ["obrien", "łucas", "zoe", "a"]
    assert name_words("D’Arcy") == ["darcy"]
    assert name_words("MÜLLER straße") == ["muller", "strasse"]
    assert name_words("--- '") == []


def test_an_nhs_number_is_ten_digits_however_it_is_typed():
    assert nhs_number_in(" 999 000 0018 ") == "9990000018"
    assert nhs_number_in("99900000181") is None
    assert nhs_number_in("999000001x") is None


def test_an_identity_as_bytes_names_nothing_absent():
    assert WU.to_bytes() == b'{"nhs_number":"9990000026","family_name":"Wu","given_name":"Li"}'
    assert Identity.from_bytes(b"{}") == Identity()
    assert Identity().name == ""
