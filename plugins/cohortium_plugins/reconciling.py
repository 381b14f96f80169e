"""A cohort beside the register it should agree with: a definition of its own, which any engine can evaluate.

Everyone with a code of the register is looked at. Whether someone is in the registry and on the register, and if these
do not both hold why, comes from the rules themselves. Not here: running it, and who may see it.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from cohortium_plugins.errors import DefinitionError
from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import Cohort, Definition, Reference, Shown, Stratifier
from cohortium_plugins.model.nodes import Series
from cohortium_plugins.model.values import ValueType

__all__ = ["DIED", "LEFT", "REASON", "STANDING", "UNEXPLAINED", "Standing", "reconciliation"]

STANDING, REASON = "standing", "reason"
"""The two stratifiers of a reconciliation."""

DIED, LEFT, UNEXPLAINED = "died", "left-the-practice", "unexplained"
"""Reasons that every reconciliation knows beside those of its reference: the first two before, the last after them."""


_FALSE = nodes.Constant(value=False, kind=ValueType.BOOL)


class Standing(enum.StrEnum):
    """Where someone with a code of the register stands at the index date."""

    BOTH = "both"
    REGISTRY_ONLY = "registry-only"
    REFERENCE_ONLY = "reference-only"
    NEITHER = "neither"


def reconciliation(definition: Definition, cohort: str) -> Definition:
    """Give the definition that compares a cohort of a bound definition with its reference: one cohort of everyone with
    a code of the register, divided by `STANDING` and `REASON` (absent for those in both).

    Raises DefinitionError when the cohort names no reference.
    """
    compared = definition.cohort(cohort)
    reference = compared.reference
    if reference is None:
        raise DefinitionError(f"The cohort {cohort} names no register to agree with.", "Give it reference=.")
    looked_at = Cohort(
        name=f"{compared.name}--{reference.name}",
        title=f"{compared.title}, beside: {reference.title}",
        description="Everyone with a code of the register.",
        members=nodes.Or((compared.members, reference.members, reference.coded)),
        since=compared.since,
        origin=compared.origin,
        shown=Shown(),
        reference=None,
        source=reference.source,
        departed=True,
    )
    return Definition(
        codelists=definition.codelists,
        parameters=definition.parameters,
        cohorts=(looked_at,),
        indicators=(),
        stratifiers=(_standing(compared, reference), _reason(compared, reference)),
    )


def _standing(cohort: Cohort, reference: Reference) -> Stratifier:
    ours, theirs = _holds(cohort.members), _holds(reference.members)
    value = _choice(
        [
            (nodes.And((ours, theirs)), Standing.BOTH),
            (ours, Standing.REGISTRY_ONLY),
            (theirs, Standing.REFERENCE_ONLY),
        ],
        _text(Standing.NEITHER),
    )
    labels = {
        Standing.BOTH: "In both",
        Standing.REGISTRY_ONLY: f"In the registry, not on the {reference.title}",
        Standing.REFERENCE_ONLY: f"On the {reference.title}, not in the registry",
        Standing.NEITHER: "Has a code, and is on neither",
    }
    return Stratifier(STANDING, "Standing", value, tuple((str(key), words) for key, words in labels.items()))


def _reason(cohort: Cohort, reference: Reference) -> Stratifier:
    differs = nodes.Not(nodes.And((_holds(cohort.members), _holds(reference.members))))
    died = nodes.Not(nodes.IsMissing(nodes.PatientFact("date_of_death")))
    left = nodes.Not(_holds(nodes.PatientFact("is_registered")))
    reasons: list[tuple[str, str, Series]] = [(DIED, "Died", died), (LEFT, "Left the practice", left)]
    reasons += [(each.name, each.title, _holds(each.when)) for each in reference.reasons]
    branches = [*((nodes.And((differs, when)), name) for name, _, when in reasons), (differs, UNEXPLAINED)]
    value = _choice(branches, None)
    labels = [(name, title) for name, title, _ in reasons]
    return Stratifier(REASON, "Reason", value, (*labels, (UNEXPLAINED, "No reason found by the rules")))


def _holds(condition: Series) -> Series:
    """A condition that is false where it is not known."""
    return nodes.Coalesce((condition, _FALSE))


def _text(value: str) -> Series:
    return nodes.Constant(str(value), ValueType.TEXT)


def _choice(branches: Sequence[tuple[Series, str]], otherwise: Series | None) -> Series:
    return nodes.Case(
        tuple(condition for condition, _ in branches), tuple(_text(value) for _, value in branches), otherwise
    )
