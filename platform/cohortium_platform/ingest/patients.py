"""The patients of a delivery as a table: read as text, understood, and judged, in columns.

Here: the DuckDB tables `given` (as delivered), `practices` (what is known of each) and `patients` (understood, with
what is wrong with each row; without what identifies, which stays in `given` under the same `id`). Not here: pseudonyms
(`people`) and identities (`identifying`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq

from cohortium_platform.ingest.parts import Part
from cohortium_platform.ingest.quality import QualityLog
from cohortium_platform.ingest.reasons import Reason
from cohortium_platform.ingest.scope import Scope
from cohortium_platform.ingest.telling import tell
from cohortium_platform.ingest.workbench import Workbench, literal, reading, sql_file
from cohortium_plugins.importing import EXTRACT_COLUMNS, Severity, Unreadable

__all__ = ["OLDEST_YEARS", "read_patients"]

OLDEST_YEARS = 130
"""Nobody has reached 123. Someone older than this refuses the delivery: its dates of birth are read wrongly."""

_TABLE = "patients"
_DAYS = ("date_of_birth", "date_of_death", "contact_recorded")
_TEXTS = tuple(column for column in EXTRACT_COLUMNS[_TABLE] if column not in _DAYS)
_GIVEN = [f"{text} VARCHAR" for text in _TEXTS] + [f"{day} DATE, has_{day} BOOLEAN" for day in _DAYS]
_CREATE_GIVEN = f"CREATE TABLE given (id BIGINT, part INTEGER, row BIGINT, {', '.join(_GIVEN)})"

_CREATE_PATIENTS = f"""
    CREATE TABLE patients AS
    SELECT id, part, row, local_id, practice, until, refused,
        {", ".join(f"{day}, has_{day}" for day in _DAYS)},
        regexp_replace(nhs_number, '[\\s-]', '', 'g') AS digits,
        nhs_number_status <> '01' AS is_untraced,
        CASE
            WHEN lower(sex) IN ('male', 'm', '1') THEN 'male'
            WHEN lower(sex) IN ('female', 'f', '2') THEN 'female'
            WHEN lower(sex) IN ('indeterminate', 'i', '9') THEN 'indeterminate'
        END AS sex,
        lower(sex) NOT IN ('unknown', 'not known', 'u', 'x', '0') AS sex_given,
        if(regexp_full_match(upper(ethnicity), '[A-HJ-NPRSZ]'), upper(ethnicity), NULL) AS ethnicity,
        ethnicity NOT IN ('99') AS ethnicity_given,
        if(try_cast(imd_decile AS TINYINT) BETWEEN 1 AND 10, try_cast(imd_decile AS TINYINT), NULL) AS imd_decile,
        imd_decile IS NOT NULL AS imd_given,
        hash({", ".join(_TEXTS + _DAYS)}) AS content,
        NULL::BIGINT AS nth, NULL::BOOLEAN AS is_equal
    FROM given LEFT JOIN practices USING (practice)
    ORDER BY id
"""
"""Sexes as words, initials or the codes of the NHS Data Dictionary; 0, X and 99 are its ways to say `not known`."""

_NUMBER_REPEATS = """
    UPDATE patients SET nth = repeats.nth, is_equal = repeats.is_equal
    FROM (
        SELECT id, row_number() OVER same_id AS nth, content = first_value(content) OVER same_id AS is_equal
        FROM patients WHERE (practice, local_id) IN (
            SELECT (practice, local_id) FROM patients GROUP BY practice, local_id HAVING count(*) > 1
        )
        WINDOW same_id AS (PARTITION BY practice, local_id ORDER BY id)
    ) AS repeats WHERE patients.id = repeats.id AND repeats.nth > 1
