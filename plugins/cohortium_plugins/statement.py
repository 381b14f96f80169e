"""A whole definition in plain English, as Markdown, for a clinician to read and sign.

A pick that a rule speaks of again and again is described once and called by a letter. Not here: the words of a rule
(`words`), the page that explains measures to users (`documents`).
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator, Mapping, Sequence

from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import Codelist, Cohort, Definition, Indicator, Parameter, Reference, Stratifier
from cohortium_plugins.model.nodes import Node
from cohortium_plugins.model.values import Scalar
from cohortium_plugins.wording import JOINED, label, listed
from cohortium_plugins.words import Words

__all__ = ["sentences", "statement", "unit_in_words"]

LONG = 50
"""A pick whose words are shorter is repeated rather than called by a letter."""

Say = Callable[[Words], Sequence[str]]
"""Writes lines with given words."""


def statement(definition: Definition) -> str:
    """Say everything that a definition says of patients."""
    lists = definition.codelists
    lines = [line for cohort in definition.cohorts for line in _cohort(cohort, lists)]
    if named := [node for node in nodes.walk(*definition.roots()) if isinstance(node, nodes.Named)]:
        lines += ["## What names stand for", ""]
        lines += [line for node in sorted(named, key=lambda node: node.title) for line in _name(node, lists)]
    for indicator in definition.indicators:
        joined: dict[Node, str] = {definition.cohort(indicator.cohort).since: JOINED}
        lines += _indicator(indicator, lists, joined)
    if definition.stratifiers:
        lines += ["## How people are grouped", ""]
        lines += [line for stratifier in definition.stratifiers for line in _stratifier(stratifier, lists)]
    if definition.parameters:
        lines += ["## What a tenant can choose", "", *map(_parameter, definition.parameters), ""]
    measured = (unit_in_words(node) for node in nodes.walk(*definition.roots()) if isinstance(node, nodes.InUnit))
    if units := list(dict.fromkeys(measured)):
        lines += ["## Units", "", *(f"- {said}" for said in units), ""]
    return "\n".join(lines)


def sentences(definition: Definition) -> Mapping[tuple[str, str], tuple[str, tuple[str, ...]]]:
    """Give the title and the lines of every cohort, indicator, stratifier and parameter, by kind and name."""
    lists = definition.codelists
    found: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = {}
    for cohort in definition.cohorts:
        found["cohort", cohort.name] = (cohort.title, _said(_cohort(cohort, lists)))
    for indicator in definition.indicators:
        joined: dict[Node, str] = {definition.cohort(indicator.cohort).since: JOINED}
        group = (f"- Heading: {indicator.group}.",) if indicator.group else ()
        found["indicator", indicator.name] = (indicator.title, (*_said(_indicator(indicator, lists, joined)), *group))
    for stratifier in definition.stratifiers:
        found["stratifier", stratifier.name] = (stratifier.title, _said(_stratifier(stratifier, lists)))
    for parameter in definition.parameters:
        found["parameter", parameter.name] = (parameter.title, (_parameter(parameter).removeprefix("- "),))
    return found


def _said(lines: Iterator[str]) -> tuple[str, ...]:
    """Give the lines below the heading."""
    return tuple(line.removeprefix("- ") for line in lines if line and not line.startswith("#"))


def _cohort(cohort: Cohort, lists: Mapping[str, Codelist]) -> Iterator[str]:
    def say(words: Words) -> Sequence[str]:
        return [f"- Members: {words.of(cohort.members)}.", f"- Since: {words.of(cohort.since)}."]

    yield from (f"## {cohort.title}", "", cohort.description, "")
    yield from _with_letters((cohort.members, cohort.since), say, lists, {})
    yield f"- Source: {cohort.source}."
    if cohort.reference is not None:
        yield from _reference(cohort.reference, lists)
    yield ""


def _reference(reference: Reference, lists: Mapping[str, Codelist]) -> Iterator[str]:
    def say(words: Words) -> Sequence[str]:
        reasons = [f"- Differs ({reason.title}) when: {words.of(reason.when)}." for reason in reference.reasons]
        return [f"- On that register: {words.of(reference.members)}.", *reasons]

    yield f"- Should agree with: {reference.title}."
    yield from _with_letters(tuple(reference.nodes()), say, lists, {})
    yield f"- Source of the register: {reference.source}."
    if reference.unsure:
        yield f"- Unsure: {reference.unsure}"


def _name(node: nodes.Named, lists: Mapping[str, Codelist]) -> Iterator[str]:
    title = node.title[:1].upper() + node.title[1:]
    yield from _with_letters(
        (node.operand,), lambda words: [f"### {title}", "", f"- {words.of(node.operand)}."], lists, {}
    )
    yield ""


def _indicator(indicator: Indicator, lists: Mapping[str, Codelist], named: Mapping[Node, str]) -> Iterator[str]:
    def say(words: Words) -> Sequence[str]:
        lines = [f"- Applies when: {words.of(indicator.applies)}.", f"- Met when: {words.of(indicator.met)}."]
        if indicator.due is not None:
            lines.append(f"- Falls due: {words.of(indicator.due)}.")
        if indicator.renews is not None:
            lines.append(f"- Once met, falls due again: {words.of(indicator.renews)}.")
        excluded = ((adjustment.title, words.of(adjustment.when)) for adjustment in indicator.adjustments)
        return [*lines, *(f"- Excluded from the rate ({title}) when: {when}." for title, when in excluded)]

    yield from (f"### {indicator.title}", "", indicator.description, "")
    yield from _with_letters(tuple(indicator.nodes()), say, lists, named)
    yield f"- Source: {indicator.source}."
    if indicator.unsure:
        yield f"- Unsure: {indicator.unsure}"
    yield ""


def _stratifier(stratifier: Stratifier, lists: Mapping[str, Codelist]) -> Iterator[str]:
    labels = "; ".join(f"{value}: {words}" for value, words in stratifier.labels)
    yield from (f"### {stratifier.title}", "")
    yield from _with_letters((stratifier.value,), lambda words: [f"- Group: {words.of(stratifier.value)}."], lists, {})
    yield from (f"- Labels: {labels}.", "")


def _with_letters(
    roots: tuple[Node, ...], say: Say, lists: Mapping[str, Codelist], named: Mapping[Node, str]
) -> Iterator[str]:
    """Yield the lines, with what they repeat described once below them and called A, B, ..."""
    letters: dict[Node, str] = dict(named)
    described: list[str] = []
    for pick in (node for node in nodes.walk(*roots) if isinstance(node, nodes.Pick)):
        words = Words(lists, letters)
        phrase = words.of(pick)
        again = sum(line.count(phrase) for line in say(words)) > 1
        if len(phrase) >= LONG and again and len(described) < len(string.ascii_uppercase):
            letters[pick] = string.ascii_uppercase[len(described)]
            described.append(f"- {letters[pick]} is {phrase}.")
    yield from say(Words(lists, letters))
    yield from described


def _parameter(parameter: Parameter) -> str:
    choices = listed([_choice(choice) for choice in parameter.choices], "or")
    default = f"{_choice(parameter.default)} unless chosen otherwise"
    return f"- {parameter.title} (‘{parameter.name}’): {choices}; {default}."


def _choice(value: Scalar) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else label(value)


def unit_in_words(node: nodes.InUnit) -> str:
    """Say how values become values in a unit, and what happens to those that do not."""
    said = []
    for conversion in node.conversions:
        of = "without a unit" if conversion.unit is None else f"in {conversion.unit}"
        offset = (
            f" {'plus' if conversion.offset > 0 else 'minus'} {abs(conversion.offset):g}" if conversion.offset else ""
        )
        same = (conversion.factor, conversion.offset) == (1.0, 0.0)
        said.append(
            f"a value {of} is taken as it is" if same else f"a value {of} counts times {conversion.factor:g}{offset}"
        )
    none = any(conversion.unit is None for conversion in node.conversions)
    left = "in any other unit" if none else "in any other unit, or without one,"
    return f"In {node.unit}: {'; '.join([*said, f'a value {left} is left out'])}."
