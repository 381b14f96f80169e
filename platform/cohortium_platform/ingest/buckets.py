"""Rows on their way from a delivery to their practices: one pass over any order of rows, in bounded memory.

Here: appending rows in the order of the delivery, and taking a practice's rows in that same order. Not here: what the
columns mean.

Each column is a file of raw numbers; each batch is written grouped by practice, and where a practice's rows begin in it
is remembered. The page cache holds what fits into memory, the disk the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Buckets", "Columns"]

Columns: TypeAlias = dict[str, NDArray[Any]]
"""Columns of one length by name."""


class Buckets:
    """Rows by practice, which is a small number from 0. `columns` gives each column's type."""

    def __init__(self, folder: Path, columns: Mapping[str, str]) -> None:
        folder.mkdir()
        self._types = {column: np.dtype(kind) for column, kind in columns.items()}
        self._paths = {column: folder / column for column in columns}
        self._files: dict[str, BinaryIO] = {}
        self._pieces: dict[int, list[tuple[int, int]]] = {}
        self._rows = 0

    def append(self, practice: NDArray[np.int16], columns: Columns) -> None:
        """Add rows; `practice` is each row's."""
        if not len(practice):
            return
        if (practice[1:] < practice[:-1]).any():
            order = np.argsort(practice, kind="stable")
            practice = practice[order]
            columns = {column: values[order] for column, values in columns.items()}
        edges = np.concatenate([[0], np.flatnonzero(practice[1:] != practice[:-1]) + 1, [len(practice)]])
        for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            pieces = self._pieces.setdefault(int(practice[first]), [])
            pieces.append((self._rows + first, self._rows + last))
        for column, path in self._paths.items():
            if column not in self._files:
                self._files[column] = path.open("xb")
            self._files[column].write(np.ascontiguousarray(columns[column], dtype=self._types[column]).data)
        self._rows += len(practice)

    def rows(self, practice: int) -> int:
        """How many rows a practice has."""
        return sum(last - first for first, last in self._pieces.get(practice, ()))

    def take(self, practice: int) -> Columns:
        """All columns of a practice, in the order in which its rows were added. Call `close` first."""
        return {column: self._take(column, practice) for column in self._paths}

    def _take(self, column: str, practice: int) -> NDArray[Any]:
        kind, pieces = self._types[column], self._pieces.get(practice, ())
        if not pieces:
            return np.empty(0, kind)
        mapped = np.memmap(self._paths[column], dtype=kind, mode="r")
        return np.concatenate([mapped[first:last] for first, last in pieces])

    def close(self) -> None:
        """End the writing; nothing can be appended any more."""
        for file in self._files.values():
            file.close()
