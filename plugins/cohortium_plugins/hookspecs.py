"""The whole plug-in contract on one page.

A distribution takes part by an entry point, whose value is a module that implements hooks. Definitions, which become
data, come by the group `cohortium.indicator_packs`; code that runs, always in a process of its own, by
`cohortium.plugins`. Hooks are synchronous, named for what they give, and return data. Only `installed` calls them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from cohortium_plugins.exporting import Exporter
    from cohortium_plugins.importing import Importer
    from cohortium_plugins.joining import AddedStratifier
    from cohortium_plugins.pack import Pack

__all__ = ["exporters", "hookimpl", "hookspec", "importers", "indicator_packs", "stratifiers"]

hookspec = pluggy.HookspecMarker("cohortium")
hookimpl = pluggy.HookimplMarker("cohortium")


@hookspec
def indicator_packs() -> Sequence[Pack]:  # type: ignore[empty-body]
    """Give the packs of this distribution, built in memory; the platform serialises them and keeps data only."""


@hookspec
def stratifiers() -> Sequence[AddedStratifier]:  # type: ignore[empty-body]
    """Give stratifiers that join installed packs, also of other distributions: each such pack is a new version."""


@hookspec
def importers() -> Sequence[Importer]:  # type: ignore[empty-body]
    """Give the importers of this distribution, tried in the order of their names when no name is asked for."""


@hookspec
def exporters() -> Sequence[Exporter]:  # type: ignore[empty-body]
    """Give the exporters of this distribution, offered by their titles to those who may have rows of their level."""
