"""What a pack defines: codelists, parameters, cohorts, indicators, stratifiers. Data only.

Not here: the shorthand that authors use (`language`) and what makes a definition sound (`checks`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NoReturn

from cohortium_plugins.model.nodes import Node, Pick, Series
from cohortium_plugins.model.values import Scalar, ValueType

__all__ = [
    "Adjustment", "Code", "Codelist", "Cohort", "Definition", "Indicator", "Parameter", "Reason", "Reference", "Shown",
    "Stratifier",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Code:
    """One code of a codelist: SNOMED CT identifier, term as its source writes it, category if the list has them.
    `local` marks a code of a tenant's own system.
    """

    code: int
    term: str
    category: str | None = None
    local: bool = False


@dataclass(frozen=True)
class Codelist:
    """A named set of codes. An empty one means: no codes configured."""

    name: str
    title: str
    source: str
    version: str
    codes: tuple[Code, ...]

    @cached_property
    def by_code(self) -> Mapping[int, Code]:
        """Codes by identifier."""
        return {code.code: code for code in self.codes}

    def extended(self, additions: tuple[Code, ...]) -> Codelist:
        """Give this list with a tenant's own codes added; a code already in it stays as it is."""
        new = tuple(code for code in additions if code.code not in self.by_code)
        return Codelist(self.name, self.title, self.source, self.version, self.codes + new)


@dataclass(frozen=True, slots=True)
class Parameter:
    """The only kind of thing that a tenant may change without a new version."""

    name: str
    title: str
    default: Scalar
    choices: tuple[Scalar, ...]
    type: ValueType


@dataclass(frozen=True, slots=True)
class Shown:
    """The value beside a result, by kind. Each may be absent."""

    number: Series | None = None
    code: Series | None = None
    text: Series | None = None

    def nodes(self) -> Iterator[Series]:
        """Yield what is present."""
        yield from (series for series in (self.number, self.code, self.text) if series is not None)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why somebody is in a cohort and not on the register it should agree with, the other way round, or on neither."""

    name: str
    title: str
    when: Series


@dataclass(frozen=True, slots=True)
class Reference:
    """The register that a cohort should agree with, as a rule of its own.

    `members`: who is on it; `coded`: whom to look at, anybody with one of its codes; `reasons`: why people differ, of
    which the first that holds is given.
    """

    name: str
    title: str
    members: Series
    coded: Series
    reasons: tuple[Reason, ...]
    source: str
    unsure: str = ""

    def nodes(self) -> Iterator[Node]:
        """Yield the roots of its rules."""
        yield from (self.members, self.coded)
        yield from (reason.when for reason in self.reasons)


@dataclass(frozen=True, slots=True)
class Cohort:
    """Who is in a registry, since when. `reference` is the register it should agree with; `origin` is the event that
    made them a member. A person belongs to the practice where they are registered, and nobody else is looked at, unless
    the cohort is of the `departed` too: then everyone of whom a practice still has records is.
    """

    name: str
    title: str
    description: str
    members: Series
    since: Series
    origin: Pick | None
    shown: Shown
    reference: Reference | None
    source: str
    departed: bool = False

    def nodes(self) -> Iterator[Node]:
        """Yield the roots of its rules; those of its reference are no part of who is a member."""
        yield from (self.members, self.since)
        yield from self.shown.nodes()
        if self.origin is not None:
            yield self.origin


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A reason that takes someone out of an indicator's QOF rate, tested after `met`."""

    name: str
    title: str
    when: Series


@dataclass(frozen=True, slots=True)
class Indicator:
    """A rule over a cohort.

    `applies`: to whom; `met`: whether it is; `due`: the day it falls due while not met (unknown: `begins`, shown as
    "Now"); `begins`: the day it began to apply; `renews`: when a met one falls due again (None: never); `date`: the
    day shown for a met result (else the deciding event's); `evidence`: picks of which the latest in time is the
    deciding event, the first listed when equal. `measure`: what it measures, in a word that indicators of other packs
    use for the same thing; someone in both registries is asked for it once.
    """

    name: str
    title: str
    description: str
    group: str
    cohort: str
    applies: Series
    met: Series
    due: Series | None
    begins: Series
    renews: Series | None
    date: Series | None
    evidence: tuple[Pick, ...]
    shown: Shown
    adjustments: tuple[Adjustment, ...]
    source: str
    unsure: str = ""
    measure: str = ""

    def nodes(self) -> Iterator[Node]:
        """Yield the roots of its rules."""
        yield from (self.applies, self.met, self.begins)
        yield from (series for series in (self.due, self.renews, self.date) if series is not None)
        yield from self.evidence
        yield from self.shown.nodes()
        yield from (adjustment.when for adjustment in self.adjustments)


@dataclass(frozen=True, slots=True)
class Stratifier:
    """A way to divide a cohort. `labels` gives the values in the order shown, with their words."""

    name: str
    title: str
    value: Series
    labels: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Definition:
    """Everything a pack says about patients."""

    codelists: Mapping[str, Codelist]
    parameters: tuple[Parameter, ...]
    cohorts: tuple[Cohort, ...]
    indicators: tuple[Indicator, ...]
    stratifiers: tuple[Stratifier, ...] = field(default=())

    def cohort(self, name: str) -> Cohort:
        """Give a cohort by name. Raises KeyError."""
        return next((c for c in self.cohorts if c.name == name), None) or _missing("cohort", name)

    def indicator(self, name: str) -> Indicator:
        """Give an indicator by name. Raises KeyError."""
        return next((i for i in self.indicators if i.name == name), None) or _missing("indicator", name)

    def roots(self) -> Iterator[Node]:
        """Yield the roots of every rule, in a fixed order."""
        for cohort in self.cohorts:
            yield from cohort.nodes()
            if cohort.reference is not None:
                yield from cohort.reference.nodes()
        for indicator in self.indicators:
            yield from indicator.nodes()
        yield from (stratifier.value for stratifier in self.stratifiers)


def _missing(kind: str, name: str) -> NoReturn:
    raise KeyError(f"There is no {kind} called {name}")
