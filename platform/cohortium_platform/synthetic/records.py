"""Everything that a block of people leaves in records, made in one go.

Here: putting the parts together, and the tables beside events: medications, consultations, contacts. Not here: what a
practice sees of it (`extract.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cohortium_platform.synthetic.arrays import NEVER, YEAR, Codes, Days, Flags, Index, day_of
from cohortium_platform.synthetic.cancer_care import CancerCare, find_cancer_care
from cohortium_platform.synthetic.cancer_rows import add_cancer_rows
from cohortium_platform.synthetic.care import add_care_rows, flu_days
from cohortium_platform.synthetic.codes import sampler
from cohortium_platform.synthetic.conditions import add_condition_rows, find_conditions
from cohortium_platform.synthetic.course import Fitted
from cohortium_platform.synthetic.faults import Faults, add_faults
from cohortium_platform.synthetic.filler import add_filler
from cohortium_platform.synthetic.identities import Identities, make_identities, next_of_kin
from cohortium_platform.synthetic.options import Only, SyntheticOptions
from cohortium_platform.synthetic.plan import Block, Stage, stream
from cohortium_platform.synthetic.population import People, make_people
from cohortium_platform.synthetic.routine import add_routine_rows
from cohortium_platform.synthetic.rows import EventRows, Events
from cohortium_platform.synthetic.traits import Life, make_life

__all__ = ["KINDS", "Dated", "Kin", "Record", "make_record"]

KINDS = ("gp-face-to-face", "gp-telephone", "nurse", "pharmacist", "online", "home-visit")
_KIND_EDGES = np.cumsum([0.38, 0.24, 0.2, 0.06, 0.1, 0.02])
_CONSULTED_YEARS = 5
_WITH_KIN = 0.6
_ISSUED_YEARS, _ISSUES_A_YEAR = 4, 4.5
_FLU_STOCK = 0.35
_RISK_GROUP = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class Dated:
    """Rows of person, day and one more number: a code, or a place in `KINDS`. In order of person and day."""

    person: Index
    day: Days
    what: Codes

    @classmethod
    def ordered(cls, person: Index, day: Days, what: Codes, kept: Flags) -> Dated:
        """Put the kept rows in order."""
        person, day, what = person[kept], day[kept], what[kept]
        order = np.lexsort((day, person))
        return cls(person[order], day[order], what[order])


@dataclass(frozen=True, slots=True, eq=False)
class Kin:
    """Next of kin: whose, recorded when, what name and number."""

    person: Index
    day: Days
    name: list[str]
    telephone: list[str]


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """What a block's people leave. `shown` marks those to write: all, or cancer patients only."""

    people: People
    cancer: CancerCare
    identities: Identities
    shown: Flags
    events: Events
    medications: Dated
    consultations: Dated
    kin: Kin
    faults: Faults


def _medications(rng: np.random.Generator, life: Life, flu: tuple[Index, Days]) -> Dated:
    """Draw inhalers and their like for asthma and COPD, until resolved, and flu vaccine given from stock."""
    people, conditions, traits = life.people, life.conditions, life.traits
    airways = np.flatnonzero(conditions.has("asthma", "copd"))
    issues = rng.poisson(_ISSUES_A_YEAR * _ISSUED_YEARS * np.minimum(traits.seen[airways], 2))
    issues = np.where(rng.random(len(airways)) < 0.72, issues, 0)
    person = np.repeat(airways, issues).astype(np.int32)
    back = rng.random(len(person)) * _ISSUED_YEARS * YEAR
    day = (people.last[person] - back).astype(np.int32)
    # Each person keeps to a few products.
    products = sampler("asthma-treatment").draw(rng, people.size * 2).reshape(people.size, 2)
    code = products[person, (rng.random(len(person)) < 0.4).astype(np.int64)]
    over = conditions.resolved[person].min(axis=1, initial=NEVER)
    stock = rng.random(len(flu[0])) < _FLU_STOCK
    person = np.concatenate([person, flu[0][stock]])
    day = np.concatenate([day, flu[1][stock]])
    code = np.concatenate([code, sampler("flu-vaccine-product").draw(rng, int(stock.sum()))])
    until = np.concatenate([over, np.full(int(stock.sum()), NEVER, dtype=np.int32)])
    return Dated.ordered(
        person, day, code, (day >= people.birth[person]) & (day <= people.last[person]) & (day < until)
    )


