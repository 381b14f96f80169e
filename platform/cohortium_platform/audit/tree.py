"""The Merkle tree of RFC 6962 section 2 (the same as RFC 9162 section 2.1): roots, proofs, and checking proofs.

Here: hashes, nothing else. Not here: what an entry's bytes are (`canonical`), and where hashes are kept (`stored`).

A tree of `size` leaves has them at places 0 to size - 1. A subtree is named by its level and its index there: it holds
the 2**level leaves from place index * 2**level on. A complete subtree never changes as the tree grows, so it can be
kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

__all__ = [
    "EMPTY_ROOT",
    "HASH_BYTES",
    "Frontier",
    "Subtree",
    "consistency_path",
    "consistent",
    "included",
    "inclusion_path",
    "leaf_hash",
    "node_hash",
    "root_of",
    "subtree_of",
]

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of a tree without leaves."""

Subtree = Callable[[int, int], bytes]
"""From a complete subtree's level and index to its hash."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash of a leaf: never that of a node, whatever the entry holds."""
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node over its two children."""
    return hashlib.sha256(b"\1" + left + right).digest()


class Frontier:
    """The least that must be kept of a tree so that it can grow: one hash for each one in `size` written in binary, the
    largest subtree first.
    """

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size, self.hashes = size, list(hashes)
        if len(self.hashes) != size.bit_count() or any(len(each) != HASH_BYTES for each in self.hashes):
            raise ValueError("These hashes are no frontier of a tree of that size.")

    def append(self, leaf: bytes) -> None:
        """Add the hash of one more leaf."""
        size, hashes, new = self.size, self.hashes, leaf
        while size & 1:
            new = hashlib.sha256(b"\1" + hashes.pop() + new).digest()
            size >>= 1
        hashes.append(new)
        self.size += 1

    def root(self) -> bytes:
        """The root of the tree so far."""
        if not self.hashes:
            return EMPTY_ROOT
        root = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            root = node_hash(left, root)
        return root


def subtree_of(leaves: Sequence[bytes]) -> Subtree:
    """Look subtrees up in leaf hashes that are all at hand."""

    def subtree(level: int, index: int) -> bytes:
        frontier = Frontier()
        for leaf in leaves[index << level : (index + 1) << level]:
            frontier.append(leaf)
        if frontier.size != 1 << level:
            raise IndexError("That subtree is not complete.")
        return frontier.root()

    return subtree


def root_of(size: int, subtree: Subtree) -> bytes:
    """The root of the tree's first `size` leaves."""
    return _root(0, size, subtree) if size else EMPTY_ROOT


def _root(start: int, end: int, subtree: Subtree) -> bytes:
    """The hash over the leaves from `start` to before `end`, for the spans that occur in a tree."""
    length = end - start
    if length.bit_count() == 1 and start % length == 0:
        return subtree(length.bit_length() - 1, start // length)
    middle = start + _left(length)
    return node_hash(_root(start, middle, subtree), _root(middle, end, subtree))


def _left(length: int) -> int:
    """How many leaves of a span of two or more go to the left: the largest power of two below its length."""
    return 1 << ((length - 1).bit_length() - 1)


def inclusion_path(place: int, size: int, subtree: Subtree) -> list[bytes]:
    """PATH(place, D[size]) of RFC 6962 section 2.1.1, from the leaf upwards, the leaf left out. Raises `ValueError`."""
    if not 0 <= place < size:
        raise ValueError("That place is not in the tree.")
    path, start, end = [], 0, size
    while end - start > 1:
        middle = start + _left(end - start)
        if place < middle:
            path.append(_root(middle, end, subtree))
            end = middle
        else:
            path.append(_root(start, middle, subtree))
            start = middle
    return path[::-1]


def consistency_path(old: int, new: int, subtree: Subtree) -> list[bytes]:
    """PROOF(old, D[new]) of RFC 6962 section 2.1.2. Raises `ValueError` unless 0 < old <= new."""
    if not 0 < old <= new:
        raise ValueError("A consistency proof leads from a tree with leaves to one that is as large or larger.")
    path, start, end, whole = [], 0, new, True
    while old != end:
        middle = start + _left(end - start)
        if old <= middle:
            path.append(_root(middle, end, subtree))
            end = middle
        else:
            path.append(_root(start, middle, subtree))
            start, whole = middle, False
    if not whole:
        path.append(_root(start, end, subtree))
    return path[::-1]


def included(leaf: bytes, place: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether the path proves that a leaf stands at a place of the tree of that root (RFC 9162 section 2.1.3.2)."""
    if not 0 <= place < size or not _are_hashes(leaf, root, *path):
        return False
    index, last, found = place, size - 1, leaf
    for each in path:
        if last == 0:
            return False
        if index & 1 or index == last:
            found = node_hash(each, found)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            found = node_hash(found, each)
        index, last = index >> 1, last >> 1
    return last == 0 and found == root


def consistent(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether the path proves that the old tree is the beginning of the new one (RFC 9162 section 2.1.4.2). A tree
    without leaves proves nothing, and is refused.
    """
    if not 0 < old <= new or not _are_hashes(old_root, new_root, *path):
        return False
    if old == new:
        return not path and old_root == new_root
    steps = [old_root, *path] if old.bit_count() == 1 else list(path)
    if not steps:
        return False
    index, last = old - 1, new - 1
    while index & 1:
        index, last = index >> 1, last >> 1
    found_old = found_new = steps[0]
    for each in steps[1:]:
        if last == 0:
            return False
        if index & 1 or index == last:
            found_old, found_new = node_hash(each, found_old), node_hash(each, found_new)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            found_new = node_hash(found_new, each)
        index, last = index >> 1, last >> 1
    return last == 0 and found_old == old_root and found_new == new_root


def _are_hashes(*values: bytes) -> bool:
    return all(len(value) == HASH_BYTES for value in values)
