"""From saving an edited definition to new tiles on screen: every stage of the way, in machine time, printed.

An ICB runs a version of the cancer care pack, with 24 months of history. Its publisher adds a code to one codelist and
gives it a new number; it is built, signed, published, checked, previewed, enabled and looked at. What people do on the
way (signing off, deciding) takes no time here. BENCH_PEOPLE says how large the ICB is (`conftest`).
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import date

import pytest
from fastapi.testclient import TestClient
from sqlmodel import select

from cohortium_auth.login import HIGHEST_ASSURANCE, Role, Standing, holdings_on, open_session
from cohortium_platform.jobs import JobState, find_job, load_kinds, run_job
from cohortium_platform.settings import Settings
from cohortium_platform.synthetic import QOF_RETIREMENT, SUPPORT_DISCUSSED, SyntheticOptions, synthesise
from cohortium_plugins.importing import ImportOptions
from cohortium_plugins.packfile import sign
from cohortium_tenants.demo import NORTH_LONDON, build_demo_tenant, demo_practices
from cohortium_tenants.loading import LoadOptions, load_delivery
from cohortium_tenants.packs import Choice, Preview, ask_to_switch
from cohortium_tenants.packs.catalogue.deciding import NewSignOff, sign_off
from cohortium_tenants.packs.catalogue.publishing import check_version, keep_outcome, publish
from cohortium_tenants.packs.previews import ask_for_preview
from cohortium_web.app import create_app
from cohortium_web.demo_people import add_demo_people

PACK, PUBLISHER = "cancer-bench", "bench"
DAY = date(2025, 11, 30)
PEOPLE = int(os.environ.get("BENCH_PEOPLE", "100000"))
EDIT = """
import sys
from dataclasses import replace
from cohortium_pack_cancer_care import indicator_packs
from cohortium_plugins.model import Code
from cohortium_plugins.packfile import build
pack = indicator_packs()[0]
lists = dict(pack.definition.codelists)
name = "smoking-status"
lists[name] = lists[name].extended((Code(110483000, "Tobacco user", "current"),))
definition = replace(pack.definition, codelists=lists)
edited = replace(pack, id="cancer-bench", version="2.0.0", publisher="bench", definition=definition)
open(sys.argv[1], "wb").write(build(edited))
"""


def processor_time() -> float:
    """Seconds of processor time of this process and of those that it started and that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


class Clock:
    """Stages, their seconds on the clock and of processor time."""

    def __init__(self) -> None:
        self.stages: dict[str, tuple[float, float]] = {}

    @contextmanager
    def stage(self, name):
        began, used = time.perf_counter(), processor_time()
        yield
        self.stages[name] = (time.perf_counter() - began, processor_time() - used)

    def said(self) -> str:
        whole = [sum(times) for times in zip(*self.stages.values(), strict=True)]
        rows = [*self.stages.items(), ("all of it", whole)]
        lines = [f"  {name:<44}{seconds:8.1f} s{used:8.1f} s of processor time" for name, (seconds, used) in rows]
        return "\n".join(lines)


@pytest.fixture
def place(database, settings, key_encryption, tmp_path):
    """An ICB with people who can sign in, and records."""
    practices = NORTH_LONDON.practices_for(PEOPLE)
    tenant = build_demo_tenant(database, key_encryption, NORTH_LONDON, practices)
    with database.tenant(tenant.id) as session:
        add_demo_people(session)
    options = SyntheticOptions(
        people=PEOPLE, practices=demo_practices(NORTH_LONDON, practices), course=QOF_RETIREMENT,
        local_codes={SUPPORT_DISCUSSED: 9_000_001}, workers=2, records_to=DAY,
    )  # fmt: skip
    began = time.perf_counter()
    synthesise(options, tmp_path / "extract")
    load_delivery(database, settings, key_encryption, tenant.id, tmp_path / "extract", ImportOptions(), LoadOptions())
    print(f"\ninvented and loaded {PEOPLE:,} people in {time.perf_counter() - began:.0f} s")  # noqa: T201
    return tenant


def test_from_a_saved_definition_to_new_tiles(database, settings, made_packs, place, tmp_path, monkeypatch):
    memory = os.environ.get("BENCH_MEMORY", "6GB")
    bench = Settings.model_validate({**settings.model_dump(), "memory_limit": memory, "threads": 2})
    for module in ("tasks", "previews"):
        monkeypatch.setattr(f"cohortium_tenants.packs.{module}.load_settings", lambda: bench)
    clock, press = Clock(), made_packs.Press(PUBLISHER)
    from cohortium_plugins.installed import installed_packs  # noqa: PLC0415

    first = replace(installed_packs()["cancer-care"], id=PACK, version="1.0.0", publisher=PUBLISHER)
    with database.tenant(place.id) as session:
        press.enter(session)
        press.release(session, first)
    run(database, place, lambda session: ask_to_switch(session, None, Choice(PACK, "1.0.0"), reason="", by="bench"))

    file = tmp_path / "edited.pack"
    with clock.stage("build (a process of its own)"):
        subprocess.run([sys.executable, "-c", EDIT, str(file)], check=True)
    with clock.stage("sign"):
        content = sign(file, press.key, PUBLISHER)
    with clock.stage("publish (read within limits, verified)"), database.tenant(place.id) as session:
        row = publish(session, content, by=made_packs.AUTHOR)
    with clock.stage("checks and golden patients, two engines"):
        outcome = check_version(content)
    assert outcome.passed, outcome.golden
    with database.tenant(place.id) as session:
        row = keep_outcome(session, row.content_hash, outcome)
        sign_off(session, row, NewSignOff("Clinical safety officer", date(2026, 1, 5), "HL-1"), by=made_packs.OFFICER)
    with clock.stage("preview"):
        run(database, place, lambda s: ask_for_preview(s, None, Choice(PACK, "2.0.0"), by="bench").job_id)
    with database.tenant(place.id) as session:
        found = session.exec(select(Preview).where(Preview.pack == PACK)).one()
        print(f"preview: {found.indicators} differ, {found.alike} alike")  # noqa: T201
    with clock.stage("enable: 24 month ends, and the exchange"):
        run(database, place, lambda s: ask_to_switch(s, None, Choice(PACK, "2.0.0"), reason="", by="bench"))
    with TestClient(create_app(bench), headers={"accept": "text/html"}) as client:
        client.cookies.set("cohortium", cookie(client, database, place))
        with clock.stage("tiles on screen"):
            page = client.get(f"/registries/{PACK}/tiles/")
    assert page.status_code == 200, page.text
    print(f"{PEOPLE:,} people, load {os.getloadavg()[0]:.1f}\n{clock.said()}")  # noqa: T201


def run(database, place, ask):
    """Ask for a job and run it here."""
    with database.tenant(place.id) as session:
        job = ask(session)
    run_job(database, load_kinds(), place.id, job)
    with database.tenant(place.id) as session:
        done = find_job(session, job)
    assert done.state == JobState.SUCCEEDED, done.error


def cookie(client, database, place) -> str:
    """A clinician's session."""
    with database.tenant(place.id) as session:
        holdings = [each for each in holdings_on(session, DAY) if each.role is Role.CLINICIAN]
        who = next(each for each in holdings if each.organisation.startswith("U"))  # a PCN's, with whom practices share
        standing = Standing(assurance=HIGHEST_ASSURANCE)
        token = open_session(session, who.person_id, who.membership_id, "demo", standing=standing).token
    return client.app.state.site.signer.sign(place.id, token)
