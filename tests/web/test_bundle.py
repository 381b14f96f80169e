"""A tenant's bundle: everything is in it, it is read and recomputed without us, and nothing can be changed unseen."""

import json
import os
import shutil
import subprocess
import sys
from datetime import date
from importlib.util import find_spec
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sqlalchemy import func, select
from sqlmodel import col
from sqlmodel import select as select_rows
from typer.testing import CliRunner

from cohortium_platform.audit import AuditEntry, Entry
from cohortium_platform.audit.models import AuditHead
from cohortium_platform.audit.notes import LogSigner
from cohortium_platform.database import metadata, tenant_tables
from cohortium_platform.engine.control import EngineSettings
from cohortium_platform.engine.entered import OnePatient, reevaluate_patient
from cohortium_platform.engine.service import Request, evaluate_tenant
from cohortium_platform.errors import BadInput, Conflict, Unavailable
from cohortium_platform.portability.manifest import read_manifest, signed
from cohortium_platform.portability.verifying import verify_bundle
from cohortium_platform.records import EntryRow, RecordStore, lay_over
from cohortium_platform.results import ResultFileRow, ResultStore, former_results
from cohortium_tenants.exit.exporting import export_bundle
from cohortium_tenants.packs import definition_of, enable_pack
from cohortium_tenants.tenants.signing import log_signer
from cohortium_web.cli import app as commands

PACKS = ("cancer-care", "multimorbidity-review")
DAYS = (date(2025, 10, 31), date(2025, 11, 30))
REVIEW = 720006006
HYPERTENSION, DIABETES, COPD, DIABETES_REVIEW = 1201005, 5368009, 13645005, 170777000
ASKED = Entry(action="export-bundle", resource="bundle", actor="test")


@pytest.fixture(scope="module")
def leaving(database, settings, make_registry, hand_made):
    """A tenant with both registries, one of them with an entry that was made after the day that records run to."""
    several = [(code, date(2015, 1, 1), None, "") for code in (hand_made.BREAST, HYPERTENSION, DIABETES, COPD)]
    more = [
        hand_made.Patient(400 + number, practice, "Manyfold", "Kit", date(1960, 1, 1), "female", several)
        for number, practice in enumerate((hand_made.ELM, hand_made.ELM, hand_made.OAK))
    ]
    tenant = make_registry(before=lambda session: enable_pack(session, PACKS[1], by="test"), more=more)
    for pack in PACKS:
        with database.tenant(tenant.id) as session:
            found = definition_of(session, pack)
        evaluate_tenant(
            database, settings, tenant.id, Request(found.pack, found.definition, found.parameters, index_dates=DAYS)
        )
    store, results = RecordStore(settings.store_root, tenant.id), ResultStore(settings.store_root, tenant.id)
    with database.tenant(tenant.id) as session:
        file = former_results(session, PACKS[1])[0].files["results"][0]
        rows = pq.read_table(results.path(file[1])).to_pylist()
        kit = next(row["patient_id"] for row in rows if row["practice"] == hand_made.ELM)
        entries = [EntryRow(kit, n, date(2026, 1, 20), code) for n, code in enumerate((REVIEW, DIABETES_REVIEW))]
        lay_over(session, store, hand_made.ELM, entries, actor="test")
        for pack in PACKS:
            found = definition_of(session, pack)
            who = OnePatient(pack, found.definition, found.hash, hand_made.ELM, kit)
            assert reevaluate_patient(session, store, results, who, EngineSettings(threads=1))
    return tenant


@pytest.fixture(scope="module")
def signer(database, key_encryption, leaving):
    return log_signer(database, key_encryption, leaving)


