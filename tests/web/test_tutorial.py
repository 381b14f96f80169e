"""The tutorial for pack developers does what it says: its files are written and its commands run, as a reader would."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from cohortium_auth.login import Role

PAGE = Path(__file__).parents[2] / "docs" / "pack-developer" / "tutorial.md"
BLOCK = re.compile(r"(?:^`(?P<file>[^`\n]+)`:\n\n)?^```(?P<kind>[\w ]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
SIGN = {"role": "Clinical safety officer", "on": "2026-01-05", "hazard_log": "HL-7"}
ICB, PCN = "QT1", "U90001"
ASTHMA, REVIEWED = 195967001, 394700004


@pytest.fixture
def run(tmp_path, settings, services):
    """Run commands in a folder of their own, as a reader would on a machine whose server is that of the tests."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {
        **os.environ,
        **services.settings_environment(),
        "COHORTIUM_STORE_URL": settings.store_url,
        "COHORTIUM_KEY_FILE": str(settings.key_file),
        "COHORTIUM_DEMO": "true",
        "PATH": path,
        "PYTHONDONTWRITEBYTECODE": "1",
    }

    def commands(text):
        done = subprocess.run(
            ["bash", "-ec", text],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return commands


def test_from_nothing_to_the_tiles(tmp_path, run, hand_made, make_registry, add_someone, sign_in, post, run_jobs):
    said = {"sh": "", "sh server": ""}
    for block in BLOCK.finditer(PAGE.read_text(encoding="utf-8")):
        if block["file"]:
            (tmp_path / block["file"]).write_text(block["text"], encoding="utf-8")
        elif block["kind"] in said:
            said[block["kind"]] += run(block["text"])
    assert said["sh"].count("no differences") == 2
    assert "Signed by my-practice" in said["sh"]
    assert said["sh"].rstrip().endswith("Nothing has changed.")
    assert json.loads(run("cohortium pack check asthma-care --json"))["findings"] == []
    assert "Asthma reviewed" in (tmp_path / "asthma-care.html").read_text(encoding="utf-8")
    assert "asthma-care 0.1.0: its checks have passed" in said["sh server"]

    events = [(ASTHMA, date(2015, 3, 1), None, ""), (REVIEWED, date(2024, 10, 1), None, "")]
    asthmatic = hand_made.Patient(900, hand_made.ELM, "Wheezer", "Anne", date(1980, 1, 1), "female", events)
    tenant = make_registry(more=[asthmatic])
    officer, admin, doctor = (
        sign_in(add_someone(tenant, (role, where), name=name))
        for role, where, name in (
            (Role.PACK_DEVELOPER, ICB, "Sam Safety"),
            (Role.TENANT_ADMINISTRATOR, ICB, "Ali Admin"),
            (Role.CLINICIAN, PCN, "Dr Ada Okafor"),
        )
    )
    version = "/packs/asthma-care/versions/0.1.0/"
    assert post(officer, version, f"{version}sign-off", **SIGN).status_code == 303
    preview = post(admin, f"{version}preview", f"{version}preview").headers["location"]
    run_jobs(tenant)
    seen = doctor.get(f"{preview}people/")
    assert seen.status_code == 200, seen.text
    assert "WHEEZER" in seen.text
    wanted = {"parameter": "review-interval=1", "why": "15 months, as our practices agreed"}
    assert post(admin, f"{version}enable", f"{version}enable", **wanted).status_code == 303
    run_jobs(tenant)
    assert "15 months, as our practices agreed" in admin.get("/packs/asthma-care/").text
    tiles = doctor.get("/registries/asthma-care/tiles/")
    assert tiles.status_code == 200, tiles.text
    assert "WHEEZER" in tiles.text
    rows = list(csv.DictReader(io.StringIO(doctor.get("/registries/asthma-care/list.csv").text.removeprefix("\ufeff"))))
    assert [(row["Name"], row["Gaps"]) for row in rows] == [("WHEEZER, Anne (Mrs)", "0")], (
        "met, by the 15 months chosen"
    )
