"""Blocks are extracted here, in this process or by a few helpers.

Here: handing blocks out, one to each helper at a time, and taking the reports back in the blocks' order. Not here: what
is done with a block (`extraction`), and a helper's own side (`helper`).

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
from functools import partial
from pathlib import Path
from typing import Self

from cohortium_platform.ingest.fhir.blocks import Block
from cohortium_platform.ingest.fhir.extraction import BlockReport, extract

__all__ = ["extract_all", "helpers_worthwhile"]

_WORTHWHILE = 48 * 2**20
"""Bytes of a delivery (as it lies on disk) from which helpers save more time than they take to start."""

_MOST = 4


def helpers_worthwhile(size: int) -> int:
    """How many processes a delivery of so many bytes is worth on this machine."""
    if size < _WORTHWHILE:
        return 1
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(available, _MOST)


def extract_all(blocks: Iterable[Block], directory: Path, *, registers: bool, processes: int) -> Iterator[BlockReport]:
    """Extract blocks, and give their reports in the blocks' order."""
    if processes <= 1:
        yield from map(partial(extract, directory=directory, registers=registers), blocks)
        return
    with ExitStack() as stack:
        helpers = [stack.enter_context(_Helper(directory, registers=registers)) for _ in range(processes)]
        busy: deque[_Helper] = deque()
        for block in blocks:
            if len(busy) == processes:
                helper = busy.popleft()
                yield helper.report()
            else:
                helper = helpers[len(busy)]
            helper.give(block)
            busy.append(helper)
        while busy:
            yield busy.popleft().report()


class _Helper:
    """The other end of a helper's pipes.

    It holds one block at a time, so neither side ever waits on a full pipe that the other does not empty.
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

    def give(self, block: Block) -> None:
        """Give it a block to extract. Raises `ChildProcessError` when it has ended."""
        assert self._process.stdin is not None  # noqa: S101 - for the type checker
        try:
            pickle.dump(block, self._process.stdin, protocol=5)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def report(self) -> BlockReport:
        """Wait for the report of the block it holds. Raises `ChildProcessError` when it ended without one."""
        assert self._process.stdout is not None  # noqa: S101 - for the type checker
        try:
            report: BlockReport = pickle.load(self._process.stdout)  # noqa: S301 - from our own helper
        except EOFError:
            raise self._ended() from None
        return report

    def _ended(self) -> ChildProcessError:
        return ChildProcessError(
            f"a process that reads FHIR ended with {self._process.wait()}: is there memory enough?"
        )
