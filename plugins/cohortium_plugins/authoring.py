"""How authors define parameters, cohorts, indicators and stratifiers. Builds `model.definition` objects.

Not here: frames and series (`language`), packs (`pack`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import overload

from cohortium_plugins import language, places
from cohortium_plugins.errors import DefinitionError, known_arguments
from cohortium_plugins.language import (
    BoolSeries,
    CodeSeries,
    DateSeries,
    DurationSeries,
    NumberSeries,
    Pick,
    Series,
    TextSeries,
    as_node,
    events,
    index_date,
    months,
    patient,
)
from cohortium_plugins.model import definition, nodes
from cohortium_plugins.model.values import Duration, Scalar, ValueType

__all__ = [
    "Cohort",
    "Indicator",
    "Parameter",
    "Reference",
    "Stratifier",
    "adjustment",
    "declined",
    "reason",
    "unsuitable",
]


@overload
def Parameter(name: str, default: bool, *, title: str, choices: Sequence[bool]) -> BoolSeries: ...  # noqa: FBT001
@overload
def Parameter(name: str, default: str, *, title: str, choices: Sequence[str]) -> TextSeries: ...
@overload
def Parameter(name: str, default: float, *, title: str, choices: Sequence[float]) -> NumberSeries: ...
@overload
def Parameter(name: str, default: date, *, title: str, choices: Sequence[date]) -> DateSeries: ...
@overload
def Parameter(name: str, default: Duration, *, title: str, choices: Sequence[Duration]) -> DurationSeries: ...
@known_arguments
def Parameter(name: str, default: Scalar, *, title: str, choices: Sequence[Scalar]) -> Series:  # noqa: N802 - reads as a noun
    """Declare the only kind of thing a tenant may change without a new version; gives its value as a series."""
    kind = language.type_of(default)
    if kind is None or default not in choices:
        raise DefinitionError(f"Parameter {name}: the default must be one of the choices.", "Add it to choices.")
    parameter = definition.Parameter(name, title, default, tuple(choices), kind)
    series = language.wrap(nodes.ParameterValue(name, kind))
    places.note("parameter", name)
    declared.note("parameter", name, parameter)
    return series


declared: places.Noted[definition.Parameter] = places.Noted()
"""The parameters declared so far in this process, each pack's apart; a pack takes those that its rules use."""


@known_arguments
def adjustment(name: str, title: str, when: BoolSeries) -> definition.Adjustment:
    """Declare a reason that takes someone out of an indicator's QOF rate."""
    return definition.Adjustment(name, title, as_node(when, kind=ValueType.BOOL))


def declined(codelist: str, *, title: str = "Declined in the last 12 months") -> definition.Adjustment:
    """A refusal coded in the last 12 months."""
    return adjustment("declined", title, events(codelist).in_last(months(12)).exists)


def unsuitable(codelist: str, *, title: str = "Recorded as unsuitable in the last 12 months") -> definition.Adjustment:
    """A code in the last 12 months that says the indicator does not suit the patient."""
    return adjustment("unsuitable", title, events(codelist).in_last(months(12)).exists)


def shown(*values: Series) -> definition.Shown:
    """Sort the values shown beside a result by kind: at most one number, one code and one text."""
    kinds: dict[type[Series], nodes.Series] = {}
    for item in values:
        key = next((k for k in (NumberSeries, CodeSeries, TextSeries) if isinstance(item, k)), None)
        if key is None or key in kinds:
            raise DefinitionError("Show at most one number, one code and one text.", "Dates are shown by date=.")
        kinds[key] = item.node
    return definition.Shown(kinds.get(NumberSeries), kinds.get(CodeSeries), kinds.get(TextSeries))


@known_arguments
def reason(name: str, title: str, when: BoolSeries) -> definition.Reason:
    """Declare why somebody may be in a cohort and not on its reference, or the other way round."""
    return definition.Reason(name, title, as_node(when, kind=ValueType.BOOL))


