"""What single FHIR R4 values mean here: dates, SNOMED CT codings, numbers.

Here: pure functions from one parsed JSON value to one value of the tabular extract. Not here: which element of which
resource is read (the module of its resource group), and whether a day is possible (the pipeline judges it in columns).
"""

from __future__ import annotations

import calendar
import math
import re
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, TypeAlias

from cohortium_platform.ingest.fhir.reasons import Reason

__all__ = [
    "SHAPE_ERRORS",
    "Json",
    "birth_day",
    "coding_code",
    "day",
    "medicine",
    "number",
    "quantity",
    "snomed",
    "text",
]

Json: TypeAlias = dict[str, Any]
"""A JSON object as parsed. Its shape is what the sender made it: the readers of a resource may meet one of
`SHAPE_ERRORS`, and the row is then rejected."""

SHAPE_ERRORS = (AttributeError, IndexError, KeyError, TypeError, ValueError)

_SNOMED = frozenset({"http://snomed.info/sct", "https://snomed.info/sct", "urn:oid:2.16.840.1.113883.6.96"})
_DMD = frozenset({"https://dmd.nhs.uk", "http://dmd.nhs.uk", "urn:oid:2.16.840.1.113883.2.1.6.15"})
_SNOMED_EDITION = re.compile(r"https?://snomed\.info/x?sct/")
_CONCEPT = re.compile(r"\s*([1-9][0-9]{5,17})\s*(?:\|[^|]*\|?\s*)?")
_NUMBER = re.compile(r"\s*(?:[<>]=?|=)?\s*([+-]?[0-9]+(?:\.[0-9]+)?)\s*")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")
_DAY_LENGTH = 10
_YEAR = re.compile(r"[0-9]{4}")

Coded: TypeAlias = tuple[int | None, Reason | None]
"""A concept and a remark about it, or no concept and the reason why there is none."""


def text(value: object) -> str | None:
    """The text without outer spaces; nothing when it is empty or no text at all."""
    return (value.strip() or None) if type(value) is str else None


def day(value: object) -> tuple[str | None, Reason | None]:
    """ISO day of a FHIR date, dateTime or instant, and a remark when it was made from less than a day.

    The day is the one written, in whatever zone it was written; only an instant in `Z` is turned into the day in
    London. A month becomes its first day, a year its first of January. Anything else, and a day that the calendar does
    not have, gives no day.
    """
    if type(value) is not str or not value:
        return None, Reason.NO_DATE
    found = _calendar_day(value[:10])
    if found is not None and (len(value) == _DAY_LENGTH or value[_DAY_LENGTH] in "T "):
        if value[11:13] == "23" and value[-1] == "Z":
            return _day_in_london(value), None
        return found
    if _MONTH.fullmatch(value):
        return value + "-01", Reason.PARTIAL_DATE
    if _YEAR.fullmatch(value):
        return value + "-01-01", Reason.PARTIAL_DATE
    return None, Reason.BAD_DATE


@lru_cache(maxsize=65_536)
def _calendar_day(written: str) -> tuple[str, None] | None:
    """A day as `day` gives it, if the calendar has it."""
    if _DAY.fullmatch(written) is None:
        return None
    try:
        date.fromisoformat(written)
    except ValueError:
        return None
    return written, None


def birth_day(value: object) -> tuple[str | None, Reason | None]:
    """ISO day of a birth date: a month becomes its 15th and a year its 1 July, the middle, so that ages err least."""
    if type(value) is str and _MONTH.fullmatch(value):
        return value + "-15", Reason.PARTIAL_BIRTH_DATE
    if type(value) is str and _YEAR.fullmatch(value):
        return value + "-07-01", Reason.PARTIAL_BIRTH_DATE
    return day(value)


