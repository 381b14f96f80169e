"""CSV files before they are read: is it one, which columns has it, and what does gzip hide.

Here: first bytes, header, decompressing within bounds. Not here: rows, which the platform reads.
"""

from __future__ import annotations

import csv
import io
import zlib
from pathlib import Path

from cohortium_plugins.importing import Unreadable

__all__ = ["Budget", "decompress", "header_of"]

_HEADER_BYTES = 2**20
_SIGNATURES = {
    b"PK\x03\x04": ("a zip archive or a workbook, not CSV", "Unpack it, or save the sheet as CSV (UTF-8)."),
    b"\x1f\x8b": ("compressed by gzip", "Name it .csv.gz."),
    b"PAR1": ("a Parquet file", "Name it .parquet."),
    b"\xff\xfe": ("UTF-16 text, not UTF-8", "Save it as UTF-8."),
    b"\xfe\xff": ("UTF-16 text, not UTF-8", "Save it as UTF-8."),
}
_BLOCK = 2**20
_OUT = 2**23
_RATIO = 200
_RATIO_FROM = 2**26
"""From 64 MB on, more than 200 times what went in is no text that anybody wrote: CSV shrinks 5 to 30 times."""


class Budget:
    """Bytes that a delivery may still unfold to."""

    def __init__(self, max_bytes: int) -> None:
        self._max, self._left = max_bytes, max_bytes

    def spend(self, size: int, file: str) -> None:
        """Take bytes. Raises `Unreadable` when there are not as many."""
        self._left -= size
        if self._left < 0:
            raise Unreadable(
                f"with it the delivery unfolds to more than {self._max:,} bytes",
                file=file,
                advice="Deliver it in parts, or raise the limit.",
            )


def header_of(path: Path, name: str, delimiter: str) -> tuple[str, ...]:
    """The names in a CSV file's first line. Raises `Unreadable` when that is no header."""
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES)
    if not head:
        raise Unreadable("it is empty", file=name, advice="A table without rows still has its line of column names.")
    for signature, (reason, advice) in _SIGNATURES.items():
        if head.startswith(signature):
            raise Unreadable(f"it is {reason}", file=name, advice=advice)
    if b"\0" in head:
        raise Unreadable("it is not text", file=name, advice="Save it as CSV in UTF-8.")
    line = _first_line(head.removeprefix(b"\xef\xbb\xbf"), name)
    try:
        names = next(csv.reader(io.StringIO(line), delimiter=delimiter, strict=True), [])
    except csv.Error:
        names = []
    names = [each.strip() for each in names]
    if not any(names):
        raise Unreadable("its first line names no columns", file=name, line=1, advice="Begin with column names.")
    folded = [each.lower() for each in names]
    for each in names:
        if folded.count(each.lower()) > 1:
            raise Unreadable(f"two columns are called {each[:40]!r}", file=name, line=1, advice="Rename one.")
    return tuple(names)


def _first_line(head: bytes, name: str) -> str:
    line = head.split(b"\n", 1)[0].split(b"\r", 1)[0]
    if len(line) == len(head) == _HEADER_BYTES:
        raise Unreadable("its first line is longer than 1 MB", file=name, line=1, advice="Is it CSV?")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable("it is not UTF-8 text", file=name, line=1, advice="Save it as UTF-8.") from None


def decompress(path: Path, name: str, to: Path, budget: Budget) -> None:
    """Unfold a .csv.gz file. Raises `Unreadable` when it is cut short, damaged, or a bomb."""
    taken = given = 0
    machine = zlib.decompressobj(wbits=31)
    with path.open("rb") as file, to.open("xb") as out:
        rest = b""
        while True:
            block = rest or file.read(_BLOCK)
            if not block:
                break
            taken += 0 if rest else len(block)
            if machine.eof:  # a further member begins
                machine = zlib.decompressobj(wbits=31)
            try:
                piece = machine.decompress(block, _OUT)
            except zlib.error:
                raise Unreadable("it is not gzip, or damaged", file=name, advice="Send it again.") from None
            rest = machine.unconsumed_tail or machine.unused_data
            given += len(piece)
            budget.spend(len(piece), name)
            if given > _RATIO_FROM and given > _RATIO * taken:
                raise Unreadable(
                    f"it unfolds to more than {_RATIO} times its size", file=name, advice="Send it without compression."
                )
            out.write(piece)
    if not machine.eof:
        raise Unreadable("it is cut short", file=name, advice="Send it again; gzip -t tells whether it is whole.")
