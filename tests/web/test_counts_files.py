"""Files of suppressed counts: their figures are the page's cells, and what the page hides is in none of them."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, date, datetime
from uuid import uuid4

import pytest
from sqlmodel import select

from cohortium_auth.approvals import Level, NewApproval, ask_for, decide_on, revoke
from cohortium_auth.login import Purpose, Role, add_person
from cohortium_auth.opt_outs import load_cleared_list
from cohortium_auth.policy import share
from cohortium_platform.audit import AuditEntry
from cohortium_platform.engine.service import Request, evaluate_tenant
from cohortium_platform.jobs import Job, JobState, load_kinds, run_job
from cohortium_platform.records import RecordStore
from cohortium_plugins.importing import ImportOptions
from cohortium_tenants.keys import open_keys
from cohortium_tenants.loading import LoadOptions, load_delivery
from cohortium_tenants.onboarding import onboard
from cohortium_tenants.organisations import Member, NewOrganisation, OrganisationType, RelationshipKind, create, relate
from cohortium_tenants.packs import definition_of, enable_pack
from cohortium_tenants.tenants import create_tenant

START, TODAY, NEWEST = date(2020, 1, 1), datetime.now(UTC).date(), date(2025, 11, 30)
ICB, PCN = "QT7", "U97001"
SIZES = {"Z97001": 40, "Z97002": 30, "Z97003": 5}
"""Members of each practice; half of each were reviewed."""
FILES = "/aggregates/cancer-care/exports/"
LEVELS = {"practice": "Practice", "pcn": "PCN", "place": "Place", "icb": "ICB"}
STATUSES = ["met", "due", "overdue", "excluded", "not-evaluated"]


@pytest.fixture(scope="module")
def place(settings, database, key_encryption, hand_made, tmp_path_factory):
    tenant = create_tenant(database, key_encryption, slug=f"t{uuid4().hex}", name="Files ICB", ods_code=ICB)
    people = []
    for practice, size in SIZES.items():
        for n in range(size):
            reviewed = [(hand_made.REVIEW, date(2025, 8, 1), None, "")] if n % 2 else []
            people.append(
                hand_made.Patient(
                    30_000 + len(people), practice, f"Filed{len(people)}", "Pat", date(1950, 4, 4), "female",
                    [(hand_made.LYMPHOMA, date(2020, 1, 1), None, ""), *reviewed],
                    kin="Kin Filed", consulted=[date(2025, 6, 1)],
                )
            )  # fmt: skip
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(hand_made, "everyone", lambda: iter(people))
        delivery = hand_made.write_extract(tmp_path_factory.mktemp("files"))
    (delivery / "medications.csv").unlink()  # it is of somebody else
    with database.tenant(tenant.id) as session:
        create(session, NewOrganisation(ICB, "=Fileshire ICB", OrganisationType.ICB, START))
        create(session, NewOrganisation(PCN, "Filed PCN", OrganisationType.PCN, START))
        relate(session, Member(PCN, ICB, RelationshipKind.PART_OF, START))
        for code in SIZES:
            create(session, NewOrganisation(code, f"Surgery {code}", OrganisationType.PRACTICE, START))
            relate(session, Member(code, PCN, RelationshipKind.MEMBER_OF, START))
            share(session, code, ICB, start=START, document="DSA")
        for code in (ICB, PCN, *SIZES):
            onboard(session, code, on=START, document="Onboarding", by="test")
        enable_pack(session, "cancer-care", by="test")
        found = definition_of(session, "cancer-care")
    load_delivery(database, settings, key_encryption, tenant.id, delivery, ImportOptions(), LoadOptions())
    evaluate_tenant(database, settings, tenant.id, Request(found.pack, found.definition, found.parameters, [NEWEST]))
    with database.tenant(tenant.id) as session:
        keys, store = open_keys(session, key_encryption), RecordStore(settings.store_root, tenant.id)
        cleared = [each.nhs_number for each in people]
        load_cleared_list(session, store, keys, cleared, as_at=TODAY, expires=TODAY, by="test")
    return tenant


@pytest.fixture
def approved(database, place, add_someone, sign_in):
    """An analyst with an approval of counts."""
    who = add_someone(place, (Role.ICB_ANALYST, ICB))
    with database.tenant(place.id) as session:
        asks, decides = add_person(session, "Asks", []), add_person(session, "Decides", [])
        wanted = NewApproval(
            "Counts", Purpose.PLANNING, "cancer-care", Level.AGGREGATE, TODAY, TODAY, "", ["DPIA"], organisation=ICB,
            person_id=who.person,
        )  # fmt: skip
        approval = ask_for(session, wanted, by=asks)
        decide_on(session, approval, by=decides, agreed=True, why="Agreed", on=TODAY)
    return sign_in(who), who, approval


@pytest.fixture
def make(database, settings, place, form_token, monkeypatch):
    """Ask for a file and have the job run; gives where the file is fetched."""
    monkeypatch.setattr("cohortium_tenants.exports.tasks.load_settings", lambda: settings)

    def ask(client, exporter):
        answer = client.post(FILES, data={"form_token": form_token(client.get(FILES).text), "exporter": exporter})
        assert answer.status_code == 303, answer.text
        with database.tenant(place.id) as session:
            job = session.exec(select(Job.id).where(Job.kind == "export-registry").order_by(Job.created.desc())).first()
        assert run_job(database, load_kinds(), place.id, job) == JobState.SUCCEEDED
        return re.search(rf'href="({FILES}[0-9a-f-]{{36}}/file)"', client.get(FILES).text)[1]

    return ask


def published(client, indicator, level):
    """The cells of a page's table as its own JSON gives them, what stands below it included."""
    answer = client.get(f"/aggregates/cancer-care/?indicator={indicator}&level={level}&format=json").json()
    return [{name: str(cell) for name, cell in row.items()} for row in answer["rows"] + answer["foot"]]


