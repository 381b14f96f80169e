"""Tables whose rows belong to a patient and a day: what else each has, and the SQL that reads it.

Here: shapes, faults as small numbers, the query of a file. Not here: what is done with its result (`streaming`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cohortium_platform.ingest.parts import Part
from cohortium_platform.ingest.people import People
from cohortium_platform.ingest.reasons import Reason
from cohortium_platform.ingest.workbench import literal
from cohortium_platform.records.schema import RecordTable

__all__ = ["FAULTS", "SHAPES", "VALUE_FAULT", "Shape"]

FAULTS = (
    Reason.NO_LOCAL_ID,
    Reason.NO_PRACTICE,
    Reason.NO_DATE,
    Reason.UNREADABLE_DATE,
    Reason.IMPOSSIBLE_DATE,
    Reason.NO_CODE,
    Reason.UNREADABLE_CODE,
    Reason.UNREADABLE_END_DATE,
    Reason.UNREADABLE_VALUE,
)
"""What the number of a fault means, from 1. All but the last, `VALUE_FAULT`, leave the row out."""
VALUE_FAULT = len(FAULTS)

_POSSIBLE = "BETWEEN DATE '1850-01-01' AND DATE '2199-12-31'"


@dataclass(frozen=True, slots=True)
class Shape:
    """Which columns a table has beside its patient: its day, and an end, a code, a value, texts.

    `allowed` gives for a text the pattern of what it may be; anything else is left empty, since a name or a number in
    the wrong column must not come into the record store.
    """

    table: RecordTable
    day: str = "date"
    day_needed: bool = True
    end: bool = False
    code: bool = False
    value: bool = False
    texts: tuple[str, ...] = ()
    allowed: Mapping[str, str] = field(default_factory=dict)

    def columns(self) -> dict[str, str]:
        """Columns on their way to a file, and their numpy types. A text is a number that stands for it, -1 for none."""
        kinds = {"person": "i4", "day": "i4"}
        kinds |= {"end": "i4"} if self.end else {}
        kinds |= {"code": "i8"} if self.code else {}
        kinds |= {"value": "f8"} if self.value else {}
        return kinds | dict.fromkeys(self.texts, "i4")

    def query(self, part: Part, people: People) -> str:
        """Rows of a file as the hash of their patient, their values, and the number of what is wrong with them."""
        inner = [
            f"{people.hash_of(part)} AS person",
            f"{part.given('local_id')} AS has_id",
            f"{people.practice_of(part)} IS NOT NULL AS has_practice",
            f"{part.day(self.day)} AS day",
            f"{part.given(self.day)} AS has_day",
        ]
        outer = ["person", f"if(day {_POSSIBLE}, day, NULL) AS day"]
        if self.end:
            inner += [f"{part.day('end_date')} AS ends", f"{part.given('end_date')} AS has_end"]
            outer.append(f"if(ends {_POSSIBLE}, ends, NULL) AS ends")
        if self.code:
            inner += [f"{part.whole('code')} AS code", f"{part.given('code')} AS has_code"]
            outer.append("code")
        if self.value:
            inner += [f"{part.number('value')} AS value", f"{part.given('value')} AS has_value"]
            outer.append("value")
        inner += [f"{self._text(part, text)} AS {text}" for text in self.texts]
        outer += [*self.texts, f"{self._fault(names_practice=people.names_practice(part))}::UTINYINT AS fault"]
        return f"SELECT {', '.join(outer)} FROM (SELECT {', '.join(inner)} FROM {part.relation})"

    def _text(self, part: Part, text: str) -> str:
        given = part.text(text)
        if text not in self.allowed:
            return given
        return f"if(regexp_full_match({given}, {literal(self.allowed[text])}), {given}, NULL)"

    def _fault(self, *, names_practice: bool) -> str:
        """The number of the worst that is wrong with a row, 0 for nothing."""
        when = [("NOT has_id", Reason.NO_LOCAL_ID)]
        if names_practice:
            when.append(("NOT has_practice", Reason.NO_PRACTICE))
        if self.day_needed:
            when.append(("NOT has_day", Reason.NO_DATE))
        when.append(("has_day AND day IS NULL", Reason.UNREADABLE_DATE))
        when.append((f"day NOT {_POSSIBLE}", Reason.IMPOSSIBLE_DATE))
        if self.code:
            when += [("NOT has_code", Reason.NO_CODE), ("code IS NULL", Reason.UNREADABLE_CODE)]
        if self.end:
            when.append(("has_end AND ends IS NULL", Reason.UNREADABLE_END_DATE))
        if self.value:
            when.append(("has_value AND value IS NULL", Reason.UNREADABLE_VALUE))
        cases = " ".join(f"WHEN {condition} THEN {FAULTS.index(reason) + 1}" for condition, reason in when)
        return f"(CASE {cases} ELSE 0 END)"


SHAPES = {
    shape.table: shape
    for shape in (
        Shape(RecordTable.REGISTRATIONS, day="start_date", day_needed=False, end=True),
        Shape(RecordTable.EVENTS, code=True, value=True, texts=("unit", "episode")),
        Shape(RecordTable.MEDICATIONS, code=True),
        Shape(RecordTable.CONSULTATIONS, texts=("kind",)),
        Shape(
            RecordTable.CONTACTS,
            day_needed=False,
            texts=("kind", "relationship"),
            allowed={"kind": "telephone|mobile|email|address|next-of-kin", "relationship": "[A-Za-z0-9-]{1,8}"},
        ),
    )
}
"""The shape of each table but patients. A contact without a date counts from the date the records run to; a
registration without a start from birth, and one whose end lies beyond 2199 has none.
"""
