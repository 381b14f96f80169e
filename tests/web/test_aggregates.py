"""Suppressed counts in the site: who sees them, what is hidden, and that page, CSV and JSON agree cell for cell."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, date, datetime, timedelta
from html import unescape
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlmodel import select

from cohortium_auth.approvals import Level, NewApproval, ask_for, decide_on
from cohortium_auth.login import Purpose, Role, add_person
from cohortium_auth.opt_outs import load_cleared_list
from cohortium_auth.policy import share
from cohortium_platform.audit import AuditEntry
from cohortium_platform.engine.service import Request, evaluate_tenant
from cohortium_platform.records import RecordStore
from cohortium_plugins.importing import ImportOptions
from cohortium_tenants.keys import open_keys
from cohortium_tenants.loading import LoadOptions, load_delivery
from cohortium_tenants.onboarding import onboard
from cohortium_tenants.organisations import (
    Member,
    NewOrganisation,
    OrganisationType,
    RelationshipKind,
    create,
    relate,
)
from cohortium_tenants.packs import definition_of, enable_pack
from cohortium_tenants.tenants import create_tenant

START, TODAY = date(2020, 1, 1), datetime.now(UTC).date()
ICB, ALLIANCE, PLACE = "QT8", "ZCA88", "ZL8"
PCNS = {"U98001": ("Z98001", "Z98002", "Z98003"), "U98002": ("Z98004", "Z98005")}
SIZES = {"Z98001": 40, "Z98002": 30, "Z98003": 5, "Z98004": 24, "Z98005": 24}
"""Members of each practice, before opt-outs."""
OPTED_OUT = 3
DAYS = [date(2025, 9, 30), date(2025, 10, 31), date(2025, 11, 30)]
COUNTS = "/aggregates/cancer-care/"
MEASURE = "care-review"


def _organisations(session) -> None:
    create(session, NewOrganisation(ICB, "Countshire ICB", OrganisationType.ICB, START))
    create(session, NewOrganisation(ALLIANCE, "Countshire Cancer Alliance", OrganisationType.CANCER_ALLIANCE, START))
    create(session, NewOrganisation(PLACE, "Countford", OrganisationType.PLACE, START))
    relate(session, Member(PLACE, ICB, RelationshipKind.PART_OF, START))
    for pcn, practices in PCNS.items():
        create(session, NewOrganisation(pcn, f"PCN {pcn}", OrganisationType.PCN, START))
        relate(session, Member(pcn, PLACE, RelationshipKind.PART_OF, START))
        for code in practices:
            create(session, NewOrganisation(code, f"Surgery {code}", OrganisationType.PRACTICE, START))
            relate(session, Member(code, pcn, RelationshipKind.MEMBER_OF, START))
            share(session, code, ICB, start=START, document="DSA")
            if code != "Z98005":
                share(session, code, ALLIANCE, start=START, document="DSA")
    for code in (ICB, ALLIANCE, PLACE, *PCNS, *SIZES):
        onboard(session, code, on=START, document="Onboarding", by="test")


def _people(hand_made):
    """Members of the cancer registry: half of each practice were reviewed, and two in three are women."""
    number = 20_000
    for practice, size in SIZES.items():
        for place in range(size):
            number += 1
            reviewed = [(hand_made.REVIEW, date(2025, 8, 1), None, "")] if place % 2 else []
            yield hand_made.Patient(
                number, practice, f"Counted{number}", "Pat", date(1950, 4, 4), "female" if place % 3 else "male",
                [(hand_made.LYMPHOMA, date(2020, 1, 1), None, ""), *reviewed],
                kin="Kin Counted", consulted=[date(2025, 6, 1)],
            )  # fmt: skip


@pytest.fixture(scope="module")
def place(settings, database, key_encryption, hand_made, tmp_path_factory):
    """A tenant with counts, approvals for its ICB and its Alliance, and a list that clears all but three people."""
    tenant = create_tenant(database, key_encryption, slug=f"t{uuid4().hex}", name="Counts ICB", ods_code=ICB)
    people = list(_people(hand_made))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(hand_made, "everyone", lambda: iter(people))
        delivery = hand_made.write_extract(tmp_path_factory.mktemp("counts"))
    (delivery / "medications.csv").unlink()  # it is of somebody else
    with database.tenant(tenant.id) as session:
        _organisations(session)
        enable_pack(session, "cancer-care", by="test")
        found = definition_of(session, "cancer-care")
    load_delivery(database, settings, key_encryption, tenant.id, delivery, ImportOptions(), LoadOptions())
    evaluate_tenant(database, settings, tenant.id, Request(found.pack, found.definition, found.parameters, DAYS))
    with database.tenant(tenant.id) as session:
        cleared = [each.nhs_number for each in people[OPTED_OUT:]]
        keys, store = open_keys(session, key_encryption), RecordStore(settings.store_root, tenant.id)
        load_cleared_list(session, store, keys, cleared, as_at=TODAY, expires=TODAY + timedelta(days=7), by="test")
        asks, decides = add_person(session, "Asks", []), add_person(session, "Decides", [])
        for purpose, organisation in ((Purpose.PLANNING, ICB), (Purpose.SERVICE_EVALUATION, ALLIANCE)):
            wanted = NewApproval(
                "Counts", purpose, "cancer-care", Level.AGGREGATE, TODAY, TODAY, "", ["DPIA"], organisation=organisation
            )
            decide_on(session, ask_for(session, wanted, by=asks), by=decides, agreed=True, why="Agreed", on=TODAY)
    return tenant


@pytest.fixture
def analyst(place, add_someone, sign_in):
    return sign_in(add_someone(place, (Role.ICB_ANALYST, ICB)))


def at(path: str = "", **query: str) -> str:
    return f"{COUNTS}{path}?{urlencode({'indicator': MEASURE, **query})}"


def cells(page: str) -> list[list[str]]:
    """The table's cells as a reader sees them, its foot included."""
    table = re.search(r"<table.*?</table>", page, re.DOTALL)[0]
    found = []
    for row in re.findall(r"<tr.*?</tr>", table.split("</thead>")[1], re.DOTALL):
        inner = re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)
        found.append([unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in inner])
    return found


