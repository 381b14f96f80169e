"""Reads a pack's codelist files. Errors name the file, the line, the key and the nearest word that is known.

Not here: whether the lists make sense beside each other (`checks`).
"""

from __future__ import annotations

import csv
import re
import tomllib
from importlib.resources.abc import Traversable

from cohortium_plugins.errors import CodelistError, nearest
from cohortium_plugins.model.definition import Code, Codelist
from cohortium_plugins.snomed import is_concept_id

__all__ = ["load_codelists"]

LISTING = "codelists.toml"
COLUMNS = (["code", "term"], ["code", "term", "category"])
KEYS = ("title", "source", "version", "notes")


def load_codelists(folder: Traversable) -> dict[str, Codelist]:
    """Read a pack's codelists: one CSV each (`code,term` and perhaps `category`), described in `codelists.toml`.

    An empty list (a header alone) is a list that a tenant can fill.

    Raises:
        CodelistError: a file is missing or malformed; names the file and line.
    """
    listing = folder / LISTING
    if not listing.is_file():
        raise CodelistError(f"There is no {LISTING} beside the codelists.", "Describe every CSV file there.")
    text = listing.read_text(encoding="utf-8")
    try:
        described: dict[str, object] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CodelistError(f"{LISTING} is not TOML: {error}.", "Check quotes and brackets there.") from error
    files = {entry.name.removesuffix(".csv") for entry in folder.iterdir() if entry.name.endswith(".csv")}
    for name in described:
        if name not in files:
            raise CodelistError(f"{_at(text, name)}: there is no file {name}.csv.", nearest(name, files))
    for name in sorted(files):
        if name not in described:
            raise CodelistError(
                f"{name}.csv is not described in {LISTING}.", f"Add [{name}] there. {nearest(name, described)}"
            )
    return {name: _codelist(folder, text, name, about) for name, about in sorted(described.items())}


def _codelist(folder: Traversable, text: str, name: str, about: object) -> Codelist:
    if not isinstance(about, dict):
        raise CodelistError(f"{_at(text, name)}: {name} must be a table.", f"Write [{name}] and its keys below.")
    for key in about:
        if key not in KEYS:
            raise CodelistError(f"{_at(text, name, key)}: the key {key} is not known.", nearest(key, KEYS))
    if not about.get("source"):
        raise CodelistError(f"{_at(text, name)}: {name} has no source.", 'Write source = "where its codes are from".')
    title, version = about.get("title", name), about.get("version", "")
    codes = _read_codes(folder / f"{name}.csv")
    return Codelist(name=name, title=str(title), source=str(about["source"]), version=str(version), codes=codes)


def _at(text: str, name: str, key: str | None = None) -> str:
    """Name the line of codelists.toml on which a list, or a key of it, stands."""
    quoted = rf"[\"']?{re.escape(name)}[\"']?"
    for number, line in enumerate(text.splitlines(), start=1):
        if re.match(rf"\s*\[\s*{quoted}\s*\]|\s*{quoted}\s*=", line):
            place = number
            break
    else:
        return LISTING
    if key is not None:
        for number, line in enumerate(text.splitlines()[place:], start=place + 1):
            if re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
                place = number
                break
    return f"{LISTING}, line {place}"


def _read_codes(file: Traversable) -> tuple[Code, ...]:
    codes: dict[int, Code] = {}
    with file.open(encoding="utf-8") as lines:
        reader = csv.reader(lines)
        header = next(reader, [])
        if header not in COLUMNS:
            raise _bad_header(file.name, header)
        for row in reader:
            if len(row) != len(header):
                raise CodelistError(
                    f"{file.name}, line {reader.line_num}: {len(row)} columns instead of {len(header)}.",
                    "Put a term that holds a comma in quotes.",
                )
            if not is_concept_id(row[0]):
                raise CodelistError(
                    f"{file.name}, line {reader.line_num}: not a SNOMED CT concept.",
                    "Check the identifier; spreadsheets round long numbers.",
                )
            code = Code(int(row[0]), row[1], row[2] or None if len(row) == len(COLUMNS[1]) else None)
            codes.setdefault(code.code, code)
    return tuple(codes[key] for key in sorted(codes))


def _bad_header(file: str, header: list[str]) -> CodelistError:
    odd = next((name for name in header if name not in COLUMNS[1]), None)
    advice = "" if odd is None else f"{odd} is not known. {nearest(odd, COLUMNS[1])}"
    return CodelistError(f"{file}, line 1: the columns must be code,term or code,term,category.", advice)
