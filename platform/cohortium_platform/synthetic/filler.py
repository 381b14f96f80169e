"""The rest of a record: blood results, symptoms, letters and administration, until it is as long as real ones.

Here: events that no rule of the packs reads, gathered into visits. Not here: anything that a register, an indicator or
a cohort looks for; codes that stand in such a list are left out.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

import numpy as np

from cohortium_platform.synthetic.arrays import YEAR, Codes, Days, Flags, Index, Small, Values
from cohortium_platform.synthetic.codes import CODELISTS, codelist
from cohortium_platform.synthetic.population import People
from cohortium_platform.synthetic.rows import NO_UNIT, UNITS, EventRows
from cohortium_platform.synthetic.traits import YEARS_OF_HISTORY, Traits

__all__ = ["add_filler", "is_filler"]

_SLOTS = 1 << 14
_ZIPF = 1.05
_EACH_VISIT = 4.0
_LENGTH_AT = ((0, 18, 30, 50, 70, 85), (0.42, 0.4, 0.62, 1.0, 1.75, 2.0))
_FOR_EACH_CONDITION = 0.18
_USUAL_LENGTH = 1.2
_LEAST = 0.08


@dataclass(frozen=True, slots=True)
class _Pool:
    """A list to draw from: its share of filler, which of its rows, and their values, if any (mean, spread, unit).

    `child` says whether it occurs in children's records too.
    """

    name: str
    share: float
    categories: tuple[str, ...] = ()
    value: tuple[float, float, str] | None = None
    only: str = ""
    child: bool = False


_MINOR = ("blindness-low-vision", "chronic-sinusitis", "hearing-loss", "migraine", "psoriasis-or-eczema")
_POOLS = (
    _Pool("creatinine", 12, value=(75, 16, "umol/L")),
    _Pool("lipids", 9, ("hdl",), (1.45, 0.35, "mmol/L")),
    _Pool("lipids", 7, ("ldl",), (2.9, 0.8, "mmol/L")),
    _Pool("lipids", 7, ("triglycerides",), (1.5, 0.6, "mmol/L")),
    _Pool("lipids", 4, ("total-to-hdl-ratio",), (3.8, 1.0, "{ratio}")),
    _Pool("cvd-risk-score", 4, value=(11, 6, "%")),
    _Pool("chronic-pain", 16, only="pain|ache|sciatica|lumbago|arthralgia|neuralgia", child=True),
    _Pool("multimorbidity-other-conditions", 8, _MINOR, child=True),
    _Pool("remote-consultation", 12, child=True),
    _Pool("medication-review-all-types", 7),
    _Pool("lifestyle-intervention", 6),
    _Pool("personalised-care-adjustment", 4),
    _Pool("fit-test-symptomatic", 1),
    _Pool("screening-prompt", 2),
    _Pool("alcohol-intervention", 1),
)
_INVITATIONS_ONLY = "personalised-care-adjustment"
_ADULT = 18


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Slots to draw from: a code each, with the mean and spread of its value (NaN: none) and the place of its unit."""

    code: Codes
    mean: Values
    spread: Values
    unit: Small


@functools.cache
def _reserved() -> frozenset[int]:
    """Give the codes of every list here that is not filler: they mean something to a rule."""
    names = {path.stem for path in CODELISTS.glob("*.csv")} - {pool.name for pool in _POOLS}
    return frozenset(term.code for name in names for term in codelist(name))


def _codes_of(pool: _Pool) -> list[int]:
    terms = [term for term in codelist(pool.name) if not pool.categories or term.category in pool.categories]
    terms = [term for term in terms if re.search(pool.only, term.text, re.IGNORECASE)]
    if pool.name == _INVITATIONS_ONLY:
        terms = [term for term in terms if term.category.endswith("|invitation")]
    return [term.code for term in terms if term.code not in _reserved()]


@functools.cache
def _table(*, child: bool) -> _Table:
    """Lay the pools out in slots, those for children or all of them; a code has as many as its weight says."""
    pools = [pool for pool in _POOLS if pool.child or not child]
    total = sum(pool.share for pool in pools)
    columns: list[tuple[Codes, Values, Values, Small]] = []
    for pool in pools:
        codes = np.asarray(_codes_of(pool), dtype=np.int64)
        weights = np.arange(1, len(codes) + 1) ** -_ZIPF
        slots = round(pool.share / total * _SLOTS)
        code = np.repeat(
            codes, np.diff(np.rint(np.cumsum(weights) / weights.sum() * slots).astype(np.int64), prepend=0)
        )
        mean, spread, unit = pool.value or (np.nan, np.nan, None)
        place = NO_UNIT if unit is None else UNITS.index(unit)
        size = len(code)
        columns.append((code, np.full(size, mean), np.full(size, spread), np.full(size, place, dtype=np.int8)))
    return _Table(*(np.concatenate(column) for column in zip(*columns, strict=True)))


@functools.cache
def _filler_codes() -> Codes:
    return np.unique(_table(child=False).code)


def is_filler(codes: Codes) -> Flags:
    """Say which codes are filler, so that faults can be put where they disturb no rule."""
    known = _filler_codes()
    place = np.minimum(np.searchsorted(known, codes), len(known) - 1)
    return np.asarray(known[place] == codes)


def _lengths(rng: np.random.Generator, density: float, traits: Traits, present: Index) -> Values:
    """Give how many filler events each person needs: their share of the density, less what is there already."""
    share = np.interp(traits.age, *_LENGTH_AT) * (1 + _FOR_EACH_CONDITION * traits.long_term) * traits.seen
    share = share * rng.gamma(4.0, 0.25, len(share)) / _USUAL_LENGTH
    wanted = density * share
    return np.maximum(wanted - present, _LEAST * wanted)


def _visits(rng: np.random.Generator, people: People, length: Values) -> tuple[Index, Days]:
    """Spread events over visits in the years of history; several events fall on one day."""
    visits = rng.poisson(length / _EACH_VISIT)
    person = np.repeat(np.arange(people.size, dtype=np.int32), visits)
    start = np.maximum(people.birth, people.last - int(YEARS_OF_HISTORY * YEAR))[person]
    day = start + (rng.random(len(person)) ** 0.85 * (people.last[person] - start + 1)).astype(np.int32)
    many = 1 + rng.poisson(_EACH_VISIT - 1, len(person))
    return np.repeat(person, many), np.repeat(day.astype(np.int32), many)


def add_filler(rng: np.random.Generator, rows: EventRows, people: People, traits: Traits, density: float) -> None:
    """Add filler events until records are about as long as `density` asks."""
    person, day = _visits(rng, people, _lengths(rng, density, traits, rows.counts()))
    young = day - people.birth[person] < _ADULT * YEAR
    for child in (False, True):
        mine = young == child
        _draw(rng, rows, _table(child=child), person[mine], day[mine])


def _draw(rng: np.random.Generator, rows: EventRows, table: _Table, person: Index, day: Days) -> None:
    slot = rng.integers(0, len(table.code), len(person), dtype=np.uint16)
    mean = table.mean[slot]
    drawn = np.maximum(mean + table.spread[slot] * rng.standard_normal(len(person)), mean * 0.2)
    values = np.round(drawn, 1).astype(np.float64)
    rows.add(person, day, table.code[slot], measured=(values, table.unit[slot]))
