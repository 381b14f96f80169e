"""Two tenants: everything of the one is asked for by everybody of the other, and by strangers to a role."""

import re
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from cohortium_auth.approvals import Level, NewApproval, ask_for
from cohortium_auth.breakglass import Reason, break_glass
from cohortium_auth.login import Purpose, Role, open_session
from cohortium_auth.policy import share
from cohortium_tenants.care import Whose, save_draft
from cohortium_tenants.exports import ExportFiles, ExportRegistry, ask_for_export
from cohortium_tenants.keys import open_keys
from cohortium_tenants.onboarding import onboard
from cohortium_tenants.organisations import NewOrganisation, OrganisationType, create
from cohortium_tenants.packs import Choice
from cohortium_tenants.packs.models import IncidentReport
from cohortium_tenants.packs.previews import ask_for_preview
from cohortium_web.app import PUBLIC
from cohortium_web.pages.references import PatientReferences
from cohortium_web.site import Site

ICB, PCN = "QT1", "U90001"
TODAY = datetime.now(UTC).date()
SHARED = {"/packs/{pack}/"}
"""The catalogue is the same for every tenant; what a page adds of a tenant's own is the asker's."""
TOLD = ("Theirs alone", "Their plan", "Dr Elsewhere", "Of the other tenant alone", "Registry ICB", "of theirs")
GAP = re.compile(r"{(\w+)}")


@pytest.fixture(scope="module")
def theirs(database, settings, key_encryption, registry_place, add_someone, sign_in, form_token) -> dict[str, str]:
    """What there is in the other tenant, by the name that routes give it in their paths."""
    doctor = add_someone(registry_place, (Role.CLINICIAN, PCN), name="Dr Elsewhere")
    with database.tenant(registry_place.id) as session:
        create(session, NewOrganisation("ZTHEIRS", "Theirs alone", OrganisationType.PRACTICE, TODAY))
        wanted = NewApproval(
            "Their plan", Purpose.PLANNING, "cancer-care", Level.AGGREGATE, TODAY, TODAY, "", ["P"], organisation=ICB
        )
        approval = ask_for(session, wanted, by=doctor.person)
        keys = open_keys(session, key_encryption)
        who = open_session(session, doctor.person, doctor.memberships[0], "demo").who
        opening = break_glass(
            session, keys, who, bytes(32), 1, reason=Reason.EMERGENCY, words="Of the other tenant alone"
        )
        preview = ask_for_preview(session, None, Choice("cancer-care", ""), by="Preview of theirs")
        report = IncidentReport(
            tenant_id=registry_place.id, pack="cancer-care", version="1", right_version="2", job_id=uuid4(),
            asked=datetime.now(UTC), asked_by="Report of theirs",
        )  # fmt: skip
        session.add(report)
        export = uuid4()
        files = ExportFiles(settings.store_root, keys)
        wanted = ExportRegistry(
            export, "parquet", "cancer-care", "Theirs alone", "1", "x", TODAY, "pseudonymised", approval, (), (), {},
            actor=str(doctor.person),
        )  # fmt: skip
        ask_for_export(session, None, files, wanted, rows={}, patients=[])
        whose, typed = Whose("cancer-care", "cancer-care-review", "Z90001", 1), {"matters.words": ["Theirs alone"]}
        draft = save_draft(session, keys, whose, typed, None, seen=0, by=doctor.person)
    listed = sign_in(doctor).get("/registries/cancer-care/").text
    officer = sign_in(add_someone(registry_place, (Role.IG_OFFICER, ICB)))
    token = form_token(officer.get("/ig/proofs/").text)
    officer.post("/ig/proofs/", data={"form_token": token})
    size = re.search(r'href="/ig/proofs/(\d+)\.txt"', officer.get("/ig/proofs/").text)[1]
    return {
        "pack": "cancer-care",
        "reference": re.search(r"/patients/([\w-]{22})/", listed)[1],
        "indicator": "care-plan",
        "template": "cancer-care-review",
        "response": str(draft.id),
        "organisation": "ZTHEIRS",
        "approval": str(approval),
        "opening": str(opening),
        "size": size,
        "export": str(export),
        "preview": str(preview.id),
        "report": str(report.id),
    }


def _paths(app) -> list[str]:
    routes = [context.original_route for context in iter_route_contexts(app.routes)]
    asked = [r for r in routes if isinstance(r, APIRoute) and r.path not in PUBLIC and "GET" in r.methods]
    return sorted({route.path for route in asked if GAP.search(route.path)})


