"""Files that hold one JSON document: a Bundle, or a resource by itself.

Here: walking the document's text entry by entry with the standard library's scanner, which says where each entry ends.
So each entry's line is known, and a Bundle is never held as a whole tree. Not here: lines of NDJSON (`blocks`), and
what a resource means (`extraction`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn, TypeAlias

from cohortium_platform.ingest.fhir.blocks import Block
from cohortium_platform.ingest.fhir.strict import Constant, check, not_utf8, refuse_constant, too_deep
from cohortium_platform.ingest.fhir.values import Json
from cohortium_plugins.importing import Unreadable

__all__ = ["Entry", "walk_document"]

_SPACE = re.compile(r"[ \t\n\r]*")


class Entry(NamedTuple):
    """An element of a Bundle's `entry`, its line in the file and its offset in the block."""

    content: Json
    line: int
    offset: int


TakeEntry: TypeAlias = Callable[[Entry, Json], None]
"""Takes an element of `entry`, and as much of the object around it as was read before it."""


def walk_document(block: Block, take_entry: TakeEntry) -> Json:
    """Read a file that holds one JSON object.

    Gives the object without its `entry`, whose elements go to `take_entry` one by one as they are met.
    """
    try:
        written = block.data.decode("utf-8")
    except UnicodeDecodeError as wrong:
        raise not_utf8(block.file, block.data.count(b"\n", 0, wrong.start) + 1) from None
    return _Walk(block.file, written).run(take_entry)


class _Walk:
    """One pass over the text of a document."""

    def __init__(self, file: str, written: str) -> None:
        self._file, self._written = file, written
        self._scan = json.JSONDecoder(parse_constant=refuse_constant).raw_decode
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
        except Constant:
            raise Unreadable(
                "NaN or Infinity, which JSON does not have", file=self._file, line=self._line_here()
            ) from None
        except (RecursionError, ValueError):
            raise too_deep(self._file, self._line_here()) from None
        self._check(value, start)
        return value

    def _check(self, value: object, start: int) -> None:
        """Refuse repeated keys, and text or numbers that cannot be stored."""
        if value is None or type(value) in (bool, int, float):
            return
        check(
            value, self._written[start : self._at].encode("utf-8", "surrogatepass"), self._file, self._line_here(start)
        )

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
