"""From a definition to DuckDB's statements, kept for the next evaluation of the same definition.

Compiling takes longer than evaluating a practice, and depends on nothing but the definition and which tables are
missing. Not here: running anything.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from threading import Lock

from sqlglot import exp

from cohortium_platform.engine import sql
from cohortium_platform.engine.duckdb_extracts import LookedAt
from cohortium_platform.engine.duckdb_outlook import Outlook, least
from cohortium_platform.engine.duckdb_patients import PatientScope
from cohortium_platform.engine.duckdb_program import Numbering, StageWriter, create
from cohortium_platform.engine.duckdb_status import (
    MEMBERSHIP_UNTIL,
    compile_held_back,
    compile_outputs,
    member_column,
)
from cohortium_platform.engine.evaluated import Kind
from cohortium_platform.engine.plan import Plan, make_plan
from cohortium_plugins.model.definition import Definition
from cohortium_plugins.model.nodes import Rows
from cohortium_plugins.model.values import ValueType

__all__ = ["FETCHED", "Program", "Work", "compiled"]

FINISHED = "finished"
_FETCHED = "fetched"
FETCHED = sql.rendered(exp.Select(expressions=[exp.Star()]).from_(sql.table(_FETCHED), copy=False))
"""The query over what `Work.kept` keeps."""
_KEPT = 16


@dataclass(frozen=True, slots=True)
class Work:
    """Statements to run in order, the queries over what they leave behind, and for each query the statement that keeps
    its rows to be fetched (`FETCHED`).
    """

    statements: tuple[str, ...]
    queries: Mapping[Kind, str] = field(default_factory=dict)
    kept: Mapping[Kind, str] = field(default_factory=dict)


class Program:
    """A compiled definition. `missing`: tables never loaded for some practice; `stale`: some practice's records end
    before an index date; `outlook`: whether the day is worked out until when each row stays as it is.
    """

    def __init__(self, definition: Definition, missing: Collection[str], *, stale: bool, outlook: bool = False) -> None:
        self.plan: Plan = make_plan(definition)
        self.missing, self.stale, self.outlook = missing, stale, outlook
        rows = dict.fromkeys([*self.plan.membership.rows, *self.plan.everything.rows])
        groupings = dict.fromkeys([*self.plan.membership.groupings, *self.plan.everything.groupings])
        self.numbering = Numbering(
            {item: number for number, item in enumerate(rows)}, {name: number for number, name in enumerate(groupings)}
        )
        self.looked_at = LookedAt.of(self.plan)
        self._work: dict[tuple[str, int], Work] = {}
        self._codes: dict[tuple[Rows, ...], list[list[object]]] = {}

    def codes(self, rows: Iterable[Rows]) -> list[list[object]]:
        """Give the codes by which rows are read, as `duckdb_records.insert_codes` takes them."""
        key = tuple(rows)
        if key not in self._codes:
            self._codes[key] = self._write_codes(key)
        return self._codes[key]

    def _write_codes(self, rows: Iterable[Rows]) -> list[list[object]]:
        codelists = self.plan.definition.codelists
        lookups = [codelists[name].by_code for name in self.numbering.groupings]
        alike: dict[tuple[int, str | None, tuple[str | None, ...]], list[str]] = {}
        for item in rows:
            for code in codelists[item.codelist].by_code.values() if item.codelist is not None else ():
                groups = tuple(known.category if (known := lookup.get(code.code)) else None for lookup in lookups)
                alike.setdefault((self.numbering.rows[item], code.category, groups), []).append(str(code.code))
        return [
            [number for number, _, _ in alike],
            [category for _, category, _ in alike],
            [list(groups) for _, _, groups in alike],
            [" ".join(codes) for codes in alike.values()],
        ]

    def membership(self, lists_a_join: int) -> Work:
        """Give the statements that make the table `membership` from `base`."""
        return self._cached("membership", lists_a_join)

    def everything(self, lists_a_join: int) -> Work:
        """Give the statements that make the finished table from `members_base`, and the queries over it."""
        return self._cached("everything", lists_a_join)

    def _cached(self, which: str, lists_a_join: int) -> Work:
        key = (which, lists_a_join)
        if key not in self._work:
            write = self._write_membership if which == "membership" else self._write_everything
            self._work[key] = write(lists_a_join)
        return self._work[key]

    def _write_membership(self, lists_a_join: int) -> Work:
        scope = PatientScope(self.plan.definition.codelists, self.missing)
        outputs = []
        stage = len(self.plan.membership.aggregates)
        for number, cohort in enumerate(self.plan.rules.cohorts):
            outputs.append(member_column(number))
            scope.bindings.define(outputs[-1], sql.is_true(scope.value(cohort.members)), stage)
        scope.bindings.define("member", sql.any_of(sql.column(name) for name in outputs), stage)
        outputs.append("member")
        outlook = Outlook(scope) if self.outlook else None
        if outlook is not None:
            until = least(outlook.until(cohort.members) for cohort in self.plan.rules.cohorts)
            scope.bindings.define(MEMBERSHIP_UNTIL, until or sql.NULL(ValueType.DATE), stage)
            outputs.append(MEMBERSHIP_UNTIL)
        writer = StageWriter(scope, self.plan.membership, self.numbering, lists_a_join, outlook)
        return Work(tuple(writer.statements(outputs, "base", "membership")))

    def _write_everything(self, lists_a_join: int) -> Work:
        scope = PatientScope(self.plan.definition.codelists, self.missing)
        outlook = Outlook(scope) if self.outlook else None
        base = "members_base" if outlook is None else "members_looking"
        outputs = compile_outputs(self.plan, scope, FINISHED, outlook)
        writer = StageWriter(scope, self.plan.everything, self.numbering, lists_a_join, outlook)
        if self.stale:
            columns = [*outputs.columns, "records_end"]
            statements = writer.statements(columns, base, "undated")
            statements.append(create(FINISHED, compile_held_back(self.plan, "undated")))
        else:
            statements = writer.statements(outputs.columns, base, FINISHED)
        queries = {kind: sql.rendered(query) for kind, query in outputs.queries.items()}
        kept = {kind: create(_FETCHED, query, anew=True) for kind, query in outputs.queries.items()}
        return Work(tuple(statements), queries, kept)


_programs: OrderedDict[tuple[int, frozenset[str], bool, bool], tuple[Definition, Program]] = OrderedDict()
_lock = Lock()


def compiled(definition: Definition, missing: Collection[str], *, stale: bool, outlook: bool = False) -> Program:
    """Give a definition's program, from memory if this very object was compiled before."""
    key = (id(definition), frozenset(missing), stale, outlook)
    with _lock:
        if key in _programs:
            _programs.move_to_end(key)
            return _programs[key][1]
    program = Program(definition, frozenset(missing), stale=stale, outlook=outlook)
    with _lock:
        _programs[key] = (definition, program)  # the definition is kept, so that its id stays its own
        while len(_programs) > _KEPT:
            _programs.popitem(last=False)
    return program
