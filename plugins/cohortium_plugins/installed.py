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

__all__ = ["PACKS_GROUP", "PLUGINS_GROUP", "installed_importers", "installed_packs"]

PACKS_GROUP = "cohortium.indicator_packs"
PLUGINS_GROUP = "cohortium.plugins"


@cache
def _manager(group: str) -> pluggy.PluginManager:
    """Load one group only, so that a pack can be read where no importer is installed."""
    manager = pluggy.PluginManager("cohortium")
    manager.add_hookspecs(hookspecs)
    manager.load_setuptools_entrypoints(group)
    manager.check_pending()
    return manager


@cache
def installed_packs() -> Mapping[str, Pack]:
    """Give the installed packs by id. Raises PackError when two distributions carry one id."""
    packs: dict[str, Pack] = {}
    for contributed in _manager(PACKS_GROUP).hook.indicator_packs():
        for pack in contributed:
            if pack.id in packs:
                raise PackError(f"Two installed packs are called {pack.id}.", "Uninstall one of them.")
            packs[pack.id] = pack
    return dict(sorted(packs.items()))


@cache
def installed_importers() -> Mapping[str, Importer]:
    """Give the installed importers by name. Raises PackError when two distributions carry one name."""
    importers: dict[str, Importer] = {}
    for contributed in _manager(PLUGINS_GROUP).hook.importers():
        for importer in contributed:
            if importer.name in importers:
                raise PackError(f"Two installed importers are called {importer.name}.", "Uninstall one of them.")
            importers[importer.name] = importer
    return dict(sorted(importers.items()))
