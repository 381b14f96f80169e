"""The server's side: starts the child, holds it to its limits, and believes nothing but what it wrote as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cohortium_platform.errors import BadInput

__all__ = ["CHECKING", "READING", "Described", "Examined", "Limits", "Refused", "check_file", "describe_file"]

_CHILD = "cohortium_platform.examining.child"
_LONGEST = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may use: seconds of processor time and on the clock, and bytes of memory of its own."""

    seconds: int
    clock_seconds: float
    bytes: int


READING = Limits(seconds=2, clock_seconds=30.0, bytes=160 * 2**20)
"""With the program's own pages, which are mapped and shared, at most 200 MiB. On the clock it may take longer where
the machine is busy: reading waits for nothing, so that its processor time is what it costs."""
CHECKING = Limits(seconds=900, clock_seconds=3600.0, bytes=8 * 2**30)
"""The checks and golden patients of an honest pack take minutes at most. Only a file that a known key has signed comes
so far."""


class Refused(BadInput):
    """A file is not taken, and why."""

    title = "That pack is not taken"


@dataclass(frozen=True, slots=True)
class Described:
    """What a file says of itself, and which of the keys asked about have signed it."""

    content_hash: str
    pack: str
    version: str
    title: str
    publisher: str
    definition_hash: str
    signed_by: Sequence[str]


@dataclass(frozen=True, slots=True)
class Examined:
    """What checks and golden patients gave. `findings` as `checks.Finding` in plain values; `golden` has how many cases
    each engine ran, and every difference as a line.
    """

    passed: bool
    findings: Sequence[Mapping[str, str]]
    golden: Mapping[str, object]


def describe_file(content: bytes, keys: Mapping[str, tuple[str, bytes]], limits: Limits = READING) -> Described:
    """Read a file that anybody may have sent. `keys`: by a name of each, its publisher and the raw key.

    Raises `Refused` with the reason, also when reading it took more than its limits.
    """
    asked = {name: [publisher, key.hex()] for name, (publisher, key) in keys.items()}
    said = _run("describe", content, asked, limits)
    return Described(**said)  # type: ignore[arg-type]


def check_file(content: bytes, limits: Limits = CHECKING) -> Examined:
    """Run a file's checks, and its golden patients on the reference interpreter and on DuckDB. Raises `Refused`."""
    said = _run("check", content, {}, limits)
    return Examined(**said)  # type: ignore[arg-type]


def _run(task: str, content: bytes, asked: Mapping[str, object], limits: Limits) -> Mapping[str, object]:
    with tempfile.TemporaryDirectory(prefix="cohortium-pack-") as folder:
        file = Path(folder) / "pack"
        file.write_bytes(content)
        orders = [sys.executable, "-m", _CHILD, task, str(file), str(limits.seconds), str(limits.bytes)]
        try:
            done = subprocess.run(  # noqa: S603 - our own interpreter and module
                orders, input=json.dumps(asked).encode(), capture_output=True, timeout=limits.clock_seconds, cwd=folder,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise _over(task) from None
    try:
        said = json.loads(done.stdout[:_LONGEST])
    except ValueError:
        raise _over(task) from None
    if "refused" in said:
        raise Refused(str(said["refused"]), str(said["advice"]))
    return dict(said)


def _over(task: str) -> Refused:
    if task == "describe":
        return Refused(
            "Reading this file takes more time or memory than any pack may.", "Build the pack anew, and upload that."
        )
    return Refused(
        "Its checks and golden patients take more time or memory than they may.", "Look for rules that never end."
    )