def _day_in_london(instant: str) -> str:
    """Day in London of an instant in the last hour of a UTC day: the next day while British Summer Time is kept.

    Summer Time runs from the last Sunday of March to the last Sunday of October (S.I. 2002/262); the rule is applied
    to every year.
    """
    written = date.fromisoformat(instant[:10])
    # At 23 hours UTC Summer Time has begun on its first day (01:00) and ended on its last.
    if _last_sunday(written.year, 3) <= written < _last_sunday(written.year, 10):
        written += timedelta(days=1)
    return written.isoformat()


@lru_cache(maxsize=512)
def _last_sunday(year: int, month: int) -> date:
    last = date(year, month, calendar.monthrange(year, month)[1])
    return last - timedelta(days=(last.weekday() + 1) % 7)


def number(value: object) -> float | None:
    """A JSON number, or a text that holds nothing but a number (a comparator before it is passed over)."""
    if type(value) is float or type(value) is int:
        return float(value) if math.isfinite(value) else None
    if type(value) is str and (match := _NUMBER.fullmatch(value)):
        return float(match[1])
    return None


def quantity(value: Json) -> tuple[float | None, str | None]:
    """Number and unit of a Quantity: the unit as people write it, else its code."""
    return number(value.get("value")), text(value.get("unit")) or text(value.get("code"))


def snomed(concept: Json) -> Coded:
    """The first SNOMED CT concept among a CodeableConcept's codings."""
    codings = concept.get("coding")
    if codings:
        first = codings[0]
        found = _snomed_code(first.get("system"), first.get("code"))
        return found if found[0] is not None else _first(codings, _snomed_code)
    return None, Reason.NO_SNOMED


def medicine(concept: Json) -> Coded:
    """The first dm+d or SNOMED CT concept among a CodeableConcept's codings."""
    return _first(concept.get("coding") or (), _medicine_code)


def _first(codings: Iterable[Json], read: Callable[[object, object], Coded]) -> Coded:
    problem = Reason.NO_SNOMED
    for coding in codings:
        found = read(coding.get("system"), coding.get("code"))
        if found[0] is not None:
            return found
        if found[1] is Reason.BAD_SNOMED:
            problem = Reason.BAD_SNOMED
    return None, problem


@lru_cache(maxsize=65_536)
def _snomed_code(system: object, code: object) -> Coded:
    if not _is_snomed(system):
        return None, Reason.NO_SNOMED
    return _concept(code)


@lru_cache(maxsize=65_536)
def _medicine_code(system: object, code: object) -> Coded:
    if not (_is_snomed(system) or (type(system) is str and system.rstrip("/") in _DMD)):
        return None, Reason.NO_SNOMED
    return _concept(code)


def _is_snomed(system: object) -> bool:
    if type(system) is not str:
        return False
    system = system.partition("|")[0].strip().rstrip("/")
    return system in _SNOMED or _SNOMED_EDITION.match(system) is not None


def _concept(code: object) -> Coded:
    """Read a SNOMED CT code: an identifier, with or without its term or a version after a bar, or an expression.

    Of a post-coordinated expression with one focus concept the focus is taken: what it says is also true of the
    focus. One with several focus concepts is no single concept and is refused.
    """
    if type(code) is int:
        code = str(code)
    if type(code) is not str:
        return None, Reason.BAD_SNOMED
    focus, refined, _ = code.partition(":")
    focus = focus.strip().removeprefix("===").removeprefix("<<<")
    match = _CONCEPT.fullmatch(focus)
    if match is None:
        return None, Reason.BAD_SNOMED
    return int(match[1]), Reason.EXPRESSION if refined else None


def coding_code(concept: Json, *systems_ending: str) -> str | None:
    """The first code of a CodeableConcept whose system ends in one of the given names (any system when none is)."""
    for coding in concept.get("coding") or ():
        system = text(coding.get("system")) or ""
        if not systems_ending or system.rstrip("/").endswith(systems_ending):
            code = text(coding.get("code"))
            if code is not None:
                return code
    return None
