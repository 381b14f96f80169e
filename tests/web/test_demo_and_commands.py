"""The demonstration and the commands of the README, run as people run them: real processes in an empty folder."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import httpx2
import pytest

pytestmark = pytest.mark.xdist_group("demonstration")  # one demonstration serves all of these

PROGRAM = Path(sys.executable).with_name("cohortium")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    yield folder
    run(folder, "clean-demo", check=False)


def run(folder, *arguments, check=True):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COHORTIUM_")}
    done = subprocess.run(
        [PROGRAM, *map(str, arguments)], cwd=folder, env=environment, capture_output=True, text=True, timeout=280,
        check=False,
    )  # fmt: skip
    assert not check or done.returncode == 0, done.stderr
    return done


def as_json(folder, *arguments):
    return json.loads(run(folder, *arguments, "--json").stdout)


@pytest.fixture(scope="module")
def demo(folder):
    """A small demonstration: what it said of whom one can sign in as."""
    return as_json(folder, "demo", "--patients", 2000, "--no-serve")


def test_the_demonstration_says_who_can_sign_in(demo):
    assert [tenant["tenant"] for tenant in demo] == ["north-london", "dorset"]
    roles = {person["role"] for person in demo[0]["people"]}
    assert {"clinician", "care coordinator", "IG officer", "ICB analyst"} <= roles


def test_what_shares_a_demonstration_runs_in_one_worker(request):
    assert "PYTEST_XDIST_WORKER" not in os.environ or request.node.nodeid.endswith("@demonstration")


@pytest.mark.usefixtures("demo")
def test_a_second_start_resumes(folder):
    before = as_json(folder, "status")
    again = run(folder, "demo", "--patients", 2000, "--no-serve")
    assert "inventing" not in again.stdout
    assert "loading" not in again.stdout
    assert "evaluating" not in again.stdout
    assert as_json(folder, "status") == before


@pytest.mark.usefixtures("demo")
def test_status_shows_sources_and_how_far_they_run(folder):
    tenants = {tenant["tenant"]: tenant for tenant in as_json(folder, "status")}
    assert tenants["dorset"]["packs"] == ["cancer-care", "multimorbidity-review"]
    gp = next(source for source in tenants["north-london"]["sources"] if source["source"] == "gp")
    assert gp["records_to_latest"] == "2025-11-30"
    assert len(tenants["north-london"]["sources"]) == 2


@pytest.mark.usefixtures("demo")
def test_evaluate_gives_counts_by_indicator_and_status(folder):
    found = as_json(
        folder, "evaluate", "--tenant", "north-london", "--pack", "cancer-care", "--index-date", "2025-11-30"
    )
    assert found["published"] is False
    counts = found["index_dates"]["2025-11-30"]
    assert len(counts) == 25
    assert counts["can001-cancer-register"]["met"] == found["members"] > 0
    for statuses in counts.values():
        shown = {name: n for name, n in statuses.items() if not name.endswith("rate")}
        assert sum(shown.values()) == found["members"]
    assert counts["adherence-care-plan"]["not_evaluated"] == found["members"]


@pytest.mark.usefixtures("demo")
def test_explain_prints_the_reason(folder):
    tenant_of_file = {}
    for listed in (folder / ".demo" / "store").glob("*/results/cancer-care/list-*.parquet"):
        rows = duckdb.sql(f"SELECT patient_id FROM read_parquet('{listed}') ORDER BY gaps DESC LIMIT 1").fetchall()
        tenant_of_file[listed] = rows[0][0]
    asked = ("--indicator", "care-review", "--json")
    answers = [
        run(folder, "explain", "--tenant", tenant, "--patient", patient, *asked, check=False)
        for tenant in ("north-london", "dorset")
        for patient in tenant_of_file.values()
    ]
    found = [json.loads(answer.stdout) for answer in answers if answer.returncode == 0]
    assert len(found) == len(tenant_of_file)  # a tenant explains its own patient and not the other's
    for each in found:
        assert each["result"]["status"] in ("met", "due", "overdue")
        assert each["sentence"]
        assert each["met"]["words"]
        assert each["outlook"].endswith(".")
        assert (each["next_change"] is None) == each["outlook"].startswith("Stays as it is")


@pytest.mark.usefixtures("demo")
def test_refresh_brings_a_registry_forward(folder):
    asked = ("--tenant", "dorset", "--to", "2026-01-31", "--json")
    first = json.loads(run(folder, "refresh", *asked).stdout)
    assert [done["pack"] for done in first] == ["cancer-care", "multimorbidity-review"]
    for done in first:
        assert done["index_date"] == "2026-01-31"
        assert done["practices_evaluated_whole"] == []
        assert 0 < done["members_taken_over"] < done["members"]
    again = json.loads(run(folder, "refresh", *asked).stdout)
    assert [done["members"] for done in again] == [None, None]  # nothing was left to do


@pytest.mark.usefixtures("demo")
def test_mistakes_say_what_to_do(folder):
    unknown = run(folder, "evaluate", "--tenant", "north-londn", "--pack", "cancer-care", check=False)
    assert unknown.returncode == 1
    assert "cohortium tenant list" in unknown.stderr
    day = run(
        folder, "evaluate", "--tenant", "dorset", "--pack", "cancer-care", "--index-date", "30/11/25", check=False
    )
    assert day.returncode == 2
    assert "YYYY-MM-DD" in day.stderr
    nothing = run(folder, "import", "nowhere", "--tenant", "dorset", check=False)
    assert nothing.returncode == 2
    assert "Traceback" not in unknown.stderr + day.stderr + nothing.stderr


@pytest.mark.usefixtures("demo")
def test_an_extract_is_made_and_loaded_by_hand(folder):
    made = as_json(folder, "synthesise", "--out", "extract", "--people", 1000, "--shape", "dorset", "--density", 5)
    assert made["registered"] == 1000
    loaded = as_json(folder, "import", "extract", "--tenant", "dorset")
    assert loaded["unchanged"] is False
    again = as_json(folder, "import", "extract", "--tenant", "dorset")
    assert again["unchanged"] is True
    assert again["snapshot"] is None


def soon(found):
    """Ask until the answer is one that counts, for a minute at most."""
    for _ in range(240):
        if answer := found():
            return answer
        time.sleep(0.25)
    raise AssertionError("It never came.")


def children_of(process):
    return [int(pid) for pid in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def answers(port):
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx2.TransportError:
        return False


@pytest.mark.usefixtures("demo")
@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGKILL])
def test_a_served_site_has_a_worker_that_keeps_the_logs_and_ends_with_it(folder, ended_by):
    """However the site ends: asked to, or killed. Nothing else here signs a checkpoint."""
    as_json(folder, "status")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COHORTIUM_")}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    site = subprocess.Popen([PROGRAM, "serve", "--port", str(port)], cwd=folder, env=environment)
    try:
        assert soon(lambda: answers(port))
        beside = children_of(site.pid)
        assert beside
        assert soon(lambda: as_json(folder, "audit", "status", "--tenant", "dorset")["checkpoint"])
    finally:
        site.send_signal(ended_by)
        site.wait(60)
    assert soon(lambda: not any(Path(f"/proc/{pid}").exists() for pid in beside))


def test_without_settings_or_a_demonstration_the_way_out_is_said(tmp_path):
    done = run(tmp_path, "status", check=False)
    assert done.returncode == 2
    assert "make demo" in done.stderr


def test_clean_demo_removes_everything(folder, demo):
    del demo
    run(folder, "clean-demo")
    assert not (folder / ".demo").exists()