def _consultations(rng: np.random.Generator, life: Life) -> Dated:
    """Draw consultations of the last years, more for the old and ill."""
    people, traits = life.people, life.traits
    yearly = np.interp(traits.age, (0, 5, 20, 40, 65, 85), (5, 2.2, 2.6, 3.4, 5.5, 8)) * (1 + 0.15 * traits.long_term)
    count = rng.poisson(yearly * traits.seen * _CONSULTED_YEARS * 0.8)
    person = np.repeat(np.arange(people.size, dtype=np.int32), count)
    back = rng.random(len(person)) * _CONSULTED_YEARS * YEAR
    day = (people.last[person] - back).astype(np.int32)
    kind = np.searchsorted(_KIND_EDGES, rng.random(len(person)), side="right").astype(np.int64)
    return Dated.ordered(person, day, np.minimum(kind, len(KINDS) - 1), day >= people.birth[person])


def _kin(options: SyntheticOptions, block: Block, people: People, identities: Identities) -> Kin:
    """Draw next of kin for most people."""
    rng = stream(options, block.number, Stage.CONTACTS)
    person = np.flatnonzero(rng.random(people.size) < _WITH_KIN).astype(np.int32)
    room = np.maximum(people.last[person] - people.origin_start[person], 1)
    day = (people.origin_start[person] + rng.random(len(person)) * room).astype(np.int32)
    name, telephone = next_of_kin(rng, identities.family_name, person)
    return Kin(person, day, name, telephone)


_NONE = Dated(np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int64))


def _add_the_rest(options: SyntheticOptions, block: Block, people: People, rows: EventRows) -> tuple[Dated, Dated]:
    """Add everything but cancer to the event rows. Gives medications and consultations."""
    rng = stream(options, block.number, Stage.ROUTINE)
    life = make_life(rng, options, people, find_conditions(options, block, people))
    add_condition_rows(rng, rows, life.conditions)
    at_risk = (life.traits.long_term > 0) & (rng.random(people.size) < _RISK_GROUP)
    flu = flu_days(rng, life, at_risk)
    add_routine_rows(rng, rows, life)
    add_care_rows(rng, rows, life, flu)
    add_filler(stream(options, block.number, Stage.FILLER), rows, people, life.traits, options.density)
    return _medications(rng, life, flu), _consultations(rng, life)


def make_record(options: SyntheticOptions, block: Block, fitted: Fitted | None) -> Record:
    """Make everything that a block's people leave in records. `fitted` holds outcomes that a course decided."""
    people = make_people(options, block)
    cancer = find_cancer_care(options, block, people, fitted)
    identities = make_identities(options, block, people)
    rows = EventRows(people.birth, people.last)
    add_cancer_rows(options, block, rows, cancer)
    medications, consultations, kin, faults = _NONE, _NONE, Kin(_NONE.person, _NONE.day, [], []), Faults()
    shown = np.ones(people.size, dtype=np.bool_)
    if options.only is Only.CANCER:
        shown[:] = False
        shown[cancer.patients.person] = True
        events = rows.finish()
    else:
        medications, consultations = _add_the_rest(options, block, people, rows)
        kin = _kin(options, block, people, identities)
        rng = stream(options, block.number, Stage.FAULTS)
        events, faults = add_faults(rng, rows.finish(), day_of(options.records_to))
    return Record(people, cancer, identities, shown, events, medications, consultations, kin, faults)
