"""Codelists: unused, without codes, nearly equal, or holding one code with two opposite meanings.

Not here: names of lists and categories that lead nowhere, which no pack is built with (`named`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import combinations

from cohortium_plugins.checking.findings import Finding, Severity
from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import Codelist, Indicator
from cohortium_plugins.model.nodes import Node
from cohortium_plugins.named import rules_by_name
from cohortium_plugins.pack import Pack

__all__ = ["check_lists", "lists_in"]

NEARLY = 0.9
FEWEST = 3
"""Lists of fewer codes are alike by chance."""
MOST_NAMED = 5
OPPOSITE = re.compile(
    r"\b(?:declined|dissent|refused|unsuitable|contraindicated|invitation|invited|resolved|excluded|"
    r"not|no|never|non)\b"
)
"""Words in a list's name or a code's category by which it says that something is not so, or was not done."""


def check_lists(pack: Pack) -> Iterator[Finding]:
    """Look at every codelist."""
    used = {name for roots in rules_by_name(pack.definition).values() for name in lists_in(*roots)}
    used |= {recording.codelist for template in pack.templates.values() for recording in template.recordings()}
    for name, codelist in sorted(pack.definition.codelists.items()):
        subject = ("codelist", name)
        if name not in used:
            yield Finding(
                Severity.WARNING, "list-unused", subject, "No rule or template uses it.", "Remove the file, or use it."
            )
        if not codelist.source:
            yield Finding(Severity.WARNING, "no-source", subject, "It has no source.", "Say where its codes are from.")
    yield from _check_empty(pack)
    for first, second in combinations([c for _, c in sorted(pack.definition.codelists.items()) if c.codes], 2):
        yield from _check_two(first, second)


def lists_in(*roots: Node) -> list[str]:
    """List the codelists that rules read, each once, in order."""
    found = (getattr(node, "codelist", None) for node in nodes.walk(*roots))
    return list(dict.fromkeys(name for name in found if name is not None))


def _check_empty(pack: Pack) -> Iterator[Finding]:
    """Say of each list without codes what it leaves undecided until a tenant fills it."""
    codelists = pack.definition.codelists
    for name in sorted(name for name, codelist in codelists.items() if not codelist.codes):
        blocked = [i.name for i in pack.definition.indicators if name in _deciding(i)]
        subject = ("codelist", name)
        if blocked:
            message = f"It has no codes, so these may not be decided: {', '.join(blocked)}."
            yield Finding(Severity.WARNING, "list-empty", subject, message, "Add codes, or say that tenants must.")
        else:
            message = "It has no codes. No status waits for it."
            yield Finding(Severity.ADVICE, "list-empty", subject, message, "Add codes, or say that tenants may.")


def _deciding(indicator: Indicator) -> list[str]:
    """List what a status waits for; not a list that the rule goes by only when it has codes."""
    optional = {node.codelist for node in nodes.walk(*indicator.nodes()) if isinstance(node, nodes.HasCodes)}
    return [name for name in lists_in(indicator.applies, indicator.met) if name not in optional]


def _check_two(first: Codelist, second: Codelist) -> Iterator[Finding]:
    subject = ("codelist", first.name)
    one, other = set(first.by_code), set(second.by_code)
    both = one & other
    if not both:
        return
    if min(len(one), len(other)) >= FEWEST and len(both) / len(one | other) >= NEARLY:
        apart = sorted(one ^ other)
        differ = f"they differ in {_named(apart)}" if apart else "they hold the same codes"
        message = f"It is nearly the list {second.name}: {differ}."
        yield Finding(Severity.WARNING, "lists-alike", subject, message, "Use one list, or add what is missing.")
    opposed = sorted(code for code in both if _opposite(first, code) is not _opposite(second, code))
    if opposed:
        message = (
            f"It and {second.name} give {_named(opposed)} opposite meanings ({_meanings(first, second, opposed[0])})."
        )
        yield Finding(Severity.WARNING, "lists-opposed", subject, message, "Take the codes out of one of them.")


def _opposite(codelist: Codelist, code: int) -> bool:
    """Tell whether a list has a code for something that is not so: by its category, else by the list's name."""
    category = codelist.by_code[code].category
    return bool(OPPOSITE.search((category or codelist.name).replace("-", " ")))


def _meanings(first: Codelist, second: Codelist, code: int) -> str:
    said: Mapping[str, str | None] = {item.name: item.by_code[code].category for item in (first, second)}
    return ", ".join(f"{name}: {category or 'no category'}" for name, category in said.items())


def _named(codes: list[int]) -> str:
    more = f" and {len(codes) - MOST_NAMED} more" if len(codes) > MOST_NAMED else ""
    return f"{', '.join(str(code) for code in codes[:MOST_NAMED])}{more}"
