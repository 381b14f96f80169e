"""The importer of tabular extracts.

Here: the order of things, and which of a file's columns is which. Not here: rows, which the platform reads where they
lie and checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cohortium_platform.ingest.tabular.csv import Budget, decompress, header_of
from cohortium_platform.ingest.tabular.finding import TableFile, find_files, looks_tabular
from cohortium_platform.ingest.tabular.manifest import (
    Manifest,
    Mapped,
    TableMapping,
    mapping_of,
    read_manifest,
)
from cohortium_platform.ingest.tabular.parquet import columns_of
from cohortium_plugins.importing import (
    EXTRACT_COLUMNS,
    DeliveredFile,
    ImportOptions,
    Severity,
    Staging,
    Unreadable,
)

__all__ = ["NEEDED", "TabularImporter"]

NEEDED: Mapping[str, tuple[str, ...]] = {
    "patients": ("local_id", "date_of_birth", "sex"),
    "registrations": ("local_id", "start_date"),
    "events": ("local_id", "date", "code"),
    "medications": ("local_id", "date", "code"),
    "consultations": ("local_id", "date"),
    "contacts": ("local_id", "kind"),
}
"""Columns without which a table cannot be read; of a trust's patients others are needed."""
_NEEDED_OF_TRUSTS = ("local_id", "nhs_number", "date_of_birth")


class TabularImporter:
    """Reads folders of CSV, gzipped CSV and Parquet."""

    name = "tabular"
    title = "Tabular extract: a folder of CSV (.csv, .csv.gz) or Parquet files, one table each"

    def recognises(self, delivery: Path) -> bool:
        """Tell whether a folder holds a tabular extract, from names alone."""
        return looks_tabular(delivery)

    def read(self, delivery: Path, options: ImportOptions, staging: Staging) -> None:
        """Look at every file, and have the platform read it where it lies. Raises `Unreadable`."""
        if not delivery.is_dir():
            raise Unreadable("it is not a folder", file=delivery.name, advice="Name the folder that holds the files.")
        manifest = read_manifest(delivery)
        mapped = mapping_of(options.mapping or manifest.mapping, "the mapping" if options.mapping else "extract.yaml")
        staging.scope(source=manifest.source, practices=manifest.practices)
        for practice, day in manifest.records_to.items():
            staging.records_to(day, practice=practice)
        files = find_files(delivery, mapped, staging)
        if not files:
            raise Unreadable(
                "no file of it is named for a table", file=delivery.name,
                advice=f"Tables are {', '.join(EXTRACT_COLUMNS)}; a mapping can give other names.",
            )  # fmt: skip
        budget = Budget(options.max_bytes)
        for done, file in enumerate(files):
            staging.progress(done, len(files))
            delivered = _Reader(options, manifest, mapped, staging, budget).look_at(file)
            staging.delivered(delivered)


class _Reader:
    """Looks at one file after another."""

    def __init__(
        self, options: ImportOptions, manifest: Manifest, mapped: Mapped, staging: Staging, budget: Budget
    ) -> None:
        self._options, self._manifest, self._mapped = options, manifest, mapped
        self._staging, self._budget = staging, budget

    def look_at(self, file: TableFile) -> DeliveredFile:
        """What a file holds; a compressed one is unfolded first."""
        if file.name.lower().endswith(".parquet"):
            header, path = columns_of(file.path, file.name, self._budget), file.path
        else:
            path = self._plain(file)
            header = header_of(path, file.name, self._mapped.delimiter)
        mapping = self._mapped.of(file.table)
        columns = self._columns(file, header, mapping)
        self._check(file, columns)
        return DeliveredFile(
            table=file.table,
            path=path,
            file=file.name,
            format="parquet" if path.suffix.lower() == ".parquet" else "csv",
            header=header,
            columns=columns,
            delimiter=self._mapped.delimiter,
            date_format=mapping.date_format,
            values=mapping.values,
        )

    def _plain(self, file: TableFile) -> Path:
        if not file.name.lower().endswith(".gz"):
            self._budget.spend(file.path.stat().st_size, file.name)
            return file.path
        unfolded = self._staging.directory / file.name.replace("/", "-")[: -len(".gz")]
        decompress(file.path, file.name, unfolded, self._budget)
        return unfolded

    def _columns(self, file: TableFile, header: tuple[str, ...], mapping: TableMapping) -> dict[str, tuple[str, ...]]:
        """The file's columns that may hold each column of the extract. Case does not matter."""
        there = {name.lower(): name for name in header}
        columns: dict[str, tuple[str, ...]] = {}
        for column in EXTRACT_COLUMNS[file.table]:
            named = mapping.columns.get(column)
            if named is None:
                columns |= {column: (there[column],)} if column in there else {}
                continue
            missing = [name for name in named if name.lower() not in there]
            if missing:
                raise Unreadable(
                    f"the mapping of {column} names {missing[0]!r}, which is no column of it", file=file.name, line=1,
                    advice="Correct the mapping, or have the column delivered.",
                )  # fmt: skip
            columns[column] = tuple(there[name.lower()] for name in named)
        used = {name for names in columns.values() for name in names}
        unread = [name[:40] for name in header if name not in used]
        if unread:
            reason = f"columns not read: {', '.join(unread[:10])}" + (" and more" if len(unread) > 10 else "")  # noqa: PLR2004 - a line's length
            self._staging.finding(Severity.WARNING, reason, file=file.name, line=1, table=file.table)
        return columns

    def _check(self, file: TableFile, columns: Mapping[str, tuple[str, ...]]) -> None:
        """Refuse a file without the columns its table needs."""
        source = self._manifest.source or self._options.source
        is_trust = source != ImportOptions().source
        needed = _NEEDED_OF_TRUSTS if is_trust and file.table == "patients" else NEEDED[file.table]
        for column in needed:
            if column not in columns:
                raise Unreadable(
                    f"column {column} is missing", file=file.name, line=1,
                    advice="Is the first line the header, and the delimiter right? A mapping can give other names.",
                )  # fmt: skip
        practice = self._options.practice or self._manifest.practices
        if file.table == "patients" and not is_trust and "practice" not in columns and not practice:
            raise Unreadable(
                "nothing says which practice it is of", file=file.name, line=1,
                advice="Add a column practice, write practice in extract.yaml, or give --practice.",
            )  # fmt: skip
