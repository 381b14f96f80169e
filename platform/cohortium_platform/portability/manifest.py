"""The manifest of a bundle: what the bundle is, and every file in it with hash, size and rows; and who signed that.

The manifest is one line of canonical JSON. Its signature is a signed note (C2SP) of the tenant's log key over three
lines: the format, the log's name, and SHA-256 of the manifest's bytes in hexadecimal. Not here: looking at files.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from cohortium_platform.audit.canonical import canonical_json
from cohortium_platform.audit.notes import LogKey, LogSigner
from cohortium_platform.errors import BadInput

__all__ = [
    "FORMAT", "MANIFEST", "SIGNATURE", "BundleFile", "Manifest", "PackInBundle", "read_manifest", "signature_holds",
    "signed",
]  # fmt: skip

FORMAT = "cohortium-bundle/1"
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"

_MOST_BYTES = 64 * 2**20
"""A bundle of half a million files has a manifest of about that size."""
_PART = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9._+-]{0,159}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class BundleFile:
    """A file: its place in the bundle, SHA-256 in hexadecimal, bytes, and rows where it holds rows."""

    path: str
    sha256: str
    bytes: int
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class PackInBundle:
    """A registry of the tenant: the pack and its file's hash, the definition's hash with everything bound, parameters,
    and the index dates of its results, the newest last.
    """

    id: str
    version: str
    content_hash: str
    definition_hash: str
    parameters: Mapping[str, object]
    index_dates: Sequence[str]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the bundle is: of which tenant, at which snapshot, when it was written (ISO, UTC), by which log's key it is
    signed, with which DuckDB its script was made; and what is not in it: table by table the reason.
    """

    tenant: Mapping[str, str]
    snapshot: int
    written: str
    log: str
    duckdb: str
    identities: bool
    packs: Sequence[PackInBundle]
    left_behind: Mapping[str, str]
    files: Sequence[BundleFile]

    def to_bytes(self) -> bytes:
        """The manifest as it is written and signed."""
        return canonical_json({"format": FORMAT, **asdict(self)}) + b"\n"


def read_manifest(content: bytes) -> Manifest:
    """Read a manifest. Raises `BadInput` for one of another format version, with a path that could lead anywhere else,
    or that is not what this format's manifest is.
    """
    if len(content) > _MOST_BYTES:
        raise BadInput("The manifest is larger than any bundle's.", "Ask for the bundle again.")
    try:
        read = json.loads(content)
        version = read.pop("format")
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as wrong:
        raise BadInput("manifest.json is no manifest of a bundle.", "Name the folder of a whole bundle.") from wrong
    if version != FORMAT:
        raise BadInput(
            f"The bundle's format is {str(version)[:80]!r}; this version reads {FORMAT}.",
            "Use a version of Cohortium that knows it.",
        )
    try:
        files = [BundleFile(**file) for file in read.pop("files")]
        packs = [PackInBundle(**pack) for pack in read.pop("packs")]
        manifest = Manifest(**read, files=files, packs=packs)
        problem = next((text for file in files if (text := _problem(file))), "")
    except (TypeError, KeyError, AttributeError) as wrong:
        raise BadInput("manifest.json lacks something or holds too much.", "Ask for the bundle again.") from wrong
    names = [file.path.casefold() for file in files]
    if problem or len(set(names)) < len(names):
        raise BadInput(problem or "The manifest names a file twice.", "Do not unpack or load this bundle.")
    return manifest


def _problem(file: BundleFile) -> str:
    """Say what is wrong with a line about a file."""
    if not isinstance(file.path, str) or not all(_PART.fullmatch(part) for part in file.path.split("/")):
        return f"The manifest names {str(file.path)[:80]!r}, which is no place in a bundle."
    numbers = [file.bytes, *([] if file.rows is None else [file.rows])]
    whole = all(isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in numbers)
    if not whole or not isinstance(file.sha256, str) or not _DIGEST.fullmatch(file.sha256):
        return f"What the manifest says of {file.path} is no hash and no size."
    return ""


def signed(manifest: bytes, signer: LogSigner) -> str:
    """The signature of a manifest's bytes."""
    return signer.sign_text(_text(manifest, signer.origin))


def signature_holds(manifest: bytes, signature: str, key: LogKey) -> bool:
    """Whether the key signed these bytes as a manifest. Raises `BadInput` for what is no signature."""
    return key.signed_text(signature) == _text(manifest, key.name)


def _text(manifest: bytes, origin: str) -> str:
    return f"{FORMAT}\n{origin}\n{hashlib.sha256(manifest).hexdigest()}\n"
