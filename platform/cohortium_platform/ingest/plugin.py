"""The importers of the platform's own distribution, through the same door as anyone else's."""

from __future__ import annotations

from collections.abc import Sequence

from cohortium_platform.ingest.fhir import FhirImporter
from cohortium_platform.ingest.tabular import TabularImporter
from cohortium_plugins.hookspecs import hookimpl
from cohortium_plugins.importing import Importer

__all__ = ["importers"]


@hookimpl
def importers() -> Sequence[Importer]:
    """Give the FHIR and the tabular importer."""
    return [FhirImporter(), TabularImporter()]
