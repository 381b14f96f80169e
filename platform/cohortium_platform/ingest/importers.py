"""Which of the installed importers reads a delivery.

Not here: which are installed (`cohortium_plugins.installed`), and reading anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cohortium_platform.errors import BadInput
from cohortium_plugins.importing import Importer

__all__ = ["choose_importer"]


def choose_importer(delivery: Path, name: str | None, importers: Sequence[Importer]) -> Importer:
    """The importer of a name, or the first that recognises the delivery. Raises `BadInput` when there is none."""
    known = ", ".join(importer.name for importer in importers)
    if not delivery.exists():
        raise BadInput(f"There is no file or folder {delivery.name}.", "Check the path.")
    if name is not None:
        for importer in importers:
            if importer.name == name:
                return importer
        raise BadInput(f"There is no importer called {name!r}.", f"Those installed: {known}.")
    for importer in importers:
        if importer.recognises(delivery):
            return importer
    raise BadInput(
        f"No importer recognises {delivery.name}.",
        f"Name one of those installed ({known}), or unpack an archive first. A tabular extract is a folder with the "
        "file patients.csv or patients.parquet, or a folder patients.",
    )
