"""Which files a delivery is made of, and what a bulk export's manifest says of them.

Here: listing, recognising by names and first bytes, the manifest. Not here: reading the files (`reading`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import orjson

from cohortium_platform.ingest.fhir.reading import Source, opening
from cohortium_platform.ingest.fhir.values import SHAPE_ERRORS, Json, text
from cohortium_plugins.importing import Severity, Staging, Unreadable

__all__ = ["Manifest", "base_name", "find_manifest", "recognises", "sources_of"]

_LINES = (".ndjson", ".jsonl")
_DOCUMENTS = (".json",)
_ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".7z", ".bz2", ".xz", ".zst", ".rar")
_TABULAR = (".csv", ".csv.gz", ".parquet", "extract.yaml", "extract.yml")
_CLIENT_LOG = "log.ndjson"
"""What bulk data clients write beside the files they fetch."""

_MARKS = (b'"resourceType"', b'"transactionTime"')
_MANIFEST_MARKS = (b'"transactionTime"', b'"output"', b'"requiresAccessToken"')
_LARGEST_MANIFEST = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Manifest:
    """A bulk export's manifest.

    The time to which its records run, resources stated by file name, and the files that hold problems or deletions
    instead of records.
    """

    file: str
    transaction_time: str
    stated: Mapping[str, int | None] = field(default_factory=dict)
    problem_files: frozenset[str] = frozenset()
    deletion_files: frozenset[str] = frozenset()

    def check_complete(self, present: Mapping[str, int]) -> None:
        """Refuse a delivery that lacks what the manifest lists. `present` counts resources by base name."""
        if not any(name in present for name in self.stated):
            return  # the files were fetched under other names
        missing = sum(1 for name in self.stated if name not in present)
        if missing:
            raise Unreadable(
                f"{missing} of the files that the manifest lists are missing",
                file=self.file, advice="Fetch them from the exporting server and give the whole folder.",
            )  # fmt: skip
        for name, count in self.stated.items():
            if count is not None and present[name] < count:
                raise Unreadable(
                    f"holds {present[name]:,} resources where the manifest says {count:,}",
                    file=name, advice="Fetch it again: it was cut off.",
                )  # fmt: skip


def recognises(delivery: Path) -> bool:
    """Whether a delivery looks like FHIR: by the names of its files and their first bytes."""
    if delivery.is_file():
        return _looks_like_fhir(delivery)
    files = list(_files(delivery))
    if any(_kind(path) in _LINES for path in files):
        return True
    is_tabular = any(path.name.lower().endswith(_TABULAR) for path in files)
    return not is_tabular and any(_looks_like_fhir(path) for path in files)


def _looks_like_fhir(path: Path) -> bool:
    kind = _kind(path)
    if kind in _LINES:
        return True
    head = opening(path)
    if kind in _DOCUMENTS:
        return head[:1] in (b"\xff", b"\xfe", b"<") or any(mark in head for mark in _MARKS)
    return path.suffix.lower() == ".xml" and b"http://hl7.org/fhir" in head


def sources_of(delivery: Path, staging: Staging) -> list[Source]:
    """The files to read, in the order of their names; a finding for each that is not read."""
    if not delivery.exists():
        raise Unreadable("there is no such file or folder", file=delivery.name)
    root = delivery.parent if delivery.is_file() else delivery
    paths = [delivery] if delivery.is_file() else sorted(_files(delivery))
    found: list[Source] = []
    for path in paths:
        name = path.relative_to(root).as_posix()
        if _is_read(path, name, is_all=delivery.is_file()):
            size = path.stat().st_size
            found.append(Source(len(found), path, name, size))
            if size == 0:
                staging.finding(Severity.WARNING, "an empty file", file=name)
        else:
            staging.finding(Severity.WARNING, "not a FHIR file by its name, or a link: not read", file=name)
    if not found:
        raise Unreadable(
            "the delivery is empty",
            file=delivery.name, advice="A FHIR delivery is .ndjson or .json files, plain or gzip.",
        )  # fmt: skip
    return found


def _is_read(path: Path, name: str, *, is_all: bool) -> bool:
    """Whether a file is read; raises for one that may hold records in a form that is not.

    A link in a folder may lead out of it, so none is followed.
    """
    if path.is_symlink() and not is_all:
        return False
    if path.name.lower().endswith(_ARCHIVES):
        raise Unreadable("a packed archive", file=name, advice="Unpack it, and give the folder.")
    if path.suffix.lower() == ".xml" and not is_all and b"http://hl7.org/fhir" in opening(path):
        raise Unreadable("XML, not JSON", file=name, advice="Ask for FHIR as JSON or NDJSON.")
    return is_all or (_kind(path) != "" and path.name.lower() != _CLIENT_LOG)


def _kind(path: Path) -> str:
    suffix = PurePosixPath(path.name.lower().removesuffix(".gz")).suffix
    return suffix if suffix in (*_LINES, *_DOCUMENTS) else ""


def _files(folder: Path) -> Iterator[Path]:
    """Every file below a folder but the hidden ones."""
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.is_file():
            yield path


def find_manifest(sources: list[Source]) -> tuple[Manifest | None, list[Source]]:
    """The manifest among the files, and the other files with their part in the export."""
    for source in sources:
        found = _manifest(source)
        if found is not None:
            rest = [each for each in sources if each is not source]
            return found, [_with_part(each, found) for each in rest if base_name(each.name) not in found.deletion_files]
    return None, [_with_part(source, None) for source in sources]


def _with_part(source: Source, manifest: Manifest | None) -> Source:
    """A file in which a bulk export reports problems is one that its manifest lists so, or one named for it."""
    reports = (
        source.path.name.lower().startswith(("operationoutcome", "error")) or "error" in source.name.split("/")[:-1]
    )
    if manifest is not None:
        reports = reports or base_name(source.name) in manifest.problem_files
    return Source(source.number, source.path, source.name, source.size, reports_problems=reports)


def _manifest(source: Source) -> Manifest | None:
    """Read a file as a manifest, if it is one."""
    if _kind(source.path) not in _DOCUMENTS or source.size > _LARGEST_MANIFEST or source.path.name.endswith(".gz"):
        return None
    if not any(mark in opening(source.path) for mark in _MANIFEST_MARKS):
        return None
    try:
        content = orjson.loads(source.path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
        if "resourceType" in content or "transactionTime" not in content or "output" not in content:
            return None
        return Manifest(
            file=source.name,
            transaction_time=text(content["transactionTime"]) or "",
            stated=_stated(content["output"]),
            problem_files=frozenset(_base_names([*content.get("error", ()), *content.get("outcome", ())])),
            deletion_files=frozenset(_base_names(content.get("deleted", ()))),
        )
    except (orjson.JSONDecodeError, *SHAPE_ERRORS):
        raise Unreadable("not a bulk export's manifest", file=source.name, line=1) from None


def _stated(output: list[Json]) -> dict[str, int | None]:
    """Resources stated by file name; nothing where a name stands twice."""
    names = list(_base_names(output))
    counts = [each.get("count") if type(each.get("count")) is int else None for each in output]
    repeated = {name for name, times in Counter(names).items() if times > 1}
    return {name: None if name in repeated else count for name, count in zip(names, counts, strict=True)}


def _base_names(items: list[Json]) -> Iterator[str]:
    for item in items:
        yield base_name(unquote(urlsplit(item["url"]).path))


def base_name(path: str) -> str:
    """A file's name as a manifest's and a folder's are compared: without folders, and packed or not."""
    return PurePosixPath(path).name.removesuffix(".gz")
