"""`cohortium pack check` and `pack words`: what a pack developer reads, and the exit codes."""

import json
import sys
import zlib

import pytest
from typer.testing import CliRunner

from cohortium_web.cli import app, main

PACK = """
from cohortium_plugins.authoring import Cohort, Indicator
from cohortium_plugins.hookspecs import hookimpl
from cohortium_plugins.language import events, months, patient
from cohortium_plugins.model import Code, Codelist
from cohortium_plugins.pack import Pack

people = Cohort("people", title="People", members=patient.is_registered, since=patient.registered_since, source="x")
check = Indicator("check", title="Check", cohort=people, met=events("done").latest(), every=months(12), source="x")
pack = Pack.build(
    id="trial", version="1", title="Trial", publisher="x",
    codelists={"done": Codelist("done", "Check done", "x", "1", (Code(1001, "Done"),))},
    cohorts=[people], indicators=[check],
)


@hookimpl
def indicator_packs():
    return (pack,)
"""
GOLDEN = """
golden = {"check.toml": '''
indicator = "check"
index_date = 2025-06-30
codes = { done = 1001 }

[[patient]]
name = "a year ago"
registered = [2000-01-01]
events = ["2024-06-30 done"]
expect = "met"

[[patient]]
name = "never"
registered = [2000-01-01]
expect = "overdue"
'''}
"""


@pytest.fixture
def written(tmp_path, request, monkeypatch):
    """Writes a pack into a folder of its own, whose import name no other test has."""
    monkeypatch.setattr(sys, "path", [*sys.path])

    def write(text):
        package = tmp_path / f"cohortium_pack_{zlib.crc32(request.node.name.encode())}"
        package.mkdir()
        (package / "__init__.py").write_text(text, encoding="utf-8")
        return tmp_path

    return write


def run(*arguments):
    return CliRunner().invoke(app, ["pack", *map(str, arguments)])


def test_a_pack_without_errors_passes():
    done = run("check", "cancer-care", "--json")
    found = json.loads(done.stdout)
    assert done.exit_code == 0
    assert found["pack"] == "cancer-care"
    assert {"warning", "advice"} == {item["severity"] for item in found["findings"]}


def test_a_pack_with_errors_does_not(written):
    folder = written(PACK)
    done = run("check", folder, "--json")
    assert done.exit_code == 1
    (finding,) = json.loads(done.stdout)["findings"]
    assert (finding["check"], finding["kind"], finding["name"]) == ("no-golden", "indicator", "check")
    assert finding["place"].endswith("__init__.py, line 9")
    shown = run("check", folder)
    assert "1 error, 0 warnings, 0 advice" in shown.stdout
    assert "golden/check.toml" in shown.stdout


def test_a_sound_folder_passes(written):
    folder = written(GOLDEN + PACK.replace("indicators=[check],", "indicators=[check], golden=golden,"))
    done = run("check", folder)
    assert done.exit_code == 0
    assert "trial 1: 0 errors, 0 warnings, 0 advice." in done.stdout


def test_words_are_english(written):
    folder = written(PACK)
    said = run("words", folder).stdout
    assert said.startswith("# Trial 1\n\nDefinition ")
    assert "- Met when: the latest ‘Check done’ is in the last 12 months." in said
    assert json.loads(run("words", folder, "--json").stdout)["words"] in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PACK.replace("months(12)", "months(12"), "__init__.py, line 9: '(' was never closed."),
        (PACK.replace("import events,", "import evnts,"), "__init__.py, line 4: ImportError: .* Did you mean events?"),
        (PACK.replace("met=events", "met=evens"), "__init__.py, line 9: NameError: .* Did you mean events?"),
        (PACK.replace("latest()", "lattest()"), "__init__.py, line 9: Frame has no lattest. Did you mean latest?"),
        (PACK.replace('events("done")', 'events("dne")'), "line 9: There is no codelist dne. Did you mean done?"),
        (PACK.replace("def indicator_packs", "def packs"), "gives no pack. Define the hook indicator_packs()"),
    ],
)
def test_a_pack_that_fails_to_load_says_where_and_the_nearest_word(written, capsys, monkeypatch, text, said):
    monkeypatch.setattr(sys, "argv", ["cohortium", "pack", "check", str(written(text))])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    heard = " ".join(capsys.readouterr().err.split())
    first, _, last = said.partition(" .* ")
    assert first in heard
    assert last in heard


def test_a_name_that_leads_nowhere_gives_the_nearest(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["cohortium", "pack", "check", "cancer-car"])
    with pytest.raises(SystemExit):
        main()
    assert "Did you mean cancer-care?" in " ".join(capsys.readouterr().err.split())
