"""Cohorts beside the registers they should agree with: worked out when somebody asks, and kept for the next who does.

What is kept stands beside the extracts and follows their rules: it is named by what it was made from, nothing stands on
it, and the sweep removes it when its records are no longer current. Not here: the rule itself
(`cohortium_plugins.reconciling`), and who may see it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cohortium_platform.engine.catalogue import CatalogueSource
from cohortium_platform.engine.control import EngineSettings, Progress
from cohortium_platform.engine.engines import engine_of
from cohortium_platform.engine.evaluated import Kind
from cohortium_platform.engine.source import FRAME_TABLES
from cohortium_platform.records.store import EXTRACT_SOURCES, RecordStore, safe_name
from cohortium_platform.settings import Settings
from cohortium_plugins.model import Definition
from cohortium_plugins.reconciling import REASON, STANDING, reconciliation

__all__ = ["Compared", "Reconciliation"]

_FORMAT = 1
_FILE = "reconciliation.parquet"
_COLUMNS = ("patient_id", "practice", STANDING, REASON)


@dataclass(frozen=True, slots=True)
class Compared:
    """Somebody with a code of the register: where they stand, and why not in both (None: they are)."""

    patient_id: int
    practice: str
    standing: str
    reason: str | None


class Reconciliation:
    """One cohort of a bound definition beside its reference, at one snapshot and index date of a tenant."""

    def __init__(  # noqa: PLR0913 - what, of whom, when
        self,
        settings: Settings,
        tenant_id: UUID,
        source: CatalogueSource,
        definition: Definition,
        *,
        definition_hash: str,
        cohort: str,
        index_date: dt.date,
    ) -> None:
        """`definition_hash` is the definition's own. Raises DefinitionError when the cohort names no reference."""
        self._settings, self._source, self._day = settings, source, index_date
        self._store = RecordStore(settings.store_root, tenant_id)
        self._definition = reconciliation(definition, cohort)
        named = [_FORMAT, definition_hash, cohort, index_date.isoformat()]
        self._asked = hashlib.sha256(orjson.dumps(named)).digest()

    def missing(self, practices: Sequence[str]) -> list[str]:
        """The practices for which it is still to be worked out."""
        return [practice for practice in practices if not self._place(practice).is_dir()]

    def make(self, practices: Sequence[str], progress: Progress | None = None) -> None:
        """Work it out for practices, all at once. Raises what an engine raises."""
        if not practices:
            return
        with self._store.working() as temporary:
            settings = EngineSettings(
                self._settings.threads, self._settings.memory_limit, temporary, self._store.extracts
            )
            evaluate = engine_of(self._settings)
            with evaluate(
                self._definition, self._source, practices, [self._day], settings=settings, progress=progress
            ) as tables:
                found = tables.fetch(Kind.MEMBERS).select(_COLUMNS)
        for practice in practices:
            self._keep(practice, found.filter(pc.equal(found["practice"], practice)))

    def of(self, practices: Sequence[str]) -> Sequence[Compared]:
        """Everyone of practices for which it was made, by practice and patient."""
        found: list[Compared] = []
        for practice in sorted(practices):
            columns = pq.read_table(self._place(practice) / _FILE).select(_COLUMNS).to_pydict()
            found.extend(map(Compared, *columns.values()))
        return found

    def _keep(self, practice: str, rows: pa.Table) -> None:
        """Write a practice's rows whole, under their name; someone else's that came first are as good."""
        place, part = self._place(practice), self._store.extracts / f".{uuid4().hex}"
        part.mkdir(mode=0o700, parents=True)
        try:
            pq.write_table(rows, part / _FILE, compression="zstd", store_schema=False)
            (part / EXTRACT_SOURCES).write_bytes(orjson.dumps(self._files(practice)))
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(OSError):
                part.rename(place)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _files(self, practice: str) -> list[str]:
        """What a practice's rows depend on: its own files, and registrations anywhere."""
        own = [path for table in ("patients", *FRAME_TABLES) for path in self._source.files(table, [practice])]
        return sorted({*own, *self._source.registration_files([practice])})

    def _place(self, practice: str) -> Path:
        digest = hashlib.sha256(self._asked + orjson.dumps([practice, self._files(practice)])).hexdigest()
        return self._store.extracts / safe_name(practice) / digest[:32]