def rows(client, **query: str) -> dict[str, list[str]]:
    return {row[0]: row[1:] for row in cells(client.get(at(**query)).text)}


TABLES = [
    {"level": level, **by}
    for level in ("practice", "pcn", "place", "icb")
    for by in ({}, {"by": "sex"}, {"by": "sex", "and_by": "age-band"}, {"month": "2025-10-31"}, {"sort": "met"})
]


@pytest.mark.parametrize("query", TABLES)
def test_page_csv_and_json_agree_cell_for_cell(analyst, query: dict[str, str]) -> None:
    hidden = {"hidden", "not given", "fewer than 8"}
    shown = cells(analyst.get(at(**query)).text)
    page = [["*" if cell in hidden else re.sub(r"(?<=\d),(?=\d)", "", cell) for cell in row] for row in shown]
    downloaded = analyst.get(at(**query, format="csv"))
    assert downloaded.headers["content-type"].startswith("text/csv")
    in_csv = list(csv.reader(io.StringIO(downloaded.text.removeprefix("\ufeff"))))[1:]
    document = analyst.get(at(**query, format="json")).json()
    in_json = [[str(row[name]) for name in document["columns"]] for row in document["rows"] + document["foot"]]
    assert page
    assert page == in_csv == in_json


def test_small_counts_are_hidden_and_others_rounded(analyst) -> None:
    found = rows(analyst, level="practice")
    assert found["Surgery Z98001"][:3] == ["20", "fewer than 8", "20"], "19 met and 18 overdue, after opt-outs"
    assert found["Surgery Z98003"][:3] == ["fewer than 8"] * 3
    assert found["Everything in your reach"][0] == str(sum((20, 15, 10, 10)))


def test_a_total_is_the_sum_of_what_is_shown(analyst) -> None:
    for query in TABLES:
        *body, total = cells(analyst.get(at(**query)).text)
        if total[0] == "Everything in your reach":
            first = len(total) - 7
            for column in range(first, first + 5):
                if total[column].isdecimal():
                    assert sum(int(row[column]) for row in body if row[column].isdecimal()) == int(total[column]), query


def test_two_who_see_different_practices_are_given_the_same_figures(place, analyst, add_someone, sign_in) -> None:
    lead = sign_in(add_someone(place, (Role.PROGRAMME_LEAD, ALLIANCE)))
    all_of_them, some = rows(analyst, level="practice"), rows(lead, level="practice")
    assert set(all_of_them) - set(some) == {"Surgery Z98005"}
    for name in some.keys() - {"Everything in your reach", "Hidden above, taken together"}:
        assert some[name] == all_of_them[name]


def test_a_table_by_group_is_of_the_newest_month_and_says_so(analyst) -> None:
    page = analyst.get(at(by="sex", month="2025-09-30")).text
    assert "exist for the newest month only" in page
    assert "not 30 Sep 2025" in page
    assert "Female" in page


def test_the_page_says_in_words_what_is_hidden(analyst) -> None:
    page = analyst.get(at()).text
    assert "Counts from 1 to 7 are hidden" in page
    assert "never nought" in page


