"""Bringing records in: deliveries of any shape, checked in columns, visible whole or not at all.

    service     what callers use            pipeline    the order of steps and the one transaction
    staging     what importers leave        parts       one file as SQL             workbench   DuckDB for one load
    importers   which there are             apart       those of other distributions, in a process of their own
    scope       whose records, until when   patients, people, matching              who the rows are about
    shapes, streaming, buckets              rows, checked, by practice              arranging, writing  record files
    identifying what is sealed              quality, reasons, reporting, telling, completeness  what was found
    tabular/, fhir/                         the two importers of this distribution

Here: all of that. Not here: records themselves (`records`), identities (`identities`), organisations (a directory is
given).
"""

from cohortium_platform.ingest.errors import DeliveryRefused
from cohortium_platform.ingest.limits import LoadLimits, ValueRange
from cohortium_platform.ingest.quality import Count, PracticeQuality, QualityReport, RowFinding, TableCounts
from cohortium_platform.ingest.service import LoadOptions, load
from cohortium_platform.ingest.target import LoadResult, LoadTarget, Requester

__all__ = [
    "Count",
    "DeliveryRefused",
    "LoadLimits",
    "LoadOptions",
    "LoadResult",
    "LoadTarget",
    "PracticeQuality",
    "QualityReport",
    "Requester",
    "RowFinding",
    "TableCounts",
    "ValueRange",
    "load",
]
