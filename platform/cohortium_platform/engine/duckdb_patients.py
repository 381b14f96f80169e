"""The scope of a patient: how values of one person at one index date are named and found.

Here: names of columns, and what cannot be decided. Not here: frames (`duckdb_frames`), and the operations themselves
(`duckdb_series`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlglot import exp

from cohortium_platform.engine import sql
from cohortium_platform.engine.bindings import Bindings
from cohortium_platform.engine.duckdb_frames import PICK_METHODS, TAKEN_METHODS, column_of_row, compile_frame
from cohortium_platform.engine.duckdb_series import Compiled, compile_series, first_of
from cohortium_platform.engine.shape import is_about_row, patient_parts
from cohortium_platform.engine.sql import Sql
from cohortium_plugins.errors import DefinitionError
from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import Codelist
from cohortium_plugins.model.nodes import Frame, Pick, Rows, Series
from cohortium_plugins.model.values import ValueType

__all__ = ["Numbering", "PatientScope", "missing_table"]


@dataclass(frozen=True, slots=True)
class Numbering:
    """The numbers that stand for codelists in lists of rows: as a frame's rows, and as a grouping."""

    rows: Mapping[Rows, int]
    groupings: Mapping[str, int]


def missing_table(table: str) -> str:
    """Name the column that tells whether a table was never loaded for the practice."""
    return f"missing_{table}"


class PatientScope:
    """Series, frames and picks of a person at an index date, each compiled once and bound to a name.

    `missing`: tables never loaded for some of the practices evaluated; `asked`: for each codelist's rows the fields
    that are looked at, the date always.
    """

    def __init__(self, codelists: Mapping[str, Codelist], missing: Collection[str], numbering: Numbering) -> None:
        self.bindings = Bindings()
        self.numbering = numbering
        self.asked: dict[Rows, dict[str, None]] = {}
        self._codelists, self._missing = codelists, missing
        self._numbers: dict[nodes.Node, int] = {}
        self._compiled: dict[Series, Compiled] = {}
        self._lists: dict[Frame | Pick, Sql] = {}

    # --- series ---------------------------------------------------------------------------------------------------

    def value(self, node: Series) -> Sql:
        """Give the value of a series: its column, or the constant that it is."""
        return self._of(node).value.copy()

    def reason(self, node: Series) -> Sql | None:
        """Give the reason of a series, if it can have one."""
        reason = self._of(node).reason
        return None if reason is None else reason.copy()

    def fact(self, name: str) -> Sql:
        """Give a fact of the patient, or the index date."""
        return sql.column(name)

    def row(self, column: str) -> Sql:
        """Refuse: no row is looked at here (`checks` has made sure)."""
        raise LookupError(column)

    def given(self, node: Series) -> Sql:
        """Give the value of a series to a condition on rows: worked out before, not anew for each row."""
        value = self.value(node)
        self.keep(value)
        return value

    def keep(self, value: Sql) -> None:
        """Keep a value a column of its own: it is written into a function that is called for each row."""
        if isinstance(value, exp.Column):
            self.bindings.fix(value.name)

    def ask(self, rows: Rows, field: str) -> None:
        """Take note that a field of rows is looked at."""
        self.asked.setdefault(rows, {"date": None})[field] = None

    def number(self, node: nodes.Node) -> int:
        """Give the number by which a node's columns are named."""
        return self._numbers.setdefault(node, len(self._numbers))

    def named(self, letter: str, node: nodes.Node, made: Sql) -> Sql:
        """Bind an expression to a name, unless it is one already or a constant."""
        if isinstance(made, exp.Column) or not any(True for _ in sql.columns_in(made)):
            return made
        name = f"{letter}{self.number(node)}"
        self.bindings.define(name, made)
        return sql.column(name)

    def _of(self, node: Series) -> Compiled:
        if node not in self._compiled:
            self._prepare(node)
        return self._compiled[node]

    def _prepare(self, root: nodes.Node) -> None:
        """Compile all that a node stands on, parts first, so that a deep rule does not nest calls."""
        for part in nodes.walk(root):
            if isinstance(part, Frame | Pick):
                self._list(part)
            elif isinstance(part, Series) and part not in self._compiled and not is_about_row(part):
                made = compile_series(self, part)
                reason = None if made.reason is None else self.named("r", part, made.reason)
                self._compiled[part] = Compiled(self.named("v", part, made.value), reason)

    # --- frames and what is taken from them -----------------------------------------------------------------------

    def frame(self, frame: Frame) -> Sql:
        """Give a frame's rows."""
        if frame not in self._lists:
            self._prepare(frame)
        return self._list(frame)

    def pick(self, pick: Pick) -> Sql:
        """Give a picked row."""
        if pick not in self._lists:
            self._prepare(pick)
        return self._list(pick)

    def _list(self, node: Frame | Pick) -> Sql:
        if node not in self._lists:
            if isinstance(node, Frame):
                self._lists[node] = self.named("f", node, compile_frame(self, node))
            else:
                self._lists[node] = self.named("p", node, PICK_METHODS[node.how](self, node.frame))
        return self._lists[node].copy()

    def taken(self, node: nodes.Exists | nodes.Count | nodes.Mean | nodes.PickValue) -> Compiled:
        """Give what is taken from a frame."""
        if isinstance(node, nodes.PickValue):
            return Compiled(self.picked(node.pick, node.column), self.frame_reason(node.pick.frame))
        found = TAKEN_METHODS[type(node)](self, node.frame)
        return Compiled(self._known(node.frame, found, node.type), self.frame_reason(node.frame))

    def picked(self, pick: Pick, column: str) -> Sql:
        """Give a column of a picked row; unknown when there is no row, or when the frame cannot be known."""
        kind = nodes.ROW_COLUMNS[column]
        if column not in nodes.TABLES[pick.frame.table] and column != "source":
            return sql.NULL(kind)
        name = f"{column}_of_{self.number(pick)}"
        if name not in self.bindings:
            found = column_of_row(self, pick.frame, lambda: self.pick(pick), column)
            self.bindings.define(name, self._known(pick.frame, found, kind))
        return sql.column(name)

    def _known(self, frame: Frame, found: Sql, kind: ValueType) -> Sql:
        reason = self.frame_reason(frame)
        if isinstance(reason, exp.Literal):
            return sql.NULL(kind)
        return found if reason is None else sql.case([(sql.is_missing(reason), found)])

    def frame_reason(self, frame: Frame) -> Sql | None:
        """Give the reason why a frame's rows cannot be known: its own rows' first, then that of a condition's parts."""
        if isinstance(frame, nodes.Filter):
            found = [self.frame_reason(frame.frame), *(self.reason(part) for part in patient_parts(frame.condition))]
            return first_of(found)
        if isinstance(frame, nodes.FirstOfEach | nodes.InUnit):
            return self.frame_reason(frame.frame)
        if isinstance(frame, nodes.Near):
            lengths = (self.reason(length) for length in (frame.before, frame.after))
            return first_of([self.frame_reason(frame.frame), self.frame_reason(frame.other), *lengths])
        if not isinstance(frame, nodes.Rows):
            raise DefinitionError(f"{type(frame).__name__} is no frame that the engine knows.")
        if frame.codelist is not None and not self._codelists[frame.codelist].codes:
            return sql.text(f"no_codes:{frame.codelist}")
        if frame.name in self._missing:
            return sql.case([(sql.column(missing_table(frame.name)), sql.text(f"source_not_loaded:{frame.name}"))])
        return None
