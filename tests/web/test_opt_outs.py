"""Whoever has opted out is nowhere in a use that is not direct care, and everywhere in direct care."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import stat
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy import text
from sqlmodel import select
from typer.testing import CliRunner

from cohortium_auth.approvals import Level, NewApproval, ask_for, decide_on
from cohortium_auth.login import Purpose, Role, add_person
from cohortium_auth.opt_outs import ClearedList, load_cleared_list
from cohortium_platform.audit import AuditEntry
from cohortium_platform.errors import BadInput
from cohortium_platform.records import RecordStore
from cohortium_tenants.keys import open_keys
from cohortium_tenants.tenants import Tenant
from cohortium_web.cli import app as commands

PAGE = Path(__file__).resolve().parents[2] / "docs" / "ig-officer" / "opt-outs-and-sensitive-codes.md"
LIST, PCN, ICB = "/registries/cancer-care/", "U90001", "QT1"
TODAY = datetime.now(UTC).date()
OUT = ("O\u2019CARDEW", "OBJECTOR")
"""One is not on the cleared list; the other has a type 1 code."""
REGISTRY = ("", "?page=2", "tiles/", "measures/", "rates/", "list.csv")


@pytest.fixture(scope="module")
def opted(make_registry, database, settings, key_encryption, hand_made) -> Tenant:
    """A tenant where research is approved for a PCN, and a list clears everyone but one."""
    tenant = make_registry(objecting=True)
    with database.tenant(tenant.id) as session:
        store, keys = RecordStore(settings.store_root, tenant.id), open_keys(session, key_encryption)
        cleared = [each.nhs_number + "," for each in hand_made.everyone() if each is not hand_made.BEN]
        load_cleared_list(session, store, keys, cleared, as_at=TODAY, expires=TODAY + timedelta(days=9), by="test")
        asks, decides = add_person(session, "Asks", []), add_person(session, "Decides", [])
        wanted = NewApproval(
            "Study", Purpose.RESEARCH, "cancer-care", Level.IDENTIFIABLE, TODAY, TODAY + timedelta(days=9), "",
            ["REC 1"], organisation=PCN,
        )  # fmt: skip
        decide_on(session, ask_for(session, wanted, by=asks), by=decides, agreed=True, why="Agreed", on=TODAY)
    return tenant


@pytest.fixture
def enter(database, opted, add_someone, sign_in) -> Callable[[Purpose], TestClient]:
    """Sign a clinician of the PCN in for a purpose."""

    def sign(purpose: Purpose) -> TestClient:
        who = add_someone(opted, (Role.CLINICIAN, PCN))
        client = sign_in(who)
        with database.tenant(opted.id) as session:
            session.connection().execute(
                text("UPDATE sign_in_sessions SET purpose = :purpose WHERE person_id = :person"),
                {"purpose": purpose, "person": who.person},
            )
        return client

    return sign


def names(client: TestClient) -> list[str]:
    """Everyone on the list, page by page, as the page and as the download have them."""
    found = []
    for page in (1, 2):
        shown = client.get(LIST, params={"page": page}).text
        taken = client.get(LIST + "list.csv", params={"page": page}).text.lstrip("\ufeff")
        rows = [row["Name"] for row in csv.DictReader(io.StringIO(taken))]
        assert all(name.split(",")[0] in shown.replace("&#39;", "'") for name in rows)
        found += rows
    return found


def counted(client: TestClient) -> dict[str, object]:
    """What each page says of how many there are."""
    home = client.get("/").text
    tiles = client.get(LIST + "tiles/").text
    rates = client.get(LIST + "rates/").text
    measures = client.get(LIST + "measures/").text
    return {
        "head": re.search(r"([\d,]+) patients of", client.get(LIST).text)[1],
        "measures head": re.search(r"([\d,]+) patients of", measures)[1],
        "tiles head": re.search(r"([\d,]+) patients of", tiles)[1],
        "home": re.search(r"<dt>Patients</dt><dd>([\d,]+)</dd>", home)[1],
        "rates": rates.split("<main")[1],
        "measures": measures.split("<main")[1],
    }


def search(client: TestClient, form_token, who: str) -> str:
    token = form_token(client.get("/").text)
    answer = client.post(LIST + "search", data={"form_token": token, "who": who, "filters": ""})
    assert answer.status_code == 303
    return client.get(answer.headers["location"]).text.split("<main")[1]


def test_for_research_they_are_nowhere_and_in_direct_care_everywhere(enter, form_token, hand_made) -> None:
    care, research = enter(Purpose.DIRECT_CARE), enter(Purpose.RESEARCH)
    everyone, left = names(care), names(research)
    assert len(everyone) == len(left) + 2 == 3 + hand_made.FILLERS
    for name in OUT:
        assert any(each.startswith(name) for each in everyone)
        assert not any(each.startswith(name) for each in left)
    all_counts, counts = counted(care), counted(research)
    assert all_counts["head"] == str(len(everyone))
    for where in ("head", "measures head", "tiles head", "home"):
        assert counts[where] == str(len(left)), where
    assert counts["rates"] != all_counts["rates"]
    assert counts["measures"] != all_counts["measures"]
    objector = next(each for each in hand_made.everyone() if each.family == "Objector")
    for who, name in (("o\u2019cardew", OUT[0]), (hand_made.BEN.nhs_number, OUT[0]), (objector.nhs_number, OUT[1])):
        assert name in search(care, form_token, who)
        assert name not in search(research, form_token, who)
    for number in (hand_made.BEN.nhs_number, objector.nhs_number):
        [path] = set(re.findall(rf'href="({LIST}patients/[\w-]{{22}}/)"', search(care, form_token, number)))
        for part in ("", "timeline/", "why/care-plan/"):
            assert care.get(path + part).status_code == 200
            assert research.get(path + part).status_code == 404


def test_when_the_list_expires_other_uses_stop_and_direct_care_goes_on(database, opted, enter) -> None:
    care, research = enter(Purpose.DIRECT_CARE), enter(Purpose.RESEARCH)
    path = re.search(rf'href="({LIST}patients/[\w-]{{22}}/)"', research.get(LIST).text)[1]
    with database.tenant(opted.id) as session:
        row = session.exec(select(ClearedList)).one()
        before, row.expires = row.expires, TODAY - timedelta(days=1)
    try:
        assert {research.get(LIST + part).status_code for part in REGISTRY} == {404}
        assert research.get(path).status_code == 404
        assert {care.get(LIST + part).status_code for part in REGISTRY} == {200}
        assert care.get(path).status_code == 200
        home = research.get("/")
        assert home.status_code == 200
        assert f'href="{LIST}"' not in home.text
    finally:
        with database.tenant(opted.id) as session:
            session.exec(select(ClearedList)).one().expires = before


def test_the_page_says_until_when_how_many_by_whom_and_what_to_do(opted, add_someone, sign_in, hand_made) -> None:
    officer = sign_in(add_someone(opted, (Role.IG_OFFICER, ICB)))
    page = officer.get("/ig/opt-outs/").text
    people = len(list(hand_made.everyone())) - 1
    assert f"{people} people" in page
    assert "9 days from today" in page
    assert f"cohortium opt-outs ask --tenant {opted.slug}" in page
    assert ">test</td>" in page
    assert 'enctype="multipart/form-data"' in page
    assert 'name="answer" type="file"' in page, "the answer is loaded here"
    taken = officer.get("/ig/opt-outs/", params={"format": "csv"}).text.splitlines()
    assert taken[0].lstrip("\ufeff") == "As at,Last day,State,People cleared,Loaded,By"
    assert taken[1].split(",")[2:4] == ["in use", str(people)]
    none = sign_in(add_someone(opted, (Role.CLINICIAN, PCN))).get("/ig/opt-outs/")
    assert none.status_code == 404


@pytest.fixture
def run(services, settings, tmp_path, monkeypatch):
    """Run a command; errors of ours come through as they are."""
    monkeypatch.chdir(tmp_path)
    environment = {
        **services.settings_environment(),
        "COHORTIUM_STORE_URL": settings.store_url,
        "COHORTIUM_KEY_FILE": str(settings.key_file),
        "COHORTIUM_DEMO": "true",
    }
    runner = CliRunner(env=environment)

    def run(*arguments: object) -> str:
        done = runner.invoke(commands, [str(each) for each in arguments])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


def test_asking_is_recorded_and_writes_over_nothing(run, database, opted, tmp_path, hand_made, monkeypatch) -> None:
    ask = ["opt-outs", "ask", "--tenant", opted.slug, "--out", tmp_path / "ask.csv"]
    people = len(list(hand_made.everyone()))
    assert json.loads(run(*ask, "--json"))["people"] == people
    asked = (tmp_path / "ask.csv").read_bytes()
    assert asked.count(b",\n") == people
    assert stat.S_IMODE((tmp_path / "ask.csv").stat().st_mode) == 0o600
    with pytest.raises(BadInput, match="already"):
        run(*ask)
    assert (tmp_path / "ask.csv").read_bytes() == asked
    with database.tenant(opted.id) as session:
        entries = session.exec(select(AuditEntry).where(AuditEntry.resource == "cleared-list/question")).all()
    assert [(entry.action, entry.detail) for entry in entries] == [("manage-opt-outs", {"people": people})]

    def fails(*_: object) -> None:
        raise BadInput("The log is full.")

    monkeypatch.setattr("cohortium_web.cli.opt_outs.record", fails)
    with pytest.raises(BadInput, match="The log is full"):
        run("opt-outs", "ask", "--tenant", opted.slug, "--out", tmp_path / "second.csv")
    assert not (tmp_path / "second.csv").exists(), "what cannot be recorded is not handed out"


def test_the_commands_of_the_page_for_ig_officers_work(run, database, make_registry, tmp_path, hand_made) -> None:
    tenant = make_registry()
    codes = [f"{hand_made.UNASKED},gender,", f"{hand_made.NEVER_SMOKED},gender,A published set"]
    (tmp_path / "codes.csv").write_text("\n".join(["code,category,source", *codes]))
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("north-london", tenant.slug).splitlines()]
    assert len(lines) == 6
    said = []
    for line in lines:
        said.append(run(*shlex.split(line)[1:]))
        if "ask.csv" in line:
            answer = (tmp_path / "ask.csv").read_text().splitlines(keepends=True)[:-1]
            (tmp_path / "answer.csv").write_text("".join(answer))
    assert f"{len(answer)} people are cleared" in said[1]
    assert "2025-12-11" in said[2]
    assert "A worker works out anew: cancer-care" in said[3]
    assert "A published set" in said[4].replace("\n", " ")
    assert "2 codes taken off" in said[5]
    with database.tenant(tenant.id) as session:
        row = session.exec(select(ClearedList)).one()
    assert row.by.startswith("operator:")
    assert row.expires == date(2025, 12, 11)


def test_an_officer_loads_an_answer_on_the_page(
    sign_in, add_someone, database, make_registry, hand_made, form_token
) -> None:
    tenant = make_registry()
    officer = sign_in(add_someone(tenant, (Role.IG_OFFICER, ICB)))
    path = "/ig/opt-outs/"
    token = form_token(officer.get(path).text)
    days = {"as_at": TODAY.isoformat(), "expires": (TODAY + timedelta(days=9)).isoformat()}
    numbers = [each.nhs_number for each in hand_made.everyone()]

    def load(lines: Sequence[str], **changed: str) -> Response:
        answer = {"answer": ("answer.csv", "".join(f"{line},\r\n" for line in lines).encode())}
        return officer.post(path, data={"form_token": token, **days, **changed}, files=answer)

    refused = load([*numbers, "1234567890"])
    assert refused.status_code == 400
    assert f"Line {len(numbers) + 1} is no NHS number" in refused.text
    assert "1234567890" not in refused.text
    assert load([]).status_code == 400
    assert load(numbers, as_at="yesterday").status_code == 400
    assert load(numbers, expires=(TODAY - timedelta(days=1)).isoformat()).status_code == 400
    assert officer.post(path, data={"form_token": token, **days}).status_code == 400, "no file"
    with database.tenant(tenant.id) as session:
        assert session.exec(select(ClearedList)).all() == []
    assert load(numbers).status_code == 303
    assert f"holds {len(numbers)} people" in officer.get(path).text.replace("\xa0", " ")
    with database.tenant(tenant.id) as session:
        made = session.exec(select(ClearedList)).one()
        entry = session.exec(select(AuditEntry).where(AuditEntry.resource == f"cleared-list/{made.id}")).one()
    assert (made.people, entry.action) == (len(numbers), "manage-opt-outs")
    assert entry.detail == {**days, "people": len(numbers)}


def test_a_form_with_a_file_proves_first_that_it_is_ours(sign_in, add_someone, opted, form_token) -> None:
    officer, clinician = (sign_in(add_someone(opted, role)) for role in ((Role.IG_OFFICER, ICB), (Role.CLINICIAN, PCN)))
    path = "/ig/opt-outs/"
    token, strange = form_token(officer.get(path).text), form_token(clinician.get("/").text)
    answer = {"answer": ("answer.csv", b"9990000018,\n")}
    assert officer.post(path, files=answer).status_code == 403
    assert officer.post(path, data={"form_token": strange}, files=answer).status_code == 403
    assert officer.post(path, data={"as_at": "x", "form_token": token}, files=answer).status_code == 403, "not first"
    assert officer.post(path, data={"form_token": token}, files={"a": b"\0"}).status_code == 400
    assert clinician.post(path, data={"form_token": strange}, files=answer).status_code == 404
    assert officer.post("/ig/rules/", data={"form_token": token}, files=answer).status_code == 415
    kind = {"content-type": "multipart/form-data; boundary=x", "content-length": str(65 * 1024 * 1024)}
    assert officer.post(path, content=b"--x", headers=kind).status_code == 413
    kind.pop("content-length")
    for body in (b"", b"--x", b"--x--", b'--x\r\nContent-Disposition: form-data; name="form_token"\r\n\r\n'):
        assert officer.post(path, content=body, headers=kind).status_code == 403
    nameless = {"content-type": "multipart/form-data"}
    assert officer.post(path, content=b"--\r\n", headers=nameless).status_code == 403
    unended = b'--x\r\nContent-Disposition: form-data; name="form_token"\r\n\r\n' + token.encode() + b"\r\n--x\r\nhalf"
    assert officer.post(path, content=unended, headers=kind).status_code == 400
