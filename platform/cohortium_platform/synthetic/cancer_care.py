"""What is known of a block's cancer patients before any row is written.

Here: diagnoses, outcomes and summaries put together, and who supplies the summaries: the practice, a trust, or both.
Not here: the rows (`cancer_rows.py`, `trust.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cohortium_platform.synthetic.arrays import NEVER, Days, Flags, Index, day_of
from cohortium_platform.synthetic.cancer import CancerPatients, find_cancer_patients
from cohortium_platform.synthetic.course import Fitted
from cohortium_platform.synthetic.options import SyntheticOptions
from cohortium_platform.synthetic.outcomes import Outcomes, usual_outcomes
from cohortium_platform.synthetic.plan import Block, Stage, stream
from cohortium_platform.synthetic.population import People

__all__ = ["CancerCare", "find_cancer_care", "later"]

_TREATED, _SUMMARY, _NEEDS = 0.6, 0.5, 0.4
_ONLY_TRUST, _BOTH = 0.45, 0.12
_RECENT_DAYS = 6 * 365


@dataclass(frozen=True, slots=True, eq=False)
class CancerCare:
    """Cancer patients, and for each of their diagnoses (as in `outcomes`) what care came of it; NEVER where none did.

    `person` is the place in the block, `treated` the first treatment, `summary` the end-of-treatment summary, `needs`
    the holistic needs assessment. `by_trust` marks those whose summaries a trust supplies, `only_by_trust` those whose
    practice has not got them.
    """

    patients: CancerPatients
    outcomes: Outcomes
    person: Index
    treated: Days
    summary: Days
    needs: Days
    by_trust: Flags
    only_by_trust: Flags


def later(rng: np.random.Generator, day: Days, low: int, high: int, share: float) -> Days:
    """Draw a day from low to below high days after another for a share of rows, NEVER for the others."""
    drawn = day + rng.integers(low, high, len(day))
    return np.where((rng.random(len(day)) < share) & (day < NEVER), drawn, NEVER).astype(np.int32)


def find_cancer_care(options: SyntheticOptions, block: Block, people: People, fitted: Fitted | None) -> CancerCare:
    """Draw a block's cancer care. `fitted` holds the outcomes that a course decided."""
    patients = find_cancer_patients(options, block, people)
    outcomes = usual_outcomes(options, block, people, patients)
    if fitted is not None:
        outcomes = fitted.put(outcomes)
    rng = stream(options, block.number, Stage.SUMMARIES)
    treated = later(rng, outcomes.diagnosed, 14, 120, _TREATED)
    summary = later(rng, treated, 90, 260, _SUMMARY)
    needs = later(rng, outcomes.diagnosed, 7, 240, _NEEDS)
    recent = outcomes.diagnosed >= day_of(options.records_to) - _RECENT_DAYS
    draw = np.where(recent & (options.trust is not None), rng.random(len(treated)), 1.0)
    return CancerCare(
        patients=patients,
        outcomes=outcomes,
        person=patients.person[outcomes.patient],
        treated=treated,
        summary=summary,
        needs=needs,
        by_trust=draw < _ONLY_TRUST + _BOTH,
        only_by_trust=draw < _ONLY_TRUST,
    )
