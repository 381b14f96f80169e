"""Signed checkpoints, as C2SP's tlog-checkpoint and signed-note say, and proofs as its tlog-proof says.

Here: text in, text out, and checking it. Not here: when a checkpoint is taken (`heads`), and where keys are kept
(cohortium_tenants.keys).

A checkpoint is three lines (origin, size, root), an empty one, and a signature line for each key that signed. A
signature of an unknown key says nothing; a bad one of a known key makes the whole worthless. Further lines, which the
format allows, are refused: the log never writes any.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from cohortium_platform.audit.tree import HASH_BYTES, included
from cohortium_platform.errors import BadInput

__all__ = [
    "Checkpoint",
    "LogKey",
    "LogSigner",
    "Proof",
    "consistency_text",
    "open_note",
    "origin_of",
    "parse_proof",
    "proof_text",
]

_ED25519 = b"\1"
_PROOF = "c2sp.org/tlog-proof@v1"
_SIGNATURE = "— "
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")


def origin_of(slug: str, tenant_id: UUID) -> str:
    """The name of a tenant's log, and of the key that signs it."""
    return f"cohortium/{slug}/{tenant_id}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is signed: of which log, how many leaves, and the root over them."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The lines that are signed."""
        return f"{self.origin}\n{self.size}\n{_base64(self.root)}\n"


@dataclass(frozen=True, slots=True)
class LogKey:
    """A log's public key under its name. As text: `<name>+<key id>+<algorithm and key>`, the form of signed notes."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """Four bytes by which a signature line names its key."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{_base64(_ED25519 + self.public)}"

    @classmethod
    def parse(cls, text: str) -> LogKey:
        """Read a key from its text. Raises `BadInput`."""
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        key = _bytes(encoded)
        if not name or key is None or key[:1] != _ED25519 or len(key) != 1 + HASH_BYTES:
            raise BadInput("That is not the public key of a log.", "It reads NAME+KEY ID+KEY, on one line.")
        found = cls(name, key[1:])
        if found.key_id.hex() != key_id:
            raise BadInput("The public key and its key id do not fit.", "Copy the whole line again.")
        return found

    def verifies(self, text: str, signature: bytes) -> bool:
        """Whether this key signed the text."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True

    def signed_text(self, note: str) -> str | None:
        """The text of a signed note, when this key signed it; else None. Raises `BadInput` for what is no signed note,
        and for a false signature of this key.
        """
        text, gap, signatures = note.partition("\n\n")
        if not gap:
            raise BadInput("That is not a signed text.", "It is lines, an empty one, and signatures.")
        return text + "\n" if _signed(text + "\n", signatures, self) else None


@dataclass(frozen=True, slots=True)
class LogSigner:
    """The private key of a log, 32 bytes, under the log's name. It never shows in a log or an error."""

    origin: str
    private: bytes = field(repr=False)

    @property
    def key(self) -> LogKey:
        """Its public key."""
        return LogKey(self.origin, self._key().public_key().public_bytes_raw())

    def sign(self, size: int, root: bytes) -> str:
        """A signed checkpoint."""
        return self.sign_text(Checkpoint(self.origin, size, root).text())

    def sign_text(self, text: str) -> str:
        """A signed note of any text of whole lines. What is no checkpoint must not begin with a log's name."""
        signature = self.key.key_id + self._key().sign(text.encode())
        return f"{text}\n{_SIGNATURE}{self.origin} {_base64(signature)}\n"

    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.private)


def open_note(note: str, key: LogKey) -> Checkpoint:
    """The checkpoint of a note that the key signed. Raises `BadInput` saying what is wrong with it."""
    text, gap, signatures = note.partition("\n\n")
    lines = text.split("\n")
    if not gap or len(lines) != 3 or not _NUMBER.fullmatch(lines[1]):  # noqa: PLR2004 - origin, size, root
        raise BadInput("That is not a checkpoint.", "It is three lines, an empty one, and signatures.")
    root = _bytes(lines[2])
    if root is None or len(root) != HASH_BYTES:
        raise BadInput("The checkpoint's third line is no root.")
    if lines[0] != key.name:
        raise BadInput(f"The checkpoint is of the log {lines[0]!r}, and the key of {key.name!r}.")
    checkpoint = Checkpoint(lines[0], int(lines[1]), root)
    if not _signed(checkpoint.text(), signatures, key):
        raise BadInput("The checkpoint is not signed by this log's key.")
    return checkpoint


def _signed(text: str, signatures: str, key: LogKey) -> bool:
    """Whether the key signed it. Raises `BadInput` when a signature that names the key is false."""
    found = False
    for line in signatures.removesuffix("\n").split("\n"):
        name, _, encoded = line.removeprefix(_SIGNATURE).rpartition(" ")
        signature = _bytes(encoded)
        if not line.startswith(_SIGNATURE) or not name or signature is None:
            raise BadInput("The checkpoint has a line that is no signature.")
        if name == key.name and signature[:4] == key.key_id:
            if not key.verifies(text, signature[4:]):
                raise BadInput("The signature of the checkpoint is false: it was altered, or never signed by this key.")
            found = True
    return found


@dataclass(frozen=True, slots=True)
class Proof:
    """What a proof file holds: that an entry stands at a place of the log whose checkpoint it carries."""

    place: int
    path: Sequence[bytes]
    note: str

    def holds(self, leaf: bytes, key: LogKey) -> bool:
        """Whether it proves the leaf. Raises `BadInput` when its checkpoint is worth nothing."""
        checkpoint = open_note(self.note, key)
        return included(leaf, self.place, checkpoint.size, self.path, checkpoint.root)


def proof_text(proof: Proof) -> str:
    """A proof file (c2sp.org/tlog-proof@v1)."""
    lines = [_PROOF, f"index {proof.place}", *(_base64(each) for each in proof.path), ""]
    return "\n".join(lines) + "\n" + proof.note


def parse_proof(text: str) -> Proof:
    """Read a proof file; `extra` data is passed over. Raises `BadInput`."""
    head, gap, note = text.partition("\n\n")
    lines = head.split("\n")
    if lines[1:2] and lines[1].startswith("extra "):
        del lines[1]
    place = lines[1].removeprefix("index ") if lines[1:2] else ""
    path = [_bytes(line) for line in lines[2:]]
    if lines[0] != _PROOF or not gap or not _NUMBER.fullmatch(place):
        raise BadInput("That is not a proof file.", f"Its first line reads {_PROOF}.")
    hashes = [each for each in path if each is not None and len(each) == HASH_BYTES]
    if len(hashes) != len(path):
        raise BadInput("The proof file has a line that is no hash.")
    return Proof(int(place), hashes, note)


def consistency_text(old_size: int, path: Sequence[bytes], note: str) -> str:
    """That the log of an older checkpoint is the beginning of a newer one's, in the form witnesses are sent it
    (c2sp.org/tlog-witness): the old size, the path, an empty line, the newer checkpoint.
    """
    return "\n".join([f"old {old_size}", *(_base64(each) for each in path), ""]) + "\n" + note


def _base64(value: bytes) -> str:
    return b64encode(value).decode()


def _bytes(text: str) -> bytes | None:
    """Bytes of base64 in its one right spelling, or None."""
    try:
        value = b64decode(text, validate=True)
    except ValueError:
        return None
    return value if value and _base64(value) == text else None
