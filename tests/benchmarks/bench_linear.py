"""How the time of an evaluation grows with patients and with indicators.

BENCH_PICTURE=1 draws docs/pictures/evaluation-time.svg anew.
"""
# ruff: noqa: T201 - a benchmark prints

from __future__ import annotations

import os
import statistics
import time
from dataclasses import replace
from pathlib import Path

import duckdb

from cohortium_platform.engine.duckdb import evaluate
from cohortium_platform.engine.duckdb_running import EngineSettings
from cohortium_platform.engine.evaluated import Kind
from cohortium_plugins.model import Definition

from .conftest import INDEX_DATE, THREADS, BenchRecords

PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "evaluation-time.svg"
SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)
COUNTS = (1, 5, 10, 15, 20, 25)
TIMES = 3


def seconds(records: BenchRecords, rules: Definition, practices: list[str]) -> float:
    """Give the median time of an evaluation, after one run that does not count."""
    spent = []
    for _ in range(TIMES + 1):
        began = time.perf_counter()
        settings = EngineSettings(THREADS, "3GB", Path("/tmp"), records.extracts)  # noqa: S108
        with evaluate(rules, records, practices, [INDEX_DATE], settings=settings) as tables:
            tables.fetch(Kind.RESULTS)
        spent.append(time.perf_counter() - began)
    return statistics.median(spent[1:])


def people_of(records: BenchRecords, practices: list[str]) -> int:
    with duckdb.connect() as connection:
        listed = [records.files("patients", practices)]
        return connection.execute("SELECT count(*) FROM read_parquet($1)", listed).fetchall()[0][0]


def test_linear(bench_records, pack_definition) -> None:
    records, rules = bench_records, pack_definition
    print(f"\n{records.said()}")
    by_people = []
    for share in SHARES:
        practices = records.practices[: max(1, round(share * len(records.practices)))]
        by_people.append((people_of(records, practices), seconds(records, rules, practices)))
        print(f"  {by_people[-1][0]:>12,} people          {by_people[-1][1]:7.3f} s")
    by_rules = []
    for count in COUNTS:
        some = replace(rules, indicators=rules.indicators[:count])
        by_rules.append((count, seconds(records, some, records.practices)))
        print(f"  {count:>12} indicators      {by_rules[-1][1]:7.3f} s")
    growth = (by_people[-1][1] / by_people[0][1]) / (by_people[-1][0] / by_people[0][0])
    each = (by_rules[-1][1] / by_rules[0][1]) / COUNTS[-1]
    print(f"  time grows by {growth:.2f} of the growth in people, by {each:.2f} of the growth in indicators")
    if os.environ.get("BENCH_PICTURE"):
        draw(records.said(), by_people, by_rules)


def draw(title: str, by_people: list[tuple[int, float]], by_rules: list[tuple[int, float]]) -> None:
    """Draw both as lines from zero, so that what is linear looks straight."""
    import matplotlib as mpl  # noqa: PLC0415 - only `make bench` installs it

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "cohortium", "font.size": 9})
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the choice of how to draw

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True)
    left.plot([n / 1e6 for n, _ in by_people], [s for _, s in by_people], marker="o", color="#005eb8")
    left.set(xlabel="million people, 25 indicators", ylabel="seconds", xlim=(0, None), ylim=(0, None))
    right.plot([n for n, _ in by_rules], [s for _, s in by_rules], marker="o", color="#005eb8")
    right.set(xlabel="indicators, everyone", xlim=(0, None))
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.suptitle(title, fontsize=7)
    figure.tight_layout()
    figure.savefig(PICTURE, metadata={"Date": None})