@pytest.fixture(scope="module")
def exported(database, settings, leaving, signer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports") / "bundle"
    export_bundle(database, settings, leaving, signer, folder, asked=ASKED)
    return folder


@pytest.fixture
def bundle(exported, tmp_path):
    """A copy of the bundle to do harm to."""
    shutil.copytree(exported, tmp_path / "bundle")
    return tmp_path / "bundle"


# --- what is in it ----------------------------------------------------------------------------------------------------


def test_it_holds_every_row_of_every_table_that_travels(database, leaving, exported):
    names = {name for name, model in tenant_tables().items() if model.travels.how == "exported"}
    in_the_log = {"audit_entries", "audit_leaves", "audit_heads"}
    with database.tenant(leaving.id) as session:
        for name in names - in_the_log:
            lines = (exported / "control" / f"{name}.jsonl").read_bytes().splitlines()
            count = session.connection().execute(select(func.count()).select_from(metadata.tables[name])).scalar_one()
            assert len(lines) == count, name
            schema = json.loads((exported / "json-schema" / f"{name}.json").read_bytes())
            for line in map(json.loads, lines):
                assert set(line) == set(schema["required"]), name
    assert {path.stem for path in (exported / "control").iterdir()} == names - in_the_log
    assert json.loads((exported / "control" / "organisations.jsonl").read_bytes().splitlines()[0])["ods_code"]


def test_what_is_not_in_it_says_why(exported):
    manifest = json.loads((exported / "manifest.json").read_bytes())
    left = {name for name, model in tenant_tables().items() if model.travels.how == "left"}
    assert {name for name in manifest["left_behind"] if "." not in name} == left
    assert all(manifest["left_behind"].values())
    assert "break_glass.sealed" in manifest["left_behind"]
    assert "sealed" not in json.loads((exported / "json-schema" / "break_glass.json").read_bytes())["properties"]


def test_no_identity_is_in_it(exported, hand_made):
    names = [patient.family for patient in (hand_made.ADA, hand_made.BEN, hand_made.CORA, hand_made.HIDDEN)]
    files = [path for path in exported.rglob("*") if path.is_file() and path.relative_to(exported).parts[0] != "packs"]
    assert len(files) > 50
    for path in files:
        content = path.read_bytes()
        assert [name for name in names if name.encode() in content] == [], path


def test_records_and_results_are_those_that_count(database, settings, leaving, exported):
    results = ResultStore(settings.store_root, leaving.id)
    with database.tenant(leaving.id) as session:
        rows = session.exec(select_rows(ResultFileRow).where(col(ResultFileRow.superseded).is_(None))).all()
    expected = []
    for row in rows:
        found = pq.read_table(results.path(row.path), filters=[("practice", "=", row.practice)]).to_pylist()
        expected.extend(repr((row.path, each)) for each in found)
    shown = [
        repr((path.relative_to(exported).as_posix(), each))
        for path in (exported / "results").rglob("*.parquet")
        for each in pq.read_table(path).to_pylist()
    ]
    assert sorted(shown) == sorted(expected)
    assert len(shown) > 1_000
    catalogue = [json.loads(line) for line in (exported / "records" / "catalogue.jsonl").read_bytes().splitlines()]
    assert {line["path"]: line["rows"] for line in catalogue} == {
        path.relative_to(exported).as_posix(): pq.read_metadata(path).num_rows
        for path in (exported / "records").rglob("*.parquet")
    }


def test_packs_are_there_as_published_and_codelists_as_used(exported):
    folder = next((exported / "packs" / PACKS[0]).iterdir())
    assert json.loads(next(folder.glob("*.pack")).read_bytes())
    codes = (folder / "codelists" / "cancer-diagnosis.csv").read_text().splitlines()
    assert codes[0] == "code,term,category,local"
    assert len(codes) > 100


# --- read without us --------------------------------------------------------------------------------------------------

ALONE = """
import importlib.util, json, sys
sys.path.append(sys.argv[1])
import duckdb
assert not [name for name in ("cohortium_platform", "pyarrow", "numpy") if importlib.util.find_spec(name)]
connection = duckdb.connect()
compared = connection.execute(open("recompute.sql", encoding="utf-8").read()).fetchall()
connection.execute(open("schema.sql", encoding="utf-8").read())
people = connection.sql("SELECT count(*) FROM patients").fetchall()
assert connection.sql("SELECT count(*) FROM control_organisations WHERE ods_code IS NOT NULL").fetchall()[0][0] > 3
assert connection.sql("SELECT max(finished) FROM control_evaluations").fetchall()[0][0].year > 2000
with open(sys.argv[2], "w", encoding="utf-8") as told:
    json.dump([compared, connection.sql("FROM differences").fetchall(), people], told, default=str)
"""


def test_duckdb_alone_recomputes_every_result_of_both_registries(exported, tmp_path):
    installed = Path(find_spec("duckdb").origin).parent.parent
    for place in [installed / "duckdb", *installed.glob("_duckdb.*"), *installed.glob("duckdb-*.dist-info")]:
        (tmp_path / place.name).symlink_to(place)
    command = [sys.executable, "-I", "-S", "-c", ALONE, str(tmp_path), str(tmp_path / "told.json")]
    done = subprocess.run(command, cwd=exported, capture_output=True, text=True, check=False, env={"HOME": os.devnull})
    assert done.returncode == 0, done.stderr
    compared, differences, people = json.loads((tmp_path / "told.json").read_bytes())
    assert differences == []
    assert [(pack, dates, differing) for pack, dates, _, _, differing in compared] == [
        (PACKS[0], 2, 0), (PACKS[1], 2, 0)
    ]  # fmt: skip
    assert all(results == recomputed > 100 for _, _, results, recomputed, _ in compared)
    rows = sum(pq.read_metadata(path).num_rows for path in (exported / "records").rglob("patients-*.parquet"))
    assert people == [[rows]]


def by_python_alone(folder):
    command = [sys.executable, "-I", "-S", str(folder / "verify.py")]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env={})


