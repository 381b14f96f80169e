"""The filters that a list offers, and what is chosen. Not here: reading them from an address (`filters`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from cohortium_plugins.model import Stratifier, nodes
from cohortium_tenants.organisations import OrganisationType
from cohortium_web.pages.registry.filters import FILTERABLE, STRATUM, Filters
from cohortium_web.pages.registry.opened import OpenedRegistry
from cohortium_web.pages.registry.views import Active, Choice, FilterForm, StratumField
from cohortium_web.words import STATUSES, plural

__all__ = ["filter_form", "organisation_choices", "practices_of"]

_GROUPINGS = {
    OrganisationType.PLACE: "Places",
    OrganisationType.FEDERATION: "Federations",
    OrganisationType.PCN: "PCNs",
    OrganisationType.NEIGHBOURHOOD_TEAM: "Neighbourhood teams",
}


def filter_form(registry: OpenedRegistry, filters: Filters, action: str, search: str) -> FilterForm:
    """The form of a list at an address, with the text that is searched for."""
    definition = registry.registered.definition
    return FilterForm(
        organisations=organisation_choices(registry, filters.organisation),
        indicators=[
            Choice(each.name, each.title, each.name == filters.indicator, each.group) for each in registry.indicators
        ],
        statuses=[Choice(status, STATUSES[status].word, status == filters.status) for status in FILTERABLE],
        status_problem="Choose a measure as well." if filters.status and not filters.indicator else "",
        gaps=str(filters.gaps or ""),
        age_from="" if filters.age_from is None else str(filters.age_from),
        age_to="" if filters.age_to is None else str(filters.age_to),
        strata=[_stratum(registry, stratifier, filters) for stratifier in definition.stratifiers],
        search=search,
        searching=filters.search is not None,
        groups=registry.groups,
        active=[Active(label, filters.without(name).at(action)) for name, label in _active(registry, filters, search)],
    )


def practices_of(registry: OpenedRegistry, organisation: str) -> frozenset[str]:
    """The practices in reach that belong to an organisation; none for one that has nothing to do with reach."""
    graph, day = registry.asking.organisations, registry.asking.on
    return graph.practices_under(organisation, day) & registry.results.practices


def organisation_choices(registry: OpenedRegistry, chosen: str) -> Sequence[Choice]:
    """The organisations that hold some of the reach and not all of it, by kind; and its practices."""
    graph, reach = registry.asking.organisations, registry.results.practices
    holding = Counter(code for practice in reach for code in graph.above(practice, registry.asking.on))
    some = [graph.nodes[code] for code, practices in holding.items() if practices < len(reach)]
    choices = [
        Choice(node.ods_code, node.name, node.ods_code == chosen, heading)
        for kind, heading in _GROUPINGS.items()
        for node in sorted(some, key=lambda node: (node.name, node.ods_code))
        if node.type == kind
    ]
    practices = sorted(reach, key=registry.asking.name_of)
    return choices + [Choice(code, registry.asking.name_of(code), code == chosen, "Practices") for code in practices]


def _stratum(registry: OpenedRegistry, stratifier: Stratifier, filters: Filters) -> StratumField:
    chosen = filters.strata.get(stratifier.name)
    choices = [Choice(value, label, value == chosen) for value, label in stratifier.labels]
    return StratumField(stratifier.name, stratifier.title, choices, _problem(registry, stratifier))


def _problem(registry: OpenedRegistry, stratifier: Stratifier) -> str:
    """Why a stratifier divides nobody: it stands on a codelist that holds no code."""
    codelists = registry.registered.definition.codelists
    names = [getattr(node, "codelist", None) for node in nodes.walk(stratifier.value)]
    empty = next((name for name in names if name is not None and not codelists[name].codes), None)
    return "" if empty is None else f"No codes configured for ‘{codelists[empty].title}’."


def _active(registry: OpenedRegistry, filters: Filters, search: str) -> Iterator[tuple[str, str]]:
    """Each filter in force: its field's name and its words."""
    definition = registry.registered.definition
    if filters.search is not None:
        yield "search", f"‘{search}’"
    if filters.organisation:
        yield "organisation", registry.asking.name_of(filters.organisation)
    if filters.indicator and filters.status:
        indicator = definition.indicator(filters.indicator)
        yield "indicator", f"{indicator.title}: {STATUSES[filters.status].word.lower()}"
    if filters.gaps:
        yield "gaps", f"At least {plural(filters.gaps, 'gap')}"
    if filters.age_from is not None:
        yield "age_from", f"Aged {filters.age_from} or over"
    if filters.age_to is not None:
        yield "age_to", f"Aged {filters.age_to} or under"
    for stratifier in definition.stratifiers:
        if stratifier.name in filters.strata:
            words = dict(stratifier.labels).get(filters.strata[stratifier.name], filters.strata[stratifier.name])
            yield STRATUM + stratifier.name, f"{stratifier.title}: {words}"
