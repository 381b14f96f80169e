"""Where an author wrote something: the line outside this kit that a call came from.

Not here: what is wrong there (`errors`, `checks`).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

__all__ = ["Place", "here", "note", "noted", "noted_places"]

OWN = "cohortium_plugins"
NOT_AUTHORS = ("cohortium_platform", "cohortium_tenants", "cohortium_auth", "cohortium_web")
"""Packages that call the kit without writing rules: what they ask for has no author's line."""


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file of a pack."""

    file: str
    line: int

    def __str__(self) -> str:
        """Read as the file in its folder, and the line."""
        return f"{'/'.join(PurePath(self.file).parts[-2:])}, line {self.line}"


def here() -> Place | None:
    """Give the line outside this kit that is being worked on; None when that is not a pack's."""
    frame = sys._getframe(1)  # noqa: SLF001 - the only way to know who called
    while frame is not None:
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package in NOT_AUTHORS:
            return None
        if package != OWN:
            return Place(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back  # type: ignore[assignment]
    return None


_noted: dict[tuple[str, str], Place] = {}


def note(kind: str, name: str) -> None:
    """Remember where something of this name was last written."""
    if (place := here()) is not None:
        _noted[kind, name] = place


def noted(kind: str, name: str) -> Place | None:
    """Give where something of this name was last written."""
    return _noted.get((kind, name))


def noted_places() -> Mapping[tuple[str, str], Place]:
    """Give every place remembered in this process, by kind and name."""
    return _noted
