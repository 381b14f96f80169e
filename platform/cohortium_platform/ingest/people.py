"""Who the patients of a delivery are: pseudonyms, one row a person, and the way from a row to its patient.

Here: which NHS numbers are trusted, pseudonyms, people filed by practice, the index by hash. Not here: reading patients
(`patients`), finding a trust's patients (`matching`), and identities (`identifying`).

An NHS number is trusted when its check digit holds and all rows that carry it agree on the date of birth. Anyone else
gets a pseudonym of their local id, which no other practice or source shares: two people put together would be worse
than one person apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cohortium_platform.identities.pseudonyms import Pseudonyms
from cohortium_platform.ingest.codes import have_nhs_check_digit
from cohortium_platform.ingest.index import REJECTED, Hashes, PersonIndex, Places
from cohortium_platform.ingest.parts import Part
from cohortium_platform.ingest.quality import QualityLog
from cohortium_platform.ingest.reasons import Reason
from cohortium_platform.ingest.scope import Scope
from cohortium_platform.ingest.telling import tell
from cohortium_platform.ingest.workbench import Workbench, literal, sql_file
from cohortium_platform.keys import TenantKeys
from cohortium_plugins.importing import Severity, Unreadable

__all__ = ["People", "pseudonymise", "settle"]

_TRUSTED, _ABSENT, _BAD, _CONTRADICTED = range(4)
_STANDINGS = {
    _ABSENT: Reason.NO_NHS_NUMBER,
    _BAD: Reason.BAD_NHS_NUMBER,
    _CONTRADICTED: Reason.CONTRADICTED_NHS_NUMBER,
}


@dataclass(frozen=True, slots=True)
class People:
    """The people of a delivery, one row a person and practice, in the order of practice and `patient_id`: a person's
    row is their place. `born` and `until` (the date their practice's records run to) are days from 1970-01-01.
    """

    scope: Scope
    practices: Sequence[str]
    practice_index: NDArray[np.int16]
    patient_ids: NDArray[np.int64]
    born: NDArray[np.int32]
    until: NDArray[np.int32]
    by_practice: PersonIndex
    by_local_id: PersonIndex | None

    def places_of(self, practice: int) -> tuple[int, int]:
        """First place of a practice's people, and the one after their last."""
        first, last = np.searchsorted(self.practice_index, [practice, practice + 1]).tolist()
        return first, last

    def names_practice(self, part: Part) -> bool:
        """Whether rows of a file are known by practice and local id, and not by local id alone."""
        return self.scope.is_gp and (part.has("practice") or self.scope.practice is not None)

    def practice_of(self, part: Part) -> str:
        """The practice a row of a file names, as SQL."""
        named, fallback = part.text("practice"), self.scope.practice
        return named if fallback is None else f"coalesce({named}, {literal(fallback)})"

    def hash_of(self, part: Part) -> str:
        """The hash by which a row's patient is found, as SQL."""
        local_id = part.text("local_id")
        return f"hash({self.practice_of(part)}, {local_id})" if self.names_practice(part) else f"hash({local_id})"

    def index_for(self, part: Part) -> PersonIndex:
        """The index for `hash_of`. Raises `Unreadable` when local ids alone do not tell people apart."""
        if self.names_practice(part):
            return self.by_practice
        if self.by_local_id is None:
            raise Unreadable(
                "the rows name no practice, and one local_id stands for people of several practices",
                file=part.shown_as,
                advice="Add a column practice, or name the one practice of the delivery.",
            )
        return self.by_local_id


def pseudonymise(bench: Workbench, parts: Sequence[Part], scope: Scope, keys: TenantKeys, log: QualityLog) -> None:
    """Give each kept row of the table `patients` its `patient_id`, and its NHS number a `standing`; tell of both."""
    rows = bench.table(
        "SELECT id, date_of_birth, practice, local_id, "
        "coalesce(if(length(digits) = 10, try_cast(digits AS BIGINT), NULL), -1) AS number, "
        "digits IS NULL AS is_absent "
        "FROM patients WHERE fault IS NULL ORDER BY id"
    ).combine_chunks()
    number = rows["number"].to_numpy()
    born = rows["date_of_birth"].cast(pa.int32()).to_numpy()
    standing = _standing(number, born, rows["is_absent"].to_numpy(zero_copy_only=False))
    ids = np.empty(len(number), np.int64)
    trusted = standing == _TRUSTED
    once, which = np.unique(number[trusted], return_inverse=True)
    pseudonyms = Pseudonyms(keys)
    made = [pseudonyms.of_nhs_number(f"{digits:010d}") for digits in once.tolist()]
    ids[trusted] = np.array(made, np.int64)[which]
    local = rows.filter(pa.array(~trusted))
    ids[~trusted] = [
        pseudonyms.of_local_id(practice, scope.source, local_id)
        for practice, local_id in zip(local["practice"].to_pylist(), local["local_id"].to_pylist(), strict=True)
    ]
    _join(bench, "pseudonyms", {"id": rows["id"].to_numpy(), "patient_id": ids, "standing": standing.astype(np.int8)})
    for value, reason in _STANDINGS.items() if scope.is_gp else ():
        tell(bench, log, parts, (Severity.WARNING, reason), f"standing = {value}")


def _standing(number: NDArray[np.int64], born: NDArray[np.int32], is_absent: NDArray[np.bool_]) -> NDArray[np.int64]:
    """What to make of each row's NHS number."""
    standing = np.where(is_absent, _ABSENT, np.where(have_nhs_check_digit(number), _TRUSTED, _BAD))
    good = np.flatnonzero(standing == _TRUSTED)
    order = good[np.lexsort((born[good], number[good]))]
    same = number[order][1:] == number[order][:-1]
    differs = same & (born[order][1:] != born[order][:-1])
    contradicted = np.unique(number[order][1:][differs])
    standing[good[np.isin(number[good], contradicted)]] = _CONTRADICTED
    return standing


def settle(bench: Workbench, parts: Sequence[Part], scope: Scope, log: QualityLog) -> People:
    """Put together rows of one person and practice, and make the index. Raises `Unreadable` when nobody is left.

    Of several rows of one person the first is `is_primary`: its facts and identity count, all their rows are theirs.
    """
    rows = bench.table(
        "SELECT id, patient_id, practice, date_of_birth, until FROM patients "
        "WHERE fault IS NULL ORDER BY practice, patient_id, id"
    ).combine_chunks()
    if not rows.num_rows:
        raise Unreadable(
            "no patient of it can be kept", file=scope.delivery,
            advice="The quality report's first finding says why: " + _first_finding(log),
        )  # fmt: skip
    practice = rows["practice"].combine_chunks().dictionary_encode()
    codes = practice.indices.to_numpy(zero_copy_only=False)
    ids = rows["patient_id"].to_numpy()
    is_first = np.concatenate([[True], (codes[1:] != codes[:-1]) | (ids[1:] != ids[:-1])])
    place = (np.cumsum(is_first) - 1).astype(np.int32)
    _join(bench, "places", {"id": rows["id"].to_numpy(), "place": place, "is_primary": is_first})
    tell(bench, log, parts, (Severity.WARNING, Reason.SHARED_NHS_NUMBER), "fault IS NULL AND NOT is_primary")
    return People(
        scope=scope,
        practices=practice.dictionary.to_pylist(),
        practice_index=codes[is_first].astype(np.int16),
        patient_ids=ids[is_first],
        born=rows["date_of_birth"].cast(pa.int32()).to_numpy()[is_first],
        until=rows["until"].cast(pa.int32()).to_numpy()[is_first],
        by_practice=_index(bench, "hash(practice, local_id)"),
        by_local_id=_index(bench, "hash(local_id)") if _is_unambiguous(bench) else None,
    )


def _first_finding(log: QualityLog) -> str:
    for count in log.counts():
        return f"{count.reason} ({count.rows} rows)."
    return "the files hold no rows."


def _join(bench: Workbench, table: str, columns: dict[str, NDArray[Any]]) -> None:
    """Add columns to the table `patients` by `id`. Through a file: DuckDB 2.0 may misread arrays it scans in memory."""
    path = bench.folder / f"{table}.parquet"
    pq.write_table(pa.table(columns), path)
    added = ", ".join(column for column in columns if column != "id")
    bench.run(
        f"CREATE OR REPLACE TABLE patients AS SELECT patients.*, {added} "
        f"FROM patients LEFT JOIN read_parquet({sql_file(path)}) USING (id)"
    )


def _index(bench: Workbench, key: str) -> PersonIndex:
    """The index of every row that could be told apart, those left out included."""
    found = bench.table(
        f"SELECT {key} AS key, coalesce(place, {REJECTED})::INTEGER AS place FROM patients "
        "WHERE nth IS NULL AND local_id IS NOT NULL AND practice IS NOT NULL"
    ).combine_chunks()
    hashes: Hashes = found["key"].to_numpy()
    places: Places = found["place"].to_numpy()
    return PersonIndex(hashes, places)


def _is_unambiguous(bench: Workbench) -> bool:
    return not bench.rows("SELECT 1 FROM patients WHERE nth IS NULL GROUP BY local_id HAVING count(*) > 1 LIMIT 1")
