"""Results as files have them: practice by practice, so that no more than one practice's rows are in memory twice.

Here: a practice's rows, whatever order they came in, and their order in a file. Not here: files (`store`).
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["arranged", "by_practice", "plain"]


def by_practice(results: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Give each practice with its rows, by practice. Rows that stand together are not copied."""
    runs: dict[str, list[pa.Table]] = defaultdict(list)
    first = 0
    for chunk in results.column("practice").chunks:
        encoded = chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode()
        numbers = encoded.indices.to_numpy()
        starts = np.flatnonzero(np.diff(numbers, prepend=-1))
        for start, end in zip(starts, np.append(starts, len(numbers))[1:], strict=True):
            practice = encoded.dictionary[int(numbers[start])].as_py()
            runs[practice].append(results.slice(first + int(start), int(end - start)))
        first += len(chunk)
    for practice in sorted(runs):
        yield practice, pa.concat_tables(runs.pop(practice))


def arranged(rows: pa.Table, last: dt.date, *, earlier: bool) -> pa.Table:
    """Give a practice's rows of the last index date by patient and indicator, or those of `earlier` ones by index date,
    patient and indicator.
    """
    wanted = pc.less(rows.column("index_date"), last) if earlier else pc.equal(rows.column("index_date"), last)
    kept = rows.filter(wanted)
    keys = [_places(kept.column("indicator")), _numbers(kept.column("patient_id"))]
    if earlier:
        keys.append(_numbers(kept.column("index_date")))
    return kept.take(pa.array(np.lexsort(keys)))


def plain(schema: pa.Schema, without: Sequence[str] = ()) -> pa.Schema:
    """The columns of a file: words as words."""
    kept = [field for field in schema if field.name not in without]
    return pa.schema([(f.name, f.type.value_type if pa.types.is_dictionary(f.type) else f.type) for f in kept])


def _places(words: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Give each word's place among all of them in order."""
    encoded = words.combine_chunks()
    encoded = encoded if pa.types.is_dictionary(encoded.type) else encoded.dictionary_encode()
    said: list[str] = encoded.dictionary.to_pylist()
    places = np.empty(len(said), dtype=np.int64)
    places[sorted(range(len(said)), key=said.__getitem__)] = np.arange(len(said))
    found: npt.NDArray[np.int64] = places[encoded.indices.to_numpy()]
    return found


def _numbers(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    whole = column.cast(pa.int32()) if pa.types.is_date(column.type) else column
    numbers: npt.NDArray[np.int64] = whole.cast(pa.int64()).to_numpy()
    return numbers
