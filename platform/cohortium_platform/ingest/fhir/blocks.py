"""Blocks: pieces of files, and the lines of NDJSON in them.

Here: what a block is, and its lines as parsed objects, each with its line number. Not here: where the bytes come from
(`reading`), files that hold one JSON document (`documents`), and what a resource means (`extraction`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cohortium_platform.ingest.fhir.strict import parse_line
from cohortium_platform.ingest.fhir.values import Json
from cohortium_plugins.importing import Unreadable

__all__ = ["MAX_LINE", "Block", "parsed_lines"]

MAX_LINE = 64 * 2**20
"""Bytes of the longest line of NDJSON that is read."""


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of one file, cut at a line's end; `is_document` when it is a whole file that holds one JSON value.

    `number` is the file's among the delivery's, `line` the first line's in the file from 1, `offset` the first byte's.
    `reports_problems` says that the file is where a bulk export puts its OperationOutcomes.
    """

    number: int
    file: str
    data: bytes
    line: int = 1
    offset: int = 0
    is_document: bool = False
    reports_problems: bool = False


def parsed_lines(block: Block) -> Iterator[tuple[Json, int, int]]:
    """The JSON objects of a block of NDJSON, each with its line in the file and its offset in the block.

    Blank lines are passed over.
    """
    offset, number = 0, block.line - 1
    for line in block.data.split(b"\n"):
        number += 1
        if len(line) > MAX_LINE:
            reason = f"a line longer than {MAX_LINE >> 20} MiB"
            raise Unreadable(reason, file=block.file, line=number, advice="Give one resource a line.")
        if line and not line.isspace():
            yield parse_line(line, block.file, number), number, offset
        offset += len(line) + 1