def test_pythons_own_library_verifies_it_and_says_what_it_cannot(exported):
    done = by_python_alone(exported)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NOT CHECKED: who signed" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("WHOLE: ")


# --- nothing is changed unseen ----------------------------------------------------------------------------------------


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def link(bundle):
    path = next((bundle / "results").rglob("*.parquet"))
    path.rename(bundle.parent / "elsewhere.parquet")
    path.symlink_to(bundle.parent / "elsewhere.parquet")


HARM = {
    "a byte of records": lambda bundle: flip(next((bundle / "records").rglob("*.parquet"))),
    "a byte of results": lambda bundle: flip(next((bundle / "results").rglob("*.parquet"))),
    "a byte of a table": lambda bundle: flip(bundle / "control" / "organisations.jsonl"),
    "a byte of the script": lambda bundle: flip(bundle / "recompute.sql"),
    "a byte of the log": lambda bundle: flip(bundle / "audit" / "log.ndjson"),
    "a file missing": lambda bundle: next((bundle / "records").rglob("*.parquet")).unlink(),
    "a file added": lambda bundle: (bundle / "control" / "more.jsonl").write_bytes(b"{}\n"),
    "a file cut short": lambda bundle: os.truncate(bundle / "recompute.sql", 9),
    "a file grown": lambda bundle: os.truncate(bundle / "recompute.sql", 1 << 40),
    "a link": link,
    "a linked folder": lambda bundle: (bundle / "control" / "all").symlink_to(bundle),
    "a pipe": lambda bundle: os.mkfifo(bundle / "control" / "pipe"),
}


@pytest.mark.parametrize("harm", HARM)
def test_what_was_changed_is_found(bundle, signer, harm):
    assert verify_bundle(bundle, key=signer.key).faults == []
    HARM[harm](bundle)
    assert verify_bundle(bundle, key=signer.key).faults
    assert by_python_alone(bundle).returncode == 1


def rewritten(bundle, change, by):
    """Change the manifest, and sign it as somebody."""
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_bytes())
    change(manifest)
    content = json.dumps(manifest).encode()
    path.write_bytes(content)
    (bundle / "manifest.sig").write_text(signed(content, by))


def test_a_signature_of_another_key_proves_nothing(bundle, signer):
    forger = LogSigner(signer.origin, bytes(32))
    rewritten(bundle, lambda manifest: manifest.update(written="2020-01-01"), forger)
    (fault,) = verify_bundle(bundle, key=signer.key).faults
    assert "signed" in fault
    flip(bundle / "manifest.sig")
    assert verify_bundle(bundle, key=signer.key).faults


def test_a_head_of_the_log_is_no_signature_of_a_manifest(database, leaving, bundle, signer):
    with database.tenant(leaving.id) as session:
        note = session.exec(select_rows(AuditHead.note)).first()
    (bundle / "manifest.sig").write_text(note)
    assert verify_bundle(bundle, key=signer.key).faults


@pytest.mark.parametrize(
    "path",
    [
        "../outside",
        "/etc/passwd",
        "control/../../x",
        "control//x",
        "c:\\x",
        "control/.hidden",
        "a\u0000b",
        "",
        ".",
        "é",
    ],
)
def test_a_manifest_that_leads_elsewhere_is_refused_though_it_is_signed(bundle, signer, path):
    rewritten(bundle, lambda manifest: manifest["files"][0].update(path=path), signer)
    with pytest.raises(BadInput, match="no place in a bundle"):
        verify_bundle(bundle, key=signer.key)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda manifest: manifest.update(format="cohortium-bundle/99"), "this version reads cohortium-bundle/1"),
        (lambda manifest: manifest["files"].append(manifest["files"][0]), "twice"),
        (lambda manifest: manifest["files"][0].update(bytes=-1), "no hash and no size"),
        (lambda manifest: manifest["files"][0].update(sha256="0"), "no hash and no size"),
        (lambda manifest: manifest["files"][0].update(more=1), "lacks something or holds too much"),
        (lambda manifest: manifest.pop("packs"), "lacks something or holds too much"),
        (lambda manifest: manifest.update(files=5), "lacks something or holds too much"),
    ],
)
def test_a_manifest_of_another_kind_is_refused(bundle, signer, change, said):
    rewritten(bundle, change, signer)
    with pytest.raises(BadInput, match=said):
        verify_bundle(bundle, key=signer.key)
    assert by_python_alone(bundle).returncode == 1 or "no hash" in said or "twice" in said or "too much" in said


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"[" * 100_000, b'{"format": 5}'])
def test_what_is_no_manifest_is_refused(content):
    with pytest.raises(BadInput):
        read_manifest(content)


