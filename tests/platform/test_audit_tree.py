"""The tree and its proofs, against the reference vectors of RFC 6962's reference implementation and by generation."""

from __future__ import annotations

from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cohortium_platform.audit.tree import (
    EMPTY_ROOT,
    Frontier,
    consistency_path,
    consistent,
    included,
    inclusion_path,
    leaf_hash,
    node_hash,
    root_of,
    subtree_of,
)

# The eight entries, and roots of their first 0 to 8, that implementations of Certificate Transparency are tested with.
ENTRIES = [
    bytes.fromhex(entry)
    for entry in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
# Place, size and path; then old size, new size and path: transparency-dev's reference cases.
INCLUSIONS = [
    (0, 8, ["lqKW0iTyhcZ77pPDD4owkVfw2qNdxbh+QQt4YwoJz8c=", "Xwg/ChozygdqlSeYMlgNs+DvRYS9/x9UyKNg9Q3jAx4=",
            "a0eq8p7jwq+a+Im8H7klTavTEXfxYjLdaqsDXKOb9uQ="]),
    (5, 8, ["vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=", "yoVOoSjtBQtBs1/8G4e46yveRh6eO1WW7Oa51ZdaCuA=",
            "037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc="]),
    (2, 3, ["+sVCA+fMaWzw38tCySodnbr3CtnmIfS9jZhmLwDjwSU="]),
    (1, 5, ["bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=", "Xwg/ChozygdqlSeYMlgNs+DvRYS9/x9UyKNg9Q3jAx4=",
            "vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms="]),
]  # fmt: skip
CONSISTENCIES = [
    (1, 1, []),
    (1, 8, ["lqKW0iTyhcZ77pPDD4owkVfw2qNdxbh+QQt4YwoJz8c=", "Xwg/ChozygdqlSeYMlgNs+DvRYS9/x9UyKNg9Q3jAx4=",
            "a0eq8p7jwq+a+Im8H7klTavTEXfxYjLdaqsDXKOb9uQ="]),
    (6, 8, ["DrxdNDf74tsVi58Sah0RjjCBgQMdCpSfje3t68VY72o=", "yoVOoSjtBQtBs1/8G4e46yveRh6eO1WW7Oa51ZdaCuA=",
            "037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc="]),
    (2, 5, ["Xwg/ChozygdqlSeYMlgNs+DvRYS9/x9UyKNg9Q3jAx4=", "vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms="]),
]  # fmt: skip
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
SUBTREE = subtree_of(LEAVES)


def root(size: int) -> bytes:
    return bytes.fromhex(ROOTS[size])


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_the_reference(size: int) -> None:
    frontier = Frontier()
    for leaf in LEAVES[:size]:
        frontier.append(leaf)
    assert frontier.root() == root(size) == root_of(size, SUBTREE)
    again = Frontier(frontier.size, frontier.hashes)
    assert again.root() == root(size)


def test_a_leaf_is_never_taken_for_a_node() -> None:
    assert root(0) == EMPTY_ROOT
    assert leaf_hash(LEAVES[0] + LEAVES[1]) != node_hash(LEAVES[0], LEAVES[1])


@pytest.mark.parametrize(("place", "size", "path"), INCLUSIONS)
def test_inclusion_paths_are_those_of_the_reference(place: int, size: int, path: list[str]) -> None:
    given_path = [b64decode(each) for each in path]
    assert inclusion_path(place, size, SUBTREE) == given_path
    assert included(LEAVES[place], place, size, given_path, root(size))


@pytest.mark.parametrize(("old", "new", "path"), CONSISTENCIES)
def test_consistency_paths_are_those_of_the_reference(old: int, new: int, path: list[str]) -> None:
    given_path = [b64decode(each) for each in path]
    assert consistency_path(old, new, SUBTREE) == given_path
    assert consistent(old, new, root(old), root(new), given_path)


def mangled(path: list[bytes], *roots: bytes) -> list[list[bytes]]:
    """What the reference cases do to a path that was good."""
    flipped = [
        [*path[:i], bytes([each[0] ^ 16]) + each[1:], *path[i + 1 :]] for i, each in enumerate(path)
    ]  # fmt: skip
    extended = [[*path, b""], [*path, bytes(32)], [b"", *path], [bytes(32), *path]]
    extended += [[*path, each] for each in roots] + [[each, *path] for each in roots]
    return [*flipped, *extended, *([path[:-1], path[1:], []] if path else [])]


@pytest.mark.parametrize(("place", "size"), [(place, size) for place, size, _ in INCLUSIONS])
def test_a_bad_inclusion_proof_is_refused(place: int, size: int) -> None:
    path, leaf, head = inclusion_path(place, size, SUBTREE), LEAVES[place], root(size)
    for other in (-1, place - 1, place + 1, place ^ 2, size):
        assert not included(leaf, other, size, path, head)
    for other in (0, size * 2, size // 2, place):
        assert not included(leaf, place, other, path, head)
    for wrong in mangled(path, head, leaf):
        assert not included(leaf, place, size, wrong, head)
    for wrong_root in (b"", bytes(32), head[:-1], leaf):
        assert not included(leaf, place, size, path, wrong_root)
    assert not included(b"", place, size, path, head)


@pytest.mark.parametrize(("old", "new"), [(old, new) for old, new, _ in CONSISTENCIES])
def test_a_bad_consistency_proof_is_refused(old: int, new: int) -> None:
    path = consistency_path(old, new, SUBTREE)
    for wrong in mangled(path, root(old), root(new)):
        assert not consistent(old, new, root(old), root(new), wrong)
    for size in (0, -1, old - 1, old + 1, new + 1):
        assert not consistent(size, new, root(old), root(new), path)
    for size in (0, new * 2, new // 2):
        assert not consistent(old, size, root(old), root(new), path)
    assert not consistent(old, new, b"", root(new), path)
    assert not consistent(old, new, root(old), b"", path)
    assert not consistent(old, new, bytes(32), root(new), path)
    if old != new:
        assert not consistent(old, new, root(new), root(old), path)


def test_what_lies_outside_the_tree_has_no_proof() -> None:
    for place, size in [(0, 0), (3, 3), (-1, 3)]:
        with pytest.raises(ValueError, match="not in the tree"):
            inclusion_path(place, size, SUBTREE)
    for old, new in [(0, 3), (4, 3), (-1, 3)]:
        with pytest.raises(ValueError, match="consistency proof"):
            consistency_path(old, new, SUBTREE)
    with pytest.raises(ValueError, match="no frontier"):
        Frontier(3, [bytes(32)])
    with pytest.raises(IndexError):
        SUBTREE(3, 1)


@given(st.integers(1, 130), st.data())
def test_every_proof_of_any_tree_holds_and_proves_nothing_else(size: int, data: st.DataObject) -> None:
    leaves = [leaf_hash(number.to_bytes(2, "big")) for number in range(size)]
    subtree = subtree_of(leaves)
    head = root_of(size, subtree)
    place, other = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size - 1))
    path = inclusion_path(place, size, subtree)
    assert included(leaves[other], other, size, path, head) == (place == other)
    old = data.draw(st.integers(1, size))
    proof = consistency_path(old, size, subtree)
    assert consistent(old, size, root_of(old, subtree), head, proof)
    forked = [*leaves]
    forked[data.draw(st.integers(0, old - 1))] = leaf_hash(b"another")
    assert not consistent(old, size, root_of(old, subtree_of(forked)), head, proof)
