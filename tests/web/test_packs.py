"""The life of a pack on its pages: published, checked, signed off, previewed, enabled, rolled back, withdrawn."""

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from joserfc.jwk import ECKey
from sqlmodel import select

from cohortium_auth.ig_settings import choose_suppression
from cohortium_auth.login import Role, add_person
from cohortium_auth.login.programs import NewProgram, Scope, add_program
from cohortium_auth.opt_outs import load_cleared_list
from cohortium_platform.audit import AuditEntry
from cohortium_platform.records import RecordStore
from cohortium_plugins.packfile import _opened, _written, sign
from cohortium_tenants.keys import open_keys
from cohortium_tenants.packs import enable_pack, enabled_packs

ICB, PCN = "QT1", "U90001"
TODAY = datetime.now(UTC).date()
SIGN = {"role": "Clinical safety officer, GMC 1", "on": "2026-01-05", "hazard_log": "HL-7"}


@pytest.fixture(scope="module")
def cast(make_registry, add_someone, sign_in):
    """A tenant with the hand-made patients, and everybody who takes part."""
    tenant = make_registry()
    roles = {
        "operator": (Role.PLATFORM_OPERATOR, ICB, "Olive Operator"),
        "author": (Role.PACK_DEVELOPER, ICB, "Avery Author"),
        "officer": (Role.PACK_DEVELOPER, ICB, "Sam Safety"),
        "stranger": (Role.PACK_DEVELOPER, PCN, "Stu Stranger"),
        "admin": (Role.TENANT_ADMINISTRATOR, ICB, "Ali Admin"),
        "ig": (Role.IG_OFFICER, ICB, "Ines Officer"),
        "doctor": (Role.CLINICIAN, PCN, "Dr Ada Okafor"),
    }
    people = {name: add_someone(tenant, (role, where), name=who) for name, (role, where, who) in roles.items()}
    return tenant, {name: sign_in(who) for name, who in people.items()}


@pytest.fixture
def press(cast, made_packs, post):
    """A publisher whose key the operator has added on the pages."""
    press, operator = made_packs.Press(), cast[1]["operator"]
    named = {"publisher": press.name, "name": "Bone People", "organisation": ICB}
    assert post(operator, "/publishers/", "/publishers/", **named).status_code == 303
    key = {"publisher": press.name, "key": press.pem, "holder": "Kim Keyholder"}
    assert post(operator, "/publishers/", "/publishers/keys", **key).status_code == 303
    assert "Kim Keyholder" in operator.get("/publishers/").text
    return press


@pytest.fixture
def upload(post):
    def send(client, content):
        return post(client, "/publish/", "/publish/", files={"file": ("x.pack", content, "application/octet-stream")})

    return send


def test_a_version_from_its_publisher_to_the_tiles_and_back(cast, run_jobs, post, upload, made_packs, press, database):
    tenant, people = cast
    author, officer, admin = (people[name] for name in ("author", "officer", "admin"))
    refused = upload(author, made_packs.build(press.make()))
    assert refused.status_code == 400
    assert "No key in force" in refused.text
    taken = upload(author, press.file(press.make()))
    assert taken.status_code == 303, taken.text
    where = taken.headers["location"]
    assert "being checked" in author.get(where).text
    run_jobs(tenant)
    page = author.get(where).text
    assert "6 golden patients on interpreter and DuckDB, 0 differences" in page
    assert "awaits sign-off" in page
    own = post(author, where, f"{where}sign-off", **SIGN)
    assert own.status_code == 403
    assert "Nobody signs off what they wrote" in own.text
    assert "Why it may not be enabled" in admin.get(where).text
    early = post(admin, f"{where}preview", f"{where}enable")
    assert early.status_code == 409
    assert "Nobody has signed it off" in early.text
    assert post(officer, where, f"{where}sign-off", **SIGN).status_code == 303
    assert "Sam Safety, Clinical safety officer, GMC 1, on 5 Jan 2026; hazard log HL-7" in officer.get(where).text

    home = f"/packs/{press.pack_id}/"
    wanted = {"parameter": "scan-interval=0", "why": "Agreed on 5 January"}
    enabled = post(admin, f"{where}enable", f"{where}enable", **wanted)
    assert enabled.status_code == 303, enabled.text
    assert "waits for a worker" in admin.get(home).text
    run_jobs(tenant)
    assert "by Ali Admin. Agreed on 5 January" in admin.get(home).text
    with database.tenant(tenant.id) as session:
        assert {row.pack: row.version for row in enabled_packs(session)}[press.pack_id] == "1.0.0"
        actions = session.exec(select(AuditEntry.action).where(AuditEntry.resource == f"pack/{press.pack_id}")).all()
    assert "enable-pack" in actions

    second = upload(author, press.file(press.make("2.0.0"))).headers["location"]
    run_jobs(tenant)
    assert post(officer, second, f"{second}sign-off", **SIGN).status_code == 303
    assert "+ 125605004 Fracture of bone" in admin.get(second, params={"against": "1.0.0"}).text
    post(admin, f"{second}enable", f"{second}enable")
    run_jobs(tenant)
    assert "Roll back to 1.0.0" in admin.get(home).text
    back = post(admin, home, f"{home}roll-back", why="Too wide")
    assert back.status_code == 303, back.text
    page = admin.get(home).text
    assert "rolled back, version 1.0.0, by Ali Admin. Too wide" in page
    withdrawn = post(author, where, f"{where}withdraw", why="It counts scans of knees")
    assert withdrawn.status_code == 303, withdrawn.text
    for client, path in ((admin, home), (admin, where)):
        assert "It counts scans of knees" in client.get(path).text


