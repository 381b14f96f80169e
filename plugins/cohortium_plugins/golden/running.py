"""Runs golden patients on an engine and says what differs from what was expected.

An engine is any callable that takes a bound definition, records and index dates and gives an answer; `interpret` is
the reference. Not here: pytest (`testing`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from cohortium_plugins.errors import GoldenError, PackError, nearest
from cohortium_plugins.golden.cases import Binding, Case, ExpectedMember, ExpectedResult
from cohortium_plugins.interpreter import Evaluation
from cohortium_plugins.model.definition import Definition
from cohortium_plugins.model.values import Status
from cohortium_plugins.reconciling import reconciliation
from cohortium_plugins.record import Member, Record, Result
from cohortium_plugins.status import is_member, member, result_of

__all__ = ["BESIDE_REFERENCE", "Answer", "Difference", "Engine", "check", "differences", "interpret", "only"]

BESIDE_REFERENCE = "beside the reference"
"""Stands for the cohort's name among the members of a reconciliation."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an engine says: a result for each member, indicator and date, and a row for each member and date."""

    results: Sequence[Result]
    members: Sequence[Member]


class Engine(Protocol):
    """Evaluates a definition whose parameters are bound."""

    def __call__(self, definition: Definition, records: Sequence[Record], index_dates: Sequence[dt.date], /) -> Answer:
        """Give the answer for every record at every date. Records of one practice agree on what was loaded."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as expected. `subject` is an indicator, "cohort" or "reference"."""

    case: Case
    subject: str
    field: str
    expected: object
    got: object

    def __str__(self) -> str:
        """Read as one line: the subject, the column, both values."""
        return f"{self.subject}: {self.field}: expected {_said(self.expected)}, got {_said(self.got)}"


def _said(item: object) -> str:
    return "nothing" if item is None else str(item)


def only(definition: Definition, indicators: Iterable[str]) -> Definition:
    """Give the definition with no other indicators than these."""
    wanted = set(indicators)
    known = {indicator.name for indicator in definition.indicators}
    for name in sorted(wanted - known):
        raise GoldenError(f"The pack has no indicator {name}.", nearest(name, known))
    kept = tuple(indicator for indicator in definition.indicators if indicator.name in wanted)
    return Definition(definition.codelists, definition.parameters, definition.cohorts, kept, definition.stratifiers)


def interpret(definition: Definition, records: Sequence[Record], index_dates: Sequence[dt.date]) -> Answer:
    """Answer with the reference interpreter."""
    results: list[Result] = []
    members: list[Member] = []
    for record in records:
        for day in index_dates:
            evaluation = Evaluation(record, day, definition.codelists)
            joined = [cohort for cohort in definition.cohorts if is_member(evaluation, cohort)]
            names = {cohort.name for cohort in joined}
            members.extend(member(definition, cohort, evaluation) for cohort in joined)
            results.extend(result_of(definition, i, evaluation) for i in definition.indicators if i.cohort in names)
    return Answer(results, members)


def check(definition: Definition, cases: Sequence[Case], engine: Engine = interpret) -> Iterator[Difference]:
    """Yield every difference of the cases, evaluated together where a tenant's choices are the same."""
    for binding, group in _by_binding(cases).items():
        indicators = {expected.indicator for case in group for expected in case.results}
        bound = _bound(definition, indicators, binding, group[0])
        records = {case.record.patient_id: case.record for case in group}
        answer = engine(bound, list(records.values()), sorted({case.index_date for case in group}))
        results = {(r.patient_id, r.indicator, r.index_date): r for r in answer.results}
        members = {(m.patient_id, m.cohort, m.index_date): m for m in answer.members}
        compared = _compared(bound, group, list(records.values()), engine)
        for case in group:
            yield from differences(bound, case, results, {**members, **compared})


def _compared(
    definition: Definition, cases: Sequence[Case], records: Sequence[Record], engine: Engine
) -> Mapping[tuple[int, str, dt.date], Member]:
    """Put the first cohort beside its reference, where a case expects something of that."""
    days = sorted({case.index_date for case in cases if case.member is not None and case.member.reference})
    if not days:
        return {}
    beside = reconciliation(definition, definition.cohorts[0].name)
    answer = engine(beside, records, days)
    return {(m.patient_id, BESIDE_REFERENCE, m.index_date): m for m in answer.members}


def _bound(definition: Definition, indicators: set[str], binding: Binding, first: Case) -> Definition:
    try:
        return binding.apply(only(definition, indicators))
    except PackError as error:
        raise GoldenError(f'{first.file}, "{first.patient}": {error.message}', error.advice) from error


def _by_binding(cases: Sequence[Case]) -> Mapping[Binding, list[Case]]:
    groups: dict[Binding, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.binding, []).append(case)
    return groups


def differences(
    definition: Definition,
    case: Case,
    results: Mapping[tuple[int, str, dt.date], Result],
    members: Mapping[tuple[int, str, dt.date], Member],
) -> Iterator[Difference]:
    """Yield what differs in one case. No result is the status `not_applicable`."""
    who, day = case.record.patient_id, case.index_date
    if case.member is not None:
        cohort = _cohort(definition, case.member.cohort)
        yield from _member_differences(case, members.get((who, cohort, day)))
        yield from _reference_differences(case, case.member, members.get((who, BESIDE_REFERENCE, day)))
    for expected in case.results:
        yield from _result_differences(case, expected, results.get((who, expected.indicator, day)))


def _cohort(definition: Definition, name: str | None) -> str:
    known = [cohort.name for cohort in definition.cohorts]
    if name is not None and name not in known:
        raise GoldenError(f"The pack has no cohort {name}.", nearest(name, known))
    return name or known[0]


def _member_differences(case: Case, found: Member | None) -> Iterator[Difference]:
    expected = case.member
    if expected is None:
        return
    if expected.member is not (found is not None):
        yield Difference(case, "cohort", "member", expected.member, found is not None)
    if found is None:
        return
    for name, value in expected.fields.items():
        if getattr(found, name) != value:
            yield Difference(case, "cohort", name, value, getattr(found, name))
    for name, value in expected.strata.items():
        if name not in found.strata:
            raise GoldenError(f'{case.file}, "{case.patient}": no stratifier {name}.', nearest(name, found.strata))
        if found.strata[name] != value:
            yield Difference(case, "cohort", f"stratum {name}", value, found.strata[name])


def _reference_differences(case: Case, expected: ExpectedMember, found: Member | None) -> Iterator[Difference]:
    for name, value in expected.reference.items():
        got = None if found is None else found.strata[name]
        if got != value:
            yield Difference(case, "reference", name, value, got)


def _result_differences(case: Case, expected: ExpectedResult, found: Result | None) -> Iterator[Difference]:
    for name, value in expected.fields.items():
        if found is None:
            got: object = Status.NOT_APPLICABLE if name == "status" else None
        else:
            got = getattr(found, name)
        if got != value:
            yield Difference(case, expected.indicator, name, value, got)
