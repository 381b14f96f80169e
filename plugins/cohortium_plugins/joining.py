"""Stratifiers of one distribution that join a pack of another.

A joined pack is another version: its rules differ, so its hash does, and whoever runs the pack previews and enables it
as such. Results that stand are not touched. Not here: finding what joins (`installed`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from cohortium_plugins.errors import PackError
from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import Codelist, Stratifier
from cohortium_plugins.named import check_names
from cohortium_plugins.pack import Pack

__all__ = ["AddedStratifier", "join"]


@dataclass(frozen=True)
class AddedStratifier:
    """A stratifier for the pack of an id. Its rule may use the pack's codelists, and `codelists` that it brings; the
    only parameters that there are are those the pack's own rules use.
    """

    pack: str
    stratifier: Stratifier
    codelists: Mapping[str, Codelist] = field(default_factory=dict)


def join(pack: Pack, added: Sequence[AddedStratifier]) -> Pack:
    """Give a pack with more stratifiers, after its own and in the order of their names.

    Raises PackError when a name is taken or a rule uses what there is not.
    """
    definition, codelists = pack.definition, dict(pack.definition.codelists)
    parameters = {parameter.name for parameter in definition.parameters}
    for each in added:
        used = {node.name for node in nodes.walk(each.stratifier.value) if isinstance(node, nodes.ParameterValue)}
        if unknown := sorted(used - parameters):
            raise PackError(
                f"The stratifier {each.stratifier.name} uses the parameter {unknown[0]}, which {pack.id} has not.",
                f"Use one of the pack's: {', '.join(sorted(parameters)) or 'it has none'}.",
            )
        for name, codelist in each.codelists.items():
            if codelists.setdefault(name, codelist) != codelist:
                raise PackError(
                    f"The stratifier {each.stratifier.name} brings another codelist {name} than {pack.id} has.",
                    "Give the list a name of its own.",
                )
    more = sorted((each.stratifier for each in added), key=lambda stratifier: stratifier.name)
    joined = replace(definition, codelists=codelists, stratifiers=(*definition.stratifiers, *more))
    check_names(joined)
    return replace(pack, definition=joined)
