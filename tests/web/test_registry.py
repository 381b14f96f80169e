from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from html import unescape

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlmodel import col, select

from cohortium_auth.login import Role
from cohortium_platform.audit import AuditEntry
from cohortium_tenants.keys import open_keys
from cohortium_web.asking import patient_hash

LIST = "/registries/cancer-care/"
PCN, ICB, ELM, OAK, ASH = "U90001", "QT1", "Z90001", "Z90002", "Z90003"


@pytest.fixture
def clinician(registry_place, add_someone, sign_in) -> TestClient:
    """A clinician of the PCN, with which two of the three practices share."""
    return sign_in(add_someone(registry_place, (Role.CLINICIAN, PCN)))


@pytest.fixture
def entries(database, registry_place) -> Callable[[TestClient, str], AuditEntry]:
    """The audit entry of an answer."""

    def of(answer) -> AuditEntry:
        with database.tenant(registry_place.id) as session:
            return session.exec(
                select(AuditEntry).where(col(AuditEntry.request_id) == answer.headers["x-request-id"])
            ).one()

    return of


def names(page: str) -> list[str]:
    return [unescape(name) for name in re.findall(r'app-list__who" scope="row"><a href="[^"]+">([^<]+)</a>', page)]


def total(page: str) -> int:
    return int(re.search(r'id="results-heading">([\d,]+) patient', page)[1].replace(",", ""))


def search(client: TestClient, form_token, who: str, filters: str = ""):
    token = form_token(client.get(LIST).text)
    answer = client.post(LIST + "search", data={"form_token": token, "who": who, "filters": filters})
    assert answer.status_code == 303
    return answer, client.get(answer.headers["location"])


def test_the_list_shows_who_is_in_reach_with_most_gaps_first(clinician, hand_made) -> None:
    page = clinician.get(LIST).text
    assert total(page) == 3 + hand_made.FILLERS
    found = names(page)
    assert len(found) == 50
    assert "WELLBELOVED" not in page
    gaps = [int(n) for n in re.findall(r'<strong class="app-gaps[^"]*">(\d+)</strong>', page)]
    assert gaps == sorted(gaps, reverse=True)
    rest = names(clinician.get(LIST + "?page=2").text)
    assert len(rest) == 13
    assert {"BLACKWOOD, Ada (Mrs)", "O\u2019CARDEW, Ben (Mr)", "DELANEY, Cora (Ms)"} <= {*found, *rest}


def test_a_row_says_who_where_what_and_how_many(clinician, form_token, hand_made) -> None:
    _, page = search(clinician, form_token, "blackwood")
    number = hand_made.ADA.nhs_number
    for shown in (f"{number[:3]} {number[3:6]} {number[6:]}", "65", "Elm Surgery", "Breast", "10 Feb 2025"):
        assert shown in page.text
    assert number not in page.text


def test_the_list_says_how_far_each_source_runs(clinician) -> None:
    page = " ".join(clinician.get(LIST).text.split())
    assert "<strong>GP records</strong>: to 30 Nov 2025" in page
    assert "<strong>Beech Hospitals</strong>: to 31 Oct 2025" in page
    assert "As of 30 November 2025" in page


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (f"organisation={ELM}", {"BLACKWOOD, Ada (Mrs)", "O\u2019CARDEW, Ben (Mr)"}),
        (f"organisation={ASH}", set()),
        ("by-tumour-site=breast", {"BLACKWOOD, Ada (Mrs)"}),
        ("age_from=66&by-tumour-site=colorectal", {"O\u2019CARDEW, Ben (Mr)"}),
        ("age_to=64&by-tumour-site=colorectal", set()),
        ("indicator=can004-care-review-12-months&status=overdue", {"DELANEY, Cora (Ms)"}),
        ("indicator=can004-care-review-12-months&status=met", {"BLACKWOOD, Ada (Mrs)"}),
        ("gaps=99", set()),
    ],
)
def test_filters(clinician, query, expected) -> None:
    page = clinician.get(f"{LIST}?{query}").text
    assert set(names(page)) == expected
    assert total(page) == len(expected)


