"""Records of a snapshot, as the engine asks for them: the catalogue's answer to `RecordSource`.

Not here: what the files hold (`records.schema`) and the engine itself.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Self

from sqlmodel import Session

from cohortium_platform.engine.source import FRAME_TABLES, Standing
from cohortium_platform.records import COHORTIUM, GP, RecordFile, RecordStore, RecordTable, SourceState, files, sources

__all__ = ["CatalogueSource"]


class CatalogueSource:
    """One snapshot of a tenant's records. Reads the catalogue once; files stay where they are.

    A practice stands as its own system's load says: what a trust supplied is read beside it and holds nothing back.
    `entries`: the snapshot whose entries made in Cohortium are laid over the others' rows (None: the same).
    """

    def __init__(self, session: Session, store: RecordStore, snapshot: int, *, entries: int | None = None) -> None:
        self.snapshot = snapshot
        self._store, self._listed = store, _files(session, snapshot, snapshot if entries is None else entries)
        found: dict[tuple[str, str], list[str]] = defaultdict(list)
        for file in self._listed:
            found[file.table, file.practice].append(str(store.path(file.path)))
        self._files: Mapping[tuple[str, str], Sequence[str]] = found
        self._sources: Mapping[str, SourceState] = {
            state.practice: state for state in sources(session, snapshot) if state.source == GP
        }

    def damaged(self) -> frozenset[str]:
        """Read every file, and name the practices of which one is missing or not what was written."""
        return frozenset(
            file.practice for file in self._listed if not self._store.is_intact(file.path, file.bytes, file.sha256)
        )

    def without(self, practices: Collection[str]) -> Self:
        """Give the same snapshot as if these practices had never been loaded."""
        other = copy.copy(self)
        vars(other)["_files"] = {key: paths for key, paths in self._files.items() if key[1] not in practices}
        vars(other)["_sources"] = {name: state for name, state in self._sources.items() if name not in practices}
        return other

    @property
    def practices(self) -> Sequence[str]:
        """Practices whose own system was loaded."""
        return sorted(self._sources)

    @property
    def records_to(self) -> date | None:
        """The newest day that any practice's records run to."""
        return max((state.records_to for state in self._sources.values()), default=None)

    def files(self, table: str, practices: Sequence[str]) -> Sequence[str]:
        """Give the files with these practices' rows of a table."""
        return [path for practice in practices for path in self._files.get((table, practice), ())]

    def entry_files(self, practices: Collection[str]) -> Sequence[str]:
        """Give the files with entries made in Cohortium about people of these practices."""
        mine = (file for file in self._listed if file.source == COHORTIUM and file.practice in practices)
        return [str(self._store.path(file.path)) for file in mine]

    def registration_files(self, practices: Sequence[str]) -> Sequence[str]:
        """Give every file of registrations: a patient may be registered anywhere in the tenant."""
        del practices
        return self._all(RecordTable.REGISTRATIONS)

    def standing(self, practice: str) -> Standing:
        """Tell how complete a practice's records are."""
        state = self._sources[practice]
        loaded: Collection[str] = {str(table) for table in state.tables}
        return Standing(state.records_to, frozenset(table for table in FRAME_TABLES if table not in loaded))

    def _all(self, table: str) -> Sequence[str]:
        return [path for (kind, _), paths in sorted(self._files.items()) if kind == table for path in paths]


def _files(session: Session, snapshot: int, entries: int) -> Sequence[RecordFile]:
    listed = files(session, snapshot)
    if entries == snapshot:
        return listed
    entered = [file for file in files(session, entries) if file.source == COHORTIUM]
    return [*(file for file in listed if file.source != COHORTIUM), *entered]