def test_a_csv_file_has_the_cells_of_every_page(approved, make):
    client, _, _ = approved
    taken = client.get(make(client, "counts-csv"))
    assert taken.headers["content-type"].startswith("text/csv")
    assert "cancer-care-2025-11-30-aggregate.csv" in taken.headers["content-disposition"]
    head, *lines = csv.reader(io.StringIO(taken.content.decode().removeprefix("\ufeff")))
    assert head[2:7] == ["Indicator", "Measure", "By", "ODS code", "Organisation"]
    indicators = list(dict.fromkeys(line[2] for line in lines))
    assert len(indicators) > 20
    for indicator in indicators:
        for level, words in LEVELS.items():
            cells = [line[6:] for line in lines if (line[2], line[4]) == (indicator, words)]
            said = [list(row.values()) for row in published(client, indicator, level)]
            assert cells == [[cell.replace("=Files", "'=Files") for cell in row] for row in said]
    review = {line[6]: line for line in lines if (line[2], line[4]) == ("care-review", "Practice")}
    assert review["Surgery Z97001"][5:12] == ["Z97001", "Surgery Z97001", "20", "*", "20", "*", "*"]
    assert review["Surgery Z97003"][7:10] == ["*", "*", "*"]


def test_a_fhir_file_has_the_same_figures_and_no_person(approved, make):
    client, _, _ = approved
    taken = client.get(make(client, "fhir-summary"))
    assert taken.headers["content-type"].startswith("application/fhir+json")
    bundle = taken.json()
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "collection")
    by_type = {}
    for entry in bundle["entry"]:
        resource = entry["resource"]
        assert entry["fullUrl"] == f"urn:uuid:{resource['id']}"
        by_type.setdefault(resource["resourceType"], []).append(resource)
    assert set(by_type) == {"Group", "MeasureReport"}
    assert len({entry["fullUrl"] for entry in bundle["entry"]}) == len(bundle["entry"])
    for group in by_type["Group"]:
        assert group.keys() == {"resourceType", "id", "active", "type", "actual", "code", "name"}
        assert (group["type"], group["actual"]) == ("person", False)
    groups = {f"urn:uuid:{group['id']}" for group in by_type["Group"]}
    found = {}
    for report in by_type["MeasureReport"]:
        assert_r4(report)
        assert report["subject"]["reference"] in groups
        found.setdefault(report["measure"].split("|")[0].rpartition(":")[2], []).append(cells_of(report))
    assert len(found) > 20
    for indicator, reports in found.items():
        assert reports == [row for level in LEVELS for row in published(client, indicator, level)]
    review = [row for row in found["care-review"] if row["organisation"] == "Surgery Z97001"]
    assert [row["met"] for row in review] == ["20"]
    assert any(row["met"] == "*" for row in found["care-review"])


def assert_r4(report):
    """MeasureReport of R4: required elements, the codes of its bindings, and counts that are there or marked."""
    assert {"status", "type", "measure", "period"} <= report.keys()
    assert report.keys() <= {
        "resourceType", "id", "extension", "status", "type", "measure", "subject", "reporter", "period", "group",
    }  # fmt: skip
    assert (report["status"], report["type"]) == ("complete", "summary")
    assert report["period"] == {"start": "2025-11-30", "end": "2025-11-30"}
    assert "display" in report["reporter"]
    [group] = report["group"]
    assert group.keys() == {"code", "population", "measureScore"}
    for population in group["population"]:
        assert population.keys() in ({"code", "count"}, {"code", "_count"})
        assert isinstance(population.get("count", 0), int)


def cells_of(report):
    """A report's figures as a page's row."""
    [group] = report["group"]
    figures = {each["code"]["coding"][0]["code"]: str(each.get("count", "*")) for each in group["population"]}
    assert list(figures) == STATUSES
    rate, [left_out] = group["measureScore"].get("value", "*"), report["extension"]
    return {
        "organisation": report["reporter"]["display"],
        **figures,
        "rate": str(rate),
        "left-out": str(left_out["valueUnsignedInt"]),
    }


def test_a_file_is_given_under_its_own_approval_alone_and_recorded(
    database, place, approved, make, add_someone, sign_in
):
    client, who, approval = approved
    where = make(client, "counts-csv")
    assert client.get(where).status_code == 200
    with database.tenant(place.id) as session:
        entries = session.exec(
            select(AuditEntry).where(AuditEntry.actor == str(who.person)).order_by(AuditEntry.at)
        ).all()
        said = [(each.action, each.outcome, each.patients) for each in entries if "exporter" in each.detail]
        practices = [sorted(each.practices) for each in entries if "exporter" in each.detail]
    assert [action for action, _, _ in said] == ["view-aggregates", "make-export", "view-aggregates"]
    assert all(not patients for _, _, patients in said)
    assert practices == [sorted(SIZES)] * 3
    colleague = sign_in(add_someone(place, (Role.ICB_ANALYST, ICB)))
    assert colleague.get(FILES).status_code == 404, "no approval"
    wrong = {"form_token": re.search(r'name="form_token" value="([^"]+)"', client.get(FILES).text)[1]}
    assert client.post(FILES, data={**wrong, "exporter": "parquet"}).status_code == 400, "an exporter of another level"
    assert f'href="{FILES}"' in client.get("/aggregates/cancer-care/").text
    with database.tenant(place.id) as session:
        revoke(session, approval, by=add_person(session, "Revokes", []), why="Over")
    assert client.get(where).status_code == 404
