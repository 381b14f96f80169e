"""The tutorial for pack developers does what it says: its files are written and its commands run, as a reader would."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "pack-developer" / "tutorial.md"
BLOCK = re.compile(r"(?:^`(?P<file>[^`\n]+)`:\n\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def test_from_nothing_to_a_signed_pack(tmp_path):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONDONTWRITEBYTECODE": "1"}

    def run(commands):
        done = subprocess.run(
            ["bash", "-ec", commands],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    said = ""
    for block in BLOCK.finditer(PAGE.read_text(encoding="utf-8")):
        if block["file"]:
            (tmp_path / block["file"]).write_text(block["text"], encoding="utf-8")
        elif block["kind"] == "sh":
            said += run(block["text"])
    assert said.count("no differences") == 2
    assert "Signed by my-practice" in said
    assert said.rstrip().endswith("Nothing has changed.")
    assert json.loads(run("cohortium pack check asthma-care --json"))["findings"] == []
    assert "Asthma reviewed" in (tmp_path / "asthma-care.html").read_text(encoding="utf-8")
