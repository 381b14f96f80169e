"""What a golden patient is: a record, the date it is looked at, and what must be said of it. Data only."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from cohortium_plugins.errors import DefinitionError, nearest
from cohortium_plugins.model.definition import Code, Codelist, Definition
from cohortium_plugins.model.serialise import bind
from cohortium_plugins.model.values import Scalar, Status
from cohortium_plugins.record import Record

__all__ = ["Binding", "Case", "ExpectedMember", "ExpectedResult"]

Fact = str | float | bool | dt.date | Status | None
"""An expected value of a column of a result."""


@dataclass(frozen=True, slots=True)
class ExpectedResult:
    """What an indicator must say. `fields` are columns of `Result`; columns that are absent are not compared."""

    indicator: str
    fields: Mapping[str, Fact]

    @property
    def status(self) -> Status:
        """The expected status."""
        return Status(str(self.fields["status"]))


@dataclass(frozen=True, slots=True)
class ExpectedMember:
    """Whether the patient must be in a cohort (the pack's first when none is named), and columns of `Member` and strata
    to compare; and where they must stand beside the first cohort's reference, by the stratifiers of a reconciliation
    (empty: not looked at).
    """

    member: bool
    cohort: str | None = None
    fields: Mapping[str, Fact] = field(default_factory=dict)
    strata: Mapping[str, str | None] = field(default_factory=dict)
    reference: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Binding:
    """A tenant's choices under which a case is looked at: parameters, local codes, lists taken as empty."""

    parameters: tuple[tuple[str, Scalar], ...] = ()
    local_codes: tuple[tuple[str, tuple[Code, ...]], ...] = ()
    without_codes: tuple[str, ...] = ()

    def apply(self, definition: Definition) -> Definition:
        """Give the definition with the choices in place. Raises DefinitionError for a name the pack does not have."""
        bound = bind(definition, dict(self.parameters), {name: codes for name, codes in self.local_codes if codes})
        codelists = dict(bound.codelists)
        for name in self.without_codes:
            if name not in codelists:
                raise DefinitionError(f"There is no codelist {name}.", nearest(name, codelists))
            full = codelists[name]
            codelists[name] = Codelist(name, full.title, full.source, full.version, ())
        return Definition(codelists, bound.parameters, bound.cohorts, bound.indicators, bound.stratifiers)


@dataclass(frozen=True, slots=True)
class Case:
    """One golden patient at one index date. `why` is the sentence or rule that the expectation comes from."""

    file: str
    patient: str
    why: str
    index_date: dt.date
    record: Record
    binding: Binding
    results: tuple[ExpectedResult, ...] = ()
    member: ExpectedMember | None = None

    @property
    def label(self) -> str:
        """Name the case: the patient and the date."""
        return f"{self.patient} [{self.index_date}]"
