"""Finding what each installed layer brings, without knowing the layers.

Here: the search for modules of an agreed name. Not here: what is done with them. A domain that has tables calls the
module `models.py`, one that has jobs calls it `tasks.py`, and nothing more needs to be registered. The packages that
are searched are those of the entry-point group `cohortium.layers`, so that the platform imports no higher layer by
name.
"""

from __future__ import annotations

import importlib.util
from importlib.metadata import entry_points
from pathlib import Path

__all__ = ["LAYERS_GROUP", "modules_named"]

LAYERS_GROUP = "cohortium.layers"
"""Entry points of this group name packages."""


def modules_named(name: str) -> list[str]:
    """Dotted names of every module so called, anywhere below the layers' packages, in a fixed order."""
    packages = sorted({entry.value for entry in entry_points(group=LAYERS_GROUP)})
    return [module for package in packages for module in _modules_below(package, name)]


def _modules_below(package: str, name: str) -> list[str]:
    found = importlib.util.find_spec(package)
    roots = [] if found is None else [Path(root) for root in found.submodule_search_locations or []]
    files = sorted(file.relative_to(root) for root in roots for file in root.rglob(f"{name}.py"))
    return [".".join([package, *file.with_suffix("").parts]) for file in files]
