"""What is made of other definitions: composite indicators, and segments of a cohort.

Not here: single indicators and stratifiers (`authoring`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cohortium_plugins import language
from cohortium_plugins.authoring import Indicator, Stratifier
from cohortium_plugins.errors import DefinitionError, known_arguments
from cohortium_plugins.language import BoolSeries, DateSeries, Pick, Series, all_of, any_of, count_true
from cohortium_plugins.model import definition, nodes

__all__ = ["Composite", "Segments", "count_met"]


def count_met(*parts: definition.Indicator) -> language.NumberSeries:
    """How many of several indicators both apply and are met: `count_met(a, b, c) >= 2`."""
    return count_true(*(_applies(part) & _met(part) for part in parts))


@known_arguments
def Composite(  # noqa: N802, PLR0913 - reads as a noun; an indicator has this many parts
    name: str,
    *,
    title: str,
    cohort: definition.Cohort,
    parts: Sequence[definition.Indicator],
    at_least: int | None = None,
    group: str = "",
    description: str = "",
    due: DateSeries | None = None,
    shows: Sequence[Series] = (),
    adjustments: Sequence[definition.Adjustment] = (),
    source: str,
    unsure: str = "",
) -> definition.Indicator:
    """Define an indicator that is met when others are.

    Without `at_least`, every part that applies to the patient must be met, and it applies where any part does. With
    it, so many must be met, and it applies where so many apply. Adjustments of the parts take nobody out of the
    composite: give it its own. It falls due (`due` says otherwise) with the first part that applies and is not met;
    with `at_least`, with the last. It falls due again with the first of the parts that are met; with `at_least`, never.

    Raises DefinitionError when a part is of another cohort or too few are given.
    """
    if len(parts) < max(at_least or 0, 2):
        raise DefinitionError(f"{name}: {len(parts)} parts are too few.", "List the indicators that it is made of.")
    for part in parts:
        if part.cohort != cohort.name:
            raise DefinitionError(f"{name}: {part.name} is over another cohort, {part.cohort}.", "Use one cohort.")
    open_days = [_when(_applies(part) & ~_met(part), part.due, part.begins) for part in parts]
    renewals = [_when(_applies(part) & _met(part), part.renews) for part in parts if part.renews is not None]
    if at_least is None:
        applies = any_of(*(_applies(part) for part in parts))
        met = all_of(*(~_applies(part) | _met(part) for part in parts))
        falls_due, renews = language.minimum_of(*open_days), language.minimum_of(*renewals) if renewals else None
    else:
        applies = count_true(*(_applies(part) for part in parts)) >= at_least
        met = count_met(*parts) >= at_least
        falls_due, renews = language.maximum_of(*open_days), None
    evidence = dict.fromkeys(pick for part in parts for pick in part.evidence)
    return Indicator(
        name,
        title=title,
        cohort=cohort,
        met=met,
        group=group,
        description=description,
        applies=applies,
        due=falls_due if due is None else due,
        renews=renews,
        evidence=[Pick(pick) for pick in evidence],
        shows=shows or [count_met(*parts)],
        adjustments=adjustments,
        source=source,
        unsure=unsure,
    )


def _applies(part: definition.Indicator) -> BoolSeries:
    return BoolSeries(part.applies)


def _met(part: definition.Indicator) -> BoolSeries:
    return BoolSeries(part.met)


def _when(condition: BoolSeries, *days: object) -> DateSeries:
    """Give the first known of several days where a condition holds."""
    known = [DateSeries(day) for day in days if isinstance(day, nodes.Series)]
    return language.case(language.when(condition).then(language.coalesce(*known) if len(known) > 1 else known[0]))


@known_arguments
def Segments(  # noqa: N802 - reads as a noun
    name: str, *, title: str, groups: Mapping[str, tuple[str, BoolSeries]], otherwise: tuple[str, str]
) -> definition.Stratifier:
    """Divide a cohort into groups that do not overlap: each patient is in the first whose condition holds, or in the
    last one, `otherwise`. `groups` gives each group's words and condition by its value; an unknown condition does not
    hold.

    Raises DefinitionError without a group, or when the last one's value is taken.
    """
    rest, rest_words = otherwise
    if not groups or rest in groups:
        raise DefinitionError(
            f"{name}: segments need groups, and a last one of its own.", 'Write otherwise=("other", ...).'
        )
    branches = [language.when(condition).then(value) for value, (_, condition) in groups.items()]
    labels = {**{value: words for value, (words, _) in groups.items()}, rest: rest_words}
    return Stratifier(name, title=title, value=language.case(*branches, language.otherwise(rest)), labels=labels)
