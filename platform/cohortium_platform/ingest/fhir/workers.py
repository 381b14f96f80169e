"""Blocks are extracted here, in this process or by a few helpers.

Here: handing blocks out, a batch to each helper at a time, and taking the reports back in the blocks' order. Not here:
what is done with a block (`extraction`), and a helper's own side (`helper`).

A helper is a program of its own that reads blocks from its input and writes reports to its output: it needs nothing of
this process but two pipes, and ends when they close, however this process ended.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

from cohortium_platform.ingest.fhir.blocks import Block
from cohortium_platform.ingest.fhir.extraction import extract
from cohortium_platform.ingest.fhir.reports import BlockReport

__all__ = ["extract_all", "helpers_worthwhile"]

_WORTHWHILE = 48 * 2**20
"""Bytes of a delivery (as it lies on disk) from which helpers save more time than they take to start."""

_MOST = 4

_BATCH = 8 * 2**20
"""Bytes of blocks that are handed out together."""


def helpers_worthwhile(size: int) -> int:
    """How many processes a delivery of so many bytes is worth on this machine."""
    if size < _WORTHWHILE:
        return 1
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(available, _MOST)


def extract_all(blocks: Iterable[Block], directory: Path, *, registers: bool, processes: int) -> Iterator[BlockReport]:
    """Extract blocks, and give their reports in the blocks' order."""
    batches = _batches(blocks)
    if processes <= 1:
        for batch in batches:
            yield from extract(batch, directory, registers=registers)
        return
    with ExitStack() as stack:
        helpers = [stack.enter_context(_Helper(directory, registers=registers)) for _ in range(processes)]
        busy: deque[_Helper] = deque()
        for batch in batches:
            if len(busy) == processes:
                helper = busy.popleft()
                yield from helper.reports()
            else:
                helper = helpers[len(busy)]
            helper.give(batch)
            busy.append(helper)
        while busy:
            yield from busy.popleft().reports()


def _batches(blocks: Iterable[Block]) -> Iterator[list[Block]]:
    """Blocks of small files together, so that a hundred thousand of them do not make as many scratch files."""
    batch: list[Block] = []
    size = 0
    for block in blocks:
        batch.append(block)
        size += len(block.data)
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


class _Helper:
    """The other end of a helper's pipes.

    It holds one batch at a time, so neither side ever waits on a full pipe that the other does not empty.
    """

    def __init__(self, directory: Path, *, registers: bool) -> None:
        command = [sys.executable, "-P", "-m", "cohortium_platform.ingest.fhir.helper", str(directory), str(registers)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - our own

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()  # it is idle, or what it still does is not wanted
        with suppress(BrokenPipeError):
            self._process.communicate()

    def give(self, batch: list[Block]) -> None:
        """Give it blocks to extract. Raises `ChildProcessError` when it has ended."""
        assert self._process.stdin is not None  # noqa: S101 - for the type checker
        try:
            pickle.dump(batch, self._process.stdin, protocol=5)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def reports(self) -> list[BlockReport]:
        """Wait for the reports of the blocks it holds. Raises `ChildProcessError` when it ended without them."""
        assert self._process.stdout is not None  # noqa: S101 - for the type checker
        try:
            reports: list[BlockReport] = pickle.load(self._process.stdout)  # noqa: S301 - from our own helper
        except EOFError:
            raise self._ended() from None
        return reports

    def _ended(self) -> ChildProcessError:
        return ChildProcessError(
            f"a process that reads FHIR ended with {self._process.wait()}: is there memory enough?"
        )
