"""Verifying an exported log with its files and the public key alone.

Here: what is wrong with a folder, and where it begins. Not here: writing one (`exporting`), and looking at the tables
of a running service (`checking`).

Three things must agree: the entries with the leaf hashes, the leaf hashes with the checkpoints, and the checkpoints
with the key. Where entries and leaf hashes differ, the place is known. Where somebody changed both, only checkpoints
can tell: the first bad place then lies after the last checkpoint that still holds.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

from cohortium_platform.audit.notes import Checkpoint, LogKey, open_note
from cohortium_platform.audit.tree import Frontier, leaf_hash
from cohortium_platform.errors import BadInput

__all__ = ["Fault", "FaultKind", "Verified", "verify_export"]

_AHEAD = 256  # how far to look for an entry that is not where it should be
_CLOCK = timedelta(minutes=10)


class FaultKind(enum.StrEnum):
    """What was done to the log, as far as it can be told."""

    DELETED = "deleted"
    CHANGED = "changed"
    INSERTED = "inserted"
    REORDERED = "reordered"
    TRUNCATED = "truncated"
    ALTERED = "altered"
    """Entries and leaf hashes were both replaced: somewhere between two places."""
    FORKED = "forked"
    UNPROVEN = "unproven"
    """A checkpoint is not what the key signed, or there is none."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong. The first bad place is `place`, or with `until` some place from `place` to before `until`. With
    `not_before` it is certainly bad from `place` on, and nothing proves the places from `not_before` on to be good.
    """

    kind: FaultKind
    message: str
    place: int | None = None
    until: int | None = None
    not_before: int | None = None


@dataclass(frozen=True, slots=True)
class Verified:
    """What a folder proves unless there are faults: that its `entries` entries from `first` on are those of the log of
    `size` entries under the last of its checkpoints. Remarks are what a reader should know and no fault.
    """

    origin: str
    first: int
    entries: int
    size: int
    checkpoints: int
    last_checkpoint: str
    faults: Sequence[Fault]
    remarks: Sequence[str]


@dataclass(slots=True)
class _Found:
    faults: list[Fault] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def fault(self, kind: FaultKind, message: str, place: int | None = None, until: int | None = None) -> None:
        """Add one."""
        self.faults.append(Fault(kind, message, place, until))


def verify_export(folder: Path, *, key: LogKey | None = None, kept: Sequence[str] = ()) -> Verified:
    """Verify an exported log. `key` is the public key as you had it from elsewhere; `kept` are the texts of checkpoints
    that you kept. Raises `BadInput` when the folder is no export, or a kept checkpoint is none of this key's.
    """
    found = _Found()
    manifest = _manifest(folder)
    trusted = key
    if trusted is None:
        trusted = LogKey.parse(b"".join(_lines(folder / "key.txt")).decode(errors="replace"))
        found.remarks.append(f"The key came with the export: compare it with the one you were given. {trusted}")
    kept_points = sorted((open_note(note, trusted) for note in kept), key=lambda point: point.size)
    points, last_note = _checkpoints(folder, trusted, found)
    size = sum(1 for _ in _lines(folder / "leaves.txt"))
    entries = _compare_entries(folder, manifest, size, found)
    roots = _roots(folder, {point.size for point in (*points, *kept_points)})
    _compare_points(points, roots, size, found)
    _compare_kept(kept_points, roots, size, found)
    if manifest.first or entries < size:
        found.remarks.append(
            f"The folder holds {entries} of the log's {size} entries, from place {manifest.first} on. The others were "
            "not read: only their hashes are here."
        )
    return Verified(
        trusted.name, manifest.first, entries, size, len(points), last_note, tuple(found.faults), tuple(found.remarks)
    )


@dataclass(frozen=True, slots=True)
class _Manifest:
    """What the folder says it holds. Nobody signed it: it only decides what is looked for."""

    first: int
    entries: int
    whole: bool


def _manifest(folder: Path) -> _Manifest:
    try:
        read = json.loads((folder / "manifest.json").read_bytes())
        return _Manifest(max(int(read["first"]), 0), int(read["entries"]), read["whole"] is True)
    except (OSError, ValueError, KeyError, TypeError) as wrong:
        raise BadInput(f"{folder} is no exported audit log.", "Name a folder that was exported, and whole.") from wrong


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a file without their ends; none when there is no such file."""
    if path.is_file():
        with path.open("rb") as file:
            for line in file:
                yield line.removesuffix(b"\n")