def test_previews_show_counts_to_some_and_people_to_others(
    cast, run_jobs, post, upload, press, database, settings, key_encryption, hand_made
):
    tenant, people = cast
    author, officer, admin, doctor, stranger = (
        people[name] for name in ("author", "officer", "admin", "doctor", "stranger")
    )
    pack = press.make("1.0.0", also=[(hand_made.known_code("cancer-diagnosis"), "A neoplasm")])
    where = upload(author, press.file(pack)).headers["location"]
    run_jobs(tenant)
    preview = post(admin, f"{where}preview", f"{where}preview").headers["location"]
    assert "waits for a worker" in admin.get(preview).text
    run_jobs(tenant)
    refused = admin.get(preview)
    assert refused.status_code == 403
    assert "no national opt-out list in date" in refused.text
    with database.tenant(tenant.id) as session:
        store, keys = RecordStore(settings.store_root, tenant.id), open_keys(session, key_encryption)
        cleared = [each.nhs_number for each in hand_made.everyone()]
        load_cleared_list(session, store, keys, cleared, as_at=TODAY, expires=TODAY, by="test")
    shown = admin.get(preview)
    assert shown.status_code == 200, shown.text
    rows = list(csv.DictReader(io.StringIO(admin.get(preview, params={"format": "csv"}).text.removeprefix("\ufeff"))))
    joining = [row for row in rows if row["Cohort or measure"] == "People with bone disease"]
    assert [(row["Now"], row["Then"]) for row in joining] == [("not in it", "in the cohort")]
    assert int(joining[0]["People"]) % 5 == 0
    for row in rows:
        assert row["People"] == "*" or int(row["People"]) % 5 == 0
    assert admin.get(preview, params={"level": "practice"}).status_code == 400
    with database.tenant(tenant.id) as session:
        chooses = add_person(session, "Chooses", [])
        choose_suppression(session, "nearest-15", by=chooses, why="Agreed")
    assert "others are rounded to the nearest 15" in admin.get(preview).text
    coarser = list(
        csv.DictReader(io.StringIO(admin.get(preview, params={"format": "csv"}).text.removeprefix("\ufeff")))
    )
    joining = [row["People"] for row in coarser if row["Cohort or measure"] == "People with bone disease"]
    assert int(joining[0]) % 15 == 0
    with database.tenant(tenant.id) as session:
        choose_suppression(session, "nearest-5", by=chooses, why="As it came")
    for developer in (officer, stranger):
        assert developer.get(preview).status_code == 404, "nobody agreed to show it"
    assert post(admin, preview, f"{preview}agree", agreed="yes").status_code == 303
    assert officer.get(preview).status_code == 200
    assert stranger.get(preview).status_code == 404, "of another organisation than the publisher"
    seen = doctor.get(f"{preview}people/")
    assert seen.status_code == 200, seen.text
    assert "by Practice" in seen.text
    assert "A sample, explained" in seen.text
    assert "Then: " in seen.text
    assert "Ash Surgery" not in seen.text, "outside the reach"
    assert doctor.get(preview).status_code == 404
    assert admin.get(f"{preview}people/").status_code == 404
    with database.tenant(tenant.id) as session:
        entry = session.exec(
            select(AuditEntry).where(AuditEntry.resource == f"registry/{press.pack_id}/patient")
        ).first()
    assert 0 < len(entry.patients) <= 10


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("doctor", "/packs/"), ("doctor", "/publish/"), ("admin", "/publish/"), ("admin", "/publishers/"),
        ("author", "/publishers/"), ("operator", "/publish/"), ("ig", "/publish/"),
    ],
)  # fmt: skip
def test_what_is_not_theirs_is_not_there(cast, name, path):
    assert cast[1][name].get(path).status_code == 404


