"""The names that rules mention: codelists and categories, and the author's line of each.

Not here: whether a list is empty or overlaps another (`checks`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from cohortium_plugins import places
from cohortium_plugins.errors import DefinitionError, nearest
from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import Codelist, Definition
from cohortium_plugins.model.nodes import Node
from cohortium_plugins.places import Place

__all__ = ["Mention", "categories_of", "check_names", "mentioned_categories", "place_of_node", "rules_by_name"]


@dataclass(frozen=True, slots=True)
class Mention:
    """A category that a rule asks for, and the codelist whose category it must be."""

    codelist: str
    category: str
    place: Place | None


def check_names(definition: Definition) -> None:
    """Make sure that every name leads somewhere. Raises DefinitionError with the line that mentions it."""
    cohorts = [cohort.name for cohort in definition.cohorts]
    for names, kind in (
        (cohorts, "cohort"),
        ([i.name for i in definition.indicators], "indicator"),
        ([s.name for s in definition.stratifiers], "stratifier"),
    ):
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            name = min(twice)
            place = places.noted(kind, name)
            raise DefinitionError(f"Two {kind}s are called {name}.", "Give each a name of its own.", place)
    for indicator in definition.indicators:
        if indicator.cohort not in cohorts:
            raise DefinitionError(
                f"Indicator {indicator.name} is over the cohort {indicator.cohort}, which the pack does not list.",
                "Add the cohort to the pack.",
                places.noted("indicator", indicator.name),
            )
    _check_codelists(definition)
    for mention in mentioned_categories(definition):
        known = categories_of(definition.codelists[mention.codelist])
        if known and mention.category not in known:
            raise DefinitionError(
                f"No code of {mention.codelist} has the category {mention.category}.",
                nearest(mention.category, known),
                mention.place,
            )


def _check_codelists(definition: Definition) -> None:
    for node in nodes.walk(*definition.roots()):
        name = getattr(node, "codelist", None)
        if name is not None and name not in definition.codelists:
            place = places.noted("codelist", name) or place_of_node(definition, node)
            raise DefinitionError(f"There is no codelist {name}.", nearest(name, definition.codelists), place)


def categories_of(codelist: Codelist) -> Collection[str]:
    """Give the categories of a list's codes; of a list that tenants fill, none are known."""
    return {code.category for code in codelist.codes if code.category is not None}


def mentioned_categories(definition: Definition) -> Iterator[Mention]:
    """Yield every category that a rule compares one with."""
    for node in nodes.walk(*definition.roots()):
        if isinstance(node, nodes.Filter):
            codelist = nodes.rows_of(node).codelist
            for part in nodes.own_parts(node.condition):
                yield from _mentions(definition, part, codelist, node)
        else:
            yield from _mentions(definition, node, None, node)


def _mentions(definition: Definition, node: Node, codelist: str | None, owner: Node) -> Iterator[Mention]:
    of, values = _compared(node)
    if isinstance(of, nodes.PickValue) and of.column == "category":
        codelist = nodes.rows_of(of.pick.frame).codelist
    elif not (isinstance(of, nodes.RowValue) and of.column == "category"):
        return
    for value in values if codelist is not None else ():
        if isinstance(value, str):
            place = places.noted(f"category of {codelist}", value) or place_of_node(definition, owner)
            yield Mention(codelist or "", value, place)


def _compared(node: Node) -> tuple[nodes.Series | None, tuple[object, ...]]:
    if isinstance(node, nodes.IsIn):
        return node.operand, node.values
    if isinstance(node, nodes.Compare) and isinstance(node.right, nodes.Constant):
        return node.left, (node.right.value,)
    return None, ()


def rules_by_name(definition: Definition) -> Mapping[tuple[str, str], tuple[Node, ...]]:
    """Give the roots of every cohort, indicator and stratifier, by kind and name."""
    found: dict[tuple[str, str], tuple[Node, ...]] = {}
    found.update({("cohort", cohort.name): tuple(cohort.nodes()) for cohort in definition.cohorts})
    references = (cohort.reference for cohort in definition.cohorts if cohort.reference is not None)
    found.update({("reference", reference.name): tuple(reference.nodes()) for reference in references})
    found.update({("indicator", item.name): tuple(item.nodes()) for item in definition.indicators})
    found.update({("stratifier", item.name): (item.value,) for item in definition.stratifiers})
    return found


def place_of_node(definition: Definition, node: Node) -> Place | None:
    """Give the line of the first cohort, indicator or stratifier that a node stands in."""
    for (kind, name), roots in rules_by_name(definition).items():
        if any(part is node for part in nodes.walk(*roots)):
            return places.noted(kind, name)
    return None
