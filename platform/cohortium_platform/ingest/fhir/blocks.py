"""From one block of bytes to parsed resources, each with its line.

Here: strict JSON (no key twice, no NaN), lines of NDJSON, entries of Bundles. Not here: where the bytes come from
(`reading`) and what a resource means (`extraction`).

Lines are parsed by orjson. A document is walked entry by entry with the standard library's scanner, which says where
each entry ends: so its line is known, and a Bundle is never held as a whole tree.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn, TypeAlias

import orjson

from cohortium_platform.ingest.fhir.values import Json
from cohortium_plugins.importing import Unreadable

__all__ = ["MAX_LINE", "Block", "Entry", "first_value", "parsed_lines", "walk_document"]

_SPACE = re.compile(r"[ \t\n\r]*")

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


class Entry(NamedTuple):
    """An element of a Bundle's `entry`, its line in the file and its offset in the block."""

    content: Json
    line: int
    offset: int


def parsed_lines(block: Block) -> Iterator[tuple[Json, int, int]]:
    """The JSON objects of a block of NDJSON, each with its line in the file and its offset in the block.

    Blank lines are passed over.
    """
    offset, number = 0, block.line - 1
    for line in block.data.split(b"\n"):
        number += 1
        if line and not line.isspace():
            yield _parse_line(line, block.file, number), number, offset
        offset += len(line) + 1


def _parse_line(line: bytes, file: str, number: int) -> Json:
    if len(line) > MAX_LINE:
        raise Unreadable(
            f"a line longer than {MAX_LINE >> 20} MiB", file=file, line=number, advice="Give one resource a line."
        )
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        _explain(line, file, number)
    if type(value) is not dict:
        raise Unreadable("not a FHIR resource, which is a JSON object", file=file, line=number)
    try:
        again = orjson.dumps(value)
    except TypeError:
        raise _too_deep(file, number) from None
    # Written again, it is the same text: no key can have been given twice.
    if again != line and _may_repeat_keys(line, again):
        _refuse_repeated_keys(line, file, number)
    return value


def _explain(line: bytes, file: str, number: int) -> NoReturn:
    """Say why a line is not JSON, without its content."""
    try:
        written = line.decode("utf-8")
    except UnicodeDecodeError:
        raise _not_utf8(file, number) from None
    try:
        json.loads(written, parse_constant=_refuse_constant)
    except _Constant:
        raise Unreadable("NaN or Infinity, which JSON does not have", file=file, line=number) from None
    except json.JSONDecodeError as wrong:
        raise Unreadable(
            f"not JSON (at character {wrong.pos + 1})",
            file=file, line=number, advice="Is the file cut off, or not one resource a line?",
        ) from None  # fmt: skip
    except (RecursionError, ValueError):
        pass
    raise _too_deep(file, number) from None


def _too_deep(file: str, line: int) -> Unreadable:
    return Unreadable("JSON nested too deeply, or with text that is not Unicode", file=file, line=line)


def _not_utf8(file: str, line: int) -> Unreadable:
    return Unreadable("not UTF-8 text", file=file, line=line, advice="FHIR's JSON is UTF-8: save it as that.")


class _Constant(ValueError):  # noqa: N818 - never leaves this module
    """NaN, Infinity or -Infinity was met."""


def _refuse_constant(_: str) -> NoReturn:
    raise _Constant


class _RepeatedKey(ValueError):  # noqa: N818 - never leaves this module
    """An object has one key twice."""


def _distinct(pairs: list[tuple[str, Any]]) -> Json:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _RepeatedKey
    return value


def _may_repeat_keys(written: bytes, again: bytes) -> bool:
    """Whether an object may have had a key twice, of which a parser silently keeps one.

    Each key stands between two quotation marks. Where the text spells none of its marks in another way, as many marks
    in the object written again mean that no key was lost.
    """
    return again.count(b'"') != written.count(b'"') or b"\\u0022" in written


def _refuse_repeated_keys(written: bytes, file: str, line: int) -> None:
    """Parse once more, slowly, and refuse an object that has a key twice."""
    try:
        json.loads(written, object_pairs_hook=_distinct)
    except _RepeatedKey:
        raise Unreadable("a JSON object with one key twice", file=file, line=line) from None


