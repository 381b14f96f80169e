"""Making a population: the one call, its progress and what it tells afterwards.

Here: the order of work, workers, and counts. Not here: how anything is drawn.

Each practice is a task of its own. A task depends on the options, the practice and the outcomes that a course decided
beforehand, never on another task, so the number of workers changes nothing but the time.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cohortium_platform.errors import BadInput
from cohortium_platform.synthetic.arrays import NEVER, day_of
from cohortium_platform.synthetic.cancer import REGISTER_START
from cohortium_platform.synthetic.course import Fitted, Reached, fit_course
from cohortium_platform.synthetic.extract import PracticeFiles, View, practice_tables, write_manifest
from cohortium_platform.synthetic.faults import Faults
from cohortium_platform.synthetic.options import SyntheticOptions
from cohortium_platform.synthetic.plan import Plan, plan
from cohortium_platform.synthetic.records import Record, make_record
from cohortium_platform.synthetic.trust import trust_tables

__all__ = ["Progress", "Synthesised", "synthesise"]

_EPISODES_EVERY = 5
_TRUST_TABLES = ("patients", "events")
_TABLES = ("patients", "registrations", "events", "medications", "consultations", "contacts")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the work has come, told after every practice."""

    practices: int
    of_practices: int
    events: int


@dataclass(frozen=True, slots=True)
class Synthesised:
    """What was made.

    `people` counts everyone once, `registered` those registered and alive at the end, `cancer` those of them with a
    cancer on the register. `rows` is by table over all practices' extracts, where a mover stands twice. `reached` is
    what the course's month ends will show when they are evaluated.
    """

    people: int
    registered: int
    cancer: int
    rows: tuple[tuple[str, int], ...]
    trust_rows: int
    faults: Faults
    reached: tuple[Reached, ...]


@dataclass(frozen=True, slots=True)
class _Made:
    """Counts of one practice's task."""

    rows: tuple[int, ...]
    trust_rows: int
    people: int
    registered: int
    cancer: int
    faults: Faults


def _views(whole: Plan, options: SyntheticOptions, practice: int) -> Iterator[tuple[int, View]]:
    """Give a practice's blocks, each with how the practice sees it."""
    first = 1
    for number in whole.of_practice[practice]:
        block = whole.blocks[number]
        # One system in five loses the episode type when it exports, as many do.
        episodes = practice % _EPISODES_EVERY != _EPISODES_EVERY - 1
        yield number, View(options.practices[practice].code, first, block.home != practice, episodes)
        first += block.size


def _counts(record: Record, options: SyntheticOptions) -> tuple[int, int, int]:
    """Count everyone, those registered and alive, and those of them on the cancer register."""
    today = day_of(options.records_to)
    here = (record.people.start <= today) & (record.people.end == NEVER) & (record.people.death == NEVER)
    members = here[record.cancer.patients.person] & (record.cancer.patients.first >= REGISTER_START)
    return record.people.size, int(here.sum()), int(members.sum())


def _make_practice(options: SyntheticOptions, folder: Path, practice: int, fitted: dict[int, Fitted]) -> _Made:
    """Make one practice's extract, and the trust's rows of its people."""
    whole, code = plan(options), options.practices[practice].code
    rows, trust_rows = np.zeros(len(_TABLES), dtype=np.int64), 0
    counts, faults = np.zeros(3, dtype=np.int64), Faults()
    with PracticeFiles(folder, code) as files, PracticeFiles(folder / "trust", code) as trust:
        for number, view in _views(whole, options, practice):
            block = whole.blocks[number]
            record = make_record(options, block, fitted.get(number))
            tables = practice_tables(record, view)
            rows += [files.write(table, tables[table]) for table in _TABLES]
            if view.departed:
                continue
            counts += _counts(record, options)
            faults += record.faults
            if options.trust is not None:
                given = trust_tables(options, block, record.people, record.cancer, record.identities)
                trust_rows += sum(trust.write(name, table) for name, table in zip(_TRUST_TABLES, given, strict=True))
    people, registered, cancer = (int(count) for count in counts)
    return _Made(tuple(int(count) for count in rows), trust_rows, people, registered, cancer, faults)


def _run(
    options: SyntheticOptions, folder: Path, fitted: dict[int, Fitted], told: Callable[[Progress], None]
) -> list[_Made]:
    """Run all tasks, in this process or in several."""
    whole, total = plan(options), len(options.practices)
    needed = [{number: fitted[number] for number in numbers if number in fitted} for numbers in whole.of_practice]
    made: list[_Made] = []

    def add(one: _Made) -> None:
        made.append(one)
        told(Progress(len(made), total, sum(item.rows[_TABLES.index("events")] for item in made)))

    if options.workers == 1:
        for practice in range(total):
            add(_make_practice(options, folder, practice, needed[practice]))
        return made
    # Started afresh, not forked: the caller may hold threads and connections.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(options.workers, total), mp_context=context) as pool:
        tasks = [pool.submit(_make_practice, options, folder, practice, needed[practice]) for practice in range(total)]
        for task in as_completed(tasks):
            add(task.result())
    return made


def synthesise(
    options: SyntheticOptions, out_dir: Path, progress: Callable[[Progress], None] | None = None
) -> Synthesised:
    """Write a synthetic population as a tabular extract, and the trust's beside it under `trust/`.

    Raises:
        BadInput: the options make no sense, or the folder is not empty.
    """
    options.check()
    if out_dir.exists() and any(out_dir.iterdir()):
        raise BadInput(f"The folder {out_dir.name} is not empty.", "Give a new folder, or empty this one first.")
    write_manifest(out_dir, options, source="gp")
    if options.trust is not None:
        write_manifest(out_dir / "trust", options, source=options.trust)
    fitted: dict[int, Fitted] = {}
    reached: tuple[Reached, ...] = ()
    if options.course is not None:
        fitted, reached = fit_course(options, options.course)
    made = _run(options, out_dir, fitted, progress or (lambda _: None))
    return Synthesised(
        people=sum(one.people for one in made),
        registered=sum(one.registered for one in made),
        cancer=sum(one.cancer for one in made),
        rows=tuple((table, sum(one.rows[place] for one in made)) for place, table in enumerate(_TABLES)),
        trust_rows=sum(one.trust_rows for one in made),
        faults=sum((one.faults for one in made), Faults()),
        reached=reached,
    )
