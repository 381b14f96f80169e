"""From nothing to a signed pack by command: what an author types, what they read, and the exit codes."""

import json
import shutil
import stat
import sys

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from typer.testing import CliRunner

from cohortium_plugins.packfile import read, verify
from cohortium_web.cli import app


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def command(*words, code=0):
        done = CliRunner().invoke(app, ["pack", *map(str, words)])
        assert done.exit_code == code, done.output + repr(done.exception)
        return json.loads(done.stdout) if "--json" in words else done.stdout

    return command


@pytest.fixture
def folder(run, tmp_path, request):
    """A new pack, whose import name no other test has."""
    name = f"trial-{abs(hash(request.node.name)) % 10**8}"
    run("new", name, "--publisher", "acme")
    return tmp_path / name


def module(folder):
    return folder / f"cohortium_pack_{folder.name.replace('-', '_')}"


def edited(folder, target, file, old, new):
    """A copy of the pack with one thing changed."""
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("__pycache__"))
    path = module(folder).relative_to(folder) / file
    text = (target / path).read_text()
    assert old in text
    (target / path).write_text(text.replace(old, new))
    return target


def test_a_new_pack_passes_its_checks_and_golden_patients_at_once(run, folder):
    assert run("check", folder, "--json")["findings"] == []
    tried = run("test", folder, "--json")
    assert tried["engines"] == ["interpreter", "DuckDB"]
    assert (tried["cases"], tried["differences"]) == (7, [])
    assert "no differences" in run("test", folder)


def test_a_new_pack_is_never_written_over_anything(run, folder):
    run("new", folder.name, code=1)
    run("new", "../elsewhere", code=1)
    run("new", "Bone Health", code=1)


def test_a_wrong_golden_patient_is_told_with_its_reason(run, folder, tmp_path):
    wrong = edited(folder, tmp_path / "wrong", "golden/blood-pressure-taken.toml", '"not_applicable"', '"met"')
    said = run("test", wrong, code=1)
    assert "blood-pressure-taken.toml: no member [2025-06-30], on DuckDB" in said
    assert "why: It is for the registry's people alone." in said
    assert "blood-pressure-taken: status: expected met, got not_applicable" in said
    found = run("test", wrong, "--json", code=1)["differences"]
    assert {each["engine"] for each in found} == {"interpreter", "DuckDB"}
    assert found[0]["patient"] == "no member"


def test_the_page_says_every_rule_source_codelist_patient_and_change(run, folder, tmp_path):
    page = run("docs", folder)
    for words in (
        "the latest ‘Blood pressure taken’ is in the last 12 months",
        "SNOMED CT, chosen by hand",
        "| `hypertension` | Hypertension | 2 |",
        "no longer on 1 July",
        "### 0.1.0",
    ):
        assert words in page
    run("docs", folder, "--html", "-o", "page.html")
    html = (tmp_path / "page.html").read_text()
    assert "<h3>Blood pressure taken in the last 12 months</h3>" in html
    assert '<th scope="col">codelist</th>' in html
    assert "<script" not in html


def test_what_changed_is_said_in_words_with_codes(run, folder, tmp_path):
    later = edited(folder, tmp_path / "later", "__init__.py", "every=months(12)", "every=months(6)")
    added = later / module(folder).name / "codelists" / "hypertension.csv"
    added.write_text(added.read_text().replace("1201005,Benign", "59621000,Essential hypertension\n1201005,Benign"))
    lines = added.read_text().splitlines()
    added.write_text("\n".join(line for line in lines if not line.startswith("1201005")) + "\n")
    said = run("diff", folder, later)
    assert "indicator blood-pressure-taken changed" in said
    assert "- Met when: the latest ‘Blood pressure taken’ is in the last 12 months." in said
    assert "+ Met when: the latest ‘Blood pressure taken’ is in the last 6 months." in said
    assert "+ code 59621000 Essential hypertension" in said
    assert "- code 1201005 Benign essential hypertension" in said
    assert run("diff", folder, folder).strip() == "Nothing has changed."
    kinds = [(each["kind"], each["what"]) for each in run("diff", folder, later, "--json")["changes"]]
    assert kinds == [("indicator", "changed"), ("codelist", "changed")]


def test_a_pack_is_built_the_same_twice_and_signed(run, folder, tmp_path):
    built = run("build", folder, "-o", "one.pack", "--json")
    copied = shutil.copytree(folder, tmp_path / "elsewhere", ignore=shutil.ignore_patterns("__pycache__"))
    run("build", copied, "-o", "two.pack")
    assert (tmp_path / "one.pack").read_bytes() == (tmp_path / "two.pack").read_bytes()
    run("keygen", "acme.key")
    assert stat.S_IMODE((tmp_path / "acme.key").stat().st_mode) == 0o600
    run("keygen", "acme.key", code=1)
    signed = run("sign", "one.pack", "--key", "acme.key", "--json")
    assert signed["content_hash"] == built["content_hash"]
    key = load_pem_public_key((tmp_path / "acme.key.pub").read_bytes())
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert verify(read(tmp_path / "one.pack"), {"acme": [raw]}) == "acme"
    run("sign", "one.pack", "--key", "acme.key.pub", code=1)
    assert run("diff", "one.pack", folder).strip() == "Nothing has changed."
    assert run("check", "one.pack", "--json")["definition_hash"] == built["definition_hash"]


def test_a_file_runs_its_own_golden_patients_from_the_file_alone(run, folder, tmp_path):
    wrong = edited(folder, tmp_path / "wrong", "golden/blood-pressure-taken.toml", '"not_applicable"', '"met"')
    run("build", folder, "-o", "right.pack")
    run("build", wrong, "-o", "wrong.pack")
    run("keygen", "acme.key")
    run("sign", "right.pack", "--key", "acme.key")
    name = module(folder).name
    for below in (folder, wrong):
        shutil.rmtree(below)
    for loaded in [each for each in sys.modules if each.partition(".")[0] == name]:
        del sys.modules[loaded]
    tried = run("test", "right.pack", "--json")
    assert (tried["pack"], tried["cases"], tried["differences"]) == (folder.name, 7, [])
    said = run("test", "wrong.pack", code=1)
    assert "blood-pressure-taken.toml: no member [2025-06-30], on DuckDB" in said
    assert "why: It is for the registry's people alone." in said
    assert "blood-pressure-taken: status: expected met, got not_applicable" in said
    assert {each["patient"] for each in run("test", "wrong.pack", "--json", code=1)["differences"]} == {"no member"}
    assert not [each for each in sys.modules if each.partition(".")[0] == name], "nothing but the file was read"
