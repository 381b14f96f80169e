"""FHIR R4 as programs read it. Not here: FHIR as it comes in (cohortium_platform.ingest.fhir)."""