def test_a_filter_that_makes_no_sense_is_refused(clinician) -> None:
    for query in (
        "gaps=x",
        "indicator=nonsense&status=due",
        "by-nonsense=1",
        "status=purple",
        "organisation=Q9",
        "by-tumour-site=x",
    ):
        assert clinician.get(f"{LIST}?{query}").status_code == 400


def test_a_stratum_without_codes_says_so_and_cannot_be_chosen(clinician) -> None:
    page = clinician.get(LIST).text
    assert "No codes configured for" in page
    assert re.search(r'<select[^>]+id="by-stage" disabled', page)
    assert "No codes configured" in clinician.get(LIST + "measures/").text


def test_htmx_gets_the_results_alone_and_the_address_without_empty_fields(clinician) -> None:
    answer = clinician.get(
        LIST + "?organisation=&gaps=1&age_from=", headers={"hx-request": "true", "hx-request-type": "partial"}
    )
    assert "<html" not in answer.text
    assert total(answer.text) > 0
    assert answer.headers["hx-push-url"] == LIST + "?gaps=1"


@pytest.mark.parametrize("path", ["", "tiles/", "measures/", "rates/", "list.csv"])
def test_a_practice_that_does_not_share_is_nowhere(registry_place, add_someone, sign_in, path) -> None:
    client = sign_in(add_someone(registry_place, (Role.CARE_COORDINATOR, PCN)))
    page = client.get(LIST + path)
    assert page.status_code == 200
    assert "HIDDEN" not in page.text
    assert "Ash Surgery" not in page.text


def test_its_own_clinician_sees_it_and_nobody_elses(registry_place, add_someone, sign_in) -> None:
    page = sign_in(add_someone(registry_place, (Role.CLINICIAN, ASH))).get(LIST).text
    assert names(page) == ["HIDDEN, Zora (Mrs)"]


@pytest.mark.parametrize("role", [r for r in Role if r not in {Role.CLINICIAN, Role.CARE_COORDINATOR}])
def test_other_roles_find_nothing_here_and_a_page_that_says_what_they_will_see(
    registry_place, add_someone, sign_in, role, entries
) -> None:
    client = sign_in(add_someone(registry_place, (role, PCN)))
    home = client.get("/")
    assert "This role sees" in home.text
    assert "cancer" not in home.text.lower()
    for path in ("", "tiles/", "measures/", "rates/", "list.csv", "patients/AAAAAAAAAAAAAAAAAAAAAA/"):
        answer = client.get(LIST + path)
        assert answer.status_code == 404
        assert entries(answer).outcome == "denied"
    assert client.get("/no-such-page").text.replace(client.get("/no-such-page").headers["x-request-id"], "").count(
        "Not found"
    ) == client.get(LIST).text.count("Not found")


def test_an_icbs_clinician_sees_no_patient(registry_place, add_someone, sign_in) -> None:
    client = sign_in(add_someone(registry_place, (Role.CLINICIAN, ICB)))
    assert "You see no patient here" in client.get("/").text
    assert client.get(LIST).status_code == 404


def test_home_counts_the_registry_in_reach(clinician, hand_made) -> None:
    page = clinician.get("/").text
    assert "People living with and beyond cancer" in page
    assert f"<dt>Patients</dt><dd>{3 + hand_made.FILLERS}</dd>" in page
    assert "GP records to 30 Nov 2025" in page


# --- searching ----------------------------------------------------------------------------------------------------


def test_a_search_by_name_or_number_stands_in_no_address(clinician, form_token, hand_made) -> None:
    number = hand_made.CORA.nhs_number
    for who in ("Delaney", "delaney cora", "cora", number, f"{number[:3]} {number[3:6]} {number[6:]}"):
        answer, page = search(clinician, form_token, who)
        assert names(page.text) == ["DELANEY, Cora (Ms)"], who
        assert re.fullmatch(rf"{LIST}\?search=[0-9a-f-]{{36}}", answer.headers["location"])
        assert answer.text == ""
    _, page = search(clinician, form_token, "O'Cardew")
    assert names(page.text) == ["O\u2019CARDEW, Ben (Mr)"]


