"""Type 1 opt-outs, read from GP records: who has said that their record is not to leave the practice but for care.

Here: the rule over codes and days, and the answers that a process keeps. Not here: the national opt-out (`service`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import duckdb
from sqlmodel import Session

from cohortium_platform.database import tenant_of
from cohortium_platform.records import GP, RecordStore, RecordTable, files

__all__ = ["DISSENT", "MOST_KEPT", "WITHDRAWAL", "type_1_dissent"]

DISSENT = 827241000000103
"""SNOMED CT: dissent from secondary use of general practitioner patient identifiable data (type 1)."""
WITHDRAWAL = 827261000000102
"""SNOMED CT: that dissent withdrawn."""
MOST_KEPT = 8
"""Answers that a process keeps: each may be a tenth of a tenant's people, as numbers."""

# The latest dated code wins; of those of one day, the one that the practice's record gives last. The order of entries
# means nothing between two practices: where they end one day differently, dissent holds. A code of a day to come says
# nothing yet. The two codes stand in the text, so that a reader can skip all but their rows in files sorted by code.
_TYPE_1 = f"""
    SELECT patient_id
    FROM (
        SELECT patient_id, max(date) AS day, arg_max(code, (date, entry)) = {DISSENT} AS dissents
        FROM read_parquet($files) WHERE code IN ({DISSENT}, {WITHDRAWAL}) AND date <= $on
        GROUP BY patient_id, practice
    )
    GROUP BY patient_id HAVING arg_max(dissents, (day, dissents))
"""  # noqa: S608 - two numbers of our own


@dataclass(frozen=True, slots=True)
class _Asked:
    """What an answer is of. Files never change, so the same files on the same day give it again."""

    tenant: UUID
    on: date
    paths: tuple[str, ...]


class _Kept:
    """Answers of this process, the least lately used going first."""

    def __init__(self) -> None:
        self._answers: OrderedDict[_Asked, frozenset[int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, asked: _Asked) -> frozenset[int] | None:
        """The answer, when it is kept."""
        with self._lock:
            if asked in self._answers:
                self._answers.move_to_end(asked)
            return self._answers.get(asked)

    def put(self, asked: _Asked, answer: frozenset[int]) -> None:
        """Keep an answer."""
        with self._lock:
            self._answers[asked] = answer
            self._answers.move_to_end(asked)
            while len(self._answers) > MOST_KEPT:
                self._answers.popitem(last=False)

    def __len__(self) -> int:
        return len(self._answers)


_kept = _Kept()


def type_1_dissent(
    session: Session, store: RecordStore, cursor: duckdb.DuckDBPyConnection, *, snapshot: int, on: date
) -> frozenset[int]:
    """Everyone of the tenant whose GP record says, as of a day, that it must not leave the practice but for care.

    Only what a practice's own system recorded counts: a type 1 opt-out is made, and withdrawn, at the GP practice, so a
    trust's file can neither make one nor end one. Any practice's record counts: what was said at a former one holds
    until something later is said, and a history that was copied to the new one says the same thing again.
    """
    found = files(session, snapshot, tables=[RecordTable.EVENTS])
    paths = tuple(str(store.path(file.path)) for file in found if file.source == GP)
    if not paths:
        return frozenset()
    asked = _Asked(tenant_of(session), on, paths)
    answer = _kept.get(asked)
    if answer is None:
        rows = cursor.execute(_TYPE_1, {"files": list(paths), "on": on}).fetchall()
        answer = frozenset(patient for (patient,) in rows)
        _kept.put(asked, answer)
    return answer
