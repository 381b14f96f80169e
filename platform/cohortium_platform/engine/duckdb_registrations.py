"""Every registration of a snapshot in one file, kept beside the extracts: made once a load, and read many times.

Where a person is registered is decided by registrations anywhere in the tenant, so that each evaluation, and each
explanation of one patient, would open the files of every practice. Two files hold them: everyone's in patient order,
in which a reader skips all but one group of rows for one patient; and, for an evaluation of few practices, those of
people who have more than one, among whom are all who were registered elsewhere too. Nothing stands on these files, as
on no extract. Not here: rows of other tables (`duckdb_extracts`).
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import orjson
import pyarrow.parquet as pq

from cohortium_platform.engine.duckdb_running import Running
from cohortium_platform.records.store import EXTRACT_SOURCES

__all__ = ["KeptRegistrations"]

_FOLDER = "_registrations"
"""Beside the folders of practices, none of which begins so (`records.store.safe_name`)."""

_FORMAT = b"1"
_GROUP = 16_384
"""Rows in a group: few, because one patient's are looked for."""

_EVERYONE = """
    SELECT practice, patient_id, start_date, end_date FROM read_parquet($1, hive_partitioning = false)
    ORDER BY patient_id
"""
_MOVERS = """
    FROM everyone SEMI JOIN (SELECT patient_id FROM everyone GROUP BY patient_id HAVING count(*) > 1) USING (patient_id)
"""


class KeptRegistrations:
    """The two files for a snapshot, which is told by its files of registrations."""

    def __init__(self, folder: Path, files: Sequence[str]) -> None:
        self._files = sorted(files)
        digest = hashlib.sha256(_FORMAT + orjson.dumps(self._files)).hexdigest()
        self._folder, self._place = folder, folder / _FOLDER / digest[:32]

    @property
    def everyone(self) -> str:
        """The file of all of them."""
        return str(self._place / "everyone.parquet")

    @property
    def movers(self) -> str:
        """The file of people with several registrations."""
        return str(self._place / "movers.parquet")

    @property
    def is_made(self) -> bool:
        """Whether both are there."""
        return self._place.is_dir()

    def make(self, running: Running) -> None:
        """Make both whole, under their name; someone else's that came first are as good."""
        part = self._folder / f".{uuid4().hex}"
        part.mkdir(mode=0o700, parents=True)
        try:
            everyone = running.table(_EVERYONE, [self._files])
            running.connection.register("everyone", everyone)
            movers = running.table(_MOVERS)
            running.connection.unregister("everyone")
            for name, rows in (("everyone", everyone), ("movers", movers)):
                pq.write_table(
                    rows,
                    part / f"{name}.parquet",
                    row_group_size=_GROUP,
                    compression="snappy",
                    store_schema=False,
                    use_dictionary=["practice"],
                    write_statistics=["patient_id"],
                )
            (part / EXTRACT_SOURCES).write_bytes(orjson.dumps(self._files))
            self._place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(OSError):
                part.rename(self._place)
        finally:
            shutil.rmtree(part, ignore_errors=True)
