"""Files of a tenant's that belong to a preview or a report: who changes, who was shown what. No patient's row of these
stands in PostgreSQL. Not here: what they hold (`previews`, `incidents`).
"""

from __future__ import annotations

import os
from pathlib import Path
from uuid import UUID, uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from cohortium_platform.errors import CohortiumError, NotFound

__all__ = ["TenantFiles"]

_FOLDERS = frozenset({"previews", "incidents"})


class TenantFiles:
    """The files of one tenant, in the tenant's own folder below `root`."""

    def __init__(self, root: Path, tenant_id: UUID) -> None:
        self._folder = root / str(tenant_id)

    def write(self, folder: str, rows: pa.Table) -> str:
        """Write a new file; gives its name for the row that names it. Without that row it counts for nothing."""
        name = f"{folder}/{uuid4().hex}.parquet"
        path = self._path(name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("xb") as file:
            pq.write_table(rows, file, compression="zstd", store_schema=False)
            file.flush()
            os.fsync(file.fileno())
        return name

    def path(self, name: str) -> Path:
        """Where a file lies. Raises `NotFound` when it is gone."""
        path = self._path(name)
        if not path.is_file():
            raise NotFound("What was worked out is no longer kept.", "Ask for it anew.")
        return path

    def discard(self, name: str) -> None:
        """Remove a file that nothing names."""
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        folder, _, file = name.partition("/")
        if folder not in _FOLDERS or not file or "/" in file or file.startswith("."):
            raise CohortiumError("A row names a file that is not among this tenant's.")
        return self._folder / folder / file
