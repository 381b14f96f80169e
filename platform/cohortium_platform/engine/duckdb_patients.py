"""The scope of a patient: how values of one person at one index date are named and found.

Here: names of columns and what is taken from frames, once known. Not here: reading frames (`duckdb_frames`), and the
operations themselves (`duckdb_series`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlglot import exp

from cohortium_platform.engine import sql
from cohortium_platform.engine.bindings import Bindings
from cohortium_platform.engine.duckdb_series import Compiled, compile_series, first_of
from cohortium_platform.engine.shape import Shape, is_about_row, patient_parts
from cohortium_platform.engine.sql import Sql
from cohortium_plugins.errors import DefinitionError
from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import Codelist
from cohortium_plugins.model.nodes import Frame, Pick, Series
from cohortium_plugins.model.values import ValueType

__all__ = ["PatientScope", "missing_table", "taken_column"]


def taken_column(number: int, column: str | None = None) -> str:
    """Name the column in which a frame's stage leaves what was taken from it, or a column of a picked row."""
    return f"a{number}" if column is None else f"a{number}_{column}"


def missing_table(table: str) -> str:
    """Name the column that tells whether a table was never loaded for the practice."""
    return f"missing_{table}"


class PatientScope:
    """Series of a person at an index date, each compiled once and bound to a name.

    `missing`: tables never loaded for some of the practices evaluated.
    """

    def __init__(self, codelists: Mapping[str, Codelist], missing: Collection[str]) -> None:
        self.bindings = Bindings()
        self.shape = Shape()
        self._codelists, self._missing = codelists, missing
        self._numbers: dict[nodes.Node, int] = {}
        self._compiled: dict[Series, Compiled] = {}

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

    def _of(self, node: Series) -> Compiled:
        if node not in self._compiled:
            for part in nodes.walk(node):  # parts first, so that a deep rule does not nest calls
                if isinstance(part, Series) and part not in self._compiled and not is_about_row(part):
                    self._compiled[part] = self._bound(part, compile_series(self, part))
        return self._compiled[node]

    def _bound(self, node: Series, made: Compiled) -> Compiled:
        number, stage = self.number(node), self.shape.stage(node)
        value = self._named(f"v{number}", made.value, stage)
        return Compiled(value, None if made.reason is None else self._named(f"r{number}", made.reason, stage))

    def _named(self, name: str, made: Sql, stage: int) -> Sql:
        if isinstance(made, exp.Column) or not any(True for _ in sql.columns_in(made)):
            return made
        self.bindings.define(name, made, stage)
        return sql.column(name)

    def number(self, node: nodes.Node) -> int:
        """Give the number by which a node's columns are named."""
        return self._numbers.setdefault(node, len(self._numbers))

    # --- what is taken from frames --------------------------------------------------------------------------------

    def taken(self, node: nodes.Exists | nodes.Count | nodes.Mean | nodes.PickValue) -> Compiled:
        """Give what is taken from a frame, from the columns that reading it leaves behind."""
        if isinstance(node, nodes.PickValue):
            return Compiled(self.picked(node.pick, node.column), self.frame_reason(node.pick.frame))
        found: Sql = sql.column(taken_column(self.number(node)))
        if isinstance(node, nodes.Exists):
            found = sql.is_known(found)
        elif isinstance(node, nodes.Count):
            found = sql.cast(sql.call("coalesce", found, sql.integer(0)), ValueType.NUMBER)
        return Compiled(self._known(node.frame, found, node.type), self.frame_reason(node.frame))

    def picked(self, pick: Pick, column: str) -> Sql:
        """Give a column of a picked row; unknown when there is no row, or when the frame cannot be known."""
        kind = nodes.ROW_COLUMNS[column]
        if column not in nodes.TABLES[pick.frame.table] and column != "source":
            return sql.NULL(kind)
        found = taken_column(self.number(pick), column)
        if self.frame_reason(pick.frame) is None:
            return sql.column(found)
        name = f"known_{found}"
        if name not in self.bindings:
            stage = self.shape.stage(pick.frame) + 1
            self.bindings.define(name, self._known(pick.frame, sql.column(found), kind), stage)
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
