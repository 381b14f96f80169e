"""Exporters run in a process of their own: whatever one does there, the service goes on and nothing of it is left."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cohortium_platform.apart import ApartLimits
from cohortium_platform.errors import Cancelled
from cohortium_platform.exporting import EXPORTING, ExportFailed, write_apart
from cohortium_plugins.exporting import Export, ExportLevel
from cohortium_plugins.installed import installed_exporters

MODULE = """
import ctypes
import os
import time

from cohortium_plugins.exporting import ExportLevel
from cohortium_plugins.hookspecs import hookimpl


class Foreign:
    name = title = "foreign"
    level = ExportLevel.PSEUDONYMISED
    suffix = ".txt"
    media_type = "text/plain"

    def write(self, export, file):
        with file.open("w") as opened:
            opened.write("half of it")
            opened.flush()
            getattr(self, export.registry)(opened)

    def well(self, opened):
        opened.write(f" and the rest, by {os.getpid()}")

    def spies(self, opened):
        opened.write(",".join(name for name in os.environ if name.startswith("COHORTIUM_")))

    def breaks(self, opened):
        raise RuntimeError("SECRET of a row")

    def speaks(self, opened):
        import gc
        from multiprocessing.connection import Connection
        [sending] = [each for each in gc.get_objects() if isinstance(each, Connection)]
        sending.send_bytes(b'["progress", {}]')

    def dies(self, opened):
        os._exit(3)

    def hangs(self, opened):
        time.sleep(600)

    def hogs(self, opened):
        held = []
        while True:
            held.append(bytearray(2**24))

    def floods(self, opened):
        while True:
            opened.write("x" * 2**20)

    def crashes(self, opened):
        ctypes.string_at(0)

    def removes(self, opened):
        os.unlink(opened.name)

    def links(self, opened):
        os.unlink(opened.name)
        os.symlink("/etc/passwd", opened.name)


@hookimpl
def exporters():
    return [Foreign()]
"""
COLUMNS = ("pseudonym", "age", "care-plan")


@pytest.fixture
def foreign(install) -> None:
    """A distribution installed for the length of a test."""
    install("cohortium_foreign_exports", MODULE)


def export(folder: Path, registry: str) -> Export:
    """Two members of a registry."""
    rows = folder / "rows.parquet"
    table = {"pseudonym": ["0a", "0b"], "age": ["60-64", ""], "care-plan": ["met", "overdue"], "more": ["", ""]}
    pq.write_table(pa.table(table), rows)
    return Export(
        registry, "Registry", "1.2.0", "ab" * 32, date(2025, 11, 30), ExportLevel.PSEUDONYMISED, rows, COLUMNS, {}
    )


def write(folder: Path, registry: str, *, limits: ApartLimits = EXPORTING, waiting=lambda: None) -> Path:
    file = folder / "made.txt"
    write_apart(installed_exporters()["foreign"], export(folder, registry), file, limits, waiting=waiting)
    return file


@pytest.mark.usefixtures("foreign")
def test_it_is_found_beside_ours_and_writes_in_a_process_of_its_own(tmp_path, monkeypatch):
    assert list(installed_exporters()) == ["counts-csv", "fhir-summary", "foreign", "parquet"]
    said = write(tmp_path, "well").read_text()
    assert said.startswith("half of it and the rest, by ")
    assert int(said.rpartition(" ")[2]) != os.getpid()
    monkeypatch.setenv("COHORTIUM_DATABASE_URL", "postgresql://SECRET")
    assert write(tmp_path, "spies").read_text() == "half of it"


@pytest.mark.usefixtures("foreign")
@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("breaks", "broke down"),
        ("speaks", "broke down"),
        ("dies", "stopped without a word (exit code 3)"),
        ("hangs", "took longer than it may"),
        ("hogs", "needed more memory than it may"),
        ("floods", "broke down"),
        ("crashes", "crashed (SIGSEGV)"),
        ("removes", "wrote no file"),
        ("links", "wrote no file"),
    ],
)
def test_one_that_goes_wrong_is_named_and_leaves_nothing(tmp_path, what, said):
    limits = ApartLimits(seconds=6 if what == "hangs" else 60, bytes=2 * 2**30, file_bytes=2**25)
    with pytest.raises(ExportFailed) as failed:
        write(tmp_path, what, limits=limits)
    assert failed.value.message == f"The exporter foreign {said}."
    assert [path.name for path in tmp_path.iterdir() if path.name != "site"] == ["rows.parquet"]
    assert write(tmp_path, "well").is_file(), "the next is served"


@pytest.mark.usefixtures("foreign")
def test_it_ends_when_whoever_waits_stops_waiting(tmp_path):
    def cancelled() -> None:
        if (tmp_path / "made.txt").exists():
            raise Cancelled("The job was cancelled.")

    with pytest.raises(Cancelled):
        write(tmp_path, "hangs", waiting=cancelled)
    assert not (tmp_path / "made.txt").exists()


def test_a_parquet_file_says_of_what_it_is(tmp_path):
    file = tmp_path / "made.parquet"
    write_apart(
        installed_exporters()["parquet"], export(tmp_path, "cancer-care"), file, EXPORTING, waiting=lambda: None
    )
    made = pq.read_table(file)
    assert made.to_pydict() == {"pseudonym": ["0a", "0b"], "age": ["60-64", ""], "care-plan": ["met", "overdue"]}
    assert made.schema.metadata == {
        b"registry": b"cancer-care", b"version": b"1.2.0", b"definition_hash": b"ab" * 32,
        b"index_date": b"2025-11-30", b"level": b"pseudonymised",
    }  # fmt: skip
