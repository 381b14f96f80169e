"""A registry's first cohort beside its reference, for one request: everyone compared whom the asker may see.

Not here: pages (`routes`), and working it out (cohortium_platform.engine.reconciling).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from cohortium_auth.policy import Action
from cohortium_platform.engine.catalogue import CatalogueSource
from cohortium_platform.engine.reconciling import Compared, Reconciliation
from cohortium_platform.errors import NotFound
from cohortium_platform.records import RecordStore
from cohortium_plugins.model import Reference
from cohortium_plugins.reconciling import DIED, LEFT, Standing
from cohortium_plugins.reconciling import reconciliation as rule
from cohortium_web.pages.registry.opened import OpenedRegistry, left_in

__all__ = ["GONE", "ComparedRegistry", "standing_words"]

GONE = (DIED, LEFT)
"""Reasons of people who are counted and not named: they belong to this practice no longer."""


@dataclass(frozen=True)
class ComparedRegistry:
    """A registry and its reference, over some practices in reach."""

    registry: OpenedRegistry
    practices: Collection[str]

    @cached_property
    def reference(self) -> Reference:
        """The register. Raises `NotFound` for a registry without one."""
        found = self.registry.registered.definition.cohorts[0].reference
        if found is None:
            raise NotFound("This registry names no register that it should agree with.", "Go back to the registry.")
        return found

    @cached_property
    def reconciliation(self) -> Reconciliation:
        """What works it out, at the day and the records that the registry's lists stand on."""
        asking, results = self.registry.asking, self.registry.results
        store = RecordStore(asking.site.settings.store_root, asking.who.tenant_id)
        source = CatalogueSource(asking.session, store, results.evaluation.snapshot)
        return Reconciliation(
            asking.site.settings,
            asking.who.tenant_id,
            source,
            self.registry.registered.definition,
            definition_hash=self.registry.registered.of_tenant.hash,
            cohort=self.registry.registered.definition.cohorts[0].name,
            index_date=results.index_date,
        )

    @cached_property
    def missing(self) -> Sequence[str]:
        """Practices that nobody has asked about since their records came."""
        return self.reconciliation.missing(sorted(self.practices))

    @cached_property
    def everyone(self) -> Sequence[Compared]:
        """Everyone with a code of the register, of whom this person may know; worked out now where it was not."""
        asking = self.registry.asking
        with asking.timed("reconciliation"):
            self.reconciliation.make(self.missing)
            found = self.reconciliation.of(sorted(self.practices))
        reach = asking.reach_of(self.registry.id, Action.VIEW_REGISTRY)
        left = left_in(asking, reach, lambda: [each.patient_id for each in found])
        return found if left is None else [each for each in found if each.patient_id in left]

    def different(self, standing: str = "", reason: str = "") -> Sequence[Compared]:
        """Those of the difference who belong to a practice, with a standing and a reason where these are asked for."""
        return [
            each
            for each in self.everyone
            if each.standing != Standing.BOTH
            and each.reason not in GONE
            and (not standing or each.standing == standing)
            and (not reason or each.reason == reason)
        ]

    @cached_property
    def counts(self) -> Mapping[tuple[str, str, str | None], int]:
        """How many people there are by practice, standing and reason."""
        return Counter((each.practice, each.standing, each.reason) for each in self.everyone)

    @cached_property
    def reason_words(self) -> Mapping[str, str]:
        """Each reason's words, in the order in which reasons are looked at."""
        definition = self.registry.registered.definition
        stratifiers = rule(definition, definition.cohorts[0].name).stratifiers
        return dict(stratifiers[1].labels)


def standing_words(reference: Reference) -> Mapping[str, str]:
    """What each standing is called in a table's head."""
    return {
        Standing.BOTH: "In both",
        Standing.REGISTRY_ONLY: "In the registry only",
        Standing.REFERENCE_ONLY: f"On the {reference.title} only",
        Standing.NEITHER: "Coded, on neither",
    }
