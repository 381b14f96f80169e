"""Checkpoints, keys and proof files as text, against examples of the formats' own implementations."""

from __future__ import annotations

from base64 import b64decode, b64encode
from uuid import UUID

import pytest

from cohortium_platform.audit.notes import (
    LogKey,
    LogSigner,
    Proof,
    consistency_text,
    open_note,
    origin_of,
    parse_proof,
    proof_text,
)
from cohortium_platform.audit.tree import Frontier, consistency_path, inclusion_path, leaf_hash, root_of, subtree_of
from cohortium_platform.errors import BadInput

ORIGIN = origin_of("north", UUID(int=1))
SIGNER = LogSigner(ORIGIN, bytes(range(32)))
LEAVES = [leaf_hash(bytes([n])) for n in range(7)]
NOTE = SIGNER.sign(7, root_of(7, subtree_of(LEAVES)))


def test_a_signed_note_of_another_implementation_verifies() -> None:
    # The example of Go's golang.org/x/mod/sumdb/note, which the format was taken from.
    key = LogKey.parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    signature = b64decode(
        "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    )
    assert signature[:4] == key.key_id
    assert key.verifies(text, signature[4:])
    assert not key.verifies(text + " ", signature[4:])


def test_a_checkpoint_is_three_lines_and_a_signature() -> None:
    lines = NOTE.split("\n")
    assert lines[:2] == ["cohortium/north/00000000-0000-0000-0000-000000000001", "7"]
    assert b64decode(lines[2]) == root_of(7, subtree_of(LEAVES))
    assert lines[3] == ""
    assert lines[4].startswith(f"— {ORIGIN} ")
    assert lines[5:] == [""]
    assert LogKey.parse(str(SIGNER.key)) == SIGNER.key
    point = open_note(NOTE, SIGNER.key)
    assert (point.origin, point.size, point.root) == (ORIGIN, 7, root_of(7, subtree_of(LEAVES)))


def test_signatures_of_others_say_nothing() -> None:
    other = LogSigner("witness.example", bytes(32)).sign(7, bytes(32)).split("\n")[4]
    assert open_note(NOTE + other + "\n", SIGNER.key).size == 7


@pytest.mark.parametrize(
    ("altered", "says"),
    [
        (NOTE.replace("\n7\n", "\n8\n"), "false"),
        (NOTE.replace("\n7\n", "\n07\n"), "not a checkpoint"),
        (NOTE.replace("\n7\n", "\n-7\n"), "not a checkpoint"),
        (NOTE.replace("\n\n", "\nextension\n\n"), "not a checkpoint"),
        (NOTE.replace("\n\n", "\n"), "not a checkpoint"),
        (NOTE.replace("north", "south"), "of the log"),
        (NOTE.split("\n\n")[0] + "\n\n", "no signature"),
        (NOTE.replace("— ", "- "), "no signature"),
        (
            NOTE.split("\n\n")[0] + "\n\n" + LogSigner(ORIGIN, bytes(32)).sign(7, bytes(32)).split("\n\n")[1],
            "not signed",
        ),
        ("", "not a checkpoint"),
        (f"{ORIGIN}\n7\nAAAA\n\n", "no root"),
    ],
)
def test_what_is_altered_is_refused(altered: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        open_note(altered, SIGNER.key)


@pytest.mark.parametrize(
    "text", ["", "name", "name+00000000+AAAA", str(SIGNER.key).replace("north", "south"), "a+b+c+d"]
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        LogKey.parse(text)


def test_the_private_key_never_shows() -> None:
    assert repr(SIGNER) == f"LogSigner(origin='{ORIGIN}')"


def test_a_proof_file_proves_its_entry_and_no_other() -> None:
    proof = Proof(3, inclusion_path(3, 7, subtree_of(LEAVES)), NOTE)
    text = proof_text(proof)
    assert text.startswith("c2sp.org/tlog-proof@v1\nindex 3\n")
    assert text.endswith("\n\n" + NOTE)
    assert parse_proof(text) == proof
    with_extra = text.replace("@v1\n", "@v1\nextra AAAA\n")
    assert parse_proof(with_extra) == proof
    assert parse_proof(text).holds(LEAVES[3], SIGNER.key)
    assert not parse_proof(text).holds(LEAVES[4], SIGNER.key)
    assert not parse_proof(text.replace("index 3", "index 4")).holds(LEAVES[3], SIGNER.key)
    with pytest.raises(BadInput):
        parse_proof(text).holds(LEAVES[3], LogSigner(ORIGIN, bytes(32)).key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "c2sp.org/tlog-proof@v1\n",
        "c2sp.org/tlog-proof@v1\nindex x\n\n",
        "c2sp.org/tlog-proof@v1\nindex 1\nAA==\n\n",
    ],
)
def test_what_is_no_proof_file_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse_proof(text)


def test_a_consistency_file_carries_the_old_size_and_the_path() -> None:
    path = consistency_path(3, 7, subtree_of(LEAVES))
    text = consistency_text(3, path, NOTE)
    assert text == "old 3\n" + "".join(b64encode(each).decode() + "\n" for each in path) + "\n" + NOTE
    assert Frontier(7, Frontier().hashes + [bytes(32)] * 3).size == 7
