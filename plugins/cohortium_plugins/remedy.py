"""What entry would turn an indicator green for a patient, found by trying.

Candidates are made from the frames under `met`: an entry today for each, with a code of each category its codelist has
and values around those the rule names. A candidate counts only when the interpreter, given the record with it, says
`met`; so the advice is never wrong. Not here: the words (`explain`).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping
from datetime import date

from cohortium_plugins.interpreter import Evaluation
from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import Code, Codelist, Definition, Indicator
from cohortium_plugins.model.values import Status
from cohortium_plugins.record import Record, Row
from cohortium_plugins.status import result_of

__all__ = ["Entry", "find_remedy", "with_entries"]

OWN_SOURCE = "cohortium"
MOST_CODES = 24
MOST_CANDIDATES = 200


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """An entry that could be made: a row for a table, and the codelist that it is an entry of."""

    table: str
    codelist: str | None
    row: Row
    category: str | None = None


def with_entries(record: Record, entries: Iterable[Entry]) -> Record:
    """Give the record with entries added, each after what its table already holds on the day."""
    rows: dict[str, tuple[Row, ...]] = dict(record.rows)
    for entry in entries:
        last = max((row.entry for row in rows.get(entry.table, ())), default=-1)
        rows[entry.table] = (*rows.get(entry.table, ()), dataclasses.replace(entry.row, entry=last + 1))
    return dataclasses.replace(record, rows=rows)


def find_remedy(
    definition: Definition, indicator: Indicator, record: Record, index_date: date
) -> tuple[Entry, ...] | None:
    """Give the fewest entries found that, made on the index date, turn the indicator `met`; None when none does."""
    known = _only_relevant(definition.codelists, record)

    def turns_green(entries: Iterable[Entry]) -> bool:
        evaluation = Evaluation(with_entries(known, entries), index_date, definition.codelists)
        return result_of(definition, indicator, evaluation).status is Status.MET

    frames = _frames(indicator.met)
    candidates = [list(_candidates(frame, index_date, definition.codelists)) for frame in frames]
    for entry in _in_turn(candidates):
        if turns_green([entry]):
            return (entry,)
    fitting = [_first_fitting(frame, options, known, index_date, definition) for frame, options in zip(
        frames, candidates, strict=True)]  # fmt: skip
    chosen = list(dict.fromkeys(entry for entry in fitting if entry is not None))
    if not chosen or not turns_green(chosen):
        return None
    for entry in list(chosen):
        rest = [other for other in chosen if other is not entry]
        if turns_green(rest):
            chosen = rest
    return tuple(chosen)


def _in_turn(candidates: list[list[Entry]]) -> Iterator[Entry]:
    """Yield candidates frame by frame in rounds, so that no long codelist starves the others."""
    tried = 0
    for position in range(max(map(len, candidates), default=0)):
        for options in candidates:
            if position < len(options) and tried < MOST_CANDIDATES:
                tried += 1
                yield options[position]


def _first_fitting(
    frame: nodes.Frame, options: list[Entry], record: Record, index_date: date, definition: Definition
) -> Entry | None:
    """Give the first candidate that the frame lets through, unless it already has a row of today."""
    for entry in options:
        evaluation = Evaluation(with_entries(record, [entry]), index_date, definition.codelists)
        if any(row.source == OWN_SOURCE for row, _ in evaluation.frame(frame).rows):
            return entry
    return None


def _only_relevant(codelists: Mapping[str, Codelist], record: Record) -> Record:
    """Leave out coded rows that no codelist of the definition knows, to make trying cheap."""
    codes = {code for codelist in codelists.values() for code in codelist.by_code}
    rows = {
        table: tuple(row for row in kept if row.code is None or row.code in codes)
        for table, kept in record.rows.items()
    }
    return dataclasses.replace(record, rows=rows)


def _frames(met: nodes.Series) -> list[nodes.Frame]:
    """List the outermost frames under a rule, in order."""
    inner: set[nodes.Node] = set()
    frames = [node for node in nodes.walk(met) if isinstance(node, nodes.Frame)]
    for frame in frames:
        if isinstance(frame, nodes.Filter | nodes.FirstOfEach):
            inner.add(frame.frame)
    return [frame for frame in frames if frame not in inner]


def _chain(frame: nodes.Frame) -> tuple[nodes.Rows, list[nodes.Series]]:
    """Give what a frame stands on, and the conditions on the way."""
    conditions: list[nodes.Series] = []
    while not isinstance(frame, nodes.Rows):
        if isinstance(frame, nodes.Filter):
            conditions.append(frame.condition)
            frame = frame.frame
        elif isinstance(frame, nodes.FirstOfEach):
            frame = frame.frame
        else:
            message = f"{type(frame).__name__} is no frame that a remedy can be found for"
            raise TypeError(message)
    return frame, conditions


def _candidates(frame: nodes.Frame, day: date, codelists: Mapping[str, Codelist]) -> Iterator[Entry]:
    rows, conditions = _chain(frame)
    if rows.name == "registrations":
        return
    codes: Iterable[Code | None] = [None] if rows.codelist is None else _codes(codelists[rows.codelist])
    values = _constants(conditions, "value")
    numbers = sorted({v for v in values if isinstance(v, float)})
    middles = [(low + high) / 2 for low, high in itertools.pairwise(numbers)]
    around = [None, *middles, *numbers, *(n + 1 for n in numbers), *(n - 1 for n in numbers)]
    for kind in _texts(conditions, "kind"):
        for relationship in _texts(conditions, "relationship"):
            for code in codes:
                for value in around:
                    row = Row(
                        day,
                        code=None if code is None else code.code,
                        value=value,
                        kind=kind,
                        relationship=relationship,
                        source=OWN_SOURCE,
                    )
                    yield Entry(rows.name, rows.codelist, row, None if code is None else code.category)


def _codes(codelist: Codelist) -> list[Code]:
    """Give one code of each category; a list without categories gives its first."""
    by_category: dict[str | None, Code] = {}
    for code in codelist.codes:
        by_category.setdefault(code.category, code)
    return list(by_category.values())[:MOST_CODES]


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
