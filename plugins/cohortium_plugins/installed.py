"""What installed distributions contribute: the only caller of hooks, with types.

Not here: the hooks themselves (`hookspecs`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import Protocol, TypeVar

import pluggy

from cohortium_plugins import hookspecs
from cohortium_plugins.errors import PackError, nearest
from cohortium_plugins.exporting import Exporter
from cohortium_plugins.importing import Importer
from cohortium_plugins.joining import AddedStratifier, join
from cohortium_plugins.pack import Pack

__all__ = ["PACKS_GROUP", "PLUGINS_GROUP", "installed_exporters", "installed_importers", "installed_packs"]

PACKS_GROUP = "cohortium.indicator_packs"
PLUGINS_GROUP = "cohortium.plugins"


class _Named(Protocol):
    name: str


N = TypeVar("N", bound=_Named)


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
    """Give the installed packs by id, each with the stratifiers that join it. Raises PackError when two distributions
    carry one id, or a stratifier cannot join.
    """
    packs: dict[str, Pack] = {}
    for pack in chain.from_iterable(_manager(PACKS_GROUP).hook.indicator_packs()):
        if pack.id in packs:
            raise PackError(f"Two installed packs are called {pack.id}.", "Uninstall one of them.")
        packs[pack.id] = pack
    for pack_id, joining in _by_pack(chain.from_iterable(_manager(PACKS_GROUP).hook.stratifiers())).items():
        if pack_id not in packs:
            name = joining[0].stratifier.name
            raise PackError(
                f"The stratifier {name} would join the pack {pack_id}, which is not installed.", nearest(pack_id, packs)
            )
        packs[pack_id] = join(packs[pack_id], joining)
    return dict(sorted(packs.items()))


@cache
def installed_importers() -> Mapping[str, Importer]:
    """Give the installed importers by name. Raises PackError when two distributions carry one name."""
    return _by_name("importers", chain.from_iterable(_manager(PLUGINS_GROUP).hook.importers()))


@cache
def installed_exporters() -> Mapping[str, Exporter]:
    """Give the installed exporters by name. Raises PackError when two distributions carry one name."""
    return _by_name("exporters", chain.from_iterable(_manager(PLUGINS_GROUP).hook.exporters()))


def _by_pack(added: Iterable[AddedStratifier]) -> Mapping[str, Sequence[AddedStratifier]]:
    found: dict[str, list[AddedStratifier]] = {}
    for each in added:
        found.setdefault(each.pack, []).append(each)
    return found


def _by_name(kind: str, contributed: Iterable[N]) -> Mapping[str, N]:
    found: dict[str, N] = {}
    for each in contributed:
        if each.name in found:
            raise PackError(f"Two installed {kind} are called {each.name}.", "Uninstall one of them.")
        found[each.name] = each
    return dict(sorted(found.items()))
