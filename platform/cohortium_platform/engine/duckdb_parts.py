"""An evaluation of many practices in parts, several at a time: each processor has one of its own, and no more people
are in memory at once than these have.

Practices are independent of each other, and parts follow in their order, so that results are what they would be in one
piece. Not here: evaluating a part (`duckdb`).
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise
from threading import Lock
from types import TracebackType
from typing import Self
from uuid import uuid4

import pyarrow as pa

from cohortium_platform.engine.control import Cancellation, EngineSettings, Progress
from cohortium_platform.engine.evaluated import Kind

__all__ = ["PartedTables", "Run", "parts_of", "settings_of_part", "workers_of"]

Fetched = Mapping[Kind, pa.Table]
Run = Callable[[Sequence[str], Collection[Kind], Cancellation, Progress], Fetched]
"""Evaluates the practices of a part and fetches some kinds of tables."""

_MEMBERS_A_PRACTICE, _PEOPLE_A_PRACTICE = 300, 10_000
"""How many people are looked at where membership needs a code, and where anyone may be a member: only the balance
matters."""

_AT_ONCE = 100_000
"""So many people, once for each index date, make a part: planning it costs little beside them."""

_SMALL = 12
"""No part of a division among processors has fewer practices: planning it would cost as much as its people."""

_TOLD_EVERY = 0.25
_EAGER = (Kind.RESULTS, Kind.LIST)


def workers_of(settings: EngineSettings) -> int:
    """Tell how many parts are worked on at a time."""
    return settings.threads or os.cpu_count() or 1


def parts_of(practices: Sequence[str], dates: int, workers: int, *, anyone: bool) -> list[Sequence[str]]:
    """Divide practices. `anyone`: whether anyone may be a member, or only people with some code."""
    people = len(practices) * dates * (_PEOPLE_A_PRACTICE if anyone else _MEMBERS_A_PRACTICE)
    count = max(math.ceil(people / _AT_ONCE), min(workers, len(practices) // _SMALL), 1)
    count = min(count, len(practices))
    ends = [round(len(practices) * number / count) for number in range(count + 1)]
    return [practices[start:end] for start, end in pairwise(ends)]


def settings_of_part(settings: EngineSettings, workers: int) -> EngineSettings:
    """Give what a part may use where several run at a time: one thread, its share of the memory, and a folder of its
    own to spill into, since each has a DuckDB of its own and these would write over each other's files.
    """
    found = re.fullmatch(r"\s*([0-9.]+)\s*([A-Za-z%]+)\s*", settings.memory_limit or "")
    limit = settings.memory_limit if found is None else f"{float(found[1]) / workers:.3f}{found[2]}"
    folder = None if settings.temporary is None else settings.temporary / uuid4().hex
    return EngineSettings(1, limit, folder, settings.extracts)


class PartedTables:
    """The outcome of an evaluation in parts, already outside DuckDB: `EvaluatedTables`. Members, which only tests and
    analysts ask for, are worked out when they are.
    """

    def __init__(
        self, parts: Sequence[Sequence[str]], run: Run, workers: int, cancellation: Cancellation, progress: Progress
    ) -> None:
        self._parts, self._run, self._workers, self._cancellation = parts, run, workers, cancellation
        self._found = self._run_all(_EAGER, progress)

    def fetch(self, kind: Kind) -> pa.Table:
        """Give a table's rows, sorted by practice, patient and index date, then in the order of the definition."""
        if kind in _EAGER:
            return pa.concat_tables([found[kind] for found in self._found])
        return pa.concat_tables([found[kind] for found in self._run_all([kind], lambda _fraction, _step: None)])

    def close(self) -> None:
        """Give back the memory."""
        self._found = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run_all(self, kinds: Collection[Kind], progress: Progress) -> list[Fetched]:
        """Run all parts, and tell progress from this thread; when one fails, the others stop."""
        inner, told = _Stopped(), _Told(len(self._parts))
        with self._cancellation.watching(inner), ThreadPoolExecutor(self._workers) as pool:
            if self._cancellation.cancelled:
                inner.interrupt()
            running = [
                pool.submit(self._run, part, kinds, inner.cancellation, told.of(number))
                for number, part in enumerate(self._parts)
            ]
            try:
                left = set(running)
                while left:
                    done, left = wait(left, _TOLD_EVERY)
                    for one in done:
                        one.result()
                    progress(told.fraction, told.step)
            except BaseException:
                inner.interrupt()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [one.result() for one in running]


class _Stopped:
    """All parts that run, to be stopped together."""

    def __init__(self) -> None:
        self.cancellation = Cancellation()

    def interrupt(self) -> None:
        """Stop them."""
        self.cancellation.cancel()


class _Told:
    """How far the parts have come together."""

    def __init__(self, parts: int) -> None:
        self._lock, self._fractions = Lock(), [0.0] * parts
        self.step = "Finding members"

    @property
    def fraction(self) -> float:
        """How far they are on the whole."""
        with self._lock:
            return sum(self._fractions) / len(self._fractions)

    def of(self, number: int) -> Progress:
        """Give what one part tells."""

        def tell(fraction: float, step: str) -> None:
            with self._lock:
                self._fractions[number] = max(fraction, self._fractions[number])
                self.step = step

        return tell
