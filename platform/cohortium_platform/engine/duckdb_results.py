"""From a row a person with what all indicators say to a row a result, in order.

DuckDB works on columns, a result stands across them: each column of results is made in one go from those of all
indicators, by a list of places. Unfolding rows inside DuckDB took five times as long. Not here: what results say
(`duckdb_status`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cohortium_platform.engine.evaluated import MAY_CHANGE, RESULT_COLUMNS, RESULT_TYPES, STATUS_CODES
from cohortium_plugins.model.values import ValueType

__all__ = ["Told", "told_column", "unfolded"]

_Places: TypeAlias = npt.NDArray[np.int64]

_OF_PERSON = {"practice": "practice", "patient_id": "patient_id", "index_date": "as_of"}
_STATUSES = pa.array([str(status.value) for status in STATUS_CODES])


@dataclass(frozen=True, slots=True)
class Told:
    """What results are about: each indicator with the column that tells whether a person is of its cohort; and whether
    they say how long they stay.
    """

    indicators: tuple[tuple[str, str], ...] = ()
    ahead: bool = False


def told_column(indicator: int, name: str) -> str:
    """Name the column with what one indicator's results say; where nothing is ever said there is none."""
    return f"{indicator}:{name}"


def unfolded(people: pa.Table, told: Told) -> pa.Table:
    """Give a row for each person, index date and indicator, sorted by practice, patient, index date and then in the
    order of the definition. `pid` counts people by practice and patient.
    """
    columns = {
        name: _joined(column.chunks, column.type)
        for name, column in zip(people.column_names, people.columns, strict=True)
    }
    order = np.lexsort((_numbers(columns["as_of"]), _numbers(columns["pid"])))
    who, which = _places(columns, told, order)
    persons, places = pa.array(who), pa.array(which * people.num_rows + who)
    count = len(told.indicators)
    made: dict[str, pa.Array] = {}
    for name, kind in {**RESULT_COLUMNS, **({MAY_CHANGE: ValueType.DATE} if told.ahead else {})}.items():
        if name == "indicator":
            made[name] = _texts(which, pa.array([one for one, _ in told.indicators], pa.string()))
        elif name == "status":
            codes = _column(columns, people.num_rows, count, name, pa.uint8())
            made[name] = _texts(codes.take(places).to_numpy(), _STATUSES)
        elif name in _OF_PERSON:
            made[name] = _of_kind(columns[_OF_PERSON[name]], RESULT_TYPES[kind]).take(persons)
        elif any(told_column(number, name) in columns for number in range(count)):
            made[name] = _column(columns, people.num_rows, count, name, RESULT_TYPES[kind]).take(places)
        else:
            made[name] = pa.nulls(len(places), RESULT_TYPES[kind])
    return pa.table(made)


def _places(columns: Mapping[str, pa.Array], told: Told, order: _Places) -> tuple[_Places, _Places]:
    """Give of every result the person's row and the indicator."""
    count = len(told.indicators)
    who = np.repeat(order, count)
    which = np.tile(np.arange(count, dtype=np.int64), len(order))
    cohorts = [member for _, member in told.indicators]
    if len(set(cohorts)) < 2:  # noqa: PLR2004 - everyone here is of the only cohort
        return who, which
    members = np.stack([columns[cohort].to_numpy(zero_copy_only=False) for cohort in cohorts])
    of_cohort = members[which, who].astype(bool)
    return who[of_cohort], which[of_cohort]


def _numbers(found: pa.Array) -> _Places:
    whole = found.cast(pa.int32()) if pa.types.is_date(found.type) else found
    numbers: _Places = whole.cast(pa.int64()).to_numpy()
    return numbers


def _texts(places: npt.NDArray[np.integer], words: pa.Array) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(places.astype(np.int32)), words)


def _column(columns: Mapping[str, pa.Array], rows: int, count: int, name: str, kind: pa.DataType) -> pa.Array:
    """Give what all indicators say in one column of results, one indicator after the other."""
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    nothing = pa.nulls(rows, plain)
    return _of_kind(_joined([columns.get(told_column(number, name), nothing) for number in range(count)], plain), kind)


def _of_kind(found: pa.Array, kind: pa.DataType) -> pa.Array:
    return found.dictionary_encode() if pa.types.is_dictionary(kind) else found


def _joined(chunks: Sequence[pa.Array], kind: pa.DataType) -> pa.Array:
    return pa.concat_arrays(chunks) if chunks else pa.array([], kind)
