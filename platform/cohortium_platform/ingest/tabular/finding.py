"""Which files of a folder belong to which table.

Here: names. Not here: what is in the files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cohortium_platform.ingest.tabular.manifest import MANIFEST_NAMES, Mapped
from cohortium_plugins.importing import EXTRACT_COLUMNS, Severity, Staging, Unreadable

__all__ = ["SUFFIXES", "TableFile", "find_files", "looks_tabular"]

SUFFIXES = (".csv", ".csv.gz", ".parquet")


@dataclass(frozen=True, slots=True)
class TableFile:
    """A file of one table. `name` is relative to the delivery, as findings give it."""

    table: str
    path: Path
    name: str


def looks_tabular(folder: Path) -> bool:
    """Whether a folder has a manifest, or patients under a name of their own."""
    if not folder.is_dir():
        return False
    names = {path.name.lower() for path in folder.iterdir()}
    return bool(names & {*MANIFEST_NAMES, "patients", *(f"patients{suffix}" for suffix in SUFFIXES)})


def find_files(folder: Path, mapped: Mapped, staging: Staging) -> list[TableFile]:
    """Files of tables, in the order of table and name; others are told of. Raises `Unreadable` on a link."""
    found: list[TableFile] = []
    for path in _everything(folder):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise Unreadable("it is a link", file=name, advice="Deliver the file itself.")
        if path.is_dir() or name.lower() in MANIFEST_NAMES:
            continue
        table = _table_of(path, folder, mapped)
        if table is not None:
            found.append(TableFile(table, path, name))
        elif path.suffix.lower() not in {".yaml", ".yml"}:
            staging.finding(Severity.WARNING, "not a file of any table, by its name: not read", file=name)
    tables = list(EXTRACT_COLUMNS)
    return sorted(found, key=lambda file: (tables.index(file.table), file.name))


def _everything(folder: Path) -> Iterator[Path]:
    """Files and folders two levels deep, without hidden ones; links are not followed."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from (inside for inside in sorted(path.iterdir()) if not inside.name.startswith("."))


def _table_of(path: Path, folder: Path, mapped: Mapped) -> str | None:
    """The table of a file: by the mapping's names, by its folder's, by its own."""
    suffix = next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), None)
    if suffix is None:
        return None
    name = path.relative_to(folder).as_posix()
    for table in EXTRACT_COLUMNS:
        if mapped.of(table).names(name):
            return table
    stem = path.parent.name.lower() if path.parent != folder else path.name.lower().removesuffix(suffix)
    return stem if stem in EXTRACT_COLUMNS else None