def test_a_withdrawal_is_in_the_log_of_every_other_tenant_that_uses_the_version(
    cast, other_tenant, run_jobs, post, upload, press, database
):
    tenant, people = cast
    where = upload(people["author"], press.file(press.make())).headers["location"]
    run_jobs(tenant)
    post(people["officer"], where, f"{where}sign-off", **SIGN)
    with database.tenant(other_tenant.id) as session:
        enable_pack(session, press.pack_id, by="test")
    stranger = post(people["stranger"], where, f"{where}withdraw", why="Mine now")
    assert stranger.status_code == 403
    assert post(people["operator"], where, f"{where}withdraw", why="Counts knees").status_code == 303
    with database.tenant(other_tenant.id) as session:
        (entry,) = session.exec(select(AuditEntry).where(AuditEntry.action == "pack-withdrawn")).all()
    assert entry.detail == {"version": "1.0.0", "why": "Counts knees"}
    again = post(people["author"], where, f"{where}withdraw", why="Twice")
    assert again.status_code == 409


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"id": "../bones"}, "Its id or version is none."),
        ({"version": "1/../../2"}, "Its id or version is none."),
        ({"version": ""}, "Its id or version is none."),
        ({"title": "x" * 201}, "title is not a text of at most 200 letters."),
    ],
)
def test_names_that_cannot_stand_in_an_address_are_refused(cast, upload, press, names, said):
    inside, _ = _opened(press.file(press.make()))  # nothing of ours builds such a file
    refused = upload(cast[1]["author"], sign(_written({**inside, **names}, ()), press.key, press.name))
    assert refused.status_code == 400, refused.text
    assert "That pack is not taken" in refused.text
    assert said in refused.text


def test_a_version_is_one_content_and_a_pack_one_publishers(cast, upload, press, made_packs, post):
    author, operator = cast[1]["author"], cast[1]["operator"]
    first = upload(author, press.file(press.make()))
    assert upload(author, press.file(press.make())).headers["location"] == first.headers["location"]
    other = upload(author, press.file(replace(press.make(), description="Changed")))
    assert other.status_code == 409
    assert "A version never changes" in other.text
    thief = made_packs.Press()
    post(operator, "/publishers/", "/publishers/", publisher=thief.name, name="Thief", organisation=ICB)
    post(operator, "/publishers/", "/publishers/keys", publisher=thief.name, key=thief.pem, holder="T")
    for pack_id in (press.pack_id, "cancer-care"):
        taken = upload(author, thief.file(replace(thief.make("3.0.0"), id=pack_id)))
        assert taken.status_code == 409
        assert "is published by" in taken.text


@pytest.fixture
def program(app, cast, database, new_browser):
    """A build server with a token of some scopes."""
    key = ECKey.generate_key("P-384", {"kid": "ec", "alg": "ES384", "use": "sig"})
    scopes = "system/Pack.c system/Pack.rs"

    def make(*held):
        with database.tenant(cast[0].id) as session:
            client = add_program(session, NewProgram("Build", ICB, scopes, [key.as_dict(private=False)]), by="test")
        given = [Scope.of(scope) for scope in held]
        program_id, issuer = UUID(hex=client.partition(".")[2]), "http://testserver"
        token = app.state.site.access_tokens.issue(cast[0].id, program_id, given, issuer=issuer)
        browser = new_browser()
        browser.headers.update({"authorization": f"Bearer {token}", "accept": "application/json"})
        return browser

    return make


def test_a_build_server_publishes_and_asks_how_the_checks_went(cast, program, press, run_jobs):
    build = program("system/Pack.c", "system/Pack.rs")
    kind = {"content-type": "application/octet-stream"}
    taken = build.post("/api/v1/packs", content=press.file(press.make()), headers=kind)
    assert taken.status_code == 202, taken.text
    assert taken.json()["checks"] == "waiting"
    run_jobs(cast[0])
    found = build.get(taken.headers["location"]).json()
    assert (found["checks"], found["state"], found["golden"]["wrong"]) == ("passed", "awaits sign-off", 0)
    assert found["content"] in {each["content"] for each in build.get("/api/v1/packs").json()}
    assert build.post("/api/v1/packs", content=b"nothing", headers=kind).status_code == 400
    assert build.post("/api/v1/packs", content=b"x" * (2**24 + 1), headers=kind).status_code == 413
    reading = program("system/Pack.rs")
    assert reading.post("/api/v1/packs", content=press.file(press.make()), headers=kind).status_code == 403
    assert program("system/Pack.c").get("/api/v1/packs").status_code == 403