def test_an_officer_chooses_how_counts_are_suppressed_and_every_form_follows_at_once(
    database, place, analyst, add_someone, sign_in, form_token
) -> None:
    officer = sign_in(add_someone(place, (Role.IG_OFFICER, ICB), name="Ida Choosing"))

    def choose(client, policy: str, why: str) -> int:
        token = form_token(officer.get("/ig/rules/").text if client is officer else client.get("/").text)
        data = {"form_token": token, "policy": policy, "why": why}
        return client.post("/ig/rules/suppression", data=data, follow_redirects=False).status_code

    before = rows(analyst, level="practice")["Surgery Z98001"][:3]
    assert [choose(officer, *wrong) for wrong in (("nearest-10", "x"), ("nearest-5", "x"), ("nearest-15", " "))] == [
        400, 400, 400,
    ]  # fmt: skip
    assert choose(analyst, "nearest-15", "I like it") == 404
    assert rows(analyst, level="practice")["Surgery Z98001"][:3] == before == ["20", "fewer than 8", "20"]
    assert choose(officer, "nearest-15", "Agreed with the LMC") == 303
    try:
        after = rows(analyst, level="practice")
        assert after["Surgery Z98001"][:3] == ["15", "fewer than 8", "15"]
        assert rows(analyst, level="practice", month="2025-09-30")["Surgery Z98001"][0] == "15", "former months as well"
        document = analyst.get(at(level="practice", format="json"))
        assert document.json()["suppression"].endswith("rounded to the nearest 15")
        assert "-suppressed.json" in document.headers["content-disposition"]
        for query in TABLES:
            test_page_csv_and_json_agree_cell_for_cell(analyst, query)
            shown = [cell for row in cells(analyst.get(at(**query)).text) for cell in row[1:-2] if cell.isdecimal()]
            assert all(int(cell) % 15 == 0 for cell in shown)
        assert "rounded to the nearest 15" in analyst.get(at()).text
        page = officer.get("/ig/rules/").text
        assert "Agreed with the LMC" in page
        assert "Ida Choosing" in page
        with database.tenant(place.id) as session:
            entries = session.exec(select(AuditEntry).where(AuditEntry.action == "manage-ig-settings")).all()
        changed = {"rule": "suppression", "before": "nearest-5", "after": "nearest-15"}
        assert [entry.detail for entry in entries if "after" in entry.detail and entry.outcome == "done"] == [changed]
    finally:
        assert choose(officer, "nearest-5", "As it came") == 303
    assert rows(analyst, level="practice")["Surgery Z98001"][:3] == before


def test_columns_sort_and_hidden_figures_come_last(analyst) -> None:
    for order in ("ascending", "descending"):
        found = cells(analyst.get(at(level="practice", sort="met", order=order)).text)
        met = [row[1] for row in found if row[0].startswith("Surgery")]
        shown = [int(each) for each in met if each.isdecimal()]
        assert shown == sorted(shown, reverse=order == "descending")
        assert met[-1] == "fewer than 8"


def test_one_organisation_over_time(analyst) -> None:
    answer = analyst.get(at("over-time/", organisation="U98002"))
    found = cells(answer.text)
    assert [row[0] for row in found] == ["30 Nov 2025", "31 Oct 2025", "30 Sep 2025"]
    assert 'data-lines="' in answer.text
    for row in found:
        assert row == [row[0], *rows(analyst, level="pcn", month=_iso(row[0]))["PCN U98002"]]


def _iso(shown: str) -> str:
    return datetime.strptime(shown, "%d %b %Y").replace(tzinfo=UTC).date().isoformat()


@pytest.mark.parametrize(
    "query",
    [
        {"indicator": "nonsense"}, {"level": "street"}, {"month": "2025-11-29"}, {"month": "soon"}, {"by": "name"},
        {"by": "sex", "and_by": "nonsense"},
    ],
)  # fmt: skip
def test_what_is_not_in_the_lattice_is_refused(analyst, query: dict[str, str]) -> None:
    assert analyst.get(at()).status_code == 200
    assert analyst.get(at(**query)).status_code == 400


def test_an_organisation_outside_reach_is_refused(analyst) -> None:
    assert analyst.get(at("over-time/", organisation="Z90001")).status_code == 400


def test_nothing_without_an_approval_or_a_list_in_date(database, place, analyst, add_someone, sign_in) -> None:
    other = sign_in(add_someone(place, (Role.ICB_ANALYST, PLACE)))
    assert other.get(COUNTS).status_code == 404
    assert "You see no counts here yet" in other.get("/").text
    with database.tenant(place.id) as session:
        change = text("UPDATE cleared_lists SET expires = expires + :days * interval '1 day'")
        session.connection().execute(change, {"days": -30})
    try:
        assert analyst.get(COUNTS).status_code == 404
    finally:
        with database.tenant(place.id) as session:
            session.connection().execute(change, {"days": 30})
    assert analyst.get(COUNTS).status_code == 200


def test_the_home_page_leads_to_counts_and_never_to_patients(analyst) -> None:
    page = analyst.get("/").text
    assert f'href="{COUNTS}"' in page
    assert "/registries/" not in page
    assert "/registries/" not in analyst.get(COUNTS).text


def test_the_audit_names_the_table_and_holds_no_count(database, place, analyst) -> None:
    answer = analyst.get(at(level="practice", by="sex", format="csv"))
    with database.tenant(place.id) as session:
        entry = session.exec(select(AuditEntry).where(AuditEntry.request_id == answer.headers["x-request-id"])).one()
    assert entry.resource == "aggregates/cancer-care"
    assert sorted(entry.practices) == sorted(SIZES)
    assert entry.detail["table"] == {
        "shown": "aggregates", "indicator": MEASURE, "level": "practice", "month": "2025-11-30", "by": ["sex"]
    }  # fmt: skip
    assert entry.detail["as"] == "csv"
    assert entry.detail["approval"]
