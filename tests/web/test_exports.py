"""Files that exporters make: under an approval of their level alone, recorded, sealed, and fetched by whoever asked."""

import io
import re
from datetime import UTC, date, datetime

import pyarrow.parquet as pq
import pytest
from sqlalchemy import text
from sqlmodel import select

from cohortium_auth.approvals import Level, NewApproval, ask_for, decide_on, revoke
from cohortium_auth.login import Purpose, Role, add_person
from cohortium_auth.opt_outs import load_cleared_list
from cohortium_auth.policy import share
from cohortium_platform.audit import AuditEntry
from cohortium_platform.jobs import Job, JobState, load_kinds, run_job
from cohortium_platform.records import RecordStore
from cohortium_tenants.keys import open_keys

ICB, PCN = "QT1", "U90001"
TODAY = datetime.now(UTC).date()
MODULE = """
import ctypes

import pyarrow.parquet as pq
from cohortium_plugins.exporting import ExportLevel
from cohortium_plugins.hookspecs import hookimpl


class Named:
    name, title = "named", "Names, one a line"
    level, suffix, media_type = ExportLevel.IDENTIFIABLE, ".txt", "text/plain"

    def write(self, export, file):
        rows = pq.read_table(export.rows).to_pylist()
        file.write_text("\\n".join(f"{row['nhs_number']} {row['name']} {row['practice']}" for row in rows))


class Crashing(Named):
    name, title = "crashing", "Crashes"

    def write(self, export, file):
        file.write_text("half of it")
        ctypes.string_at(0)


@hookimpl
def exporters():
    return [Named(), Crashing()]
"""


@pytest.fixture
def ready(database, settings, key_encryption, make_registry, add_someone, sign_in, hand_made, monkeypatch):
    """A registry whose cleared list lacks one, and a way to sign somebody in for research under their own approval."""
    monkeypatch.setattr("cohortium_tenants.exports.tasks.load_settings", lambda: settings)
    place = make_registry()
    with database.tenant(place.id) as session:
        for practice in (hand_made.ELM, hand_made.OAK):
            share(session, practice, ICB, start=date(2020, 1, 1), document="DSA ICB")
        store, keys = RecordStore(settings.store_root, place.id), open_keys(session, key_encryption)
        cleared = [each.nhs_number + "," for each in hand_made.everyone() if each is not hand_made.BEN]
        load_cleared_list(session, store, keys, cleared, as_at=TODAY, expires=TODAY, by="test")

    def enter(role, organisation, level):
        who = add_someone(place, (role, organisation))
        with database.tenant(place.id) as session:
            asks, decides = add_person(session, "Asks", []), add_person(session, "Decides", [])
            wanted = NewApproval(
                "Study", Purpose.RESEARCH, "cancer-care", level, TODAY, TODAY, "", ["REC 1"], organisation=organisation,
                person_id=who.person,
            )  # fmt: skip
            approval = ask_for(session, wanted, by=asks)
            decide_on(session, approval, by=decides, agreed=True, why="Ethics agreed", on=TODAY)
        client = sign_in(who)
        with database.tenant(place.id) as session:
            session.connection().execute(
                text("UPDATE sign_in_sessions SET purpose = :purpose WHERE person_id = :person"),
                {"purpose": Purpose.RESEARCH, "person": who.person},
            )
        return client, who, approval

    return place, enter


@pytest.fixture
def make(database, form_token):
    """Ask for a file and have the job run; gives how it ended and the page afterwards."""

    def ask(place, client, level, exporter):
        page = f"/registries/cancer-care/exports/{level}/"
        token = form_token(client.get(page).text)
        answer = client.post(page, data={"form_token": token, "exporter": exporter})
        assert answer.status_code == 303, answer.text
        with database.tenant(place.id) as session:
            job = session.exec(select(Job.id).where(Job.kind == "export-registry").order_by(Job.created.desc())).first()
        return run_job(database, load_kinds(), place.id, job), client.get(page).text

    return ask


def entries(database, place, who):
    with database.tenant(place.id) as session:
        found = session.exec(select(AuditEntry).where(AuditEntry.actor == str(who.person)).order_by(AuditEntry.at))
        return [(entry.action, entry.outcome, len(entry.patients), dict(entry.detail)) for entry in found]


