"""An importer of another distribution runs in a process of its own, and can say only what it may."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cohortium_platform.ingest import DeliveryRefused, LoadLimits
from cohortium_plugins.installed import installed_importers

MODULE = """
import ctypes
import os
import sys
import time
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from cohortium_plugins.hookspecs import hookimpl
from cohortium_plugins.importing import DeliveredFile, Severity, Unreadable

HEADER = ("local_id", "date_of_birth", "sex", "practice")


class Foreign:
    name = title = "foreign"

    def recognises(self, delivery):
        return (delivery / "foreign.txt").exists()

    def read(self, delivery, options, staging):
        getattr(self, (delivery / "foreign.txt").read_text().strip())(delivery, staging)

    def well(self, delivery, staging):
        staging.scope(source="gp", practices=["A81001"])
        staging.records_to(date(2025, 11, 30))
        staging.progress(1, 2)
        row = dict(zip(HEADER, ("1", "1950-01-01", "f", "A81001"))) | dict(file="x", line=1)
        pq.write_table(pa.Table.from_pylist([row]), staging.directory / "patients-1.parquet")
        (delivery / "made-by").write_text(str(os.getpid()))
        staging.finding(Severity.WARNING, "a remark", file="foreign.txt", line=1, table="events")

    def in_place(self, delivery, staging):
        staging.records_to(date(2025, 11, 30), practice="A81001")
        columns = {name: (name,) for name in HEADER}
        staging.delivered(DeliveredFile("patients", delivery / "p.csv", "p.csv", "csv", HEADER, columns))

    def elsewhere(self, delivery, staging):
        columns = {name: (name,) for name in HEADER}
        staging.delivered(DeliveredFile("patients", Path("/etc/passwd"), "p.csv", "csv", HEADER, columns))

    def refuses(self, delivery, staging):
        raise Unreadable("not the shape I read", file="foreign.txt", line=3, advice="Send another.")

    def breaks(self, delivery, staging):
        raise RuntimeError("SECRET of a record")

    def dies(self, delivery, staging):
        os._exit(3)

    def hangs(self, delivery, staging):
        time.sleep(600)

    def crashes(self, delivery, staging):
        ctypes.string_at(0)

    def spies(self, delivery, staging):
        if any(name.startswith("COHORTIUM_") for name in os.environ):
            raise RuntimeError("it sees the server's settings")
        self.well(delivery, staging)

    def hogs(self, delivery, staging):
        staging.held = bytearray(2**40)

    def shouts(self, delivery, staging):
        staging.saying.sending.send_bytes(b'["finding", {"severity": "loud"}]')

    def pickles(self, delivery, staging):
        import pickle
        staging.saying.sending.send_bytes(pickle.dumps(os.getcwd))


@hookimpl
def importers():
    return [Foreign()]
"""


@pytest.fixture
def foreign(install) -> None:
    """A distribution installed for the length of a test."""
    install("cohortium_foreign", MODULE)


def delivery(loads, what: str) -> Path:
    root = loads.write({"foreign.txt": what, "p.csv": "local_id,date_of_birth,sex,practice\n1,1950-01-01,f,A81001\n"})
    (root / "extract.yaml").unlink()
    return root


@pytest.mark.usefixtures("foreign")
def test_it_is_found_and_its_rows_are_loaded(loads):
    assert list(installed_importers()) == ["fhir", "foreign", "tabular"]
    root = delivery(loads, "well")
    result = loads.load(root)
    assert (result.importer, result.practices) == ("foreign", ["A81001"])
    assert result.report.rows("a remark", table="events") == 1
    assert int((root / "made-by").read_text()) != os.getpid(), "it ran in a process of its own"


@pytest.mark.usefixtures("foreign")
def test_it_may_leave_the_deliverys_files_where_they_lie(loads):
    assert loads.load(delivery(loads, "in_place")).practices == ["A81001"]


@pytest.mark.usefixtures("foreign")
def test_it_sees_nothing_of_the_servers_settings(loads, monkeypatch):
    monkeypatch.setenv("COHORTIUM_DATABASE_URL", "postgresql://SECRET")
    assert loads.load(delivery(loads, "spies")).practices == ["A81001"]


@pytest.mark.usefixtures("foreign")
@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("elsewhere", "the importer foreign broke down"),
        ("refuses", "foreign.txt, line 3: not the shape I read. Send another."),
        ("breaks", "the importer foreign broke down"),
        ("dies", "the importer foreign stopped without a word (exit code 3)"),
        ("hangs", "the importer foreign took longer than it may"),
        ("hogs", "the importer foreign needed more memory than it may"),
        ("crashes", "the importer foreign crashed (SIGSEGV)"),
        ("shouts", "the importer foreign broke down"),
        ("pickles", "the importer foreign broke down"),
    ],
)
def test_what_goes_wrong_there_refuses_the_delivery(loads, what, said):
    before = loads.state()
    with pytest.raises(DeliveryRefused) as refused:
        loads.load(delivery(loads, what), limits=LoadLimits(importer_seconds=3 if what == "hangs" else 60))
    assert said in str(refused.value)
    assert "SECRET" not in str(refused.value)
    assert loads.state() == before
