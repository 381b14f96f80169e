"""Sensitive codes: what is on the list shows nowhere outside the practice that recorded it, and nothing tells of it.

The proof is by twins: one tenant whose records hold the codes, and one whose records never held them. Whoever is not of
the practice is shown the same by both.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date
from functools import partial
from html import unescape

import pytest
from sqlmodel import select
from typer.testing import CliRunner

from cohortium_auth.login import Role
from cohortium_platform.audit import AuditEntry
from cohortium_platform.engine.service import Request, evaluate_tenant
from cohortium_platform.errors import BadInput
from cohortium_platform.jobs import Job, JobState, find_job, load_kinds, run_job
from cohortium_platform.results import Evaluation
from cohortium_tenants.packs import definition_of, publishing, tasks
from cohortium_tenants.sensitive import Category, ListChanged, changes, list_version, sensitive_codes
from cohortium_tenants.sensitive.changing import NewCode, add_codes, remove_codes
from cohortium_tenants.tenants import Tenant
from cohortium_web.cli import app as commands

PACK, LIST = "cancer-care", "/registries/cancer-care/"
PCN, ICB, ELM = "U90001", "QT1", "Z90001"
SOURCE = "Decision of the IG group, 3 March 2026"
PAGES = (
    "/", LIST + f"?organisation={ELM}", LIST + f"tiles/?organisation={ELM}", LIST + "measures/", LIST + "rates/",
    LIST + "rates/?indicator=smoking-status-and-advice", LIST + f"list.csv?organisation={ELM}",
    LIST + f"?gaps=3&organisation={ELM}",
    LIST + f"?indicator=smoking-status-and-advice&status=met&organisation={ELM}",
)  # fmt: skip


def secrets(hand_made) -> dict[int, Category]:
    """Codes to put on the list: why a patient is in the registry, what meets a measure, and what a trust recorded."""
    return {
        hand_made.BOWEL_CANCER: Category.SEXUAL_HEALTH,
        hand_made.NEVER_SMOKED: Category.GENDER,
        hand_made.SUMMARY: Category.TERMINATION,
    }


def fill(session, hand_made) -> None:
    add_codes(session, [NewCode(str(c), kind, SOURCE) for c, kind in secrets(hand_made).items()], by="test")


@dataclass(frozen=True)
class Story:
    """A tenant whose list was filled when its registry stood already, and its twin."""

    tenant: Tenant
    twin: Tenant
    before: str
    without_results: dict[str, int]
    home: str
    job: Job
    state: JobState | None


@pytest.fixture(scope="module")
def story(make_registry, database, settings, hand_made, add_someone, sign_in) -> Story:
    tenant = make_registry()
    twin = make_registry(secrets(hand_made), lambda session: fill(session, hand_made))
    client = sign_in(add_someone(tenant, (Role.CLINICIAN, PCN)))
    before = client.get(PAGES[1]).text
    with database.tenant(tenant.id) as session:
        fill(session, hand_made)
        [job] = session.exec(select(Job).where(Job.kind == "evaluate-anew")).all()
    without = {page: client.get(page).status_code for page in PAGES}
    home = client.get("/").text
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tasks, "load_settings", lambda: settings)
        state = run_job(database, load_kinds(), tenant.id, job.id)
    return Story(tenant, twin, before, without, home, job, state)


def plain(page: str) -> list[str]:
    """A page's lines without what names one tenant's patient, session or request."""
    page = re.sub(r"(patients/)[\w-]{22}", r"\1REF", page)
    page = re.sub(r"[0-9a-f]{64}", "TOKEN", page)
    page = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "SEARCH", page)
    return sorted(line.strip() for line in page.splitlines())


def patient_of(client, name: str) -> str:
    page = client.get(PAGES[1]).text
    [found] = re.findall(rf'href="({LIST}patients/[\w-]+/)">{name}', page)
    return found


def search(client, form_token, who: str) -> str:
    token = form_token(client.get("/").text)
    answer = client.post(LIST + "search", data={"form_token": token, "who": who, "filters": ""})
    assert answer.status_code == 303
    return client.get(answer.headers["location"]).text


def test_results_are_withdrawn_at_once_and_worked_out_anew_with_their_history(story, database, hand_made) -> None:
    assert "CARDEW" in story.before
    shown = {page for page, status in story.without_results.items() if status == 200}
    assert shown == {"/"}, "every page of the registry has nothing to show"
    assert LIST not in story.home.split("<main")[1]
    assert story.state == JobState.SUCCEEDED
    assert story.job.parameters["index_dates"][-1] == hand_made.INDEX_DATE.isoformat()
    assert len(story.job.parameters["index_dates"]) == 11
    with database.tenant(story.tenant.id) as session:
        [former, now] = session.exec(select(Evaluation).order_by("finished")).all()
    assert former.definition_hash != now.definition_hash
    assert former.index_dates == now.index_dates


def test_nobody_outside_the_practice_can_tell_it_from_records_that_never_held_the_codes(
    story, add_someone, sign_in, form_token
) -> None:
    one, other = (sign_in(add_someone(each, (Role.CLINICIAN, PCN))) for each in (story.tenant, story.twin))
    for page in PAGES:
        assert plain(one.get(page).text) == plain(other.get(page).text), page
    for who in ("o\u2019cardew", "blackwood", "9990000026"):
        assert plain(search(one, form_token, who)) == plain(search(other, form_token, who)), who
    assert "CARDEW" not in one.get(PAGES[1]).text
    paths = [patient_of(client, "BLACKWOOD") for client in (one, other)]
    measures = set(re.findall(r'/why/([\w-]+)/"', one.get(paths[0]).text))
    assert len(measures) > 10
    parts = ["", "timeline/", *(f"why/{name}/" for name in sorted(measures))]
    for part in parts:
        pages = [client.get(path + part) for client, path in zip((one, other), paths, strict=True)]
        assert [page.status_code for page in pages] == [200, 200]
        assert plain(pages[0].text) == plain(pages[1].text), part


def test_the_practice_sees_its_own_entry_in_the_timeline_and_in_no_measure(story, add_someone, sign_in) -> None:
    pcn, own = (sign_in(add_someone(story.tenant, (Role.CLINICIAN, where))) for where in (PCN, ELM))
    seen = {}
    for name, client in (("pcn", pcn), ("own", own)):
        path = patient_of(client, "BLACKWOOD")
        timeline = unescape(client.get(path + "timeline/").text)
        seen[name] = set(re.findall(r'app-timeline__what">([^<]+)', timeline))
        measures = client.get(path).text
        seen[name, "measures"] = re.findall(r"app-status--([\w-]+)", measures)
    assert seen["own", "measures"] == seen["pcn", "measures"], "a measure says the same to everyone"
    assert any("never smoked" in entry.lower() for entry in seen["own"])
    assert not any("never smoked" in entry.lower() for entry in seen["pcn"])
    assert not any("treatment summary" in entry.lower() for entry in seen["own"]), "the trust recorded it"
    assert "CARDEW" not in own.get(LIST).text, "membership is the same for everyone"
    why = [client.get(patient_of(client, "BLACKWOOD") + "why/smoking-status-and-advice/").text for client in (own, pcn)]
    told = [page.split("<main")[1] for page in why]
    assert plain(told[0]) == plain(told[1])


def test_every_timeline_says_that_it_is_never_the_whole_record(story, registry_place, add_someone, sign_in) -> None:
    said = "A timeline is never the whole record"
    for tenant in (story.tenant, story.twin, registry_place):
        client = sign_in(add_someone(tenant, (Role.CLINICIAN, PCN)))
        for name in ("BLACKWOOD", "DELANEY"):
            page = "".join(client.get(LIST, params={"page": number}).text for number in (1, 2))
            found = re.search(rf'href="({LIST}patients/[\w-]+/)">{name}', page)
            assert found
            assert client.get(found[1] + "timeline/").text.count(said) == 1


def test_the_log_says_that_the_list_changed_and_nothing_of_its_codes(story, database, hand_made) -> None:
    with database.tenant(story.tenant.id) as session:
        entries = session.exec(select(AuditEntry)).all()
        logged = [(entry.action, entry.resource, json.dumps(entry.detail)) for entry in entries]
        jobs = json.dumps([[job.parameters, job.result, job.error] for job in session.exec(select(Job))])
    [changed] = [json.loads(detail) for _, resource, detail in logged if resource == "sensitive-codes"]
    assert changed == {"version": 1, "codes": 3, "listed": True}
    for code, category in secrets(hand_made).items():
        for told in (str(code), category):
            assert told not in jobs
            assert not [entry for entry in logged if told in " ".join(entry)]


def test_explaining_from_the_command_line_hides_them_too(story, database, run, hand_made, key_encryption) -> None:
    from cohortium_platform.identities.pseudonyms import pseudonym_of_nhs_number  # noqa: PLC0415
    from cohortium_tenants.keys import open_keys  # noqa: PLC0415

    said = []
    for tenant in (story.tenant, story.twin):
        with database.tenant(tenant.id) as session:
            patient = pseudonym_of_nhs_number(open_keys(session, key_encryption), hand_made.ADA.nhs_number)
        done = run(
            "explain",
            "--tenant",
            tenant.slug,
            "--patient",
            patient,
            "--indicator",
            "smoking-status-and-advice",
            "--json",
        )
        said.append(json.loads(done.stdout.replace(str(patient), "0")))
    assert said[0] == said[1]


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

    def run(*arguments: object):
        done = runner.invoke(commands, [str(each) for each in arguments])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done

    return run


def test_the_list_is_filled_changed_and_shown_from_the_command_line(run, tenant, tmp_path) -> None:
    assert "nothing is withheld" in run("sensitive", "list", "--tenant", tenant.slug).stdout
    file = tmp_path / "codes.csv"
    file.write_text("\ufeffcode,category,source\n195967001,gender,Set 1\n77176002,termination of pregnancy,\n", "utf-8")
    add = ["sensitive", "add", "--tenant", tenant.slug, "--from", file]
    with pytest.raises(BadInput, match="Code 2 comes from nowhere"):
        run(*add)
    assert "2 codes added to the list, which is at version 1" in run(*add, "--source", "Set 2").stdout
    assert json.loads(run(*add, "--source", "Set 2", "--json").stdout) == {"version": 1, "codes": 0, "registries": []}
    file.write_text("code\n77176002\n")
    with pytest.raises(BadInput, match="No reason"):
        run("sensitive", "remove", "--tenant", tenant.slug, "--from", file, "--reason", " ")
    run("sensitive", "remove", "--tenant", tenant.slug, "--from", file, "--reason", "Listed by mistake")
    listed = json.loads(run("sensitive", "list", "--tenant", tenant.slug, "--json").stdout)
    assert listed["version"] == 2
    assert [(c["code"], c["category"], c["source"]) for c in listed["codes"]] == [(195967001, "gender", "Set 1")]
    for content, says in (("code\n77176002\n", "Code 1 is not on"), ("x\n1\n", "no column"), ("", "no column")):
        file.write_text(content)
        with pytest.raises(BadInput, match=says):
            run("sensitive", "remove", "--tenant", tenant.slug, "--from", file, "--reason", "Why")
    file.write_bytes(b"code\n\xff\n")
    with pytest.raises(BadInput, match="cannot be read"):
        run(*add)


def test_a_list_takes_whole_what_it_takes_and_forgets_nothing(database, tenant) -> None:
    with database.tenant(tenant.id) as session:
        good = NewCode("195967001", "gender", SOURCE)
        for bad, says in (
            (NewCode("195967002", "gender", SOURCE), "Code 2 is no SNOMED CT concept"),
            (NewCode("", "gender", SOURCE), "Code 2 is no"),
            (NewCode("77176002", "fame", SOURCE), "Code 2 has no category"),
            (NewCode("77176002", "gender", " "), "Code 2 comes from nowhere"),
        ):
            with pytest.raises(BadInput, match=says):
                add_codes(session, [good, bad], by="test")
        assert list_version(session) == 0
        assert not sensitive_codes(session)
        add_codes(session, [good, good], by="test")
        remove_codes(session, ["195967001"], reason="A mistake", by="test")
        add_codes(session, [NewCode("195967001", "termination of pregnancy", SOURCE)], by="test")
        assert [(c.version, c.listed, c.category) for c in changes(session)] == [
            (3, True, "termination of pregnancy"), (2, False, "gender"), (1, True, "gender"),
        ]  # fmt: skip
        assert sensitive_codes(session)[195967001].version == 3


def test_another_tenants_list_is_not_this_ones(database, tenant, other_tenant) -> None:
    with database.tenant(tenant.id) as session:
        add_codes(session, [NewCode("195967001", "gender", SOURCE)], by="test")
    with database.tenant(other_tenant.id) as session:
        assert (list_version(session), dict(sensitive_codes(session))) == (0, {})


def test_results_of_a_definition_from_before_a_change_are_not_published(story, database, settings, hand_made) -> None:
    tenant = story.tenant
    with database.tenant(tenant.id) as session:
        found = definition_of(session, PACK)
        add_codes(session, [NewCode(str(hand_made.UNASKED), "gender", SOURCE)], by="test")
        assert len(session.exec(select(Job).where(Job.kind == "evaluate-anew")).all()) == 1, "no registry stands on it"
    request = Request(found.pack, found.definition, found.parameters, [date(2025, 11, 30)])
    with pytest.raises(ListChanged, match="Nothing was published"):
        evaluate_tenant(
            database, settings, tenant.id, request,
            transaction=publishing(found, partial(database.tenant, tenant.id)),
        )  # fmt: skip
    with database.tenant(tenant.id) as session:
        remove_codes(session, [str(hand_made.UNASKED)], reason="Only tried", by="test")


def test_a_job_that_a_change_overtook_begins_again_with_the_new_list(
    story, database, settings, hand_made, monkeypatch
) -> None:
    tenant, real, overtaken = story.tenant, tasks.publishing, []

    def overtaking(found, transaction):
        if not overtaken:
            with database.tenant(tenant.id) as session:
                add_codes(session, [NewCode(str(hand_made.UNASKED), "gender", SOURCE)], by="test")
        overtaken.append(found.sensitive_version)
        return real(found, transaction)

    monkeypatch.setattr(tasks, "load_settings", lambda: settings)
    monkeypatch.setattr(tasks, "publishing", overtaking)
    with database.tenant(tenant.id) as session:
        asked = tasks.EvaluatePack(PACK, (date(2025, 11, 30),))
        job = tasks.enqueue(session, None, tasks.EVALUATE, asked, requested_by="test")
    assert run_job(database, load_kinds(), tenant.id, job) == JobState.SUCCEEDED
    assert len(overtaken) == 2
    assert overtaken[1] == overtaken[0] + 1
    with database.tenant(tenant.id) as session:
        assert find_job(session, job).state == JobState.SUCCEEDED


def test_an_officer_sees_fills_and_empties_the_list_and_nobody_else_does(
    place, someone, sign_in, form_token, database
) -> None:
    officer = sign_in(someone((Role.IG_OFFICER, ICB), name="Ida Officer"))
    page = officer.get("/ig/sensitive/").text
    assert "The list is empty" in page
    assert "/ig/sensitive/" in officer.get("/ig/").text
    token = form_token(page)

    def post(what: str, **fields: str):
        return officer.post(f"/ig/sensitive/{what}", data={"form_token": token, **fields})

    filled = {"codes": "195967001\r\n 77176002", "category": "gender", "source": "Set 1"}
    assert post("add", **{**filled, "codes": " "}).status_code == 400
    assert post("add", **{**filled, "category": "x"}).status_code == 400
    assert post("add", **filled).status_code == 303
    page = officer.get("/ig/sensitive/").text
    assert "The list is empty" not in page
    assert "195967001" in page
    assert "Ida Officer" in page
    assert post("remove", codes="77176002", reason="").status_code == 400
    assert post("remove", codes="77176002", reason="A mistake").status_code == 303
    taken = officer.get("/ig/sensitive/", params={"format": "csv"}).text.splitlines()
    assert [line.split(",")[0] for line in taken[1:]] == ["195967001"]
    history = officer.get("/ig/sensitive/", params={"shown": "history", "format": "csv"}).text.splitlines()
    assert [line.split(",")[1] for line in history[1:]] == ["taken off", "on the list", "on the list"]
    assert officer.get("/ig/sensitive/", params={"shown": "all"}).status_code == 400
    with database.tenant(place.id) as session:
        details = [e.detail for e in session.exec(select(AuditEntry).where(AuditEntry.resource == "sensitive-codes"))]
    assert sorted(detail["version"] for detail in details) == [1, 2], "each change is in the log once"
    for role, where in ((Role.TENANT_ADMINISTRATOR, ICB), (Role.CLINICIAN, PCN), (Role.ICB_ANALYST, ICB)):
        other = sign_in(someone((role, where)))
        assert other.get("/ig/sensitive/").status_code == 404
