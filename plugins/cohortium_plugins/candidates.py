"""Entries that could be made for a frame: one for each category of its codelist, with values around those it names.

The order is that of preference as an example: what sounds like the thing done before what sounds like its outcome. Not
here: which of them turn an indicator green (`remedy`).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from cohortium_plugins.measures import unit_of_frame
from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import Code, Codelist
from cohortium_plugins.record import Row

__all__ = ["OWN_SOURCE", "Entry", "candidates", "outermost_frames", "sounds_neutral"]

OWN_SOURCE = "cohortium"
MOST_CATEGORIES = 24
NEUTRAL = ("done", "given", "agreed", "normal")
PLAIN = (*NEUTRAL, "never")
"""Words in a category that make its codes the plainest example; they decide nothing but which example is named."""
FILLERS = {"of", "or", "and", "for", "by", "the", "with", "in", "on"}
ENDINGS = re.compile(r"(?:ing|er|ed|s)$")
"""Words are taken for the same without these: smoker and smoking."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry that could be made: a row for a table, and the codelist that it is an entry of. `too_little` names
    categories of that list with which more would be needed.
    """

    table: str
    codelist: str | None
    row: Row
    category: str | None = None
    too_little: tuple[str, ...] = ()


def outermost_frames(rule: nodes.Series) -> list[nodes.Frame]:
    """List the outermost frames under a rule, in order."""
    frames = [node for node in nodes.walk(rule) if isinstance(node, nodes.Frame)]
    inner = {child for frame in frames if (child := _made_of(frame)) is not None}
    return [frame for frame in frames if frame not in inner]


def _made_of(frame: nodes.Frame) -> nodes.Frame | None:
    """Give the frame whose rows these are; one that `Near` looks for is not, and is offered entries of its own."""
    return next((child for child in nodes.children(frame) if isinstance(child, nodes.Frame)), None)


def candidates(frame: nodes.Frame, day: date, codelists: Mapping[str, Codelist]) -> Iterator[Entry]:
    """Yield the entries that could be made for a frame on a day, the plainest first."""
    rows, conditions = nodes.rows_of(frame), _conditions(frame)
    unit = unit_of_frame(frame)
    codes = [None] if rows.codelist is None else _examples(codelists[rows.codelist])
    numbers = sorted({v for v in _constants(conditions, "value") if isinstance(v, float)})
    middles = [(low + high) / 2 for low, high in itertools.pairwise(numbers)]
    around = [None, *middles, *numbers, *(n + 1 for n in numbers), *(n - 1 for n in numbers)]
    texts = itertools.product(_texts(conditions, "kind"), _texts(conditions, "relationship"))
    for (kind, relationship), code, value in itertools.product(texts, codes, around):
        number = None if code is None else code.code
        own = None if value is None else unit
        row = Row(day, code=number, value=value, unit=own, kind=kind, relationship=relationship, source=OWN_SOURCE)
        yield Entry(rows.name, rows.codelist, row, None if code is None else code.category)


def _conditions(frame: nodes.Frame | None) -> list[nodes.Series]:
    """List the conditions on the way from a frame to what it stands on."""
    conditions: list[nodes.Series] = []
    while frame is not None:
        if isinstance(frame, nodes.Filter):
            conditions.append(frame.condition)
        frame = _made_of(frame)
    return conditions


def _examples(codelist: Codelist) -> list[Code]:
    """Give the plainest code of each category, the plainest category first; without categories, the plainest code."""
    best: dict[str | None, tuple[tuple[int, ...], Code]] = {}
    wanted = _words(codelist.title)
    for position, code in enumerate(codelist.codes):
        rank = (*_rank(code, codelist.title, wanted), position)
        if code.category not in best or rank < best[code.category][0]:
            best[code.category] = (rank, code)
    ordered = sorted(best.values(), key=lambda item: (_outcome(item[1].category), item[0]))
    return [code for _, code in ordered][:MOST_CATEGORIES]


def sounds_neutral(category: str | None) -> bool:
    """Tell whether a category says no more than that something was done, or has none: it can contradict no record."""
    return category is None or any(word in NEUTRAL for word in category.split("-"))


def _outcome(category: str | None) -> int:
    return next((i for i, word in enumerate(PLAIN) if word in (category or "").split("-")), len(PLAIN))


def _rank(code: Code, title: str, wanted: set[str]) -> tuple[int, ...]:
    """Rank a term: it has one that is not two in one; begins as the list is called; says that and little else."""
    words = _words(code.term)
    begins = code.term.lower().startswith(title.lower())
    mixed = any(sign in code.term for sign in "&[?")
    return (not code.term, mixed, not begins, len(words - wanted) - len(words & wanted), len(words))


def _words(text: str) -> set[str]:
    found = re.findall(r"[a-z]+", re.sub(r" \([^()]*\)$", "", text.lower()))
    return {ENDINGS.sub("", word) for word in found if word not in FILLERS}


def _constants(conditions: list[nodes.Series], column: str) -> list[object]:
    """List the constants that conditions compare a column with."""
    found: list[object] = []
    for node in nodes.walk(*conditions):
        if isinstance(node, nodes.Compare) and _is_column(node.left, column) and isinstance(node.right, nodes.Constant):
            found.append(node.right.value)
        if isinstance(node, nodes.IsIn) and _is_column(node.operand, column):
            found.extend(node.values)
    return found


def _is_column(node: nodes.Series, column: str) -> bool:
    return isinstance(node, nodes.RowValue) and node.column == column


def _texts(conditions: list[nodes.Series], column: str) -> list[str | None]:
    return [value for value in _constants(conditions, column) if isinstance(value, str)] or [None]
