"""What the guards look at."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Made by tools or brought by them; none of it is ours.
_NOT_OURS = {".git", ".venv", ".demo", "node_modules", "vendor", "__pycache__", "test-output", "dist", "build"}
_NOT_OURS_ENDS = ("_cache", ".egg-info", "hypothesis")


def files() -> Iterator[Path]:
    """Every file of the project, however it was fetched."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(name for name in folders if name not in _NOT_OURS and not name.endswith(_NOT_OURS_ENDS))
        yield from (Path(folder) / name for name in sorted(names))


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def all_files() -> list[Path]:
    return list(files())


@pytest.fixture(scope="session")
def modules(all_files: list[Path]) -> list[Path]:
    """Every Python file of the packages, tests left out."""
    return [
        file
        for file in all_files
        if file.suffix == ".py" and any(part.startswith("cohortium_") for part in file.relative_to(ROOT).parts[:-1])
    ]
