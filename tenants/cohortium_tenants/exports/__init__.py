"""Files that exporters make of a registry: asking for one, making it as a job, keeping it sealed for a day.

Not here: which rows somebody may have (web), and the exporter's process (`cohortium_platform.exporting`).
"""

from cohortium_tenants.exports.files import KEPT, ExportFiles, Part
from cohortium_tenants.exports.service import ExportRegistry, asked_of, exports_of, find_export
from cohortium_tenants.exports.tasks import ask_for_export

__all__ = [
    "KEPT",
    "ExportFiles",
    "ExportRegistry",
    "Part",
    "ask_for_export",
    "asked_of",
    "exports_of",
    "find_export",
]
