"""One evaluation of the cancer care pack in a process of its own, which says how long it took and its most memory.

Started by `bench_evaluate.py`, with a JSON document of the records' folder, the memory limit, the threads and how many
month ends.
"""
# ruff: noqa: T201 - its output is its answer

from __future__ import annotations

import importlib.util
import json
import sys
import time
from pathlib import Path

from cohortium_pack_cancer_care import indicator_packs
from cohortium_platform.engine.duckdb import evaluate
from cohortium_platform.engine.duckdb_running import EngineSettings
from cohortium_platform.engine.evaluated import Kind
from cohortium_plugins.dates import add
from cohortium_plugins.model import Duration, Unit
from cohortium_plugins.model.serialise import bind


def most_memory() -> int:
    """Give the most memory this process has had in use, in KiB. Its parent's counts not, as it would with getrusage."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")))


def main() -> None:
    """Evaluate once, and print seconds and peak resident memory."""
    asked = json.loads(sys.argv[1])
    spec = importlib.util.spec_from_file_location("shared", Path(__file__).with_name("conftest.py"))
    shared = importlib.util.module_from_spec(spec)
    sys.modules["shared"] = shared
    spec.loader.exec_module(shared)
    records = shared.BenchRecords(Path(asked["folder"]))
    settings = EngineSettings(asked["threads"], asked["memory"], Path("/tmp"), records.extracts)  # noqa: S108
    before = most_memory()
    began = time.perf_counter()
    rules = bind(indicator_packs()[0].definition)
    days = [add(shared.INDEX_DATE, Duration(-months, Unit.MONTHS)) for months in range(asked["months"])]
    with evaluate(rules, records, records.practices, days, settings=settings) as tables:
        rows = tables.fetch(Kind.RESULTS).num_rows
    seconds = time.perf_counter() - began
    peak = most_memory()
    print(f"{seconds:.2f} s, most memory {peak / 2**20:.2f} GiB ({before / 2**20:.2f} before), {rows:,} results")


main()