def first_value(line: bytes) -> object:
    """The JSON value that a line holds whole, or nothing."""
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


TakeEntry: TypeAlias = Callable[[Entry, Json], None]
"""Takes an element of `entry`, and as much of the object around it as was read before it."""


def walk_document(block: Block, take_entry: TakeEntry) -> Json:
    """Read a file that holds one JSON object.

    Gives the object without its `entry`, whose elements go to `take_entry` one by one as they are met.
    """
    try:
        written = block.data.decode("utf-8")
    except UnicodeDecodeError as wrong:
        raise _not_utf8(block.file, block.data.count(b"\n", 0, wrong.start) + 1) from None
    return _Walk(block.file, written).run(take_entry)


class _Walk:
    """One pass over the text of a document."""

    def __init__(self, file: str, written: str) -> None:
        self._file, self._written = file, written
        self._scan = json.JSONDecoder(parse_constant=_refuse_constant).raw_decode
        self._at = 0
        self._counted, self._line = 0, 1

    def run(self, take_entry: TakeEntry) -> Json:
        """Walk the top-level object."""
        header: Json = {}
        if self._next() == "[":
            raise Unreadable(
                "a JSON array, not a FHIR resource",
                file=self._file,
                line=self._line_here(),
                advice="Give a Bundle, or one resource a line.",
            )
        self._expect("{")
        more = self._next() != "}"
        while more:
            self._pair(header, take_entry)
            more = self._next() == ","
            self._at += more
        self._expect("}")
        if self._next():
            self._fail()
        return header

    def _pair(self, header: Json, take_entry: TakeEntry) -> None:
        """Read one key and its value."""
        key = self._value()
        if type(key) is not str:
            self._fail()
        if key in header:
            raise Unreadable("a JSON object with one key twice", file=self._file, line=self._line_here())
        self._expect(":")
        if key == "entry" and self._next() == "[":
            self._elements(take_entry, header)
            header[key] = None
        else:
            header[key] = self._value()

    def _elements(self, take_entry: TakeEntry, header: Json) -> None:
        self._expect("[")
        if self._next() == "]":
            self._at += 1
            return
        while True:
            self._next()
            start, line = self._at, self._line_here()
            value = self._value()
            if type(value) is not dict:
                raise Unreadable("an entry that is not a JSON object", file=self._file, line=line)
            take_entry(Entry(value, line, start), header)
            if self._next() != ",":
                break
            self._at += 1
        self._expect("]")

    def _value(self) -> Any:  # noqa: ANN401 - whatever JSON holds
        self._next()
        start = self._at
        try:
            value, self._at = self._scan(self._written, start)
        except json.JSONDecodeError as wrong:
            self._at = wrong.pos
            self._fail()
        except _Constant:
            raise Unreadable(
                "NaN or Infinity, which JSON does not have", file=self._file, line=self._line_here()
            ) from None
        except (RecursionError, ValueError):
            raise Unreadable("JSON nested too deeply", file=self._file, line=self._line_here()) from None
        self._check(value, start)
        return value

    def _check(self, value: object, start: int) -> None:
        """Refuse repeated keys, and text or numbers that cannot be stored."""
        if value is None or type(value) in (bool, int, float):
            return
        line = self._line_here(start)
        try:
            again = orjson.dumps(value)
        except TypeError:
            raise _too_deep(self._file, line) from None
        written = self._written[start : self._at].encode()
        if again != written and _may_repeat_keys(written, again):
            _refuse_repeated_keys(written, self._file, line)

    def _next(self) -> str:
        """Step over white space; the next character, or none at the end."""
        match = _SPACE.match(self._written, self._at)
        self._at = match.end() if match else self._at
        return self._written[self._at : self._at + 1]

    def _expect(self, character: str) -> None:
        if self._next() != character:
            self._fail()
        self._at += 1

    def _line_here(self, at: int | None = None) -> int:
        at = self._at if at is None else at
        if at >= self._counted:
            self._line += self._written.count("\n", self._counted, at)
            self._counted = at
            return self._line
        return self._written.count("\n", 0, at) + 1

    def _fail(self) -> NoReturn:
        raise Unreadable("not JSON", file=self._file, line=self._line_here(), advice="Is the file cut off?") from None
