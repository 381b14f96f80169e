"""Writes a new pack: a distribution of its own whose checks and golden patients pass at once, to be changed from there.

The files are in `files/`, where `{name}`, `{title}`, `{publisher}` and `{module}` stand for the pack's own.
"""

from __future__ import annotations

import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from cohortium_plugins.errors import PackError

__all__ = ["write_pack"]

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_PACKAGE = "package"


def write_pack(name: str, publisher: str, below: Path) -> Path:
    """Write a pack called `name` into a new folder below another; gives that folder.

    Raises:
        PackError: it cannot be called so, or something is there already. Nothing is written then.
    """
    for what, word in (("pack", name), ("publisher's id", publisher)):
        if not _NAME.fullmatch(word) or len(word) > 60:  # noqa: PLR2004 - what fits a heading
            raise PackError(f"{word!r} is no name for a {what}.", "Use small letters, digits and hyphens: bone-health.")
    folder = below / name
    if folder.exists():
        raise PackError(f"There is a folder {name} already.", "Choose another name, or move the folder away.")
    module = f"cohortium_pack_{name.replace('-', '_')}"
    words = {"name": name, "title": name.replace("-", " ").capitalize(), "publisher": publisher, "module": module}
    _write(files(__name__) / "files", folder, words)
    return folder


def _write(source: Traversable, target: Path, words: dict[str, str]) -> None:
    target.mkdir(parents=True)
    for entry in source.iterdir():
        if entry.is_dir():
            _write(entry, target / (words["module"] if entry.name == _PACKAGE else entry.name), words)
            continue
        text = entry.read_text(encoding="utf-8")
        for word, value in words.items():
            text = text.replace(f"{{{word}}}", value)
        (target / entry.name.removesuffix(".txt")).write_text(text, encoding="utf-8")
