"""What a tabular extract says of itself: `extract.yaml`, and mappings of other suppliers' columns.

Here: reading and checking both. Not here: applying them to files (`importer`).
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, NoReturn

import yaml

from cohortium_plugins.importing import EXTRACT_COLUMNS, Unreadable

__all__ = ["MANIFEST_NAMES", "Manifest", "Mapped", "TableMapping", "mapping_of", "read_manifest"]

MANIFEST_NAMES = ("extract.yaml", "extract.yml")
_LARGEST = 2**20
_DELIMITERS = (",", ";", "\t", "|")
_DATE_FORMAT = re.compile(r"(%[dmYybBjHMSfpI]|[-/. :,T]){1,32}")


@dataclass(frozen=True, slots=True)
class TableMapping:
    """How one table's files differ from the documented columns."""

    files: Sequence[str] = ()
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    date_format: str | None = None

    def names(self, file: str) -> bool:
        """Whether this mapping names a file to be of its table."""
        return any(fnmatch.fnmatchcase(file.lower(), pattern.lower()) for pattern in self.files)


@dataclass(frozen=True, slots=True)
class Mapped:
    """A mapping of all tables."""

    delimiter: str = ","
    tables: Mapping[str, TableMapping] = field(default_factory=dict)

    def of(self, table: str) -> TableMapping:
        """The mapping of one table; empty when there is none."""
        return self.tables.get(table, TableMapping())


@dataclass(frozen=True, slots=True)
class Manifest:
    """`extract.yaml`. `records_to` holds dates by practice, and under None the one for all."""

    source: str | None = None
    practices: Sequence[str] = ()
    records_to: Mapping[str | None, date] = field(default_factory=dict)
    mapping: Mapping[str, object] = field(default_factory=dict)


class _PlainLoader(yaml.SafeLoader):
    """YAML without aliases, which could make a small file huge."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not read")
        node: yaml.Node | None = super().compose_node(parent, index)
        return node


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder; an empty one when there is none. Raises `Unreadable`."""
    for name in MANIFEST_NAMES:
        if (folder / name).is_file():
            return _manifest(_load(folder / name), folder, name)
    return Manifest()


def _load(path: Path) -> dict[str, object]:
    if path.stat().st_size > _LARGEST:
        raise Unreadable("it is larger than 1 MB", file=path.name, advice="A manifest is a page of text.")
    try:
        found = yaml.load(path.read_bytes(), _PlainLoader)  # noqa: S506 - a SafeLoader, without aliases
    except yaml.MarkedYAMLError as wrong:
        line = wrong.problem_mark.line + 1 if wrong.problem_mark else None
        raise Unreadable("it is not YAML", file=path.name, line=line, advice="See tabular-extracts.md.") from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError):
        raise Unreadable("it is not YAML, or has aliases", file=path.name, advice="See tabular-extracts.md.") from None
    return _section(found, path.name, "the file")


def _manifest(found: dict[str, object], folder: Path, file: str) -> Manifest:
    _only(found, {"source", "practice", "practices", "records_to", "mapping"}, file, "extract.yaml")
    practices = found.get("practices", [found["practice"]] if "practice" in found else [])
    mapping = found.get("mapping") or {}
    if isinstance(mapping, str):
        path = folder / mapping
        if path.parent != folder or not path.is_file():
            _refuse(file, f"there is no mapping file {mapping!r} beside it")
        mapping = _load(path)
    source = found.get("source")
    if source is not None and not isinstance(source, str):
        _refuse(file, "source is neither `gp` nor an ODS code")
    return Manifest(
        source, _texts(practices, file, "practices"), _records_to(found, file), _section(mapping, file, "mapping")
    )


def _records_to(found: Mapping[str, object], file: str) -> dict[str | None, date]:
    given = found.get("records_to")
    if given is None:
        return {}
    if isinstance(given, dict):
        return {str(practice): _date(day, file) for practice, day in given.items()}
    return {None: _date(given, file)}


def _date(given: object, file: str) -> date:
    if isinstance(given, datetime):
        return given.date()
    if isinstance(given, date):
        return given
    try:
        return date.fromisoformat(str(given))
    except ValueError:
        _refuse(file, "records_to is not a date such as 2025-11-30")


def mapping_of(found: Mapping[str, object], file: str) -> Mapped:
    """Check a mapping. Raises `Unreadable`, which names the wrong place."""
    _only(found, {"delimiter", "date_format", "tables"}, file, "the mapping")
    delimiter = found.get("delimiter", ",")
    if delimiter not in _DELIMITERS:
        _refuse(file, "delimiter is none of comma, semicolon, tab and |")
    common = _date_format(found.get("date_format"), file, "date_format")
    tables = _section(found.get("tables") or {}, file, "tables")
    _only(tables, set(EXTRACT_COLUMNS), file, "tables")
    mapped = {
        table: _table(table, _section(section or {}, file, f"tables.{table}"), common, file)
        for table, section in tables.items()
    }
    for table in EXTRACT_COLUMNS:
        mapped.setdefault(table, TableMapping(date_format=common))
    return Mapped(str(delimiter), mapped)


def _table(table: str, found: dict[str, object], common: str | None, file: str) -> TableMapping:
    place = f"tables.{table}"
    _only(found, {"files", "columns", "values", "date_format"}, file, place)
    columns = _section(found.get("columns") or {}, file, f"{place}.columns")
    values = _section(found.get("values") or {}, file, f"{place}.values")
    for section in (columns, values):
        _only(section, set(EXTRACT_COLUMNS[table]), file, place)
    return TableMapping(
        files=_texts(found.get("files") or (), file, f"{place}.files"),
        columns={column: _texts(names, file, f"{place}.columns.{column}") for column, names in columns.items()},
        values={
            column: {
                _scalar(given): _scalar(meant) for given, meant in _section(pairs, file, f"{place}.values").items()
            }
            for column, pairs in values.items()
        },
        date_format=_date_format(found.get("date_format"), file, f"{place}.date_format") or common,
    )


def _date_format(given: object, file: str, place: str) -> str | None:
    if given is None:
        return None
    if not isinstance(given, str) or not _DATE_FORMAT.fullmatch(given):
        _refuse(file, f"{place} is not a date format such as %d/%m/%Y")
    return given


def _texts(given: object, file: str, place: str) -> tuple[str, ...]:
    found = [given] if isinstance(given, str) else given
    if not isinstance(found, list | tuple) or not all(isinstance(each, str | int) and str(each) for each in found):
        _refuse(file, f"{place} is neither a text nor a list of texts")
    return tuple(str(each) for each in found)


def _scalar(given: object) -> str:
    """A YAML scalar as the text it was written as, nearly: true and null would be words in a file."""
    return {True: "true", False: "false", None: ""}[given] if given is None or isinstance(given, bool) else str(given)


def _section(given: object, file: str, place: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        _refuse(file, f"{place} is not a list of names with values")
    return {_scalar(key): value for key, value in given.items()}


def _only(found: Mapping[str, object], known: set[str], file: str, place: str) -> None:
    for key in found:
        if key not in known:
            _refuse(file, f"{place} has {key!r}, which is none of {', '.join(sorted(known))}")


def _refuse(file: str, reason: str) -> NoReturn:
    raise Unreadable(reason, file=file, advice="See tabular-extracts.md.")
