"""A pack as a page for clinicians: what each measure means, what takes someone out of its rate, what is not settled.

Not here: a rule spelled out from its nodes (`words`).

    python -m cohortium_plugins.documents cohortium_pack_cancer_care > docs/clinician/cancer-care.md
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator

from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import Cohort, Definition, Indicator, Reference
from cohortium_plugins.pack import Pack

__all__ = ["clinician_page"]

STATUSES = """\
| status | what it says |
| --- | --- |
| met | done, and still in date where it must be repeated |
| due | not done, and the day by which it should be has not passed; such a person is outside the rate |
| overdue | not done, and that day has passed; "Now" when it has been due since the person joined the registry |
| excluded | not done, and a personalised care adjustment holds; listed, and counted in the whole-population rate |
| not applicable | the measure is not for this person |
| not evaluated | it cannot be told: no codes configured, a source not loaded, or a fact such as sex not recorded |"""


def clinician_page(pack: Pack) -> str:
    """Give the page in Markdown. Lists without codes and open questions are said as plainly as the rest."""
    return "\n".join(
        [*_head(pack), *_cohorts(pack), *_measures(pack), *_choices(pack), *_division(pack), *_empty(pack), ""]
    )


def _head(pack: Pack) -> Iterator[str]:
    yield f"# {pack.title}: what each measure means"
    yield ""
    yield f"{pack.description} Version {pack.version}, published by {pack.publisher}. This page is made from the pack."
    yield ""
    yield 'Everything is as of an index date, and nothing dated after it counts. "In the last 12 months" includes both'
    yield "ends: an entry of 6 August 2024 still counts on 6 August 2025 and no longer on 7 August. Refusals,"
    yield 'invitations and non-attendance never count as done. "Not settled" is what no source decides: a'
    yield "clinician must, before use."
    yield ""
    yield STATUSES
    yield ""


def _cohorts(pack: Pack) -> Iterator[str]:
    yield "## Who is in the registry"
    yield ""
    for cohort in pack.definition.cohorts:
        yield f"**{cohort.title}.** {cohort.description}"
        yield ""
        if cohort.reference is not None:
            yield from _reference(cohort.reference)
        yield f"- Source: {cohort.source}"
        yield ""


def _reference(reference: Reference) -> Iterator[str]:
    yield f"- Should agree with: {reference.title} ({reference.source})"
    yield f"- Why people differ, the first that holds: {'; '.join(reason.title for reason in reference.reasons)}"
    if reference.unsure:
        yield f"- Not settled: {reference.unsure}"


def _measures(pack: Pack) -> Iterator[str]:
    for group in pack.groups:
        yield f"## {group}"
        yield ""
        for indicator in pack.definition.indicators:
            if indicator.group == group:
                yield from _measure(indicator, pack.definition)


def _measure(indicator: Indicator, definition: Definition) -> Iterator[str]:
    yield f"### {indicator.title}"
    yield ""
    yield indicator.description
    yield ""
    if indicator.adjustments:
        reasons = "; ".join(adjustment.title for adjustment in indicator.adjustments)
        yield f"- Adjustments, the first that holds: {reasons}"
    if indicator.unsure:
        yield f"- Not settled: {indicator.unsure}"
    empty = [definition.codelists[name].title for name in _lists(indicator) if not definition.codelists[name].codes]
    if empty:
        yield f"- No codes configured as published: {'; '.join(empty)}"
    yield f"- Source: {indicator.source} (`{indicator.name}`)"
    yield ""


def _lists(owner: Indicator | Cohort) -> list[str]:
    """List the codelists that a rule reads, each once, in order."""
    found = (getattr(node, "codelist", None) for node in nodes.walk(*owner.nodes()))
    return list(dict.fromkeys(name for name in found if name is not None))


def _choices(pack: Pack) -> Iterator[str]:
    if not pack.definition.parameters:
        return
    yield "## What a tenant can choose"
    yield ""
    for parameter in pack.definition.parameters:
        choices = ", ".join(_choice(choice) for choice in parameter.choices)
        default = _choice(parameter.default)
        yield f"- {parameter.title} (`{parameter.name}`): {choices}; {default} unless chosen otherwise"
    yield ""


def _choice(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _division(pack: Pack) -> Iterator[str]:
    yield "## How the registry is divided"
    yield ""
    for stratifier in pack.definition.stratifiers:
        yield f"- {stratifier.title}: {'; '.join(words for _, words in stratifier.labels)}"
    yield ""


def _empty(pack: Pack) -> Iterator[str]:
    empty = [codelist for _, codelist in sorted(pack.definition.codelists.items()) if not codelist.codes]
    if not empty:
        return
    yield "## Lists without codes"
    yield ""
    yield "No public list was found for these. A tenant adds codes of its own, dated and named as local; until then the"
    yield 'measures that need one say "no codes configured", and it is never a patient\'s failing.'
    yield ""
    for codelist in empty:
        yield f"- {codelist.title} (`{codelist.name}`)"


if __name__ == "__main__":
    sys.stdout.write(clinician_page(importlib.import_module(sys.argv[1]).pack))
