"""Stratifiers: labels that the rule cannot give, values without a label, and patients in no group.

Not here: whether the groups make sense.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cohortium_plugins.checking.findings import Finding, Severity, place_of
from cohortium_plugins.checking.outcomes import Outcomes
from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import Codelist, Parameter, Stratifier
from cohortium_plugins.named import categories_of
from cohortium_plugins.pack import Pack

__all__ = ["check_groups"]

FACTS: Mapping[str, frozenset[str]] = {
    "sex": frozenset({"female", "male", "indeterminate"}),
    "ethnicity": frozenset("ABCDEFGHJKLMNPRSZ"),
}
"""The values that facts of the patient can have."""


def check_groups(pack: Pack) -> Iterator[Finding]:
    """Look at every stratifier."""
    for stratifier in pack.definition.stratifiers:
        yield from _check(pack, stratifier)


def _check(pack: Pack, stratifier: Stratifier) -> Iterator[Finding]:
    subject, place = ("stratifier", stratifier.name), place_of(pack, "stratifier", stratifier.name)
    given = _Given(pack.definition.codelists, pack.definition.parameters)
    values = given.of(stratifier.value)
    labels = [value for value, _ in stratifier.labels]
    if None in values:
        message = "Some patients are in no group: the value may be unknown."
        yield Finding(
            Severity.WARNING, "no-group", subject, message, "End with otherwise(...) or coalesce(...).", place
        )
    texts = {value for value in values if value is not None}
    if missing := sorted(texts - set(labels)):
        message = f"It has no label for {', '.join(missing)}."
        yield Finding(Severity.ERROR, "label-missing", subject, message, "Add it to labels=.", place)
    if given.complete and (never := [label for label in labels if label not in texts]):
        message = f"The rule never gives {', '.join(never)}."
        yield Finding(Severity.WARNING, "label-unused", subject, message, "Take it out of labels=.", place)


class _Given:
    """The words that a series can give; `complete` is false once it may give others as well."""

    def __init__(self, codelists: Mapping[str, Codelist], parameters: tuple[Parameter, ...]) -> None:
        self.codelists, self.outcomes = codelists, Outcomes()
        self.choices = {parameter.name: parameter.choices for parameter in parameters}
        self.complete = True

    def of(self, node: nodes.Series) -> set[str | None]:
        """Give the words, None for unknown."""
        if isinstance(node, nodes.Constant):
            return {str(node.value)} if node.value is not None else {None}
        if isinstance(node, nodes.Case):
            return self._case(node)
        if isinstance(node, nodes.Coalesce):
            return self._first_known(node.operands)
        return self._leaf(node)

    def _case(self, node: nodes.Case) -> set[str | None]:
        found: set[str | None] = set()
        for condition, value in zip(node.conditions, node.values, strict=True):
            if True in self.outcomes.of(condition):
                found |= self.of(value)
        return found | ({None} if node.otherwise is None else self.of(node.otherwise))

    def _first_known(self, operands: tuple[nodes.Series, ...]) -> set[str | None]:
        found: set[str | None] = {None}
        for operand in operands:
            if None not in found:
                break
            found = (found - {None}) | self.of(operand)
        return found

    def _leaf(self, node: nodes.Series) -> set[str | None]:
        if isinstance(node, nodes.ParameterValue):
            return {str(choice) for choice in self.choices.get(node.name, ())}
        if isinstance(node, nodes.PatientFact) and node.name in FACTS:
            return {None, *FACTS[node.name]}
        if isinstance(node, nodes.PickValue) and node.column == "category":
            codelist = nodes.rows_of(node.pick.frame).codelist
            known = set(categories_of(self.codelists[codelist])) if codelist is not None else set()
            self.complete = self.complete and bool(known)
            return {None, *known}
        self.complete = False
        return {None}
