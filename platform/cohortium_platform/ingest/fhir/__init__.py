"""Reading FHIR R4 deliveries: see `importer` for the order of things, `docs/operator/fhir-import.md` for what is read.

delivery    which files            reading   files to blocks of bytes     blocks     blocks to parsed resources
extraction  resources to rows      workers   in one process or several    scratch    rows on disk
resolving   joins, staged tables   telling   findings                     values, references, rows: shared words
people, contacts, practices, clinical, immunisations, medicines, encounters: one group of resources each
"""

from cohortium_platform.ingest.fhir.importer import FhirImporter

__all__ = ["FhirImporter"]
