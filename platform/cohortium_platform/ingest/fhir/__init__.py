"""Reading FHIR R4 deliveries: see `importer` for the order of things, `docs/operator/fhir-import.md` for what is read.

- delivery: which files; reading: files to blocks of bytes; blocks, documents, strict: blocks to parsed JSON
- extraction: resources to rows; scratch: rows on disk; workers, helper, reports: in one process or several
- resolving: joins and the staged tables; telling: findings
- people, contacts, practices, clinical, immunisations, medicines, encounters: one group of resources each
- values, references, rows, reasons, versions: what these share
"""

from cohortium_platform.ingest.fhir.importer import FhirImporter

__all__ = ["FhirImporter"]