def test_a_search_keeps_the_filters_and_finds_nobody_out_of_reach(clinician, form_token, hand_made) -> None:
    answer, page = search(clinician, form_token, "cora", f"organisation={ELM}&page=7")
    assert answer.headers["location"].startswith(f"{LIST}?organisation={ELM}&search=")
    assert total(page.text) == 0
    for who in ("hidden", hand_made.HIDDEN.nhs_number, "wellbeloved", "nobody of this name"):
        _, page = search(clinician, form_token, who)
        assert total(page.text) == 0
        assert "No patient of this registry within your reach" in page.text


def test_a_search_belongs_to_its_session_and_is_sealed(
    clinician, registry_place, add_someone, sign_in, form_token, database
) -> None:
    answer, _ = search(clinician, form_token, "delaney")
    other = sign_in(add_someone(registry_place, (Role.CLINICIAN, PCN)))
    assert other.get(LIST).status_code == 200
    assert other.get(answer.headers["location"]).status_code == 404
    with database.tenant(registry_place.id) as session:
        rows = session.connection().execute(text("SELECT row_to_json(s)::text FROM kept_searches s")).scalars().all()
    assert rows
    assert not any(b"delaney".hex() in row for row in rows)


def test_a_search_longer_than_any_name_is_refused(clinician, form_token) -> None:
    token = form_token(clinician.get(LIST).text)
    answer = clinician.post(LIST + "search", data={"form_token": token, "who": "x" * 500})
    assert answer.status_code == 400
    assert "xxx" not in answer.text
    assert clinician.post(LIST + "search", data={"form_token": token}).headers["location"] == LIST


# --- what the audit says ------------------------------------------------------------------------------------------


def test_a_list_is_recorded_with_its_filters_and_a_hash_for_each_patient_on_the_page(clinician, entries) -> None:
    answer = clinician.get(f"{LIST}?organisation={ELM}&gaps=1")
    entry = entries(answer)
    assert (entry.action, entry.outcome, entry.resource) == ("view-registry", "done", "registry/cancer-care")
    assert (entry.role, entry.organisation, entry.purpose) == ("clinician", PCN, "direct care")
    assert entry.policy == "direct-care-in-reach"
    assert entry.practices == [ELM]
    assert len(entry.patients) == len(set(entry.patients)) == 2
    assert {len(each) for each in entry.patients} == {32}
    assert entry.detail["filters"] == f"organisation={ELM}&gaps=1"
    assert (entry.detail["total"], entry.detail["page"], entry.detail["searched"]) == (2, 1, False)


def test_a_page_records_those_it_shows_and_no_others(clinician, entries) -> None:
    first, second = entries(clinician.get(LIST)), entries(clinician.get(LIST + "?page=2"))
    assert (len(first.patients), len(second.patients)) == (50, 13)
    assert not {*first.patients} & {*second.patients}
    assert entries(clinician.get(LIST + "tiles/")).patients == first.patients
    assert entries(clinician.get(LIST + "measures/")).patients == []


def test_no_entry_holds_a_name_a_number_or_a_part_of_a_record(
    clinician, form_token, database, registry_place, hand_made
) -> None:
    search(clinician, form_token, "blackwood")
    clinician.get(LIST)
    with database.tenant(registry_place.id) as session:
        said = session.connection().execute(text("SELECT string_agg(row_to_json(e)::text, ' ') FROM audit_entries e"))
        log = said.scalar_one().lower()
    for secret in ("blackwood", hand_made.ADA.nhs_number, "alder road", "orbital", "neoplasm", "kg/m2"):
        assert secret not in log


def test_a_patients_hash_is_the_same_wherever_they_are_seen(
    clinician, entries, form_token, database, registry_place, key_encryption
) -> None:
    _, page = search(clinician, form_token, "delaney")
    href = re.search(r'app-list__who" scope="row"><a href="([^"]+)"', page.text)[1]
    listed, opened = entries(page), entries(clinician.get(href))
    assert listed.patients == opened.patients
    with database.tenant(registry_place.id) as session:
        keys = open_keys(session, key_encryption)
    assert len(patient_hash(keys, 1)) == 32


