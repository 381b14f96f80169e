"""A pack as one file: what it says, named by its hash, and who has signed it.

The file is one line of canonical JSON (keys sorted, no blanks, UTF-8), so that the same pack gives the same bytes
wherever it is built, nothing has to be unpacked, and no name in it leads anywhere. Reading one runs nothing of it.
A signature (Ed25519) is of the content's hash, so that signing changes neither. Not here: limits of time and memory,
which whoever reads a stranger's file sets for the process that does (`cohortium_platform.examining`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from cohortium_plugins.errors import MalformedPack, PackError
from cohortium_plugins.model.definition import Definition
from cohortium_plugins.model.serialise import Json, from_json, to_json
from cohortium_plugins.named import check_names
from cohortium_plugins.pack import Pack
from cohortium_plugins.packing.bounds import check_bounds, check_parts
from cohortium_plugins.packing.soundness import check_sound
from cohortium_plugins.page import markdown_page
from cohortium_plugins.templates import Template, check_templates

__all__ = ["MOST_BYTES", "BadSignature", "PackFile", "Signature", "build", "read", "sign", "verify"]

MOST_BYTES = 16 * 2**20
"""A pack of fifty thousand codes has about four MiB."""
_FORMAT = "cohortium-pack-1"
_MANIFEST = ("id", "version", "title", "publisher", "description")
_CONTENT = {*_MANIFEST, "changes", "documentation", "groups", "definition", "golden", "templates"}
_MOST_TEXT = {"golden": 3 * 2**20, "templates": 2**21, "changes": 2**18, "documentation": 2**22}
_MOST_FILES = 1_000
_ID, _VERSION = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*"), re.compile(r"[0-9]+(\.[0-9A-Za-z-]+){0,4}")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_CONTEXT = b"cohortium-pack-1 signature of content "


class BadSignature(PackError):  # noqa: N818 - the name says what is wrong
    """No key that counts has signed the file."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature and whose it says it is; it proves nothing before `verify`."""

    publisher: str
    signature: bytes


@dataclass(frozen=True)
class PackFile:
    """A file that was read. `hash` names its content (SHA-256, hexadecimal); `manifest` is what it says of itself;
    `documentation` is the pack in words as its builder's version said them: whoever decides reads the words that the
    server makes of the definition.
    """

    pack: Pack
    hash: str
    manifest: Mapping[str, str]
    signatures: Sequence[Signature] = ()
    documentation: str = ""


def build(pack: Pack) -> bytes:
    """Give the file of a pack, unsigned. Raises `MalformedPack` where nobody could read it, as when it is too large."""
    content: dict[str, Json] = {
        **{name: cast("str", getattr(pack, name)) for name in _MANIFEST},
        "changes": pack.changes,
        "documentation": markdown_page(pack),
        "groups": list(pack.groups),
        "definition": to_json(pack.definition),
        "golden": dict(pack.golden),
        "templates": {name: template.text for name, template in pack.templates.items()},
    }
    file = _written(content, ())
    read(file)
    return file


def sign(content: bytes | Path, key: Ed25519PrivateKey, publisher: str) -> bytes:
    """Give a file with one more signature; a publisher's earlier signature by the same key is the same one."""
    inside, signatures = _opened(content)
    new = Signature(publisher, key.sign(_signed(_hash(inside))))
    return _written(inside, (*(each for each in signatures if each != new), new))


def read(content: bytes | Path) -> PackFile:
    """Read a file. Raises `MalformedPack` with the reason on anything that is not one."""
    inside, signatures = _opened(content)
    manifest = {name: _text(inside[name], name) for name in _MANIFEST}
    _check_manifest(manifest, inside)
    definition = _definition(_mapping(inside["definition"], "definition"))
    templates = {name: _template(name, of) for name, of in _mapping(inside["templates"], "templates").items()}
    check_templates(definition, templates)
    pack = Pack(
        id=manifest["id"],
        version=manifest["version"],
        title=manifest["title"],
        publisher=manifest["publisher"],
        description=manifest["description"],
        definition=definition,
        groups=tuple(_text(group, "groups") for group in _listed(inside["groups"], "groups")),
        golden={_text(n, "golden"): _text(t, "golden") for n, t in _mapping(inside["golden"], "golden").items()},
        templates=templates,
        changes=_text(inside["changes"], "changes"),
    )
    return PackFile(pack, _hash(inside), manifest, signatures, _text(inside["documentation"], "documentation"))


