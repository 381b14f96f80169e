"""A template opened for a patient: whom it is for, what it shows to them, what is being filled in.

Here also: the check that this is direct care, which every page of reviews passes. Not here: what pages show (`forms`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from uuid import UUID

from cohortium_auth.login import Purpose, names_of
from cohortium_platform.errors import NotFound
from cohortium_plugins.answering import is_for, items_for
from cohortium_plugins.model import Definition
from cohortium_plugins.templates import Template
from cohortium_tenants.care import Draft, Filled, Whose, fill, find_draft
from cohortium_web.asking import Asking
from cohortium_web.pages.patient.opened import OpenedPatient, open_patient

__all__ = ["OpenedReview", "open_for_care", "open_review", "templates_for"]


def open_for_care(asking: Asking, pack: str, reference: str) -> OpenedPatient:
    """Open a patient for those who care for them, and for nobody with another purpose."""
    patient = open_patient(asking, pack, reference)
    if asking.who.purpose is not Purpose.DIRECT_CARE:
        asking.refuse(f"registry/{pack}/patient", practices=[patient.row.practice], patients=[patient.row.patient_id])
    return patient


def templates_for(patient: OpenedPatient) -> Sequence[Template]:
    """The templates of the registry's pack that are for this patient."""
    registered = patient.registry.registered
    return [
        template
        for template in registered.pack.templates.values()
        if is_for(template, registered.definition, patient.record, patient.registry.index_date)
    ]


@dataclass(frozen=True)
class OpenedReview:
    """A template for one patient."""

    patient: OpenedPatient
    template: Template

    @property
    def asking(self) -> Asking:
        """The request."""
        return self.patient.registry.asking

    @property
    def path(self) -> str:
        """Where its form is."""
        return f"{self.patient.path}reviews/{self.template.name}/"

    @property
    def whose(self) -> Whose:
        """Which template, about whom."""
        row = self.patient.row
        return Whose(self.patient.registry.id, self.template.name, row.practice, row.patient_id)

    @property
    def definition(self) -> Definition:
        """The registry's definition, with the tenant's own codes."""
        return self.patient.registry.registered.definition

    @cached_property
    def for_patient(self) -> frozenset[str]:
        """The items that are for this patient."""
        return items_for(self.template, self.definition, self.patient.record, self.patient.registry.index_date)

    @cached_property
    def draft(self) -> Draft:
        """What is being filled in."""
        return find_draft(self.asking.session, self.asking.keys, self.whose)

    @property
    def usual_day(self) -> date:
        """The day that a review is of unless said otherwise: today; in a demonstration, whose records end long ago, the
        registry's day.
        """
        return self.patient.registry.index_date if self.asking.site.settings.demo else self.asking.on

    def fill(self, draft: Draft) -> Filled:
        """Read a draft."""
        return fill(self.template, draft, self.for_patient)

    def record(self, shown: str, **detail: object) -> None:
        """Write the audit entry of what was done; never what was written."""
        self.patient.record_view(shown, template=self.template.name, **detail)

    @cached_property
    def names(self) -> Mapping[UUID | None, str]:
        """People's names, by their ids."""
        return dict(names_of(self.asking.session).items())


def open_review(asking: Asking, pack: str, reference: str, template: str) -> OpenedReview:
    """Open a template for a patient whom it is for. Raises `NotFound`."""
    patient = open_for_care(asking, pack, reference)
    found = next((each for each in templates_for(patient) if each.name == template), None)
    if found is None:
        raise NotFound("There is no such review for this patient.", "Go back to the patient.")
    return OpenedReview(patient, found)
