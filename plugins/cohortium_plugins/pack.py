"""A pack: its manifest, its definition, the codelist files and templates it carries.

Not here: building one file of it, signing and publishing; golden patients (`golden`); reading
codelist files (`codelists`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePath

from cohortium_plugins import authoring, places
from cohortium_plugins.codelists import load_codelists
from cohortium_plugins.errors import known_arguments
from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import Codelist, Cohort, Definition, Indicator, Parameter, Stratifier
from cohortium_plugins.model.serialise import content_hash
from cohortium_plugins.named import check_names, rules_by_name
from cohortium_plugins.places import Place
from cohortium_plugins.templates import Template, check_templates, load_templates

__all__ = ["Pack", "load_codelists", "load_templates"]


@dataclass(frozen=True)
class Pack:
    """A versioned set of codelists, cohorts, indicators, stratifiers and templates. `groups` orders indicators' groups;
    `changes` is the log of changes as Markdown, the newest version first.

    `places`: the author's line of each cohort, indicator, stratifier and parameter, by kind and name, where the pack
    was made from its source. `unused`: parameters that its source declares and no rule uses.
    """

    id: str
    version: str
    title: str
    publisher: str
    definition: Definition
    description: str = ""
    groups: tuple[str, ...] = ()
    golden: Mapping[str, str] = field(default_factory=dict)
    templates: Mapping[str, Template] = field(default_factory=dict)
    changes: str = ""
    places: Mapping[tuple[str, str], Place] = field(default_factory=dict, compare=False)
    unused: tuple[Parameter, ...] = field(default=(), compare=False)

    @cached_property
    def hash(self) -> str:
        """Give the SHA-256 of the canonical JSON of the definition and of the templates, where there are any."""
        definition = content_hash(self.definition)
        if not self.templates:
            return definition
        parts = [definition, *(template.text for _, template in sorted(self.templates.items()))]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @classmethod
    @known_arguments
    def build(  # noqa: PLR0913 - what a pack is made of
        cls,
        *,
        id: str,  # noqa: A002 - the field's own name
        version: str,
        title: str,
        publisher: str,
        codelists: Mapping[str, Codelist],
        cohorts: Iterable[Cohort],
        indicators: Iterable[Indicator],
        stratifiers: Iterable[Stratifier] = (),
        description: str = "",
        groups: Iterable[str] = (),
        golden: Mapping[str, str] | None = None,
        templates: Mapping[str, Template] | None = None,
        changes: str = "",
    ) -> Pack:
        """Put a pack together, checking that every name in it leads somewhere."""
        definition = Definition(codelists, (), tuple(cohorts), tuple(indicators), tuple(stratifiers))
        check_names(definition)
        check_templates(definition, templates or {})
        used = sorted({n.name for n in nodes.walk(*definition.roots()) if isinstance(n, nodes.ParameterValue)})
        found = (authoring.declared.find("parameter", name) for name in used)
        parameters = tuple(parameter for parameter in found if parameter is not None)
        return cls(
            id=id,
            version=version,
            title=title,
            publisher=publisher,
            definition=Definition(
                codelists, parameters, definition.cohorts, definition.indicators, definition.stratifiers
            ),
            description=description,
            groups=tuple(groups) or tuple(dict.fromkeys(i.group for i in definition.indicators)),
            golden=golden or {},
            templates=templates or {},
            changes=changes,
            places=_places(definition, used),
            unused=_unused(used),
        )


def _places(definition: Definition, parameters: Iterable[str]) -> Mapping[tuple[str, str], Place]:
    keys = [*rules_by_name(definition), *(("parameter", name) for name in parameters)]
    return {key: place for key in keys if (place := places.noted(*key)) is not None}


def _unused(used: Collection[str]) -> tuple[Parameter, ...]:
    """Give the parameters that the package building a pack (or the one file) declares beside those its rules use."""
    here = places.here()
    if here is None:
        return ()
    builder = PurePath(here.file)

    def is_own(file: PurePath) -> bool:
        return builder.parent in file.parents if builder.name == "__init__.py" else file == builder

    found = [
        parameter
        for name in authoring.declared.names("parameter")
        if name not in used
        and (place := places.noted("parameter", name)) is not None
        and is_own(PurePath(place.file))
        and (parameter := authoring.declared.find("parameter", name)) is not None
    ]
    return tuple(found)