def test_a_failure_is_recorded_and_shows_nothing(clinician, entries, app, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(app.state.site.results, "rows", fail)
    answer = clinician.get(LIST)
    assert answer.status_code == 500
    assert (entries(answer).outcome, entries(answer).resource) == ("failed", "/registries/{pack}/")


def test_the_list_and_the_tiles_keep_each_others_filters(clinician) -> None:
    for here, there in (("", "tiles/"), ("tiles/", "")):
        page = clinician.get(f"{LIST}{here}?organisation={ELM}&age_from=40&page=1")
        assert f'href="{LIST}{there}?organisation={ELM}&amp;age_from=40"' in page.text
        part = clinician.get(f"{LIST}{here}?organisation={ELM}", headers={"hx-request-type": "partial"})
        assert 'hx-target="#ways"' in part.text
        assert f'href="{LIST}{there}?organisation={ELM}"' in part.text
    assert f'href="{LIST}measures/"' in page.text


# --- tiles, measures, rates, download ----------------------------------------------------------------------------


def test_a_tile_has_colour_symbol_and_word_and_leads_to_the_patients_measure(clinician) -> None:
    page = clinician.get(f"{LIST}tiles/?organisation={ELM}").text
    tile = re.search(
        r'<td class="app-tile app-tile--(\w+)[^"]*"><a class="app-tile__link" href="([^"]+)">'
        r'<span class="app-tile__symbol" aria-hidden="true">(.)</span><span class="app-tile__word">(\w+)</span>',
        page,
    )
    assert tile
    target = clinician.get(tile[2].split("#")[0]).text
    assert f'id="{tile[2].split("#")[1]}"' in target


def test_measures_count_every_status_and_lead_to_the_list_of_it(clinician) -> None:
    page = clinician.get(LIST + "measures/").text
    link = re.search(
        r'href="([^"]+can004-care-review-12-months&amp;status=overdue)">.*?<strong>(\d+)</strong>', page, re.DOTALL
    )
    assert total(clinician.get(unescape(link[1])).text) == int(link[2]) == 1


def test_rates_give_each_month_and_the_closed_windows_beside_it(clinician) -> None:
    page = clinician.get(LIST + "rates/?indicator=can004-care-review-12-months").text
    assert page.partition("<tbody")[2].count('<tr class="nhsuk-table__row">') == 11
    taken = clinician.get(LIST + "rates/?indicator=can004-care-review-12-months&format=csv").text
    rows = list(csv.reader(io.StringIO(taken.lstrip("\ufeff"))))
    assert rows[0][3] == "QOF rate %"
    assert rows[0][7] == "Whole population %"
    assert len(rows) == 12
    assert "Closed windows only" in page
    chart = unescape(re.search(r'data-lines="([^"]+)"', page)[1])
    assert '"title": "Closed windows only"' in chart
    assert clinician.get(LIST + "rates/?indicator=nonsense").status_code == 400


def test_the_download_is_the_page_shown_and_recorded_as_an_export(clinician, entries, hand_made) -> None:
    answer = clinician.get(f"{LIST}list.csv?organisation={ELM}")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert 'filename="cancer-care-2025-11-30-page-1.csv"' in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert {row["Name"] for row in rows} == {"BLACKWOOD, Ada (Mrs)", "O\u2019CARDEW, Ben (Mr)"}
    assert {row["NHS number"] for row in rows} == {hand_made.ADA.nhs_number, hand_made.BEN.nhs_number}
    entry = entries(answer)
    assert (entry.action, len(entry.patients)) == ("export-list", 2)


def test_server_timing_names_its_parts(clinician) -> None:
    timing = clinician.get(LIST).headers["server-timing"]
    for part in ("session", "organisations", "policy", "results", "identities", "audit", "render", "total"):
        assert f"{part};dur=" in timing
