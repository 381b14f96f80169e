"""Where an author wrote something: the line outside this kit that a call came from.

Not here: what is wrong there (`errors`, `checks`).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import PurePath
from types import FrameType
from typing import Generic, TypeVar

__all__ = ["Noted", "Place", "author", "here", "note", "noted"]

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
    frame = _writing()
    return None if frame is None else Place(frame.f_code.co_filename, frame.f_lineno)


def author() -> str:
    """Give the package that is being worked on, or the file where it is none; empty when that is not a pack's."""
    frame = _writing()
    if frame is None:
        return ""
    package = _package(frame)
    return package if package.isidentifier() and package != "__main__" else frame.f_code.co_filename


def _writing() -> FrameType | None:
    """Find the innermost call from outside this kit."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the only way to know who called
    while frame is not None:
        package = _package(frame)
        if package in NOT_AUTHORS:
            return None
        if package != OWN:
            return frame
        frame = frame.f_back
    return None


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


N = TypeVar("N")


class Noted(Generic[N]):
    """What packs have written, by author and name: each may use the names of another."""

    def __init__(self) -> None:
        self._own: dict[tuple[str, str, str], N] = {}
        self._last: dict[tuple[str, str], N] = {}

    def note(self, kind: str, name: str, what: N) -> None:
        """Remember it as the author's last of this name."""
        self._own[author(), kind, name] = self._last[kind, name] = what

    def find(self, kind: str, name: str) -> N | None:
        """Give the author's own; that of whoever wrote the name last, where they have none (a module of another
        package, say, that a pack takes rules from).
        """
        return self._own.get((author(), kind, name), self._last.get((kind, name)))

    def names(self, kind: str) -> list[str]:
        """Name what the author has written of a kind, in order."""
        who = author()
        return [name for written, of_kind, name in self._own if (written, of_kind) == (who, kind)]


_places: Noted[Place] = Noted()


def note(kind: str, name: str) -> None:
    """Remember where something of this name was last written."""
    if (place := here()) is not None:
        _places.note(kind, name, place)


def noted(kind: str, name: str) -> Place | None:
    """Give where the author last wrote something of this name."""
    return _places.find(kind, name)