@known_arguments
def Reference(  # noqa: N802, PLR0913 - reads as a noun
    name: str,
    *,
    title: str,
    members: BoolSeries,
    coded: BoolSeries,
    reasons: Sequence[definition.Reason],
    source: str,
    unsure: str = "",
) -> definition.Reference:
    """Define the register that a cohort should agree with: who is on it, whom to look at, and why people differ."""
    places.note("reference", name)
    names = [each.name for each in reasons]
    if len(set(names)) < len(names):
        raise DefinitionError(f"Reference {name}: two reasons have one name.", "Give each a name of its own.")
    return definition.Reference(
        name=name,
        title=title,
        members=as_node(members, kind=ValueType.BOOL),
        coded=as_node(coded, kind=ValueType.BOOL),
        reasons=tuple(reasons),
        source=source,
        unsure=unsure,
    )


@known_arguments
def Cohort(  # noqa: N802, PLR0913 - reads as a noun
    name: str,
    *,
    title: str,
    members: BoolSeries,
    since: DateSeries,
    description: str = "",
    origin: Pick | None = None,
    shows: Sequence[Series] = (),
    reference: definition.Reference | None = None,
    source: str = "",
) -> definition.Cohort:
    """Define who is in a registry, and since when."""
    places.note("cohort", name)
    return definition.Cohort(
        name=name,
        title=title,
        description=description,
        members=as_node(members, kind=ValueType.BOOL),
        since=as_node(since, kind=ValueType.DATE),
        origin=None if origin is None else origin.node,
        shown=shown(*shows),
        reference=reference,
        source=source,
    )


@known_arguments
def Indicator(  # noqa: N802, PLR0913 - reads as a noun; an indicator has this many parts
    name: str,
    *,
    title: str,
    cohort: definition.Cohort,
    met: Pick | BoolSeries,
    group: str = "",
    description: str = "",
    applies: BoolSeries | None = None,
    every: Duration | DurationSeries | None = None,
    due: DateSeries | None = None,
    begins: DateSeries | None = None,
    renews: DateSeries | None = None,
    date: DateSeries | None = None,
    evidence: Sequence[Pick] = (),
    shows: Sequence[Series] = (),
    adjustments: Sequence[definition.Adjustment] = (),
    source: str,
    unsure: str = "",
    measure: str = "",
) -> definition.Indicator:
    """Define an indicator.

    `met` as a pick means that there is such a row; with `every`, that it is no older than that at the index date, and
    it falls due again one interval after the row. `met` as a condition needs `evidence` or `date` to show a day.
    `begins` defaults to the day the person joined the cohort. `measure` is a word that packs share for
    what is measured.
    """
    places.note("indicator", name)
    if isinstance(met, Pick):
        evidence = tuple(evidence) or (met,)
        holds = met.exists
    else:
        holds = met
    if every is not None:
        if not isinstance(met, Pick):
            raise DefinitionError(f"{name}: every= needs met= to be a picked row.", "Write met=events(...).latest().")
        if renews is not None:
            raise DefinitionError(f"{name}: every= and renews= say the same thing.", "Leave one out.")
        renews = met.date + every
        holds = holds & (renews >= index_date)
        due = renews if due is None else due
    return definition.Indicator(
        name=name,
        title=title,
        description=description,
        group=group,
        cohort=cohort.name,
        applies=as_node(True if applies is None else applies, kind=ValueType.BOOL),
        met=as_node(holds, kind=ValueType.BOOL),
        due=None if due is None else due.node,
        begins=cohort.since if begins is None else begins.node,
        renews=None if renews is None else renews.node,
        date=None if date is None else date.node,
        evidence=tuple(pick.node for pick in evidence),
        shown=shown(*shows),
        adjustments=tuple(adjustments),
        source=source,
        unsure=unsure,
        measure=measure,
    )


@known_arguments
def Stratifier(name: str, *, title: str, value: Series, labels: Mapping[str, str]) -> definition.Stratifier:  # noqa: N802
    """Define a way to divide a cohort. `labels` lists every value it can take, in order, with its words."""
    places.note("stratifier", name)
    return definition.Stratifier(name, title, as_node(value, kind=ValueType.TEXT), tuple(labels.items()))


def age_band(*starts: int) -> TextSeries:
    """Give the age band at the index date, as text: '50-59'; the last is open, '80+'."""
    branches = []
    for low, high in zip(starts, (*starts[1:], None), strict=True):
        label = f"{low}+" if high is None else f"{low}-{high - 1}"
        branches.append((low, label))
    ordered = [language.when(patient.age >= low).then(label) for low, label in reversed(branches)]
    return language.case(*ordered)
