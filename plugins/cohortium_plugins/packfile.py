"""TEMPORARY seam until the real one lands."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from cohortium_plugins.errors import PackError
from cohortium_plugins.model.serialise import from_json, to_json
from cohortium_plugins.pack import Pack

MAGIC = b"COHPACK1"


@dataclass(frozen=True)
class PackFile:
    pack: Pack
    hash: str
    manifest: dict
    signatures: tuple = ()
    inner: bytes = b""


def build(pack):
    inner = {
        "manifest": {
            "id": pack.id,
            "version": pack.version,
            "title": pack.title,
            "publisher": pack.publisher,
            "description": pack.description,
            "groups": list(pack.groups),
        },
        "definition": to_json(pack.definition),
        "golden": dict(pack.golden),
    }
    return _pack(json.dumps(inner, sort_keys=True).encode(), [])


def _pack(inner, sigs):
    return MAGIC + zlib.compress(json.dumps({"inner": inner.decode(), "signatures": sigs}, sort_keys=True).encode())


def _open(content):
    if isinstance(content, Path):
        content = content.read_bytes()
    if not content.startswith(MAGIC):
        raise PackError("This is no pack file.", "Make one with cohortium pack build.")
    try:
        outer = json.loads(zlib.decompress(content[len(MAGIC) :]))
        return outer["inner"].encode(), outer["signatures"]
    except Exception as e:
        raise PackError("The pack file is damaged.", "Build it again.") from e


def read(content):
    inner, sigs = _open(content)
    data = json.loads(inner)
    m = data["manifest"]
    pack = Pack(
        id=m["id"],
        version=m["version"],
        title=m["title"],
        publisher=m["publisher"],
        definition=from_json(data["definition"]),
        description=m["description"],
        groups=tuple(m["groups"]),
        golden=data["golden"],
    )
    return PackFile(pack, hashlib.sha256(inner).hexdigest(), m, tuple(map(tuple, sigs)), inner)


def sign(content, key: Ed25519PrivateKey, publisher):
    inner, sigs = _open(content)
    return _pack(inner, [*sigs, [publisher, base64.b64encode(key.sign(inner)).decode()]])


def verify(file, keys):
    for publisher, signature in file.signatures:
        for raw in keys.get(publisher, ()):
            try:
                Ed25519PublicKey.from_public_bytes(raw).verify(base64.b64decode(signature), file.inner)
                return publisher
            except InvalidSignature:
                continue
    raise PackError("No key in force has signed this pack.", "Sign it.")
