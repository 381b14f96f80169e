"""Verifying a bundle: its signature, that exactly the files of its manifest are there, unchanged, and its log.

Nothing of a bundle is trusted: names are compared before anything is opened, no link is followed, and no more is read
of a file than the manifest says it has. Not here: loading one.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cohortium_platform.audit.notes import LogKey
from cohortium_platform.audit.verifying import verify_export
from cohortium_platform.errors import BadInput
from cohortium_platform.portability.manifest import (
    MANIFEST,
    SIGNATURE,
    BundleFile,
    Manifest,
    read_manifest,
    signature_holds,
)

__all__ = ["VerifiedBundle", "verify_bundle"]

_MOST_BYTES = 65 * 2**20
_PIECE = 2**20
_MOST_FAULTS = 100
_KEY = "audit/key.txt"


@dataclass(frozen=True, slots=True)
class VerifiedBundle:
    """What was found. Without faults, the bundle is what the holder of the key wrote. Remarks are what a reader should
    know and no fault.
    """

    manifest: Manifest
    files: int
    bytes: int
    faults: Sequence[str]
    remarks: Sequence[str]


def verify_bundle(
    folder: Path, *, key: LogKey | None = None, progress: Callable[[float, str], None] | None = None
) -> VerifiedBundle:
    """Verify a bundle with its files alone. `key` is the log's public key as it was given from elsewhere; without it
    the one in the bundle is believed. Raises `BadInput` when the folder cannot be a bundle of a known format.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise BadInput(f"{folder} is no folder.", "Name the folder of a bundle.")
    content, signature = _small(folder, MANIFEST), _small(folder, SIGNATURE)
    manifest = read_manifest(content)
    remarks = []
    if key is None:
        key = LogKey.parse(_small(folder, _KEY).decode(errors="replace"))
        remarks.append(f"The key came with the bundle: compare it with the one you were given. {key}")
    faults = list(_signature_faults(manifest, content, signature, key))
    present = _present(folder, faults)
    listed = {file.path: file for file in manifest.files}
    faults.extend(f"{path} is not in the manifest." for path in sorted(present - {*listed, MANIFEST, SIGNATURE}))
    faults.extend(f"{path} is missing." for path in sorted(set(listed) - present))
    if not faults:
        faults.extend(_content_faults(folder, manifest.files, progress or (lambda _fraction, _step: None)))
    if not faults:
        log = verify_export(folder / "audit", key=key)
        faults.extend(f"The log: {fault.message}" for fault in log.faults)
        remarks.extend(f"The log: {remark}" for remark in log.remarks)
    size = sum(file.bytes for file in manifest.files)
    return VerifiedBundle(manifest, len(manifest.files), size, faults[:_MOST_FAULTS], remarks)


def _small(folder: Path, name: str) -> bytes:
    """Read a file that is never large. Raises `BadInput` when there is none such."""
    try:
        descriptor = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return file.read(_MOST_BYTES)
    except OSError:
        pass
    raise BadInput(f"{name} is missing: this is no whole bundle.", "Name the folder of a whole bundle.")


def _signature_faults(manifest: Manifest, content: bytes, signature: bytes, key: LogKey) -> Iterator[str]:
    if manifest.log != key.name:
        yield f"The bundle is of the log {manifest.log!r}, and the key of {key.name!r}."
        return
    try:
        holds = signature_holds(content, signature.decode(errors="replace"), key)
    except BadInput as wrong:
        yield f"{SIGNATURE}: {wrong.message}"
        return
    if not holds:
        yield "The manifest is not the one that this key signed."


def _present(folder: Path, faults: list[str]) -> set[str]:
    """Every file below a folder; anything that is neither a file nor a folder is a fault."""
    found: set[str] = set()
    waiting = [""]
    while waiting:
        below = waiting.pop()
        with os.scandir(folder / below) as entries:
            for entry in entries:
                path = f"{below}{entry.name}"
                if entry.is_symlink() or not (entry.is_dir() or entry.is_file()):
                    faults.append(f"{path} is a link or a device, which no bundle holds.")
                elif entry.is_dir():
                    waiting.append(f"{path}/")
                else:
                    found.add(path)
    return found


def _content_faults(folder: Path, files: Sequence[BundleFile], progress: Callable[[float, str], None]) -> Iterator[str]:
    whole, done = sum(file.bytes for file in files) or 1, 0
    for file in files:
        progress(done / whole, file.path)
        yield from _file_faults(folder.joinpath(*file.path.split("/")), file)
        done += file.bytes


def _file_faults(place: Path, file: BundleFile) -> Iterator[str]:
    digest, left, lines = hashlib.sha256(), file.bytes, 0
    descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as opened:
        if os.fstat(opened.fileno()).st_size != file.bytes:
            yield f"{file.path} has another size than when it was written."
            return
        while left and (piece := opened.read(min(_PIECE, left))):
            digest.update(piece)
            lines += piece.count(b"\n")
            left -= len(piece)
    if digest.hexdigest() != file.sha256:
        yield f"{file.path} was changed: its SHA-256 is another."
    elif file.rows is not None:
        rows = _rows(place) if file.path.endswith(".parquet") else lines
        if rows != file.rows:
            yield f"{file.path} has {rows} rows, and the manifest says {file.rows}."


def _rows(place: Path) -> int | None:
    try:
        rows: int = pq.read_metadata(place).num_rows
    except (OSError, pa.ArrowException):
        return None
    return rows
