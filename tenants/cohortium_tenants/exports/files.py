"""What belongs to an export, in the tenant's own folder: each part whole, sealed under the tenant's key, for a day."""

from __future__ import annotations

import enum
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

from cohortium_platform.errors import NotFound
from cohortium_platform.keys import TenantKeys

__all__ = ["KEPT", "ExportFiles", "Part"]

KEPT = timedelta(days=1)
"""How long an export waits to be fetched."""

_FOLDER = "exports"


class Part(enum.StrEnum):
    """What is kept of an export: the rows that the exporter is given, whose they are, and the file that it made."""

    ROWS = "rows"
    PATIENTS = "patients"
    MADE = "made"


class ExportFiles:
    """The exports of one tenant, below `root`."""

    def __init__(self, root: Path, keys: TenantKeys) -> None:
        self._folder, self._keys = root / str(keys.tenant_id) / _FOLDER, keys

    def keep(self, export: UUID, part: Part, plain: bytes) -> None:
        """Seal a part and write it: under its name it is whole, or not there."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f".{uuid4().hex}"
        try:
            with path.open("xb") as file:
                file.write(self._keys.seal(plain, _context(export, part)))
                file.flush()
                os.fsync(file.fileno())
            path.rename(self._path(export, part))
        finally:
            path.unlink(missing_ok=True)

    def open(self, export: UUID, part: Part) -> bytes:
        """Give a part. Raises `NotFound` when it is no longer kept, `CohortiumError` when it was tampered with."""
        try:
            sealed = self._path(export, part).read_bytes()
        except FileNotFoundError:
            raise NotFound("This file is no longer kept.", "Have it made anew.") from None
        return self._keys.open(sealed, _context(export, part))

    def discard(self, export: UUID, *parts: Part) -> None:
        """Remove parts; nothing happens when they are gone."""
        for part in parts:
            self._path(export, part).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what is older than it may be kept, whatever became of its export."""
        before = (datetime.now(UTC) - KEPT).timestamp()
        for path in self._folder.glob("*") if self._folder.is_dir() else ():
            if path.stat().st_mtime < before:
                path.unlink(missing_ok=True)

    def _path(self, export: UUID, part: Part) -> Path:
        return self._folder / f"{export.hex}.{part}"


def _context(export: UUID, part: Part) -> bytes:
    return b"export" + export.bytes + part.encode()
