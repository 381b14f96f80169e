"""Strict JSON: UTF-8, every key once, no NaN; and words for what is wrong that quote nothing.

Here: parsing one line, and checking what another scanner has parsed. Not here: where lines and entries begin (`blocks`,
`documents`).
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

import orjson

from cohortium_platform.ingest.fhir.values import Json
from cohortium_plugins.importing import Unreadable

__all__ = ["Constant", "check", "first_value", "not_utf8", "parse_line", "refuse_constant", "too_deep"]


def parse_line(line: bytes, file: str, number: int) -> Json:
    """The JSON object that a line holds. Raises `Unreadable`."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        _explain(line, file, number)
    if type(value) is not dict:
        raise Unreadable("not a FHIR resource, which is a JSON object", file=file, line=number)
    check(value, line, file, number)
    return value


def check(value: object, written: bytes, file: str, line: int) -> None:
    """Refuse what was parsed of a text when it cannot be stored, or when the text gave a key twice."""
    try:
        again = orjson.dumps(value)
    except TypeError:
        raise too_deep(file, line) from None
    # Written again, it is the same text: no key can have been given twice.
    if again != written and _may_repeat_keys(written, again):
        _refuse_repeated_keys(written, file, line)


def _explain(line: bytes, file: str, number: int) -> NoReturn:
    """Say why a line is not JSON, without its content."""
    try:
        written = line.decode("utf-8")
    except UnicodeDecodeError:
        raise not_utf8(file, number) from None
    try:
        json.loads(written, parse_constant=refuse_constant)
    except Constant:
        raise Unreadable("NaN or Infinity, which JSON does not have", file=file, line=number) from None
    except json.JSONDecodeError as wrong:
        raise Unreadable(
            f"not JSON (at character {wrong.pos + 1})",
            file=file, line=number, advice="Is the file cut off, or not one resource a line?",
        ) from None  # fmt: skip
    except (RecursionError, ValueError):
        pass
    raise too_deep(file, number) from None


def too_deep(file: str, line: int) -> Unreadable:
    """The refusal of JSON that no value can be made of."""
    return Unreadable("JSON nested too deeply, or with text that is not Unicode", file=file, line=line)


def not_utf8(file: str, line: int) -> Unreadable:
    """The refusal of another encoding."""
    return Unreadable("not UTF-8 text", file=file, line=line, advice="FHIR's JSON is UTF-8: save it as that.")


class Constant(ValueError):  # noqa: N818 - turned into `Unreadable` where the line is known
    """NaN, Infinity or -Infinity was met."""


def refuse_constant(_: str) -> NoReturn:
    """What a scanner calls on NaN and the like."""
    raise Constant


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
