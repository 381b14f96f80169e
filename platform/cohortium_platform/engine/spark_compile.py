"""From a definition to Spark's two queries: who is a member, and what is to be said of members.

Not here: running anything (`spark`).
"""

from __future__ import annotations

from collections.abc import Collection

from sqlglot import exp

from cohortium_platform.engine import spark_sql, sql
from cohortium_platform.engine.plan import Plan, Section, make_plan
from cohortium_platform.engine.spark_patients import PEOPLE_COLUMNS, Numbering, PatientScope
from cohortium_platform.engine.spark_status import compile_lines, member_column
from cohortium_plugins.model.definition import Definition

__all__ = ["PEOPLE", "Program"]

PEOPLE = "people"
"""The view that both queries read: at first whoever could be a member, then members with all their rows."""

_EVER = "ever"


class Program:
    """A compiled definition. `missing`: tables never loaded for some practice; `stale`: some practice's records end
    before an index date.
    """

    def __init__(self, definition: Definition, missing: Collection[str], *, stale: bool) -> None:
        self.plan: Plan = make_plan(definition)
        self.missing, self.stale = missing, stale
        self.members = _numbering(self.plan.membership)
        self.everything = _numbering(self.plan.everything)

    @property
    def needed(self) -> list[int] | None:
        """The numbers of the lists of which a member has at least one row; None when anyone may be a member."""
        if self.plan.needed is None:
            return None
        return sorted(self.members.rows[rows] for rows in self.plan.needed)

    def membership(self) -> str:
        """Write the query that keeps members: at their index dates, and on the day to which their practice's records
        run.
        """
        scope = PatientScope(self.plan.definition.codelists, self.missing, self.members)
        outputs = []
        for number, cohort in enumerate(self.plan.rules.cohorts):
            outputs.append(member_column(number))
            scope.bindings.define(outputs[-1], sql.is_true(scope.value(cohort.members)))
        whole = sql.select([exp.Star()], sql.table(PEOPLE))
        query = scope.bindings.select(outputs, whole, PEOPLE_COLUMNS)
        joined = sql.all_of([sql.column("main"), sql.any_of(sql.column(name) for name in outputs)])
        if self.stale:
            ever = exp.Window(
                this=sql.call("max", joined.copy()), partition_by=[sql.column("practice"), sql.column("patient_id")]
            )
            query = sql.select([exp.Star(), sql.aliased(ever, _EVER)], query)
            joined = sql.any_of([joined, sql.all_of([sql.column("before"), sql.column(_EVER)])])
        kept = [sql.column(name) for name in (*PEOPLE_COLUMNS, *outputs)]
        return spark_sql.rendered(sql.select(kept, query).where(joined, copy=False))

    def lines(self) -> str:
        """Write the query that gives a line a member and index date."""
        scope = PatientScope(self.plan.definition.codelists, self.missing, self.everything)
        return spark_sql.rendered(compile_lines(self.plan, scope, PEOPLE, stale=self.stale))


def _numbering(section: Section) -> Numbering:
    return Numbering(
        {rows: number for number, rows in enumerate(section.rows)},
        {name: number for number, name in enumerate(section.groupings)},
    )
