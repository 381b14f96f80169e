"""Suppressed counts as files, as CSV and as FHIR R4. Their rows come suppressed; nothing hidden can be read from them.

In FHIR a cohort is a descriptive Group, without members and without their number, which pages do not publish either; a
row is a MeasureReport of the type summary. A hidden figure is left out, and marked as masked.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid5

import pyarrow.parquet as pq

from cohortium_platform.spreadsheets import plain_cell
from cohortium_plugins.exporting import HIDDEN, Export, ExportLevel

__all__ = ["CountsCsvExporter", "FhirSummaryExporter"]

_ODS = "https://fhir.nhs.uk/Id/ods-organization-code"
_STATUS = "urn:cohortium:status"
_POPULATION = "http://terminology.hl7.org/CodeSystem/measure-population"
_LEFT_OUT = "urn:cohortium:practices-left-out"
_MASKED = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "masked"}]}
_STATUSES = ("met", "due", "overdue", "excluded", "not-evaluated")
_POPULATIONS = {"met": "numerator", "excluded": "denominator-exclusion"}
"""What a status is in FHIR's own words, where it is one."""

Json = Mapping[str, object]


class CountsCsvExporter:
    """One row an indicator, level and organisation; an asterisk stands for a hidden figure."""

    name = "counts-csv"
    title = "Counts, as CSV"
    level = ExportLevel.AGGREGATE
    suffix = ".csv"
    media_type = "text/csv; charset=utf-8"

    def write(self, export: Export, file: Path) -> None:
        """Write it."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow([export.titles[name] for name in export.columns])
        writer.writerows([plain_cell(row[name]) for name in export.columns] for row in _rows(export))
        file.write_text("\ufeff" + text.getvalue(), encoding="utf-8", newline="")


class FhirSummaryExporter:
    """A Bundle of a Group for each cohort and a MeasureReport for each row."""

    name = "fhir-summary"
    title = "Counts, as FHIR R4 (Group and MeasureReport)"
    level = ExportLevel.AGGREGATE
    suffix = ".json"
    media_type = "application/fhir+json"

    def write(self, export: Export, file: Path) -> None:
        """Write it."""
        rows = list(_rows(export))
        cohorts = {row["cohort"]: row["cohort-title"] for row in rows}
        resources = [
            *(_group(export, name, title) for name, title in cohorts.items()),
            *(_report(export, row) for row in rows),
        ]
        bundle = {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [{"fullUrl": f"urn:uuid:{each['id']}", "resource": each} for each in resources],
        }
        file.write_text(json.dumps(bundle, ensure_ascii=False), encoding="utf-8")


def _rows(export: Export) -> Iterator[Mapping[str, str]]:
    yield from pq.read_table(export.rows).to_pylist()


def _id(export: Export, *parts: str) -> UUID:
    """The same for the same thing in every file of one definition and day."""
    return uuid5(NAMESPACE_URL, "/".join((export.registry, export.definition_hash, str(export.index_date), *parts)))


def _group(export: Export, cohort: str, title: str) -> Json:
    return {
        "resourceType": "Group",
        "id": str(_id(export, "cohort", cohort)),
        "active": True,
        "type": "person",
        "actual": False,
        "code": {"text": title},
        "name": title,
    }


def _report(export: Export, row: Mapping[str, str]) -> Json:
    """One row. Whose it is stands as reporter: an organisation by its ODS code, or in words what is below the table."""
    reporter: dict[str, object] = {"display": row["organisation"]}
    if row["code"]:
        reporter = {"type": "Organization", "identifier": {"system": _ODS, "value": row["code"]}, **reporter}
    day = export.index_date.isoformat()
    return {
        "resourceType": "MeasureReport",
        "id": str(_id(export, row["indicator"], row["level"], row["code"] or row["organisation"])),
        "extension": [{"url": _LEFT_OUT, "valueUnsignedInt": int(row["left-out"])}],
        "status": "complete",
        "type": "summary",
        "measure": f"urn:cohortium:{export.registry}:{row['indicator']}|{export.version}",
        "subject": {"reference": f"urn:uuid:{_id(export, 'cohort', row['cohort'])}", "display": row["cohort-title"]},
        "reporter": reporter,
        "period": {"start": day, "end": day},
        "group": [
            {
                "code": {"text": row["measure"]},
                "population": [_population(export, row, status) for status in _STATUSES],
                "measureScore": _MASKED if row["rate"] == HIDDEN else _percent(row["rate"]),
            }
        ],
    }


def _population(export: Export, row: Mapping[str, str], status: str) -> Json:
    coding = [{"system": _STATUS, "code": status}]
    if status in _POPULATIONS:
        coding.append({"system": _POPULATION, "code": _POPULATIONS[status]})
    code = {"coding": coding, "text": export.titles[status]}
    return {"code": code, "_count": _MASKED} if row[status] == HIDDEN else {"code": code, "count": int(row[status])}


def _percent(rate: str) -> Json:
    return {"value": int(rate), "unit": "%", "system": "http://unitsofmeasure.org", "code": "%"}
