"""Checks a bundle with Python's own library: hashes, sizes, counts of lines, and the tree of the audit log.

    python3 verify.py [FOLDER]

It ends with 0 when nothing is wrong and with 1 when something is, and says what it cannot check. It shares no code with
Cohortium; the tree is that of RFC 6962, section 2.1.
"""

# ruff: noqa: T201 - a program by itself, which prints

import base64
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

FORMAT = "cohortium-bundle/1"
bad: list[str] = []


def say_bad(text: str) -> None:
    """Take note of what is wrong."""
    bad.append(text)
    print("BAD:", text)


def present(folder: Path) -> Iterator[str]:
    """Every file below a folder. A link is followed nowhere, and is wrong."""
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                say_bad(f"{path.relative_to(folder)} is a link or a device")
            elif path.is_file():
                yield path.relative_to(folder).as_posix()


def check_file(folder: Path, file: dict[str, object]) -> None:
    """Compare a file with what the manifest says of it."""
    path = folder / str(file["path"])
    digest, lines = hashlib.sha256(), 0
    if path.stat().st_size != file["bytes"]:
        say_bad(f"{file['path']} has another size")
        return
    with path.open("rb") as opened:
        while piece := opened.read(1 << 20):
            digest.update(piece)
            lines += piece.count(b"\n")
    if digest.hexdigest() != file["sha256"]:
        say_bad(f"{file['path']} was changed")
    elif file["rows"] not in {None, lines} and path.suffix == ".jsonl":
        say_bad(f"{file['path']} has {lines} lines, and should have {file['rows']}")


def check_files(folder: Path) -> int:
    """Compare the folder with its manifest; gives how many files it names."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    if manifest["format"] != FORMAT:
        say_bad(f"this program reads {FORMAT}, and not {manifest['format']}")
        return 0
    named = {str(file["path"]): file for file in manifest["files"]}
    for path in named:
        if path.startswith("/") or "\\" in path or ".." in path.split("/"):
            say_bad(f"the manifest names {path}, which is no place in a bundle")
    there = set(present(folder)) - {"manifest.json", "manifest.sig"}
    for path in sorted(there - set(named)):
        say_bad(f"{path} is not in the manifest")
    for path in sorted(set(named) - there):
        say_bad(f"{path} is missing")
    if not bad:
        for file in named.values():
            check_file(folder, file)
    return len(named)


def lines_of(path: Path) -> Iterator[bytes]:
    """The lines of a file without their ends."""
    with path.open("rb") as file:
        yield from (line.rstrip(b"\n") for line in file)


def roots_at(leaves: Iterator[bytes], sizes: set[int]) -> tuple[dict[int, bytes], int]:
    """The root after so many leaves, and how many there are. The stack holds complete subtrees: size and hash."""
    roots: dict[int, bytes] = {}
    size, stack = 0, list[tuple[int, bytes]]()
    for line in leaves:
        stack.append((1, bytes.fromhex(line.decode())))
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


def check_log(folder: Path) -> int:
    """Compare entries with leaves, and leaves with the roots of all checkpoints; gives how many entries there are."""
    points = {}
    for line in lines_of(folder / "checkpoints.ndjson"):
        _, size, root, *_ = json.loads(line)["note"].split("\n")
        points[int(size)] = base64.b64decode(root)
    roots, size = roots_at(lines_of(folder / "leaves.txt"), set(points))
    for point, root in sorted(points.items()):
        if roots.get(point) != root:
            say_bad(f"the log's checkpoint of {point} entries does not hold")
    if not points or max(points) != size:
        say_bad(f"no checkpoint covers the log's {size} entries")
    entries = 0
    for entry, leaf in zip(lines_of(folder / "log.ndjson"), lines_of(folder / "leaves.txt"), strict=False):
        if hashlib.sha256(b"\x00" + entry).hexdigest().encode() != leaf:
            say_bad(f"the log's entry at place {entries} is not the one that was recorded there")
            break
        entries += 1
    if not bad and entries != size:
        say_bad(f"the log has {entries} entries, and should have {size}")
    return entries


def main() -> int:
    """Check the folder that the command line names, or the one that this program lies in."""
    folder = Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parent
    files, entries = 0, 0
    try:
        files = check_files(folder)
        if not bad:
            entries = check_log(folder / "audit")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as wrong:
        say_bad(f"this is no whole bundle ({type(wrong).__name__}: {wrong})")
    print("NOT CHECKED: who signed the manifest and the log's checkpoints, which needs a library for Ed25519")
    print("NOT CHECKED: how many rows Parquet files have, beyond that not a byte of them was changed")
    print("NOT WHOLE" if bad else f"WHOLE: {files} files, {entries} entries of the log")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
