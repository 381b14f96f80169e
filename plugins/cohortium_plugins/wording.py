"""The fixed words that rules are put into, and small things written in words: a day, an age, a list.

Not here: what a node says (`words`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date

from cohortium_plugins.model.nodes import ArithmeticOp, CompareOp, How
from cohortium_plugins.model.values import Duration, Scalar

__all__ = [
    "ARITHMETIC",
    "COLUMNS",
    "COMPARISONS",
    "DATE_COMPARISONS",
    "EXTREMES",
    "FACTS",
    "JOINED",
    "PICKS",
    "RANGES",
    "ROW_COMPARISONS",
    "SINGULAR",
    "TABLES",
    "day_in_words",
    "label",
    "listed",
    "ordinal",
    "plain_term",
    "scalar",
]

FACTS: Mapping[str, str] = {
    "date_of_birth": "date of birth",
    "sex": "sex",
    "ethnicity": "ethnic category",
    "imd_decile": "deprivation decile",
    "practice": "practice",
    "date_of_death": "date of death",
    "is_registered": "registered and alive",
    "registered_since": "the start of registration",
    "records_to": "the date the records run to",
}
TABLES: Mapping[str, str] = {
    "consultations": "consultations",
    "registrations": "registrations",
    "contacts": "contacts",
}
SINGULAR: Mapping[str, str] = {word: word.removesuffix("s") for word in TABLES}
COLUMNS: Mapping[str, str] = {"date": "the day", "end_date": "the last day", "kind": "the kind"}
PICKS: Mapping[How, str] = {
    How.EARLIEST: "first",
    How.LATEST: "latest",
    How.HIGHEST: "highest",
    How.LOWEST: "lowest",
}
COMPARISONS: Mapping[CompareOp, str] = {
    CompareOp.EQ: "is",
    CompareOp.NE: "is not",
    CompareOp.LT: "is below",
    CompareOp.LE: "is at most",
    CompareOp.GT: "is above",
    CompareOp.GE: "is at least",
}
DATE_COMPARISONS: Mapping[CompareOp, str] = {
    CompareOp.EQ: "is on",
    CompareOp.NE: "is not on",
    CompareOp.LT: "is before",
    CompareOp.LE: "is on or before",
    CompareOp.GT: "is after",
    CompareOp.GE: "is on or after",
}
EXTREMES: Mapping[tuple[bool, bool], tuple[str, str]] = {
    (True, True): ("later", "latest"),
    (True, False): ("earlier", "earliest"),
    (False, True): ("higher", "highest"),
    (False, False): ("lower", "lowest"),
}
"""By whether it is of dates and whether it is the highest: the word for two and for more."""
ROW_COMPARISONS: Mapping[CompareOp, str] = {
    CompareOp.EQ: "of ",
    CompareOp.NE: "other than ",
    CompareOp.LT: "below ",
    CompareOp.LE: "of at most ",
    CompareOp.GT: "above ",
    CompareOp.GE: "of at least ",
}
RANGES = (
    ("on or after ", "on or before ", "from"),
    ("with a value of at least ", "with a value of at most ", "with a value of"),
)
"""How a lower and an upper bound begin, and how the range of both does."""
ARITHMETIC: Mapping[ArithmeticOp, str] = {
    ArithmeticOp.ADD: "plus",
    ArithmeticOp.SUBTRACT: "minus",
    ArithmeticOp.MULTIPLY: "times",
    ArithmeticOp.DIVIDE: "divided by",
}


_TAG = re.compile(
    r" \((?:disorder|finding|situation|procedure|regime/therapy|observable entity|life style|record artifact|"
    r"assessment scale|morphologic abnormality|context-dependent category|AMP|event|specimen)\)$"
)


_HYPHEN = re.compile(r"(?<!\d)-|-(?!\d)")
JOINED = "the day of joining the registry"
"""What the day on which someone became a member is called in rules about members."""


def day_in_words(day: date) -> str:
    """Write a day as 6 August 2025."""
    return f"{day.day} {day:%B %Y}"


def plain_term(term: str) -> str:
    """Give a SNOMED CT term without the tag in brackets at its end: ‘Cancer care review (procedure)’."""
    return _TAG.sub("", term)


def scalar(value: Scalar) -> str:
    """Write a constant."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date):
        return day_in_words(value)
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) if isinstance(value, Duration | int) else f"‘{value}’"


def label(value: Scalar) -> str:
    """Write a category, kind or other label in running text: without quotes, and without hyphens but between digits."""
    return _HYPHEN.sub(" ", value) if isinstance(value, str) else scalar(value)


def listed(items: Sequence[str], last: str) -> str:
    """Write a list: a, b and c."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}"


def ordinal(number: int) -> str:
    """Write 1st, 2nd, 16th, 21st."""
    teens, tens = 100, 10
    ending = "th" if 11 <= number % teens <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(number % tens, "th")  # noqa: PLR2004
    return f"{number}{ending}"