def _check_manifest(manifest: Mapping[str, str], inside: Mapping[str, Json]) -> None:
    """Make sure that it is called as a pack may be, and that no text is larger than any pack's."""
    if not _ID.fullmatch(manifest["id"]) or not _VERSION.fullmatch(manifest["version"]):
        raise MalformedPack("Its id or version is none.", "Write an id as small-words, a version as 1.2.0.")
    for name, text in manifest.items():
        most = 20_000 if name == "description" else 200
        if len(text) > most or (name != "description" and not text.isprintable()):
            raise MalformedPack(f"{name} is not a text of at most {most} letters.", "Shorten it.")
    for name, size in _MOST_TEXT.items():
        part = inside[name]
        texts = [str(text) for text in part.values()] if isinstance(part, dict) else [str(part)]
        if sum(map(len, texts)) > size or len(texts) > _MOST_FILES:
            raise MalformedPack(f"{name} is larger than any pack's.", "Split the pack.")
        if isinstance(part, dict) and not all(_FILE.fullmatch(file) for file in part):
            raise MalformedPack(f"{name} holds something that is not called as a file is.", "Build the pack anew.")


def _definition(rules: Mapping[str, Json]) -> Definition:
    """Read a definition, and make sure that it can be evaluated, and in time."""
    check_parts(rules)
    definition = from_json(rules)
    check_bounds(definition)
    check_names(definition)
    check_sound(definition)
    return definition


def verify(file: PackFile, keys: Mapping[str, Iterable[bytes]]) -> str:
    """Give the publisher whose key has signed the file: the one that it names, by one of these raw public keys.

    Raises `BadSignature` when there is none.
    """
    publisher = file.pack.publisher
    for key in keys.get(publisher, ()):
        for each in file.signatures:
            if each.publisher == publisher and _is_signed(file.hash, key, each.signature):
                return publisher
    raise BadSignature(
        f"No key of the publisher {publisher!r} that counts has signed this file.",
        "Sign it with `cohortium pack sign`.",
    )


def _is_signed(digest: str, key: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, _signed(digest))
    except (InvalidSignature, ValueError):
        return False
    return True


def _signed(digest: str) -> bytes:
    return _CONTEXT + digest.encode()


def _hash(inside: Mapping[str, Json]) -> str:
    return hashlib.sha256(_canonical(dict(inside))).hexdigest()


def _canonical(value: Json) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _written(inside: Mapping[str, Json], signatures: Sequence[Signature]) -> bytes:
    signed: list[Json] = [
        {"publisher": each.publisher, "signature": base64.b64encode(each.signature).decode()} for each in signatures
    ]
    return _canonical({"format": _FORMAT, "content": dict(inside), "signatures": signed}) + b"\n"


def _opened(content: bytes | Path) -> tuple[Mapping[str, Json], tuple[Signature, ...]]:
    """What stands in a file, and its signatures, neither of them believed yet."""
    given = _bytes(content)
    try:
        whole = json.loads(given, parse_constant=_no_number)
    except RecursionError:
        raise MalformedPack("The file is nested deeper than any pack is.", "Build the pack anew.") from None
    except (ValueError, UnicodeDecodeError):
        raise MalformedPack("This is no pack's file.", "Make one with `cohortium pack build`.") from None
    parts = {"format", "content", "signatures"}
    if not isinstance(whole, dict) or set(whole) != parts or whole["format"] != _FORMAT:
        raise MalformedPack("This is no pack's file that this version can read.", "Build the pack anew.")
    inside = _mapping(whole["content"], "content")
    if set(inside) != _CONTENT:
        raise MalformedPack("The file does not have exactly its parts.", f"They are {', '.join(sorted(_CONTENT))}.")
    return inside, tuple(_signature(each) for each in _listed(whole["signatures"], "signatures"))


def _bytes(content: bytes | Path) -> bytes:
    if isinstance(content, Path):
        with content.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise MalformedPack(f"The file is larger than {MOST_BYTES // 2**20} MiB.", "No pack is.")
    return content


def _no_number(_word: str) -> NoReturn:
    raise ValueError("no number")


def _signature(value: Json) -> Signature:
    match value:
        case {"publisher": str() as publisher, "signature": str() as text}:
            try:
                return Signature(publisher, base64.b64decode(text, validate=True))
            except binascii.Error:
                pass
    raise MalformedPack("A signature is malformed.", "Sign the file anew.")


def _template(name: str, value: Json) -> Template:
    try:
        questionnaire = json.loads(_text(value, "templates"))
    except (ValueError, RecursionError):
        questionnaire = None
    template = Template.from_json(_mapping(questionnaire, "a template"), f"{name}.json")
    if template.name != name:
        raise MalformedPack(f"The template {name} calls itself {template.name}.", "Build the pack anew.")
    return template


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise MalformedPack(f"{what} holds something that is no text.", "Build the pack anew.")
    return value


def _listed(value: Json, what: str) -> list[Json]:
    if not isinstance(value, list):
        raise MalformedPack(f"{what} is no list.", "Build the pack anew.")
    return value


def _mapping(value: Json, what: str) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise MalformedPack(f"{what} has no names in it.", "Build the pack anew.")
    return value