"""
"""Which time a local id is given in a practice, and whether it says the same as the first time; NULL for the first."""

_FAULTS: Sequence[tuple[Severity, Reason, str]] = (
    (Severity.REJECTED, Reason.NO_LOCAL_ID, "local_id IS NULL"),
    (Severity.REJECTED, Reason.NO_PRACTICE, "practice IS NULL"),
    (Severity.REJECTED, Reason.UNNAMED_PRACTICE, f"refused = {literal(Reason.UNNAMED_PRACTICE)}"),
    (Severity.REJECTED, Reason.UNKNOWN_PRACTICE, f"refused = {literal(Reason.UNKNOWN_PRACTICE)}"),
    (Severity.WARNING, Reason.DUPLICATE, "nth > 1 AND is_equal"),
    (Severity.REJECTED, Reason.SECOND_ROW, "nth > 1"),
    (Severity.REJECTED, Reason.NO_BIRTH_DATE, "NOT has_date_of_birth"),
    (Severity.REJECTED, Reason.UNREADABLE_BIRTH_DATE, "date_of_birth IS NULL"),
    (Severity.REJECTED, Reason.BORN_LATER, "date_of_birth > until"),
    (
        Severity.ERROR,
        Reason.TOO_OLD,
        f"date_of_birth < coalesce(least(date_of_death, until), until) - INTERVAL {OLDEST_YEARS} YEAR",
    ),
)
"""What is wrong with a row, the first that holds."""

_REMARKS: Sequence[tuple[Reason, str]] = (
    (Reason.SEX_NOT_UNDERSTOOD, "sex IS NULL AND sex_given"),
    (Reason.ETHNICITY_NOT_UNDERSTOOD, "ethnicity IS NULL AND ethnicity_given"),
    (Reason.IMD_NOT_UNDERSTOOD, "imd_decile IS NULL AND imd_given"),
    (Reason.UNREADABLE_DEATH_DATE, "date_of_death IS NULL AND has_date_of_death"),
    (Reason.DIED_BEFORE_BIRTH, "date_of_death < date_of_birth"),
    (Reason.UNTRACED_NHS_NUMBER, "digits IS NOT NULL AND is_untraced"),
)


def read_patients(bench: Workbench, parts: Sequence[Part], scope: Scope, log: QualityLog) -> None:
    """Read and judge the patients' files into the table `patients`, whose `fault` is NULL for rows that are kept.

    Raises `Unreadable` when somebody is impossibly old, or nobody is left.
    """
    bench.run(_CREATE_GIVEN)
    for number, part in enumerate(parts):
        (before,) = bench.rows("SELECT count(*) FROM given")[0]
        with reading(part.shown_as, part.format):
            bench.run(_insert(number, part, scope), [before])
    _describe_practices(bench, scope)
    bench.run(_CREATE_PATIENTS)
    bench.run(_NUMBER_REPEATS)
    cases = " ".join(f"WHEN {condition} THEN {number}" for number, (_, _, condition) in enumerate(_FAULTS))
    bench.run("ALTER TABLE patients ADD COLUMN fault TINYINT")
    bench.run(f"UPDATE patients SET fault = CASE {cases} END")
    log.read(_TABLE, int(str(bench.rows("SELECT count(*) FROM patients")[0][0])))
    for number, (severity, reason, _) in enumerate(_FAULTS):
        _tell_fault(bench, parts, log, (severity, reason), number)
    for reason, condition in _REMARKS:
        tell(bench, log, parts, (Severity.WARNING, reason), f"fault IS NULL AND {condition}")


def _insert(number: int, part: Part, scope: Scope) -> str:
    relation, row = part.numbered
    practice = "NULL" if not scope.is_gp else part.text("practice")
    if scope.is_gp and scope.practice is not None:
        practice = f"coalesce({practice}, {literal(scope.practice)})"
    keys = {"practice": practice, "local_id": part.text("local_id")}  # exactly as other tables have them
    columns = [keys.get(text) or f"trim({part.text(text)})" for text in _TEXTS]
    columns += [f"{part.day(day)}, {part.given(day)}" for day in _DAYS]
    return f"INSERT INTO given SELECT ? + {row}, {number}, {row}, {', '.join(columns)} FROM {relation}"


def _describe_practices(bench: Workbench, scope: Scope) -> None:
    """Make the table `practices`: to which date each one's records run, and why its rows are left out, if they are.

    A trust's rows name no practice; they stand under the empty name until their patients are found.
    """
    if not scope.is_gp:
        bench.run("UPDATE given SET practice = ''")
    names = [str(practice) for (practice,) in bench.rows("SELECT DISTINCT practice FROM given WHERE practice <> ''")]
    refused = scope.refusals(sorted(names)) if scope.is_gp else {}
    accepted = [*(practice for practice in sorted(names) if practice not in refused), *([] if scope.is_gp else [""])]
    rows: list[tuple[str, date | None, str | None]]
    rows = [(practice, scope.records_to(practice), None) for practice in accepted]
    rows += [(practice, None, str(reason)) for practice, reason in refused.items()]
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    types = {"practice": pa.string(), "until": pa.date32(), "refused": pa.string()}
    path = bench.folder / "practices.parquet"
    arrays = [pa.array(column, kind) for column, kind in zip(columns, types.values(), strict=True)]
    pq.write_table(pa.table(dict(zip(types, arrays, strict=True))), path)
    bench.run(f"CREATE TABLE practices AS FROM read_parquet({sql_file(path)})")


def _tell_fault(
    bench: Workbench, parts: Sequence[Part], log: QualityLog, found: tuple[Severity, Reason], number: int
) -> None:
    severity, reason = found
    if tell(bench, log, parts, found, f"fault = {number}") and severity is Severity.ERROR:
        where = bench.rows(f"SELECT part, row FROM patients WHERE fault = {number} ORDER BY part, row LIMIT 1")
        part, row = (int(str(each)) for each in where[0])
        ((file, line),) = parts[part].lines(bench, [row])
        raise Unreadable(
            str(reason), file=file, line=line,
            advice="Is the date format right, and the century? Correct the row at its source, and send it again.",
        )  # fmt: skip
