"""What a hospital trust supplies: treatment summaries and holistic needs assessments of part of the cancer patients.

Here: its two tables. Not here: whose summaries it supplies (`cancer_care.py`), and writing files.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from cohortium_platform.synthetic.arrays import NEVER
from cohortium_platform.synthetic.cancer_care import CancerCare
from cohortium_platform.synthetic.codes import sampler
from cohortium_platform.synthetic.identities import Identities
from cohortium_platform.synthetic.options import SyntheticOptions
from cohortium_platform.synthetic.plan import Block, Stage, stream
from cohortium_platform.synthetic.population import People

__all__ = ["trust_tables"]


def trust_tables(
    options: SyntheticOptions, block: Block, people: People, care: CancerCare, identities: Identities
) -> tuple[pa.Table, pa.Table]:
    """Make the trust's patients and events of a block; it knows only people whose NHS number is right."""
    rng = stream(options, block.number, Stage.TRUST)
    supplied = care.by_trust & identities.valid[care.person]
    persons, days, codes = [], [], []
    for day, name in ((care.summary, "end-of-treatment-summary"), (care.needs, "holistic-needs-assessment")):
        kept = supplied & (day < NEVER) & (day <= people.last[care.person])
        persons.append(care.person[kept])
        days.append(day[kept])
        codes.append(sampler(f"cancer-{name}").draw(rng, int(kept.sum())))
    who, when = np.concatenate(persons), np.concatenate(days)
    order = np.lexsort((when, who))
    known = np.unique(who)
    ids = {place: f"T{block.number:05d}{place:05d}" for place in known.tolist()}
    patients = pa.table(
        {
            "local_id": pa.array([ids[place] for place in known.tolist()], pa.string()),
            "nhs_number": pa.array([identities.nhs_number[place] for place in known.tolist()], pa.string()),
            "date_of_birth": pa.array(people.birth[known], pa.int32()).cast(pa.date32()),
        }
    )
    events = pa.table(
        {
            "local_id": pa.array([ids[place] for place in who[order].tolist()], pa.string()),
            "date": pa.array(when[order], pa.int32()).cast(pa.date32()),
            "code": pa.array(np.concatenate(codes)[order], pa.int64()),
        }
    )
    return patients, events
