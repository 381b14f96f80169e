"""A pack's file: the same bytes for the same pack, everything that the pack says, and nothing that is no pack."""

import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cohortium_plugins.errors import PackError
from cohortium_plugins.installed import installed_packs
from cohortium_plugins.packfile import MOST_BYTES, BadSignature, build, read, sign, verify


@pytest.fixture
def pack(made_packs):
    return made_packs.make()


def test_the_same_pack_gives_the_same_bytes_and_a_file_gives_the_pack(pack, made_packs):
    assert build(pack) == build(made_packs.make())
    found = read(build(pack))
    assert found.pack == replace(pack, places={}, unused=())
    assert found.pack.hash == pack.hash
    assert found.hash != read(build(replace(pack, description="Another"))).hash


@pytest.mark.parametrize("name", installed_packs())
def test_every_installed_pack_comes_back_whole(name, tmp_path):
    pack = installed_packs()[name]
    file = tmp_path / "pack"
    file.write_bytes(build(pack))
    assert read(file).pack == pack
    assert build(read(file).pack) == build(pack)


def test_signing_changes_neither_content_nor_hash_and_is_of_one_publisher_and_key(pack, made_packs):
    press, other = made_packs.Press("bone-people"), Ed25519PrivateKey.generate()
    signed = press.file(pack)
    found = read(signed)
    assert found.hash == read(build(pack)).hash
    assert sign(signed, press.key, press.name) == signed
    assert verify(found, {press.name: [made_packs.Press("x").public, press.public]}) == press.name
    for keys in ({}, {press.name: []}, {"another": [press.public]}, {press.name: [b"short"]}):
        with pytest.raises(BadSignature):
            verify(found, keys)
    with pytest.raises(BadSignature):
        verify(read(sign(build(pack), other, press.name)), {press.name: [press.public]})
    with pytest.raises(BadSignature):
        verify(read(sign(build(replace(pack, publisher="thief")), press.key, press.name)), {press.name: [press.public]})


def test_a_signature_does_not_pass_to_other_content(pack, made_packs):
    press = made_packs.Press("bone-people")
    signed, other = json.loads(press.file(pack)), json.loads(build(made_packs.make("2.0.0")))
    forged = json.dumps({**other, "signatures": signed["signatures"]}).encode()
    with pytest.raises(BadSignature):
        verify(read(forged), {press.name: [press.public]})


def _with(pack, **parts):
    whole = json.loads(build(pack))
    whole["content"].update(parts)
    return json.dumps(whole).encode()


def test_what_is_no_pack_is_refused_with_the_reason(pack):
    whole = json.loads(build(pack))
    definition = whole["content"]["definition"]
    for content, says in (
        (b"", "no pack's file"),
        (b"PK\x03\x04", "no pack's file"),
        (b"\xff\xfe", "no pack's file"),
        (b"[" * 100_000, "nested deeper"),
        (b" " * (MOST_BYTES + 1), "larger than"),
        (json.dumps({**whole, "format": "cohortium-pack-9"}).encode(), "this version can read"),
        (
            json.dumps({**whole, "signatures": [{"publisher": "x", "signature": "?"}]}).encode(),
            "signature is malformed",
        ),
        (_with(pack, extra=1), "exactly its parts"),
        (_with(pack, id=7), "id holds something that is no text"),
        (_with(pack, golden={"../../etc/passwd": 1}), "golden holds something"),
        (_with(pack, templates={"x": "{"}), "a template has no names"),
        (_with(pack, definition={**definition, "nodes": [{"node": "Exec", "code": "x"}]}), "no known kind"),
        (_with(pack, definition={**definition, "schema": 99}), "not a definition"),
        (build(pack).replace(b'"version":"1.0.0"', b'"version":NaN'), "no pack's file"),
    ):
        with pytest.raises(PackError, match=says):
            read(content)
