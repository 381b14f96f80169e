"""Finding the models of every installed layer. Not here: what is done with them."""

from __future__ import annotations

import importlib
import importlib.util
from importlib.metadata import entry_points
from pathlib import Path

__all__ = ["GROUP", "import_models", "model_modules"]

GROUP = "cohortium.models"
"""Entry points of this group name packages; each module called `models` anywhere below one is imported."""


def model_modules() -> list[str]:
    """Dotted names of every module that holds tables, in a fixed order."""
    packages = sorted({entry.value for entry in entry_points(group=GROUP)})
    return [module for package in packages for module in _modules_below(package)]


def import_models() -> None:
    """Import every module that holds tables, so that `database.metadata` is whole."""
    for module in model_modules():
        importlib.import_module(module)


def _modules_below(package: str) -> list[str]:
    found = importlib.util.find_spec(package)
    roots = [] if found is None else [Path(root) for root in found.submodule_search_locations or []]
    files = sorted(file.relative_to(root) for root in roots for file in root.rglob("models.py"))
    return [".".join([package, *file.with_suffix("").parts]) for file in files]
