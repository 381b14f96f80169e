"""The program that extracts blocks for another process: see `workers`, which starts it.

Here: its loop. It is run as `python -m cohortium_platform.ingest.fhir.helper DIRECTORY REGISTERS`.
"""

from __future__ import annotations

import pickle
import sys
from contextlib import suppress
from pathlib import Path

from cohortium_platform.ingest.fhir.blocks import Block
from cohortium_platform.ingest.fhir.extraction import extract

__all__: list[str] = []


def main() -> None:
    """Extract blocks from the standard input until it closes, and write their reports to the standard output."""
    directory, registers = Path(sys.argv[1]), sys.argv[2] == "True"
    # Pipes that close, even half-way, mean that the other process is gone or wants no more.
    with suppress(EOFError, pickle.UnpicklingError, BrokenPipeError):
        while True:
            batch: list[Block] = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this one
            pickle.dump(extract(batch, directory, registers=registers), sys.stdout.buffer, protocol=5)
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
