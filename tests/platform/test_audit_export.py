"""Exported logs: whole ones verify; each attack is seen and the first bad entry named, by both verifiers."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import text

from cohortium_platform.audit import Entry, record_many
from cohortium_platform.audit.exporting import ExportRequest, export_log
from cohortium_platform.audit.heads import take_head
from cohortium_platform.audit.notes import LogKey, LogSigner
from cohortium_platform.audit.tree import Frontier, leaf_hash
from cohortium_platform.audit.verifying import FaultKind, Verified, verify_export
from cohortium_platform.database import Database
from cohortium_platform.errors import BadInput
from cohortium_platform.keys import KeyEncryption
from cohortium_platform.settings import Settings
from cohortium_tenants.tenants import Tenant
from cohortium_tenants.tenants.signing import log_signer

ASKED = Entry(action="audit-export", resource="audit/log", actor="officer")
SECOND = Path(__file__).resolve().parents[2] / "docs" / "ig-officer" / "verify_log.py"


@dataclass
class Log:
    """An exported log of 31 entries with checkpoints of 11, 21 and 31, and the checkpoint of 21 that was kept."""

    folder: Path
    signer: LogSigner
    kept: str

    def lines(self, name: str = "log.ndjson") -> list[str]:
        return (self.folder / name).read_text().splitlines()

    def write(self, lines: list[str], name: str = "log.ndjson") -> None:
        (self.folder / name).write_text("".join(line + "\n" for line in lines))

    def rehash(self) -> None:
        """Make the leaves fit the entries, as somebody would who knows how the export is made."""
        self.write([leaf_hash(line.encode()).hex() for line in self.lines()], "leaves.txt")

    def sign_anew(self, sizes: list[int]) -> None:
        """Make the checkpoints fit too, as only somebody with the key could."""
        frontier, notes = Frontier(), []
        for line in self.lines("leaves.txt"):
            frontier.append(bytes.fromhex(line))
            if frontier.size in sizes:
                notes.append(
                    {"at": "", "size": frontier.size, "note": self.signer.sign(frontier.size, frontier.root())}
                )
        self.write([json.dumps(note) for note in notes], "checkpoints.ndjson")

    def verify(self, *, kept: bool = False) -> Verified:
        return verify_export(self.folder, key=self.signer.key, kept=[self.kept] if kept else [])

    def second(self, *, kept: bool = False) -> subprocess.CompletedProcess[str]:
        """Verify by the other program, in a Python that knows nothing of this project."""
        command = [sys.executable, "-I", str(SECOND), str(self.folder), "--key", str(self.signer.key)]
        if kept:
            (self.folder.parent / "kept.txt").write_text(self.kept)
            command += ["--kept", str(self.folder.parent / "kept.txt")]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def write(database: Database, tenant: Tenant, number: int) -> None:
    with database.tenant(tenant.id) as session:
        record_many(session, [Entry(action="view", resource=f"patient/{n}", detail={"n": n}) for n in range(number)])


@pytest.fixture(scope="module")
def exported(database: Database, key_encryption: KeyEncryption, tmp_path_factory: pytest.TempPathFactory) -> Log:
    from cohortium_tenants.tenants import create_tenant  # noqa: PLC0415 - one log for the whole module

    tenant = create_tenant(database, key_encryption, slug="exported-log", name="Testshire ICB", ods_code="QT9")
    signer = log_signer(database, key_encryption, tenant)
    kept = ""
    for size in (10, 10):
        write(database, tenant, size)
        head = take_head(database, tenant.id, signer)
        assert head is not None
        kept = head.note
    write(database, tenant, 9)
    folder = tmp_path_factory.mktemp("exports") / "log"
    done = export_log(database, tenant.id, signer, ExportRequest(folder, ASKED))
    assert (done.first, done.entries, done.size, done.missing, done.broken) == (0, 31, 31, 0, "")
    return Log(folder, signer, kept)


@pytest.fixture
def log(exported: Log, tmp_path: Path) -> Log:
    """A copy to spoil."""
    shutil.copytree(exported.folder, tmp_path / "log")
    return Log(tmp_path / "log", exported.signer, exported.kept)


def test_a_whole_log_verifies(log: Log) -> None:
    done = log.verify(kept=True)
    assert done.faults == ()
    assert (done.origin, done.first, done.entries, done.size, done.checkpoints) == (log.signer.origin, 0, 31, 31, 3)
    assert done.remarks == ("Your checkpoint of 21 entries is the beginning of this log.",)
    second = log.second(kept=True)
    assert second.returncode == 0, second.stdout
    assert "31 entries" in second.stdout


def test_the_export_says_what_it_is_and_records_itself(log: Log) -> None:
    assert {path.name for path in log.folder.iterdir()} == {
        "README.md", "manifest.json", "log.ndjson", "leaves.txt", "checkpoints.ndjson", "checkpoint.txt", "key.txt",
    }  # fmt: skip
    last = json.loads(log.lines()[-1])
    assert (last["action"], last["actor"]) == ("audit-export", "officer")
    assert (log.folder / "checkpoint.txt").read_text() == json.loads(log.lines("checkpoints.ndjson")[-1])["note"]
    assert LogKey.parse((log.folder / "key.txt").read_text()) == log.signer.key
    readme = (log.folder / "README.md").read_text()
    assert all(f"`{path.name}`" in readme for path in log.folder.iterdir() if path.name != "README.md")


def test_without_a_key_of_ones_own_it_says_to_compare(log: Log) -> None:
    done = verify_export(log.folder)
    assert done.faults == ()
    assert str(log.signer.key) in done.remarks[0]


def test_the_second_verifier_says_what_it_cannot_check(log: Log) -> None:
    command = [sys.executable, "-I", "-S", str(SECOND), str(log.folder)]  # without packages
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("NOT CHECKED: who signed") == 3
    change(log)
    assert subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 1


# Each attack: what is done, the kind and the first bad place that must be named. Those on the log alone leave the leaf
# hashes as they were; "knowing" ones make the leaf hashes fit too, so that only checkpoints can tell.


def delete(log: Log) -> None:
    log.write([line for n, line in enumerate(log.lines()) if n != 14])


def delete_three(log: Log) -> None:
    log.write([line for n, line in enumerate(log.lines()) if n not in {14, 15, 16}])


def change(log: Log) -> None:
    log.write([line.replace('"actor":"service"', '"actor":"nobody"') if n == 14 else line for n, line in at(log)])


def insert(log: Log) -> None:
    lines = log.lines()
    log.write([*lines[:14], lines[2].replace("patient/1", "patient/9"), *lines[14:]])


def reorder(log: Log) -> None:
    lines = log.lines()
    lines[14], lines[17] = lines[17], lines[14]
    log.write(lines)


def truncate(log: Log) -> None:
    log.write(log.lines()[:14])


def empty(log: Log) -> None:
    log.write(["" if n == 14 else line for n, line in at(log)])


def append(log: Log) -> None:
    log.write([*log.lines(), log.lines()[3]])


def at(log: Log) -> list[tuple[int, str]]:
    return list(enumerate(log.lines()))


@pytest.mark.parametrize(
    ("attack", "kind", "place"),
    [
        (delete, FaultKind.DELETED, 14),
        (delete_three, FaultKind.DELETED, 14),
        (change, FaultKind.CHANGED, 14),
        (insert, FaultKind.INSERTED, 14),
        (reorder, FaultKind.REORDERED, 14),
        (truncate, FaultKind.TRUNCATED, 14),
        (empty, FaultKind.DELETED, 14),
        (append, FaultKind.INSERTED, 31),
    ],
)
def test_an_edited_log_is_seen_and_the_place_named(
    log: Log, attack: Callable[[Log], None], kind: FaultKind, place: int
) -> None:
    attack(log)
    (fault,) = log.verify().faults
    assert (fault.kind, fault.place, fault.until) == (kind, place, None)
    second = log.second()
    assert second.returncode == 1
    assert f"place {place}" in second.stdout


@pytest.mark.parametrize("attack", [delete, change, insert, reorder, empty])
def test_an_edited_log_whose_leaves_were_made_to_fit_is_seen_by_its_checkpoints(
    log: Log, attack: Callable[[Log], None]
) -> None:
    attack(log)
    log.rehash()
    faults = {fault.kind: fault for fault in log.verify().faults}
    assert (faults[FaultKind.ALTERED].place, faults[FaultKind.ALTERED].until) == (11, 21)
    second = log.second()
    assert second.returncode == 1
    assert re.search(r"places? 11 to 20", second.stdout)


EDITS = st.lists(
    st.tuples(st.sampled_from(["delete", "copy", "swap", "change"]), st.integers(0, 30), st.integers(0, 30)),
    min_size=1, max_size=4,
)  # fmt: skip


@hypothesis_settings(max_examples=60, deadline=None)
@given(EDITS, st.booleans())
def test_any_edit_is_seen_at_the_first_place_it_touches(
    exported: Log,
    edits: list[tuple[str, int, int]],
    knowing: bool,  # noqa: FBT001 - drawn
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(exported.folder, Path(folder) / "log")
        log = Log(Path(folder) / "log", exported.signer, exported.kept)
        before = log.lines()
        after = list(before)
        for what, one, other in edits:
            edit(after, what, one % len(after), other % len(after))
        log.write(after)
        if knowing:
            log.rehash()
        faults = log.verify().faults
    first = next((n for n, pair in enumerate(zip_longest(before, after)) if pair[0] != pair[1]), None)
    assert bool(faults) == (first is not None)
    if first is None:
        return
    places = [fault.place if fault.not_before is None else fault.not_before for fault in faults]
    if not knowing:
        assert places == [first]
    elif first < 31:  # checkpoints of 11, 21 and 31 tell the span it lies in
        assert min(places) == max(size for size in (0, 11, 21) if size <= first)
    else:
        assert places == [31]


def edit(lines: list[str], what: str, one: int, other: int) -> None:
    if what == "delete" and len(lines) > 1:
        del lines[one]
    elif what == "copy":
        lines.insert(one, lines[other])
    elif what == "swap":
        lines[one], lines[other] = lines[other], lines[one]
    elif what == "change":
        lines[one] = lines[one].replace("a", "b", 1)


def test_a_log_cut_off_with_its_leaves_is_seen_by_its_last_checkpoint(log: Log) -> None:
    truncate(log)
    log.rehash()
    (fault,) = log.verify().faults
    assert (fault.kind, fault.place) == (FaultKind.TRUNCATED, 14)
    assert "from place 11 on" in fault.message
    assert log.second().returncode == 1


def test_a_log_cut_off_with_its_checkpoints_is_seen_by_the_one_that_was_kept(log: Log) -> None:
    log.write(log.lines()[:11])
    log.rehash()
    log.write(log.lines("checkpoints.ndjson")[:1], "checkpoints.ndjson")
    assert log.verify().faults == ()
    (fault,) = log.verify(kept=True).faults
    assert (fault.kind, fault.place) == (FaultKind.TRUNCATED, 11)
    assert log.second(kept=True).returncode == 1


def test_a_forked_log_is_seen_by_the_checkpoint_that_was_kept(log: Log) -> None:
    change(log)
    log.rehash()
    log.sign_anew([11, 21, 31])
    assert log.verify().faults == (), "two logs signed by one key: each is whole by itself"
    (fault,) = log.verify(kept=True).faults
    assert (fault.kind, fault.place, fault.until) == (FaultKind.FORKED, 0, 21)
    second = log.second(kept=True)
    assert second.returncode == 1
    assert "fork" in second.stdout


def test_a_fork_between_two_kept_checkpoints_lies_between_them(log: Log) -> None:
    early = json.loads(log.lines("checkpoints.ndjson")[0])["note"]
    change(log)
    log.rehash()
    log.sign_anew([31])
    done = verify_export(log.folder, key=log.signer.key, kept=[log.kept, early])
    assert [(fault.kind, fault.place, fault.until) for fault in done.faults] == [(FaultKind.FORKED, 11, 21)]


def test_a_fork_within_the_export_is_seen(log: Log) -> None:
    old = log.lines("checkpoints.ndjson")
    change(log)
    log.rehash()
    log.sign_anew([31])
    log.write([*old[:2], *log.lines("checkpoints.ndjson")], "checkpoints.ndjson")
    (fault,) = log.verify().faults
    assert (fault.kind, fault.place, fault.until) == (FaultKind.FORKED, 11, 21)
    assert log.second().returncode == 1
    log.write([*old, *log.lines("checkpoints.ndjson")], "checkpoints.ndjson")
    assert "Two signed checkpoints of 31" in log.verify().faults[0].message
    assert log.second().returncode == 1


@pytest.mark.parametrize("name", ["leaves.txt", "log.ndjson", "checkpoints.ndjson", "key.txt"])
def test_a_file_that_is_gone_is_seen(log: Log, name: str) -> None:
    (log.folder / name).unlink()
    if name == "key.txt":
        assert log.verify().faults == ()
        with pytest.raises(BadInput, match="not the public key"):
            verify_export(log.folder)
    else:
        assert log.verify().faults
        assert log.second().returncode == 1


@pytest.mark.parametrize("name", ["leaves.txt", "log.ndjson", "checkpoints.ndjson"])
def test_rubbish_is_no_crash(log: Log, name: str) -> None:
    (log.folder / name).write_bytes(b"\xff\xfe not \x00 text\n" * 40)
    assert log.verify().faults
    assert log.second().returncode == 1


def test_checkpoints_of_another_key_prove_nothing(log: Log) -> None:
    log.signer = LogSigner(log.signer.origin, bytes(32))
    kinds = {fault.kind for fault in log.verify().faults}
    assert kinds == {FaultKind.UNPROVEN}
    assert log.second().returncode == 1


def test_what_is_no_export_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no exported audit log"):
        verify_export(tmp_path)


def test_an_altered_manifest_hides_nothing(log: Log) -> None:
    log.write(log.lines()[:14])
    manifest = json.loads((log.folder / "manifest.json").read_text())
    (log.folder / "manifest.json").write_text(json.dumps({**manifest, "entries": 14, "whole": False}))
    done = log.verify()
    assert (done.entries, done.size) == (14, 31)
    assert "holds 14 of the log's 31 entries" in done.remarks[0]
    (log.folder / "manifest.json").write_text(json.dumps({**manifest, "first": 5}))
    assert log.verify().faults[0].place == 5


# -- writing ----------------------------------------------------------------------------------------------------------


def set_days(owner_database: Database, tenant: Tenant) -> None:
    """Spread the entries over days before they are placed: entry n on day n of October, the first two exchanged."""
    with owner_database.tenant(tenant.id) as session:
        session.connection().execute(
            text(
                "UPDATE audit_entries SET at = make_timestamptz(2026, 10, CASE ticket WHEN 1 THEN 2 WHEN 2 THEN 1"
                " ELSE ticket END::int, 12, 0, 0, 'UTC')"
            )
        )


def test_days_are_exported_with_the_means_to_prove_them(
    database: Database, owner_database: Database, key_encryption: KeyEncryption, tenant: Tenant, tmp_path: Path
) -> None:
    signer = log_signer(database, key_encryption, tenant)
    write(database, tenant, 19)
    set_days(owner_database, tenant)
    days = {"since": datetime(2026, 10, 5, tzinfo=UTC), "until": datetime(2026, 10, 9, tzinfo=UTC)}
    done = export_log(database, tenant.id, signer, ExportRequest(tmp_path / "days", ASKED, **days))
    assert (done.first, done.entries, done.size) == (4, 4, 21)
    verified = verify_export(tmp_path / "days", key=signer.key)
    assert verified.faults == ()
    assert "holds 4 of the log's 21 entries, from place 4 on" in verified.remarks[0]
    lines = (tmp_path / "days" / "log.ndjson").read_text().splitlines()
    (tmp_path / "days" / "log.ndjson").write_text("".join(f"{line}\n" for line in (*lines[:2], *lines[3:])))
    assert [(fault.kind, fault.place) for fault in verify_export(tmp_path / "days", key=signer.key).faults] == [
        (FaultKind.DELETED, 6)
    ]
    none = ExportRequest(tmp_path / "none", ASKED, since=datetime(2031, 1, 1, tzinfo=UTC))
    assert export_log(database, tenant.id, signer, none).entries == 0
    assert verify_export(tmp_path / "none", key=signer.key).faults == ()


def test_a_clock_that_was_set_back_is_remarked_on(
    database: Database, owner_database: Database, key_encryption: KeyEncryption, tenant: Tenant, tmp_path: Path
) -> None:
    signer = log_signer(database, key_encryption, tenant)
    write(database, tenant, 3)
    set_days(owner_database, tenant)
    export_log(database, tenant.id, signer, ExportRequest(tmp_path / "log", ASKED))
    done = verify_export(tmp_path / "log", key=signer.key)
    assert done.faults == ()
    assert "place 1 says it was written 1 day, 0:00:00 before" in done.remarks[0]


def test_an_entry_removed_from_the_table_is_an_empty_line_and_named(
    database: Database, owner_database: Database, key_encryption: KeyEncryption, tenant: Tenant, tmp_path: Path
) -> None:
    signer = log_signer(database, key_encryption, tenant)
    write(database, tenant, 5)
    take_head(database, tenant.id, signer)
    with owner_database.tenant(tenant.id) as session:
        session.connection().execute(text("DELETE FROM audit_entries WHERE ticket = 3"))
    done = export_log(database, tenant.id, signer, ExportRequest(tmp_path / "log", ASKED))
    assert done.missing == 1
    assert [(fault.kind, fault.place) for fault in verify_export(tmp_path / "log", key=signer.key).faults] == [
        (FaultKind.DELETED, 2)
    ]


def test_a_broken_log_is_exported_as_it_is(
    database: Database, owner_database: Database, key_encryption: KeyEncryption, tenant: Tenant, tmp_path: Path
) -> None:
    signer = log_signer(database, key_encryption, tenant)
    write(database, tenant, 5)
    take_head(database, tenant.id, signer)
    with owner_database.tenant(tenant.id) as session:
        session.connection().execute(text("DELETE FROM audit_leaves WHERE place > 3"))
    done = export_log(database, tenant.id, signer, ExportRequest(tmp_path / "log", ASKED))
    assert "end at place 4 where 6" in done.broken
    assert [(fault.kind, fault.place) for fault in verify_export(tmp_path / "log", key=signer.key).faults] == [
        (FaultKind.TRUNCATED, 4)
    ]


def test_a_folder_is_not_written_over_and_none_is_left_half_written(
    database: Database, key_encryption: KeyEncryption, tenant: Tenant, tmp_path: Path
) -> None:
    signer = log_signer(database, key_encryption, tenant)
    (tmp_path / "log").mkdir()
    for taken in (tmp_path / "log", tmp_path / "absent" / "log"):
        with pytest.raises(BadInput, match="Name a new folder"):
            export_log(database, tenant.id, signer, ExportRequest(taken, ASKED))
    with pytest.raises(OSError, match="File name too long"):
        export_log(database, tenant.id, signer, ExportRequest(tmp_path / ("x" * 240), ASKED))
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


KILLED = """
import sys
from pathlib import Path
from uuid import UUID
from cohortium_platform.audit import Entry
from cohortium_platform.audit.exporting import ExportRequest, export_log
from cohortium_platform.audit.notes import LogSigner
from cohortium_platform.database import Database
url, tenant, origin, key, folder = [line.strip() for line in sys.stdin]
request = ExportRequest(Path(folder), Entry(action="audit-export", resource="audit/log"))
export_log(Database(url), UUID(tenant), LogSigner(origin, bytes.fromhex(key)), request)
"""


def test_an_export_that_is_killed_never_looks_like_one(
    database: Database, key_encryption: KeyEncryption, settings: Settings, tenant: Tenant, tmp_path: Path
) -> None:
    signer = log_signer(database, key_encryption, tenant)
    write(database, tenant, 5_000)
    take_head(database, tenant.id, signer)
    orders = [settings.database_url.get_secret_value(), str(tenant.id), signer.origin, signer.private.hex()]
    process = subprocess.Popen([sys.executable, "-c", KILLED], stdin=subprocess.PIPE, text=True)
    assert process.stdin is not None
    process.stdin.write("\n".join([*orders, str(tmp_path / "log")]))
    process.stdin.close()
    while not list(tmp_path.iterdir()):
        time.sleep(0.002)
    process.kill()
    process.wait()
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".log.unfinished-"), "it was killed too late to be a test"
    export_log(database, tenant.id, signer, ExportRequest(tmp_path / "log", ASKED))
    assert verify_export(tmp_path / "log", key=signer.key).faults == ()