@pytest.mark.parametrize("role", Role)
def test_nothing_of_another_tenant_is_there_whoever_asks(app, theirs, someone, sign_in, role) -> None:
    """The tenant that asks has organisations and people of its own, and no registry, approval or record."""
    for organisation in (ICB, PCN):
        client = sign_in(someone((role, organisation)))
        for path in _paths(app):
            names = GAP.findall(path)
            if not set(names) <= set(theirs):
                continue
            answer = client.get(GAP.sub(lambda gap: theirs[gap[1]], path))
            assert answer.status_code in ({404, 200} if path in SHARED else {404}), (role, organisation, path)
            for told in (
                "Theirs alone",
                "Their plan",
                "Dr Elsewhere",
                "Of the other tenant alone",
                "Registry ICB",
                "of theirs",
            ):
                assert told not in answer.text, (role, path)


def test_every_gap_of_a_route_is_tried_with_something_of_theirs(app, theirs) -> None:
    unknown = {name for path in _paths(app) for name in GAP.findall(path)} - set(theirs)
    assert unknown <= {"number", "provider", "name", "version"}, (
        "a new kind of address: add what the other tenant has of it"
    )


def test_what_changes_something_finds_nothing_of_another_tenant(theirs, someone, sign_in, form_token) -> None:
    client = sign_in(someone((Role.IG_OFFICER, ICB)))
    token = form_token(client.get("/ig/rules/").text)
    for path, fields in (
        (f"/ig/approvals/{theirs['approval']}/decide", {"agreed": "yes", "why": "Mine now"}),
        (f"/ig/approvals/{theirs['approval']}/revoke", {"why": "Mine now"}),
        (f"/ig/break-glass/{theirs['opening']}/", {"outcome": "justified", "note": "Mine now"}),
    ):
        assert client.post(path, data={"form_token": token, **fields}).status_code == 404
    admin = sign_in(someone((Role.TENANT_ADMINISTRATOR, ICB)))
    token = form_token(admin.get("/onboarding/").text)
    fields = {"form_token": token, "step": "DPIA agreed", "on": "2021-01-01", "document": "Mine now"}
    assert admin.post("/onboarding/ZTHEIRS/", data=fields).status_code == 404


def test_a_cookie_signed_for_one_tenant_opens_nothing_in_another(
    app, database, registry_place, someone, add_someone, new_browser
) -> None:
    """The token is of one tenant's session and the cookie names another: no row, no session."""
    site: Site = app.state.site
    here, there = someone((Role.CLINICIAN, PCN)), add_someone(registry_place, (Role.CLINICIAN, PCN))
    with database.tenant(here.tenant) as session:
        token = open_session(session, here.person, here.memberships[0], "demo").token
    browser = new_browser()
    browser.cookies.set("cohortium", site.signer.sign(there.tenant, token))
    assert browser.get("/").status_code == 303
    browser.cookies.set("cohortium", site.signer.sign(here.tenant, token))
    assert browser.get("/").status_code == 200


def test_a_patients_reference_of_one_tenant_means_nothing_under_anothers_key(
    database, key_encryption, registry_place, place, theirs
) -> None:
    with database.tenant(registry_place.id) as session:
        theirs_id = PatientReferences(open_keys(session, key_encryption)).read(theirs["reference"])
    assert theirs_id > 0
    with database.tenant(place.id) as session, pytest.raises(Exception, match="no such page"):
        PatientReferences(open_keys(session, key_encryption)).read(theirs["reference"])


def test_the_same_code_in_two_tenants_shares_nothing(database, registry_place, place, add_someone, sign_in) -> None:
    """An agreement and onboarding of a tenant without records, by codes that the other tenant has too."""
    with database.tenant(place.id) as session:
        share(session, "Z90003", PCN, start=TODAY, document="DSA here")
        create(session, NewOrganisation("U90009", "Another PCN", OrganisationType.PCN, TODAY))
        onboard(session, "U90009", on=TODAY, document="here", by="test")
    near = sign_in(add_someone(registry_place, (Role.CLINICIAN, PCN)))
    pages = "".join(near.get("/registries/cancer-care/", params={"page": page}).text for page in (1, 2))
    assert "HIDDEN" not in pages, "the third practice shares with that PCN in the other tenant only"
