"""Finding a trust's patients: where each is registered, by NHS number and date of birth.

Here: filling in the practice of a trust's rows in the table `patients`. Not here: pseudonyms (`people`), and where the
practices' own records come from.

A trust's rows are filed under the practice where the person is registered on the date the trust's records run to. Both
sides have the same pseudonym when they have the same NHS number; the date of birth must agree as well, so that a
mistyped number does not put a stranger's treatment into a record.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from cohortium_platform.ingest.parts import Part
from cohortium_platform.ingest.quality import QualityLog
from cohortium_platform.ingest.reasons import Reason
from cohortium_platform.ingest.scope import Scope
from cohortium_platform.ingest.telling import tell
from cohortium_platform.ingest.workbench import Workbench, literal, sql_file
from cohortium_platform.records.schema import RecordTable
from cohortium_plugins.importing import Severity

__all__ = ["match"]


def match(
    bench: Workbench,
    parts: Sequence[Part],
    scope: Scope,
    log: QualityLog,
    registered: Iterable[tuple[RecordTable, Path]],
) -> None:
    """Give each kept row of `patients` the practice where that person is registered, and reject the others.

    `registered` are the practices' own files of patients and registrations. Someone registered twice belongs where they
    registered last.
    """
    files = list(registered)
    people = _files([path for table, path in files if table is RecordTable.PATIENTS])
    registrations = _files([path for table, path in files if table is RecordTable.REGISTRATIONS])
    found = "SELECT NULL::BIGINT AS id, NULL::VARCHAR AS found WHERE false"
    if people and registrations:
        found = f"""
            SELECT mine.id, max_by(theirs.practice, (r.start_date, theirs.practice)) AS found
            FROM patients AS mine
            JOIN read_parquet({people}) AS theirs USING (patient_id, date_of_birth)
            JOIN read_parquet({registrations}) AS r ON r.patient_id = theirs.patient_id AND r.practice = theirs.practice
                AND r.start_date <= mine.until AND (r.end_date IS NULL OR r.end_date >= mine.until)
            WHERE mine.fault IS NULL AND mine.standing = 0
            GROUP BY mine.id
        """
    bench.run(
        f"CREATE OR REPLACE TABLE patients AS SELECT patients.* REPLACE (coalesce(found, '') AS practice) "
        f"FROM patients LEFT JOIN ({found}) USING (id)"
    )
    _reject(bench, parts, log, Reason.NO_NHS_NUMBER_FOR_MATCHING, "fault IS NULL AND standing <> 0")
    _reject(bench, parts, log, Reason.NOT_REGISTERED, "fault IS NULL AND practice = ''")
    if scope.named:
        named = ", ".join(literal(practice) for practice in sorted(scope.named))
        _reject(bench, parts, log, Reason.UNNAMED_PRACTICE, f"fault IS NULL AND practice NOT IN ({named})")


def _reject(bench: Workbench, parts: Sequence[Part], log: QualityLog, reason: Reason, condition: str) -> None:
    tell(bench, log, parts, (Severity.REJECTED, reason), condition)
    bench.run(f"UPDATE patients SET fault = -1 WHERE {condition}")


def _files(paths: Sequence[Path]) -> str:
    return f"[{', '.join(sql_file(path) for path in paths)}]" if paths else ""
