"""The whole plug-in contract on one page.

A distribution takes part by an entry point: packs in the group `cohortium.indicator_packs`, everything else in
`cohortium.plugins`. Hooks are synchronous, named for what they give, and return data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from cohortium_plugins.importing import Importer
    from cohortium_plugins.pack import Pack

__all__ = ["hookimpl", "hookspec", "importers", "indicator_packs"]

hookspec = pluggy.HookspecMarker("cohortium")
hookimpl = pluggy.HookimplMarker("cohortium")


@hookspec
def indicator_packs() -> Sequence[Pack]:  # type: ignore[empty-body]
    """Give the packs of this distribution, built in memory; the platform serialises them and keeps data only."""


@hookspec
def importers() -> Sequence[Importer]:  # type: ignore[empty-body]
    """Give the importers of this distribution, tried in the order of their names when no name is asked for."""