def test_rows_under_pseudonyms_become_a_parquet_file(database, settings, ready, make):
    place, enter = ready
    client, who, approval = enter(Role.ICB_ANALYST, ICB, Level.PSEUDONYMISED)
    state, page = make(place, client, "pseudonymised", "parquet")
    assert state == JobState.SUCCEEDED
    path = re.search(r'href="(/registries/cancer-care/exports/pseudonymised/[0-9a-f-]{36}/file)"', page)[1]
    taken = client.get(path)
    assert taken.headers["content-type"] == "application/vnd.apache.parquet"
    made = pq.read_table(io.BytesIO(taken.content))
    rows = made.to_pylist()
    assert {"pseudonym", "sex", "stratifier:sex", "indicator:care-plan"} < set(made.column_names)
    csv = client.get("/registries/cancer-care/pseudonymised.csv").text.splitlines()
    assert len(rows) > 8
    assert csv[0].split(",") == made.column_names
    assert [list(row.values()) for row in rows] == [line.split(",") for line in csv[1:]]
    kept = sorted(file.suffix for file in (settings.store_root / str(place.id) / "exports").iterdir())
    assert kept == [".made", ".patients"], "the exporter's rows are gone"
    assert b"PAR1" not in b"".join(f.read_bytes() for f in (settings.store_root / str(place.id) / "exports").iterdir())
    said = entries(database, place, who)
    assert [(action, patients) for action, _, patients, detail in said if "exporter" in detail] == [
        ("export-pseudonymised", len(rows)), ("make-export", 0), ("export-pseudonymised", len(rows)),
    ]  # fmt: skip
    assert all(detail["approval"] == str(approval) for _, _, _, detail in said if "exporter" in detail)
    colleague, _, _ = enter(Role.ICB_ANALYST, ICB, Level.PSEUDONYMISED)
    assert colleague.get(path).status_code == 404, "another's file, under another approval"
    assert client.get("/registries/cancer-care/exports/identifiable/").status_code == 404
    with database.tenant(place.id) as session:
        revoke(session, approval, by=add_person(session, "Revokes", []), why="Over")
    assert client.get(path).status_code == 404


def test_identifiable_rows_leave_under_their_approval_and_every_patient_is_recorded(
    database, ready, make, install, hand_made, add_someone, sign_in
):
    install("cohortium_named", MODULE)
    place, enter = ready
    client, who, _ = enter(Role.CLINICIAN, PCN, Level.IDENTIFIABLE)
    assert 'href="/registries/cancer-care/exports/identifiable/"' in client.get("/registries/cancer-care/").text
    state, page = make(place, client, "identifiable", "named")
    assert state == JobState.SUCCEEDED
    path = re.search(r'href="(/registries/cancer-care/exports/identifiable/[0-9a-f-]{36}/file)"', page)[1]
    lines = client.get(path).text.splitlines()
    assert any(hand_made.ADA.nhs_number in line and hand_made.ADA.family.upper() in line for line in lines)
    assert not any(hand_made.BEN.nhs_number in line for line in lines), "not cleared"
    said = [entry for entry in entries(database, place, who) if "exporter" in entry[3]]
    assert [(action, patients) for action, _, patients, _ in said] == [
        ("export-identifiable", len(lines)), ("make-export", 0), ("export-identifiable", len(lines)),
    ]  # fmt: skip
    doctor = sign_in(add_someone(place, (Role.CLINICIAN, PCN)))
    assert "exports/identifiable" not in doctor.get("/registries/cancer-care/").text
    assert doctor.get("/registries/cancer-care/exports/identifiable/").status_code == 404, "direct care is no approval"


def test_one_that_crashes_is_named_and_leaves_nothing(database, settings, ready, make, install, form_token):
    install("cohortium_named", MODULE)
    place, enter = ready
    client, who, _ = enter(Role.CLINICIAN, PCN, Level.IDENTIFIABLE)
    state, page = make(place, client, "identifiable", "crashing")
    assert state == JobState.FAILED
    assert "The exporter crashing crashed (SIGSEGV)." in page
    assert not list((settings.store_root / str(place.id) / "exports").glob("*.made"))
    assert not list((settings.store_root / str(place.id) / "work").iterdir())
    assert [action for action, *_ in entries(database, place, who)].count("make-export") == 0
    assert make(place, client, "identifiable", "named")[0] == JobState.SUCCEEDED, "the service goes on"
    page = "/registries/cancer-care/exports/identifiable/"
    wrong = {"form_token": form_token(client.get(page).text), "exporter": "parquet"}
    assert client.post(page, data=wrong).status_code == 400, "an exporter of another level"
