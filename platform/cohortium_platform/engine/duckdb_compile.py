"""From a definition to DuckDB's statements, kept for the next evaluation of the same definition.

Compiling takes longer than evaluating a practice, and depends on nothing but the definition and which tables are
missing. Not here: running anything.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock

from sqlglot import exp

from cohortium_platform.engine import sql
from cohortium_platform.engine.duckdb_extracts import LookedAt
from cohortium_platform.engine.duckdb_frames import rows_column
from cohortium_platform.engine.duckdb_outlook import Outlook, least
from cohortium_platform.engine.duckdb_patients import Numbering, PatientScope
from cohortium_platform.engine.duckdb_results import Told
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
LISTS = "lists"
"""The table of each person's lists of rows: `duckdb_rows`."""
_FETCHED = "fetched"
FETCHED = sql.rendered(exp.Select(expressions=[exp.Star()]).from_(sql.table(_FETCHED), copy=False))
"""The query over what `Work.kept` keeps."""
_KEPT = 16


KEYS = ("sid", "pid", "as_of")
"""What tells a person at an index date: a number for both, a number for the person, the date."""


@dataclass(frozen=True, slots=True)
class Work:
    """Statements to run in order over lists with the `fields` of rows, the queries over what they leave behind, and for
    each query the statement that keeps its rows to be fetched (`FETCHED`). `told`: what results say of whom.
    """

    statements: tuple[str, ...]
    fields: Mapping[Rows, tuple[str, ...]]
    queries: Mapping[Kind, str] = field(default_factory=dict)
    kept: Mapping[Kind, str] = field(default_factory=dict)
    told: Told = field(default_factory=Told)


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

    def complete(self) -> None:
        """Write all that is written once, before several threads ask for it."""
        self.fields  # noqa: B018 - asking is writing

    @cached_property
    def fields(self) -> Mapping[Rows, tuple[str, ...]]:
        """The fields of each codelist's rows that anything looks at."""
        asked: dict[Rows, dict[str, None]] = {}
        for work in (self.membership, self.everything):
            for rows, fields in work.fields.items():
                asked.setdefault(rows, {}).update(dict.fromkeys(fields))
        return {rows: tuple(fields) for rows, fields in asked.items()}

    @cached_property
    def membership(self) -> Work:
        """The statements that make the table `membership` from `base` and lists of rows."""
        scope = self._scope()
        outputs = []
        for number, cohort in enumerate(self.plan.rules.cohorts):
            outputs.append(member_column(number))
            scope.bindings.define(outputs[-1], sql.is_true(scope.value(cohort.members)))
        scope.bindings.define("member", sql.any_of(sql.column(name) for name in outputs))
        outputs.append("member")
        if self.outlook:
            outlook = Outlook(scope)
            until = least(outlook.until(cohort.members) for cohort in self.plan.rules.cohorts)
            scope.bindings.define(MEMBERSHIP_UNTIL, until or sql.NULL(ValueType.DATE))
            outputs.append(MEMBERSHIP_UNTIL)
        return Work((self._made(scope, outputs, "base", "membership"),), _fields(scope))

    @cached_property
    def everything(self) -> Work:
        """The statements that make the finished table from `members_base` and lists, and the queries over it."""
        scope = self._scope()
        outlook = Outlook(scope) if self.outlook else None
        base = "members_base" if outlook is None else "members_looking"
        outputs = compile_outputs(self.plan, scope, FINISHED, outlook)
        if self.stale:
            statements = [
                self._made(scope, [*outputs.columns, "records_end"], base, "undated"),
                sql.create(FINISHED, compile_held_back(self.plan, "undated")),
            ]
        else:
            statements = [self._made(scope, outputs.columns, base, FINISHED)]
        queries = {kind: sql.rendered(query) for kind, query in outputs.queries.items()}
        kept = {kind: sql.create(_FETCHED, query, anew=True) for kind, query in outputs.queries.items()}
        return Work(tuple(statements), _fields(scope), queries, kept, outputs.told)

    def _scope(self) -> PatientScope:
        return PatientScope(self.plan.definition.codelists, self.missing, self.numbering)

    def _made(self, scope: PatientScope, outputs: Iterable[str], base: str, last: str) -> str:
        """Write the statement that makes, from a table of people at index dates, the table with the outputs."""
        wanted = list(dict.fromkeys([*KEYS, *outputs]))
        _, given = scope.bindings.needed(wanted)
        lists = {rows_column(number) for number in self.numbering.rows.values()}
        columns: list[sql.Sql] = [
            sql.column(name, "l" if name in lists else "s") for name in dict.fromkeys([*KEYS, *given])
        ]
        people = sql.table(base, "s")
        if lists.isdisjoint(given):
            source = sql.select(columns, people)
        else:
            same = exp.EQ(this=sql.column("pid", "s"), expression=sql.column("pid", "l"))
            source = sql.select(columns, sql.table(LISTS, "l")).join(people, on=same, copy=False)
        return sql.create(last, scope.bindings.select(wanted, source, KEYS))


def _fields(scope: PatientScope) -> Mapping[Rows, tuple[str, ...]]:
    return {rows: tuple(fields) for rows, fields in scope.asked.items()}


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
