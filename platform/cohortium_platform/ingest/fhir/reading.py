"""From files to blocks of bytes, in bounded memory.

Here: gzip, its bombs and its damage; what a file's first bytes tell (encoding, XML, a web page); cutting at line ends.
Not here: which files a delivery has (`delivery`) and JSON (`blocks`).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cohortium_platform.ingest.fhir.blocks import MAX_LINE, Block
from cohortium_platform.ingest.fhir.strict import first_value
from cohortium_plugins.importing import Unreadable

__all__ = ["Budget", "Source", "blocks_of", "opening"]

_PIECE = 16 * 2**20
"""Bytes that are read, and given to a process, at a time."""

_MAX_DOCUMENT = 256 * 2**20
"""Bytes of the largest file that holds one JSON document: all of its text is held at once."""

_RATIO_FROM = 64 * 2**20
_MAX_RATIO = 200
"""Beyond this much output, the output per byte of gzip that is still believed. FHIR's JSON reaches 10 to 50."""

_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_ARCHIVES = (b"PK\x03\x04", b"7z\xbc\xaf", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"Rar!")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_OPENING = 4_096


@dataclass(frozen=True, slots=True)
class Source:
    """A file of a delivery: its place among them, its path, and its name as findings give it."""

    number: int
    path: Path
    name: str
    size: int
    reports_problems: bool = False


@dataclass(slots=True)
class Budget:
    """Bytes that a delivery may still unpack to; `limit` is what it began with."""

    limit: int
    spent: int = 0

    def spend(self, size: int, source: Source) -> None:
        """Count what was read, and refuse a delivery that is too large."""
        self.spent += size
        if self.spent > self.limit:
            raise Unreadable(
                f"the delivery unpacks to more than {self.limit:,} bytes",
                file=source.name,
                advice="Split it by practice, or raise the limit if it is meant to be so large.",
            )


def opening(path: Path) -> bytes:
    """The first bytes of a file, unpacked; as many as can be read."""
    with path.open("rb") as stream:
        head = stream.read(_OPENING)
    if head.startswith(_GZIP):
        try:
            return zlib.decompressobj(wbits=31).decompress(head, _OPENING)
        except zlib.error:
            return b""
    return head


def blocks_of(source: Source, budget: Budget, progress: Callable[[int], None]) -> Iterator[Block]:
    """Cut a file into blocks. `progress` is told the bytes of the file that were read so far."""
    line, offset, carry = 1, 0, b""
    pieces = _pieces(source, progress)
    is_document = None
    try:
        for piece in pieces:
            budget.spend(len(piece), source)
            data = carry + piece
            if is_document is None:
                data = data.removeprefix(_BOM)
                _check_opening(data, source)
                is_document = _is_document(data, source)
            if is_document:
                _check_size(len(data), _MAX_DOCUMENT, source, 1)
                carry = data
                continue
            cut = data.rfind(b"\n") + 1
            _check_size(len(data) - cut, MAX_LINE, source, line)
            if cut:
                yield Block(
                    source.number, source.name, data[:cut], line, offset, reports_problems=source.reports_problems
                )
                line += data.count(b"\n", 0, cut)
                offset += cut
            carry = data[cut:]
    except _Damaged as damage:
        at = line + carry.count(b"\n")
        raise Unreadable(damage.reason, file=source.name, line=at, advice="Send the file again.") from None
    if carry and not carry.isspace():
        yield Block(
            source.number, source.name, carry, line, offset,
            is_document=bool(is_document), reports_problems=source.reports_problems,
        )  # fmt: skip


def _is_document(data: bytes, source: Source) -> bool:
    """Whether a file holds one JSON document rather than a resource a line: told by its first line."""
    first, newline, rest = data.lstrip().partition(b"\n")
    if first.rstrip() in (b"{", b"["):
        return True
    named_lines = _stem(source.name).endswith((".ndjson", ".jsonl"))
    if newline and rest.lstrip(b" \r\n\t"):
        return not named_lines and type(first_value(first)) is not dict
    return not named_lines


def _stem(name: str) -> str:
    return name.lower().removesuffix(".gz")


def _check_size(size: int, limit: int, source: Source, line: int) -> None:
    if size > limit:
        what = "a line" if limit == MAX_LINE else "a JSON document"
        raise Unreadable(
            f"{what} longer than {limit >> 20} MiB",
            file=source.name, line=line, advice="Send NDJSON with one resource a line, as a bulk export gives it.",
        )  # fmt: skip


def _check_opening(data: bytes, source: Source) -> None:
    """Refuse what is not UTF-8 JSON by its first bytes."""
    head = data[:_OPENING]
    start = head.lstrip()[:256].lower()
    if head.startswith(_GZIP):
        raise Unreadable("gzip inside gzip", file=source.name, line=1, advice="Pack the file once.")
    if head.startswith(_ARCHIVES):
        raise Unreadable("a packed archive", file=source.name, line=1, advice="Unpack it, and give the folder.")
    if head.startswith(_UTF16) or b"\0" in head[:64]:
        raise Unreadable("not UTF-8 text", file=source.name, line=1, advice="FHIR's JSON is UTF-8: save it as that.")
    if start.startswith((b"<!doctype html", b"<html")):
        raise Unreadable(
            "a web page, not data",
            file=source.name, line=1, advice="A server's sign-in or error page was saved: fetch the file again.",
        )  # fmt: skip
    if start.startswith(b"<"):
        raise Unreadable("XML, not JSON", file=source.name, line=1, advice="Ask for FHIR as JSON or NDJSON.")


class _Damaged(Exception):  # noqa: N818 - never leaves this module
    """A gzip stream cannot be unpacked to its end."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


def _pieces(source: Source, progress: Callable[[int], None]) -> Iterator[bytes]:
    """The bytes of a file, unpacked, in pieces of bounded size."""
    with source.path.open("rb") as stream:
        packed = stream.read(2) == _GZIP
        stream.seek(0)
        if not packed and source.name.lower().endswith(".gz") and source.size:
            raise Unreadable("named .gz and not gzip", file=source.name, line=1, advice="Send the file again.")
        read = _unpacked(stream, source) if packed else iter(lambda: stream.read(_PIECE), b"")
        for piece in read:
            progress(stream.tell())
            yield piece


def _unpacked(stream: BinaryIO, source: Source) -> Iterator[bytes]:
    """Unpack gzip, of one member or several, never more than a piece at a time."""
    unpacker, pending, given = zlib.decompressobj(wbits=31), b"", 0
    while True:
        raw = pending or stream.read(2**20)
        if not raw:
            break
        try:
            piece = unpacker.decompress(raw, _PIECE)
        except zlib.error:
            raise _Damaged("damaged gzip") from None
        given += len(piece)
        if given > _RATIO_FROM and given > _MAX_RATIO * stream.tell():
            raise Unreadable(
                "gzip that unpacks to far more than health records do",
                file=source.name, advice="Send the file unpacked if it is meant to be so.",
            )  # fmt: skip
        if piece:
            yield piece
        pending = unpacker.unconsumed_tail
        if unpacker.eof:
            pending = unpacker.unused_data.lstrip(b"\0")
            if pending or (pending := stream.read(2**20).lstrip(b"\0")):
                unpacker = zlib.decompressobj(wbits=31)
            else:
                return
    if not unpacker.eof:
        raise _Damaged("truncated gzip")
