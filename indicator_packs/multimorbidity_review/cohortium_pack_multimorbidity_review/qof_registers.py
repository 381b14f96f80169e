"""The registry of several conditions beside QOF's own registers: who is on two of them or more, and why people differ.

QOF has no register of multimorbidity. A practice knows its registers, and expects whoever is on two of them here. Not
here: the registers' rules (`conditions`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cohortium_pack_multimorbidity_review.conditions import (
    CANCER_START,
    DEPRESSION_START,
    Condition,
    by_name,
    depression_episodes,
)
from cohortium_plugins.authoring import Reference, reason
from cohortium_plugins.language import BoolSeries, Frame, NumberSeries, all_of, count_true, events, named, patient
from cohortium_plugins.model import definition

__all__ = ["QOF_REGISTERS", "Register", "two_registers"]

FROM_6, FROM_17, FROM_18 = 6, 17, 18
ADULT = 18


@dataclass(frozen=True)
class Register:
    """One of QOF's registers: from which age it counts, whether someone has one of its codes, and what may keep someone
    with a code off it: a later resolved code, no recent drug, entries from before it begins.
    """

    condition: Condition
    coded: BoolSeries
    age: int = 0
    resolved: BoolSeries | None = None
    undrugged: BoolSeries | None = None
    early: BoolSeries | None = None

    @property
    def counts(self) -> BoolSeries:
        """Whether QOF counts someone on it."""
        return self.condition.present & (patient.age >= self.age) if self.age else self.condition.present


def _plain(name: str, *codelists: str) -> Register:
    """A register that nothing ends."""
    (condition,) = by_name(name)
    first, *rest = (events(codelist).exists for codelist in codelists or (name,))
    for other in rest:
        first |= other
    return Register(condition, first)


def _ended(found: Frame, resolved: Frame) -> BoolSeries:
    """Tell whether a resolved code is not earlier than the latest diagnosis. Without a diagnosis, an empty list of
    resolved codes leaves nothing undecided.
    """
    return found.exists & (resolved.latest().date >= found.latest().date)


def _resolvable(name: str, age: int = 0, *, drug: bool = False) -> Register:
    """A register that a later resolved code ends; with `drug`, so does a drug not issued lately."""
    (condition,) = by_name(name)
    found, resolved = events(name), events(f"{name}-resolved")
    unresolved = ~resolved.exists | (found.latest().date > resolved.latest().date)
    undrugged = all_of(found.exists, unresolved, ~condition.present) if drug else None
    return Register(condition, found.exists, age, _ended(found, resolved), undrugged)


(_cancer,) = by_name("cancer")
(_depression,) = by_name("depression")
_tumour, _low = events("cancer-diagnosis"), events("depression")

QOF_REGISTERS: Sequence[Register] = (
    _resolvable("asthma", FROM_6, drug=True),
    _resolvable("atrial-fibrillation"),
    Register(
        _cancer,
        _tumour.exists,
        early=_tumour.exists & ~_tumour.on_or_after(CANCER_START).exists,
    ),
    _plain("coronary-heart-disease"),
    _resolvable("chronic-kidney-disease", FROM_18),
    _resolvable("copd"),
    _plain("dementia"),
    Register(
        _depression,
        _low.exists,
        FROM_18,
        resolved=_ended(depression_episodes, events("depression-resolved")),
        early=_low.exists & ~_low.on_or_after(DEPRESSION_START).exists,
    ),
    _resolvable("diabetes", FROM_17),
    _resolvable("epilepsy", FROM_18, drug=True),
    _resolvable("heart-failure"),
    _resolvable("hypertension", FROM_18),
    _plain("learning-disability"),
    _plain("osteoporosis"),
    _plain("peripheral-arterial-disease"),
    _plain("rheumatoid-arthritis"),
    _plain("severe-mental-illness"),
    _plain("stroke-tia", "stroke", "transient-ischaemic-attack"),
)


def two_registers(counted: NumberSeries, minimum: NumberSeries) -> definition.Reference:
    """Make the reference of a cohort that counts conditions (`counted`), of which so many make a member."""
    on = named("the number of QOF's registers", count_true(*(register.counts for register in QOF_REGISTERS)))
    coded = count_true(*(register.coded for register in QOF_REGISTERS))
    undrugged = count_true(*(register.undrugged for register in QOF_REGISTERS if register.undrugged is not None))
    resolved = count_true(*(register.resolved for register in QOF_REGISTERS if register.resolved is not None))
    early = count_true(*(register.early for register in QOF_REGISTERS if register.early is not None))
    with_drugs = on + undrugged
    return Reference(
        "qof-registers",
        title="QOF registers of single conditions",
        members=patient.is_registered & (on >= minimum),
        coded=coded >= minimum,
        reasons=[
            reason("age", "Younger than 18, or than a register counts from", patient.age < ADULT),
            reason(
                "conditions-beside-qof",
                "Has conditions that count here and have no register in QOF",
                counted >= minimum,
            ),
            reason(
                "no-recent-drug",
                "Has too few registers since a drug for one was not issued lately",
                with_drugs >= minimum,
            ),
            reason(
                "resolved",
                "Has too few registers since a diagnosis was resolved",
                with_drugs + resolved >= minimum,
            ),
            reason(
                "before-the-register",
                "Every entry of a diagnosis is older than its register (cancer April 2003, depression April 2006)",
                with_drugs + resolved + early >= minimum,
            ),
            reason(
                "not-what-counts",
                "Has codes of a register and not what it counts: stage, fracture, age at the first entry, episode",
                coded >= minimum,
            ),
        ],
        source="QOF business rules v50",
        unsure="QOF itself has no register of people with several conditions.",
    )
