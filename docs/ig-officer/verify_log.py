"""A second verifier of exported audit logs, for those who would rather not trust the first. Python's own library is all
it needs for hashes; signatures are checked where the package `cryptography` is, and it says so where it is not.

    python verify_log.py FOLDER [--key KEY] [--kept CHECKPOINT_FILE]

It ends with 0 when the log is whole and with 1 when it is not. It shares no code with Cohortium. The rules are public:
the tree is RFC 6962's, section 2.1; checkpoints and keys are C2SP's tlog-checkpoint and signed-note.
"""

# ruff: noqa: INP001, PLC0415, PLR2004, T201 - a program by itself, which prints, and does without a package

import argparse
import base64
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

bad: list[str] = []


def say_bad(text: str) -> None:
    """Take note of what is wrong."""
    bad.append(text)
    print("BAD:", text)


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file without their ends; none when there is no such file."""
    if path.exists():
        with path.open("rb") as file:
            yield from (line.rstrip(b"\n") for line in file)


def read_checkpoint(note: str, key: str) -> tuple[int, bytes] | None:
    """How many entries a checkpoint covers and the root over them; None, and why, when it proves nothing."""
    name, key_id, encoded = key.strip().split("+", 2)
    public = base64.b64decode(encoded)[1:]
    text, _, signatures = note.partition("\n\n")
    lines = text.split("\n")
    if len(lines) != 3 or lines[0] != name:
        say_bad(f"a checkpoint is not of the log {name}")
    elif hashlib.sha256(name.encode() + b"\n\x01" + public).hexdigest()[:8] != key_id:
        say_bad("the public key does not fit its own key id")
    else:
        for line in signatures.split("\n"):
            signature = base64.b64decode(line.rpartition(" ")[2])
            if line.startswith(f"— {name} ") and signature[:4].hex() == key_id:
                if is_signed(public, signature[4:], (text + "\n").encode()):
                    return int(lines[1]), base64.b64decode(lines[2])
                break
        say_bad(f"the checkpoint of {lines[1]} entries is not what this key signed")
    return None


def is_signed(public: bytes, signature: bytes, text: bytes) -> bool:
    """Whether the Ed25519 key signed the text."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        print("NOT CHECKED: who signed this checkpoint (the package `cryptography` is not installed)")
        return True
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, text)
    except InvalidSignature:
        return False
    return True


def read_checkpoints(folder: Path, key: str) -> list[tuple[int, bytes]]:
    """The export's own checkpoints."""
    points = []
    for line in read_lines(folder / "checkpoints.ndjson"):
        try:
            points.append(read_checkpoint(json.loads(line)["note"], key))
        except (ValueError, KeyError, TypeError):
            say_bad("a checkpoint of the export cannot be read")
    found = [point for point in points if point]
    if not found:
        say_bad("no checkpoint of the export is signed by this key: nothing proves the log")
    return found


def roots_at(leaves: Iterator[bytes], sizes: set[int]) -> tuple[dict[int, bytes], int]:
    """The root after so many leaves, and how many there are. The stack holds complete subtrees: size and hash."""
    roots, size = {}, 0
    stack: list[tuple[int, bytes]] = []
    for line in leaves:
        good = len(line) == 64 and all(each in b"0123456789abcdef" for each in line)
        stack.append((1, bytes.fromhex(line.decode()) if good else b""))
        while len(stack) > 1 and stack[-2][0] == stack[-1][0]:
            (many, right), (_, left) = stack.pop(), stack.pop()
            stack.append((2 * many, hashlib.sha256(b"\x01" + left + right).digest()))
        size += 1
        if size in sizes:
            root = stack[-1][1]
            for _, left in reversed(stack[:-1]):
                root = hashlib.sha256(b"\x01" + left + root).digest()
            roots[size] = root
    return roots, size


def compare_checkpoints(folder: Path, own: list[tuple[int, bytes]], kept: list[tuple[int, bytes]]) -> int:
    """Compare the leaves with the checkpoints, the export's own and the reader's. Returns how many leaves there are."""
    roots, size = roots_at(read_lines(folder / "leaves.txt"), {point for point, _ in own + kept})
    for whose, points in (("its", own), ("your", kept)):
        holds, last = 0, max((point for point, _ in points), default=None)
        for point, root in sorted(points):
            if point > size:
                say_bad(f"{whose} checkpoint is of {point} entries, the log has {size}: it was cut off at place {size}")
            elif roots[point] != root:
                fork = ", or the log was forked" if whose == "your" or point < last else ""
                places = f"places {holds} to {point - 1}"
                say_bad(f"{whose} checkpoint of {point} entries does not hold: altered at one of {places}{fork}")
            else:
                holds = point
        if whose == "its" and last is not None and size > last:
            say_bad(f"no checkpoint covers what stands from place {last} on")
    return size


def compare_entries(folder: Path, size: int) -> str:
    """Compare each entry with the leaf of its place, up to the first that differs. Returns what was read."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    place, leaves = manifest["first"], read_lines(folder / "leaves.txt")
    for _ in range(place):
        next(leaves, None)
    for entry in read_lines(folder / "log.ndjson"):
        if hashlib.sha256(b"\x00" + entry).hexdigest().encode() != next(leaves, None):
            say_bad(f"the entry at place {place} is not the one that was recorded there")
            return ""
        place += 1
    expected = size if manifest["whole"] else manifest["first"] + manifest["entries"]
    if place < expected:
        say_bad(f"the entries end before place {place}, and should end before {expected}")
    return f"{place - manifest['first']} entries, from place {manifest['first']} on, of a log of {size}"


def main() -> int:
    """Verify the folder that the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--key", help="the public key as you were given it; else the one in the folder is believed")
    parser.add_argument("--kept", type=Path, help="a file with a checkpoint that you kept")
    given = parser.parse_args()
    key = given.key or (given.folder / "key.txt").read_text(encoding="utf-8")
    kept = [read_checkpoint(given.kept.read_text(encoding="utf-8"), key)] if given.kept else []
    size = compare_checkpoints(given.folder, read_checkpoints(given.folder, key), [each for each in kept if each])
    read = compare_entries(given.folder, size)
    print("NOT WHOLE" if bad else f"WHOLE: {read}; key {key}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
