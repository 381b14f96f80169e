"""A pack: its manifest, its definition, the codelist files it carries.

Not here: building one file of it, signing and publishing; golden patients (`testing`).
"""

from __future__ import annotations

import csv
import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources.abc import Traversable

from cohortium_plugins import authoring
from cohortium_plugins.errors import CodelistError, DefinitionError
from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import Code, Codelist, Cohort, Definition, Indicator, Parameter, Stratifier
from cohortium_plugins.model.serialise import content_hash
from cohortium_plugins.snomed import is_concept_id

__all__ = ["Pack", "load_codelists"]

COLUMNS = (["code", "term"], ["code", "term", "category"])


@dataclass(frozen=True)
class Pack:
    """A versioned set of codelists, cohorts, indicators and stratifiers. `groups` orders the indicators' groups."""

    id: str
    version: str
    title: str
    publisher: str
    definition: Definition
    description: str = ""
    groups: tuple[str, ...] = ()
    golden: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def hash(self) -> str:
        """Give the SHA-256 of the definition's canonical JSON."""
        return content_hash(self.definition)

    @classmethod
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
    ) -> Pack:
        """Put a pack together, checking that every name in it leads somewhere."""
        definition = Definition(codelists, (), tuple(cohorts), tuple(indicators), tuple(stratifiers))
        _check_names(definition)
        used = sorted({n.name for n in nodes.walk(*definition.roots()) if isinstance(n, nodes.ParameterValue)})
        parameters: tuple[Parameter, ...] = tuple(authoring.declared_parameters()[name] for name in used)
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
        )


def _check_names(definition: Definition) -> None:
    cohorts = [cohort.name for cohort in definition.cohorts]
    for names, kind in (
        (cohorts, "cohort"),
        ([i.name for i in definition.indicators], "indicator"),
        ([s.name for s in definition.stratifiers], "stratifier"),
    ):
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise DefinitionError(f"Two {kind}s are called {min(twice)}.", "Give each a name of its own.")
    for indicator in definition.indicators:
        if indicator.cohort not in cohorts:
            raise DefinitionError(
                f"Indicator {indicator.name} is over the cohort {indicator.cohort}, which the pack does not list.",
                "Add the cohort to the pack.",
            )
    for node in nodes.walk(*definition.roots()):
        name = getattr(node, "codelist", None)
        if name is not None and name not in definition.codelists:
            near = difflib.get_close_matches(name, definition.codelists, 1)
            raise DefinitionError(
                f"There is no codelist {name}.", f"Did you mean {near[0]}?" if near else "Add its file to codelists/."
            )


def load_codelists(folder: Traversable) -> dict[str, Codelist]:
    """Read a pack's codelists: one CSV each (`code,term` and perhaps `category`), described in `codelists.toml`.

    An empty list (a header alone) is a list that a tenant can fill.

    Raises:
        CodelistError: a file is missing or malformed; names the file and line.
    """
    described = tomllib.loads((folder / "codelists.toml").read_text(encoding="utf-8"))
    files = {entry.name.removesuffix(".csv") for entry in folder.iterdir() if entry.name.endswith(".csv")}
    if odd := files.symmetric_difference(described):
        raise CodelistError(
            f"codelists.toml and the CSV files differ: {', '.join(sorted(odd))}.", "Describe every file, and no other."
        )
    return {
        name: Codelist(
            name=name,
            title=about.get("title", name),
            source=about["source"],
            version=str(about.get("version", "")),
            codes=_read_codes(folder / f"{name}.csv"),
        )
        for name, about in sorted(described.items())
    }


def _read_codes(file: Traversable) -> tuple[Code, ...]:
    codes: dict[int, Code] = {}
    with file.open(encoding="utf-8") as lines:
        reader = csv.reader(lines)
        header = next(reader, [])
        if header not in COLUMNS:
            raise CodelistError(f"{file.name}, line 1: the columns must be code,term or code,term,category.")
        for row in reader:
            if len(row) != len(header) or not is_concept_id(row[0]):
                raise CodelistError(
                    f"{file.name}, line {reader.line_num}: not a SNOMED CT concept.",
                    "Check the identifier; spreadsheets round long numbers.",
                )
            code = Code(int(row[0]), row[1], row[2] or None if len(row) == len(COLUMNS[1]) else None)
            codes.setdefault(code.code, code)
    return tuple(codes[key] for key in sorted(codes))