# --- writing it -------------------------------------------------------------------------------------------------------


class Stopped(Exception):  # noqa: N818 - it is what a test does
    pass


def test_a_run_that_ends_early_is_taken_up(database, settings, leaving, signer, exported, tmp_path):
    folder, copied = tmp_path / "bundle", []

    def stop(_fraction, step):
        copied.append(step)
        if len(copied) == 6:
            raise Stopped

    with pytest.raises(Stopped):
        export_bundle(database, settings, leaving, signer, folder, asked=ASKED, progress=stop)
    assert not folder.exists()
    journal = tmp_path / ".bundle.unfinished" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes() + b'{"path": "records/half')  # the line that was being written
    done = export_bundle(database, settings, leaving, signer, folder, asked=ASKED)
    assert done.taken_up > 30
    assert verify_bundle(folder, key=signer.key).faults == []
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]

    def told(place):
        files = read_manifest((place / "manifest.json").read_bytes()).files
        return {file.path: file.sha256 for file in files if not file.path.startswith("audit/")}

    assert told(folder) == told(exported)


def test_a_place_that_is_taken_is_left_alone(database, settings, leaving, signer, tmp_path):
    for place in (tmp_path, tmp_path / "no" / "bundle"):
        with pytest.raises(BadInput, match="Name a new folder"):
            export_bundle(database, settings, leaving, signer, place, asked=ASKED)


def test_a_damaged_file_stops_the_export(database, settings, make_registry, key_encryption, tmp_path):
    tenant = make_registry()
    path = next((settings.store_root / str(tenant.id) / "records").rglob("events-*.parquet"))
    path.chmod(0o600)
    flip(path)
    by = log_signer(database, key_encryption, tenant)
    with pytest.raises(Unavailable, match="is not the file that was written"):
        export_bundle(database, settings, tenant, by, tmp_path / "bundle", asked=ASKED)
    assert not (tmp_path / "bundle").exists()


def test_results_that_nobody_could_work_out_again_stop_it(
    database, settings, make_registry, key_encryption, hand_made, tmp_path
):
    tenant = make_registry()
    store = RecordStore(settings.store_root, tenant.id)
    with database.tenant(tenant.id) as session:
        lay_over(session, store, hand_made.ELM, [EntryRow(1, 0, date(2025, 1, 20), REVIEW)], actor="test")
    by = log_signer(database, key_encryption, tenant)
    with pytest.raises(Conflict, match=f"for practice {hand_made.ELM}"):
        export_bundle(database, settings, tenant, by, tmp_path / "bundle", asked=ASKED)


def test_the_commands(database, settings, services, leaving, signer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    environment = {
        **services.settings_environment(),
        "COHORTIUM_STORE_URL": settings.store_url,
        "COHORTIUM_KEY_FILE": str(settings.key_file),
        "COHORTIUM_DEMO": "true",
    }
    runner = CliRunner(env=environment)
    done = runner.invoke(commands, ["export", "--tenant", leaving.slug, "--out", "bundle"])
    assert done.exit_code == 0, done.output
    assert str(signer.key) in done.output.replace("\n", "")
    whole = runner.invoke(commands, ["verify", "bundle", "--key", str(signer.key), "--json"])
    assert whole.exit_code == 0, whole.output
    assert json.loads(whole.stdout)["whole"] is True
    flip(tmp_path / "bundle" / "README.md")
    bad = runner.invoke(commands, ["verify", "bundle", "--key", str(signer.key)])
    assert bad.exit_code == 1
    assert "BAD: README.md was changed" in bad.output
    with database.tenant(leaving.id) as session:
        entries = session.exec(select_rows(AuditEntry).where(AuditEntry.action == "export-bundle")).all()
    assert entries[-1].actor.startswith("operator:")
