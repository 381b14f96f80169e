"""What installed distributions contribute: the only caller of hooks, with types.

Not here: the hooks themselves (`hookspecs`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import pluggy

from cohortium_plugins import hookspecs
from cohortium_plugins.errors import PackError
from cohortium_plugins.importing import Importer
from cohortium_plugins.pack import Pack

__all__ = ["ENTRY_POINTS", "installed_importers", "installed_packs"]

ENTRY_POINTS = ("cohortium.indicator_packs", "cohortium.plugins")


@cache
def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager("cohortium")
    manager.add_hookspecs(hookspecs)
    for group in ENTRY_POINTS:
        manager.load_setuptools_entrypoints(group)
    manager.check_pending()
    return manager


@cache
def installed_packs() -> Mapping[str, Pack]:
    """Give the installed packs by id. Raises PackError when two distributions carry one id."""
    packs: dict[str, Pack] = {}
    for contributed in _manager().hook.indicator_packs():
        for pack in contributed:
            if pack.id in packs:
                raise PackError(f"Two installed packs are called {pack.id}.", "Uninstall one of them.")
            packs[pack.id] = pack
    return dict(sorted(packs.items()))


@cache
def installed_importers() -> Mapping[str, Importer]:
    """Give the installed importers by name. Raises PackError when two distributions carry one name."""
    importers: dict[str, Importer] = {}
    for contributed in _manager().hook.importers():
        for importer in contributed:
            if importer.name in importers:
                raise PackError(f"Two installed importers are called {importer.name}.", "Uninstall one of them.")
            importers[importer.name] = importer
    return dict(sorted(importers.items()))
