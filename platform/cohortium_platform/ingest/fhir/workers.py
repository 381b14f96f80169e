"""Blocks are extracted here, in this process or in a few.

Here: handing blocks out, never more at once than there are hands, and taking the reports back in order. Not here: what
is done with a block (`extraction`).
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from pathlib import Path

from cohortium_platform.ingest.fhir.blocks import Block
from cohortium_platform.ingest.fhir.extraction import BlockReport, extract

__all__ = ["extract_all", "hands"]

_WORTHWHILE = 48 * 2**20
"""Bytes of a delivery (as it lies on disk) from which a second process is faster than none, its start included."""

_MOST = 4


def hands(size: int) -> int:
    """How many processes a delivery of so many bytes is worth here."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if size < _WORTHWHILE or multiprocessing.current_process().daemon:
        return 1
    return min(available, _MOST)


def extract_all(blocks: Iterable[Block], directory: Path, *, registers: bool, processes: int) -> Iterator[BlockReport]:
    """Extract blocks, and give their reports in the blocks' order."""
    work = partial(extract, directory=directory, registers=registers)
    if processes <= 1:
        yield from map(work, blocks)
        return
    # Spawned, not forked: the threads of DuckDB and Arrow do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_end_with_parent) as pool:
        under_way: deque[Future[BlockReport]] = deque()
        try:
            for block in blocks:
                under_way.append(pool.submit(work, block))
                if len(under_way) > processes:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()


def _end_with_parent() -> None:
    """End this process when the one that started it is gone, however that ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:

        def wait() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=wait, daemon=True).start()