# -- checkpoints ------------------------------------------------------------------------------------------------------


def _checkpoints(folder: Path, key: LogKey, found: _Found) -> tuple[list[Checkpoint], str]:
    """The checkpoints that the key signed, by size, and the text of the largest."""
    notes: dict[int, tuple[Checkpoint, str]] = {}
    for number, line in enumerate(_lines(folder / "checkpoints.ndjson"), start=1):
        try:
            note = str(json.loads(line)["note"])
            point = open_note(note, key)
        except BadInput as wrong:
            found.fault(FaultKind.UNPROVEN, f"Checkpoint {number} of the export proves nothing. {wrong.message}")
            continue
        except (ValueError, KeyError, TypeError):
            found.fault(FaultKind.UNPROVEN, f"Checkpoint {number} of the export cannot be read.")
            continue
        if notes.setdefault(point.size, (point, note))[0].root != point.root:
            text = f"Two signed checkpoints of {point.size} entries differ: there are two logs."
            found.fault(FaultKind.FORKED, text, 0, point.size)
    if not notes:
        found.fault(FaultKind.UNPROVEN, "No checkpoint of the export is signed by this key: nothing proves the log.")
        return [], ""
    ordered = [notes[size] for size in sorted(notes)]
    return [point for point, _ in ordered], ordered[-1][1]


def _roots(folder: Path, sizes: set[int]) -> dict[int, bytes]:
    """The roots over the first so many leaves, for each of these sizes that there are leaves for."""
    frontier = Frontier()
    roots = {0: frontier.root()}
    for line in _lines(folder / "leaves.txt"):
        try:
            leaf = bytes.fromhex(line.decode())
        except ValueError:
            leaf = b""
        frontier.append(leaf)
        if frontier.size in sizes:
            roots[frontier.size] = frontier.root()
    return roots


def _compare_points(points: Sequence[Checkpoint], roots: dict[int, bytes], size: int, found: _Found) -> None:
    """Compare the export's own checkpoints with its leaves."""
    good = [point.size for point in points if roots.get(point.size) == point.root]
    bad = [point.size for point in points if point.size <= size and roots[point.size] != point.root]
    holds = max(good, default=0)
    if bad and bad[0] < holds:
        text = f"The checkpoint of {bad[0]} entries is not the beginning of the log of {holds}: there were two logs."
        found.fault(FaultKind.FORKED, text, max((each for each in good if each < bad[0]), default=0), bad[0])
    elif bad and not any(fault.place is not None and fault.place < bad[0] for fault in found.faults):
        text = (
            f"Entries and leaf hashes were both altered: the checkpoint of {bad[0]} entries does not hold"
            f"{f', that of {holds} does' if holds else ''}. The first bad place is one of {holds} to {bad[0] - 1}."
        )
        found.fault(FaultKind.ALTERED, text, holds, bad[0])
    last = points[-1].size if points else None
    if last is not None and size < last:
        text = (
            f"The log's last checkpoint is of {last} entries, and {size} are here: it was cut off at place {size}"
            f"{f', or else entries are gone from place {holds} on' if holds < size else ''}."
        )
        found.faults.append(Fault(FaultKind.TRUNCATED, text, size, not_before=holds))
    elif last is not None and size > last:
        text = f"From place {last} on there are leaves that no checkpoint covers: they were added to the export."
        found.fault(FaultKind.INSERTED, text, last)


def _compare_kept(points: Sequence[Checkpoint], roots: dict[int, bytes], size: int, found: _Found) -> None:
    """Compare checkpoints that the reader kept: what was shown once must still be the beginning of the log."""
    holds = 0
    for point in points:
        if point.size > size:
            text = f"You kept a checkpoint of {point.size} entries, and this log has {size}: its end was cut off."
            found.faults.append(Fault(FaultKind.TRUNCATED, text, size, not_before=holds))
        elif roots[point.size] != point.root:
            text = (
                f"This is not the log that your checkpoint of {point.size} entries was taken of. It was forked: they "
                f"differ at one of the places {holds} to {point.size - 1}."
            )
            found.fault(FaultKind.FORKED, text, holds, point.size)
        else:
            holds = point.size
            found.remarks.append(f"Your checkpoint of {point.size} entries is the beginning of this log.")


