"""Codelists of the generator and quick draws from them.

Here: reading the CSV files beside this module, and samplers that draw codes with Zipf weights, as codes are used in
practice: a few nearly always, most hardly ever. Not here: which event uses which list.
"""

from __future__ import annotations

import csv
import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cohortium_platform.synthetic.arrays import Codes

__all__ = ["CODELISTS", "COMMON", "Sampler", "Term", "codelist", "sampler", "sampler_of", "unknown_codes"]

CODELISTS = Path(__file__).parent / "codelists"
_SLOTS = 1 << 14
_ZIPF = 1.1

# What general practice uses most, where the list's own order would put a rare code first. A test holds that each
# stands in its list.
COMMON: dict[str, tuple[int, ...]] = {
    "alcohol-consumption": (1082641000000106, 763256006, 443280005),
    "anxiety-screening": (445455005,),
    "asthma": (195967001,),
    "atrial-fibrillation": (49436004,),
    "blood-pressure-diastolic": (271650006, 1091811000000102),
    "blood-pressure-systolic": (271649006, 72313002),
    "bmi-value": (60621009,),
    "body-height": (50373000, 1153637007),
    "body-weight": (27113001,),
    "breast-screening": (168749009, 24623002),
    "cancer-care-invitation": (1110871000000109, 413739009),
    "cancer-care-review": (720006006, 401123009),
    "cholesterol-total": (994351000000103, 850981000000101),
    "chronic-kidney-disease": (700378005, 700379002, 433144002, 431857002),
    "copd": (13645005,),
    "coronary-heart-disease": (53741008, 414545008),
    "creatinine": (1000731000000107,),
    "dementia": (52448006,),
    "depression": (35489007,),
    "depression-screening": (720433000, 171207006),
    "diabetes": (44054006, 73211009),
    "egfr": (1011481000000105, 80274001),
    "epilepsy": (84757009,),
    "heart-failure": (84114007,),
    "hba1c": (999791000000106,),
    "hypertension": (38341003, 59621000),
    "medication-review": (314530002, 88551000000109, 1239511000000100),
    "smoking-status": (266919005, 8517006, 77176002, 65568007),
    "stroke": (230690007,),
    "transient-ischaemic-attack": (266257000,),
}


@dataclass(frozen=True, slots=True)
class Term:
    """One row of a codelist."""

    code: int
    text: str
    category: str


@dataclass(frozen=True, slots=True, eq=False)
class Sampler:
    """Draws codes of one list. `table` holds each code as often as its weight says."""

    table: Codes

    def draw(self, rng: np.random.Generator, size: int) -> Codes:
        """Draw codes, with replacement."""
        return self.table[rng.integers(0, _SLOTS, size, dtype=np.uint16)]


@functools.cache
def codelist(name: str) -> tuple[Term, ...]:
    """Read a codelist by its file name without `.csv`."""
    with (CODELISTS / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        return tuple(Term(int(row["code"]), row["term"], row.get("category") or "") for row in rows)


@functools.cache
def sampler(name: str, *categories: str, without: str = "", only: str = "") -> Sampler:
    """Make the sampler of a codelist, of some of its categories, or of the terms that match `only` and not `without`.

    No list but that of cancer diagnoses gives a code that stands among these.

    Raises:
        ValueError: nothing is left to draw from.
    """
    no, yes = re.compile(without or r"(?!)", re.IGNORECASE), re.compile(only, re.IGNORECASE)

    def kept(term: Term) -> bool:
        wanted = not categories or term.category in categories
        return wanted and not no.search(term.text) and bool(yes.search(term.text))

    return _sampler(name, kept)


@functools.cache
def _cancers() -> frozenset[int]:
    """Give the codes that start a cancer: a screening result "cancer detected" would make a patient by accident."""
    return frozenset(term.code for term in codelist("cancer-diagnosis"))


def _sampler(name: str, kept: Callable[[Term], bool]) -> Sampler:
    barred = frozenset[int]() if name == "cancer-diagnosis" else _cancers()
    codes = [term.code for term in codelist(name) if kept(term) and term.code not in barred]
    common = [code for code in COMMON.get(name, ()) if code in set(codes)]
    return sampler_of((*common, *(code for code in codes if code not in set(common))), what=name)


def sampler_of(codes: tuple[int, ...], *, what: str) -> Sampler:
    """Make a sampler of codes in falling order of use."""
    if not codes:
        raise ValueError(f"Codelist {what}: no code is left to draw from")
    weights = 1.0 / np.arange(1, len(codes) + 1) ** _ZIPF
    edges = np.rint(np.cumsum(weights) / weights.sum() * _SLOTS).astype(np.int64)
    table = np.repeat(np.asarray(codes, dtype=np.int64), np.diff(edges, prepend=0))
    return Sampler(table)


_PERMUTE = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
_HALF = 5


def _multiply(one: int, other: int) -> int:
    """Multiply in the dihedral group of order ten, as the Verhoeff scheme does."""
    if one < _HALF:
        return (one + other) % _HALF if other < _HALF else _HALF + (one + other) % _HALF
    return _HALF + (one - other) % _HALF if other < _HALF else (one - other) % _HALF


def _check_digit(digits: str) -> int:
    """Give the Verhoeff check digit that a SNOMED CT identifier ends in."""
    total = 0
    for place, text in enumerate(reversed(digits), start=1):
        digit = int(text)
        for _ in range(place % 8):
            digit = _PERMUTE[digit]
        total = _multiply(total, digit)
    return next(digit for digit in range(10) if _multiply(total, digit) == 0)


@functools.cache
def unknown_codes() -> Sampler:
    """Give codes that look local to a GP system (its SNOMED CT namespace) and fail the check digit, as feeds hold."""
    stems = [f"{item}100000610" for item in range(1407, 1447)]
    return sampler_of(tuple(int(f"{stem}{(_check_digit(stem) + 1) % 10}") for stem in stems), what="unknown")
