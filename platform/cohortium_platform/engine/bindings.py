"""Named expressions that refer to each other by name, and their arrangement into nested SELECTs.

An expression that is used once is written where it is used; one that is used more often is worked out once, as a
column. So the text grows with the rules and not with the number of times that a rule stands in others. Not here: what
the expressions mean.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlglot import exp

from cohortium_platform.engine import sql
from cohortium_platform.engine.sql import Sql

__all__ = ["Binding", "Bindings"]


@dataclass(slots=True)
class Binding:
    """An expression, and whether it must stay a column of its own."""

    expression: Sql
    fixed: bool = False


class Bindings:
    """Expressions by name. Names without an expression are columns of whatever is selected from."""

    def __init__(self) -> None:
        self._made: dict[str, Binding] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._made

    def define(self, name: str, expression: Sql) -> None:
        """Give a name to an expression."""
        self._made[name] = Binding(expression)

    def fix(self, name: str) -> None:
        """Keep an expression a column of its own, even if it is used once: where it is used would work it out anew."""
        if name in self._made:
            self._made[name].fixed = True

    def needed(self, wanted: Iterable[str]) -> tuple[list[str], list[str]]:
        """Give what must be worked out to have the wanted names, parts first; and the columns that it is made of."""
        here: dict[str, None] = {}
        given: dict[str, None] = {}
        stack = [(name, False) for name in reversed(list(wanted))]
        while stack:
            name, opened = stack.pop()
            binding = self._made.get(name)
            if binding is None:
                given[name] = None
            elif opened:
                here[name] = None
            elif name not in here:
                stack.append((name, True))
                stack.extend((column.name, False) for column in sql.columns_in(binding.expression))
        return list(here), list(given)

    def select(self, wanted: Collection[str], source: exp.Select, given: Collection[str]) -> exp.Select:
        """Write the SELECT that gives the wanted names (and the given ones), made from a source. Each level passes on
        what a later one looks at and no more: a name that nobody looks at costs as much to plan as one that does.
        """
        here, _ = self.needed(wanted)
        expressions = self._inlined(here, wanted)
        levels = _levels(expressions)
        keep = dict.fromkeys([*given, *wanted])
        asked = [dict.fromkeys(c.name for name in level for c in sql.columns_in(expressions[name])) for level in levels]
        query = source
        for number, level in enumerate(levels):
            later = {name for names in levels[number:] for name in names}
            looked_at = (
                keep
                if number == len(levels) - 1
                else {**dict.fromkeys(n for a in asked[number + 1 :] for n in a), **keep}
            )
            passed: list[Sql] = [sql.column(name) for name in looked_at if name not in later]
            query = sql.select([*passed, *(sql.aliased(expressions[name], name) for name in level)], query)
        return query

    def _inlined(self, names: list[str], wanted: Collection[str]) -> dict[str, Sql]:
        """Write expressions that are used once into the place where they are used."""
        expressions = {name: self._made[name].expression for name in names}
        mentions: dict[str, list[exp.Column]] = {name: [] for name in names}
        for expression in expressions.values():
            for column in sql.columns_in(expression):
                if column.name in mentions:
                    mentions[column.name].append(column)
        uses = Counter({name: len(places) for name, places in mentions.items()})
        uses.update(name for name in wanted if name in mentions)
        for name in names:
            if uses[name] == 1 and mentions[name] and not self._made[name].fixed:
                place = mentions[name][0]
                value = expressions.pop(name)
                owner = next((other for other, found in expressions.items() if found is place), None)
                if owner is None:
                    place.replace(sql.operand(value) if sql.stands_beside_operator(place) else value)
                else:
                    expressions[owner] = value
        return expressions


def _levels(expressions: dict[str, Sql]) -> list[list[str]]:
    """Order names so that each level only refers to those before it."""
    depth: dict[str, int] = {}
    for name, expression in expressions.items():
        inner = (depth.get(column.name, -1) for column in sql.columns_in(expression))
        depth[name] = max(inner, default=-1) + 1
    levels: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name, level in depth.items():
        levels[level].append(name)
    return levels
