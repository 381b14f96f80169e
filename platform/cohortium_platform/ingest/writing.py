"""Turning a practice's bucket into a canonical file.

Here: arranging, columns of the record store, and what is counted on the way. Not here: the order itself (`arranging`),
and the files' form (`cohortium_platform.records.store`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cohortium_platform.ingest.arranging import arrange, taken
from cohortium_platform.ingest.buckets import Columns
from cohortium_platform.ingest.streaming import NEVER, Stream
from cohortium_platform.records.schema import SCHEMAS, RecordTable
from cohortium_platform.records.store import RecordStore, WrittenFile

__all__ = ["Written", "write_bucket"]

_MONTHS = 12


@dataclass(frozen=True, slots=True)
class Written:
    """A practice's file of one table, and what was seen while it was made.

    `codes` are the distinct codes and their rows; `months` the rows of each of the twelve months before `records_to`;
    `registered` the places of people registered on that date.
    """

    file: WrittenFile
    duplicates: int
    codes: tuple[NDArray[np.int64], NDArray[np.int64]]
    months: Mapping[str, int] = field(default_factory=dict)
    registered: NDArray[np.int32] | None = None


def write_bucket(store: RecordStore, stream: Stream, practice: int) -> Written:
    """Arrange a practice's rows of one table and write them."""
    people, shape = stream.people, stream.shape
    columns = stream.buckets.take(practice)
    first, _ = people.places_of(practice)
    person = columns["person"] - np.int32(first)
    keys: dict[str, NDArray[Any]] = {"person": person, "day": columns["day"]}
    codes = (np.empty(0, np.int64), np.empty(0, np.int64))
    if shape.code:
        codes, rank = _ranked(columns["code"])
        keys = {"rank": rank} | keys
    if shape.end:
        keys["end"] = columns["end"]
    content = [columns[name] for name in ("value", *shape.texts) if name in columns]
    arranged = arrange(list(keys.values()), person, content)
    rows = dict(zip(keys, arranged.keys, strict=True))
    rows |= {name: taken(columns[name], arranged.order) for name in ("value", *shape.texts) if name in columns}
    rows["person"] += np.int32(first)
    if shape.code:
        rows["code"] = taken(codes[0], rows["rank"])
    table = _canonical(stream, practice, rows, arranged.entry)
    file = store.write(people.practices[practice], people.scope.source, shape.table, table)
    until = int(people.until[first])
    return Written(
        file,
        arranged.duplicates,
        codes,
        _months(rows["day"], until) if shape.table is RecordTable.EVENTS else {},
        _registered(columns, until) if shape.end else None,
    )


def _ranked(codes: NDArray[np.int64]) -> tuple[tuple[NDArray[np.int64], NDArray[np.int64]], NDArray[np.int32]]:
    """Distinct codes in ascending order with their rows, and each row's place among them."""
    encoded = pa.array(codes).dictionary_encode()
    distinct: NDArray[np.int64] = encoded.dictionary.to_numpy(zero_copy_only=False)
    places: NDArray[np.int32] = encoded.indices.to_numpy(zero_copy_only=False)
    order = np.argsort(distinct)
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return (distinct[order], np.bincount(places, minlength=len(order))[order]), taken(rank, places)


def _canonical(stream: Stream, practice: int, rows: Columns, entry: NDArray[np.int32]) -> pa.Table:
    """Columns as the record store has them, in its order."""
    people, shape = stream.people, stream.shape
    made: dict[str, pa.Array] = {
        "patient_id": pa.array(taken(people.patient_ids, rows["person"])),
        "practice": _constant(people.practices[practice], len(entry)),
        shape.day: pa.array(rows["day"]).view(pa.date32()),
        "source": _constant(people.scope.source, len(entry)),
        "entry": pa.array(entry),
    }
    if shape.end:
        made["end_date"] = pa.array(rows["end"], mask=rows["end"] == NEVER).view(pa.date32())
    if shape.code:
        made["code"] = pa.array(rows["code"])
    if shape.value:
        made["value"] = pa.array(rows["value"], mask=np.isnan(rows["value"]))
    for text in shape.texts:
        made[text] = _words(rows[text], list(stream.texts[text]))
    fields = [field.with_type(made[field.name].type) for field in SCHEMAS[shape.table].columns]
    return pa.table([made[field.name] for field in fields], pa.schema(fields))


def _constant(text: str, rows: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int8)), pa.array([text]))


def _words(numbers: NDArray[np.int32], words: Sequence[str]) -> pa.Array:
    """Texts for the numbers that stand for them. Only words in use, in their order, go into the file: its bytes depend
    on nothing but its rows.
    """
    used = np.flatnonzero(np.bincount(numbers + 1, minlength=len(words) + 1)[1:])
    used = used[np.argsort(np.array([words[number] for number in used.tolist()], dtype=object))] if len(used) else used
    place = np.zeros(len(words) + 1, np.int32)
    place[used + 1] = np.arange(len(used), dtype=np.int32)
    indices = pa.array(place[numbers + 1], mask=numbers < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array([words[number] for number in used.tolist()], pa.string()))


def _months(days: NDArray[np.int32], until: int) -> dict[str, int]:
    """Rows of each of the twelve whole or begun months up to a day."""
    last = np.datetime64(until, "D").astype("datetime64[M]")
    months = np.arange(last - _MONTHS + 1, last + 2)
    edges = months.astype("datetime64[D]").astype(np.int64)
    within = days[(days >= edges[0]) & (days < edges[-1])]
    by_day = np.bincount(within - edges[0], minlength=edges[-1] - edges[0])
    counts = np.add.reduceat(by_day, edges[:-1] - edges[0])
    return {str(month): int(count) for month, count in zip(months[:-1], counts.tolist(), strict=True)}


def _registered(columns: Columns, until: int) -> NDArray[np.int32]:
    current = (columns["day"] <= until) & (columns["end"] >= until)
    registered: NDArray[np.int32] = np.unique(columns["person"][current])
    return registered