# -- entries ----------------------------------------------------------------------------------------------------------


def _compare_entries(folder: Path, manifest: _Manifest, size: int, found: _Found) -> int:
    """Compare each entry with the leaf of its place, up to the first that differs. Gives how many entries are here."""
    log, leaves = _lines(folder / "log.ndjson"), islice(_lines(folder / "leaves.txt"), manifest.first, None)
    place, clock = manifest.first, _Clock(found)
    for line in log:
        leaf = next(leaves, b"")
        if leaf_hash(line).hex().encode() != leaf:
            rest = sum(1 for _ in _name_what_differs(place, line, leaf, log, leaves, found))
            return place + 1 + rest - manifest.first
        clock.look(line, place)
        place += 1
    entries = place - manifest.first
    expected = size - manifest.first if manifest.whole else manifest.entries
    if entries < expected:
        text = (
            f"The entries end before place {place}, where {expected - entries} more were exported: they were cut off."
        )
        found.fault(FaultKind.TRUNCATED, text, place)
    return entries


def _name_what_differs(  # noqa: PLR0913, PLR0917 - where two files stand, and what is there
    place: int, line: bytes, leaf: bytes, log: Iterator[bytes], leaves: Iterator[bytes], found: _Found
) -> Iterator[bytes]:
    """Say what was done at the first place that differs, by looking a little ahead. Gives the lines after it."""
    lines = list(islice(log, _AHEAD))
    hashes = [leaf_hash(each).hex().encode() for each in (line, *lines)]
    listed = [leaf, *islice(leaves, _AHEAD)]
    moved, shown_later = hashes[0] in listed[1:], leaf in hashes[1:]
    if not line:
        kind, text = FaultKind.DELETED, f"The entry at place {place} was gone when the log was exported."
    elif not leaf:
        kind, text = FaultKind.INSERTED, f"At place {place} there is an entry that has no leaf."
    elif moved and shown_later:
        kind, text = (
            FaultKind.REORDERED,
            f"The entry at place {place} is that of place {_at(place, listed, hashes[0])}.",
        )
    elif moved:
        gone = listed.index(hashes[0], 1)
        kind, text = FaultKind.DELETED, f"The entry at place {place} is gone{f', with {gone - 1} more' * (gone > 1)}."
    elif shown_later:
        kind, text = (
            FaultKind.INSERTED,
            f"The entry at place {place} was put in: the one that belongs there comes later.",
        )
    else:
        kind, text = FaultKind.CHANGED, f"The entry at place {place} is not the one that was recorded there."
    found.fault(kind, text, place)
    yield from lines
    yield from log


def _at(place: int, listed: Sequence[bytes], hashed: bytes) -> int:
    return place + listed.index(hashed, 1)


@dataclass(slots=True)
class _Clock:
    """Remarks on the first time that entries go back by much: no fault, since a transaction may have stayed open."""

    found: _Found
    latest: bytes = b""
    remarked: bool = False

    def look(self, line: bytes, place: int) -> None:
        """Look at an entry's moment. Within a text a quotation mark follows a backslash, so this finds the field."""
        start = line.find(b',"at":"') + 7
        at = line[start : start + 27]
        if at >= self.latest:
            self.latest = at
        elif not self.remarked:
            back = _between(at, self.latest)
            if back > _CLOCK:
                self.remarked = True
                self.found.remarks.append(
                    f"The entry at place {place} says it was written {back} before an earlier one: the clock was set "
                    "back, or its transaction stayed open for so long."
                )


def _between(earlier: bytes, later: bytes) -> timedelta:
    """The time between two entries' moments; none when either is no moment, which is for their hashes to tell."""
    try:
        return datetime.fromisoformat(later.decode()) - datetime.fromisoformat(earlier.decode())
    except ValueError:
        return timedelta()
