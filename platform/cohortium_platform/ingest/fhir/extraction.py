"""From the resources of blocks to rows on disk.

Here: which resource type goes to which reader, what stands around a resource (Bundles, OperationOutcomes, other FHIR
releases), and the columns of place and reference that every row has. Not here: reading a type's elements, and anything
that needs more than this block.

A few blocks are the unit of work: they are given to a process, and everything known of them afterwards is in the
scratch files and in their reports.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NoReturn, TypeAlias

from cohortium_platform.ingest.fhir.blocks import Block, parsed_lines
from cohortium_platform.ingest.fhir.clinical import condition, observation, procedure
from cohortium_platform.ingest.fhir.contacts import contacts
from cohortium_platform.ingest.fhir.documents import Entry, walk_document
from cohortium_platform.ingest.fhir.encounters import encounter
from cohortium_platform.ingest.fhir.immunisations import immunization
from cohortium_platform.ingest.fhir.medicines import medication_request, medication_statement
from cohortium_platform.ingest.fhir.people import person, person_key
from cohortium_platform.ingest.fhir.practices import ods_code, registrations
from cohortium_platform.ingest.fhir.reasons import Fate, Reason
from cohortium_platform.ingest.fhir.references import NDJSON, Origin, identity, lookup, names
from cohortium_platform.ingest.fhir.reports import UNKNOWN_TYPE, BlockReport
from cohortium_platform.ingest.fhir.rows import ROW_COLUMNS, Row, Table
from cohortium_platform.ingest.fhir.scratch import PART_ROWS, PLACES_A_FILE, Scratch
from cohortium_platform.ingest.fhir.values import SHAPE_ERRORS, Json, day, medicine, text
from cohortium_platform.ingest.fhir.versions import ADVICE, R4_TYPES, OtherRelease, check_release
from cohortium_plugins.importing import Unreadable

__all__ = ["CLINICAL_TYPES", "extract"]

Provenance: TypeAlias = tuple[str | None, str | None, int, int]
"""Key, version, place and line, as the scratch tables begin."""

_READ: dict[str, tuple[Callable[[Json, Origin], Iterable[Row]], Table]] = {
    "Observation": (observation, Table.EVENTS),
    "Condition": (condition, Table.EVENTS),
    "Procedure": (procedure, Table.EVENTS),
    "Immunization": (immunization, Table.EVENTS),
    "MedicationRequest": (medication_request, Table.MEDICATIONS),
    "MedicationStatement": (medication_statement, Table.MEDICATIONS),
    "Encounter": (encounter, Table.CONSULTATIONS),
}

CLINICAL_TYPES = tuple(_READ)
"""Types that give rows; a row's `type` is the position here."""

_READERS = {kind: (*reader, number) for number, (kind, reader) in enumerate(_READ.items())}

_DEEPEST_BUNDLE = 4
_REFUSED_BUNDLES = ("history", "subscription-notification")
_ASK_FOR_CURRENT = "Ask for the current records: a collection, a search or a bulk export."
_BAD_BUNDLE = "a Bundle that does not have the shape of FHIR R4"


def extract(blocks: Sequence[Block], directory: Path, *, registers: bool) -> list[BlockReport]:
    """Read blocks and write their rows under `directory`; the last report is that of a failure, if there is one.

    `registers` tells whether the sender is the patients' own practice, whose word on registration counts.
    """
    scratch = Scratch(directory, f"{blocks[0].number}-{blocks[0].offset}")
    reports: list[BlockReport] = []
    was_enabled = gc.isenabled()
    gc.disable()  # parsed JSON has no cycles, and looking for some costs a tenth of the time
    try:
        for block in blocks:
            extraction = _Extraction(block, scratch, registers=registers)
            reports.append(extraction.report)
            extraction.run()
        scratch.flush()
    except Unreadable as failure:
        reports[-1].failure = (failure.reason, failure.line, failure.advice)
    finally:
        if was_enabled:
            gc.enable()
    return reports


class _Extraction:
    """One pass over one block."""

    def __init__(self, block: Block, scratch: Scratch, *, registers: bool) -> None:
        self._block, self._scratch, self._registers = block, scratch, registers
        self._start = block.number * PLACES_A_FILE + block.offset
        self._rows = scratch.table("rows")
        self._early: list[Entry] = []
        self.report = BlockReport(file=block.file)

    def run(self) -> None:
        """Read the block to its end."""
        if self._block.is_document:
            self._read_document()
        else:
            for resource, line, offset in parsed_lines(self._block):
                self._take(resource, NDJSON, line, offset)

    def _read_document(self) -> None:
        scope = str(self._block.number)

        def take(entry: Entry, header: Json) -> None:
            kind = header.get("resourceType")
            if kind == "Bundle":
                self._take_entry(entry, scope, 1)
            elif kind is None:
                self._early.append(entry)

        header = walk_document(self._block, take)
        if header.get("resourceType") == "Bundle":
            self._close_bundle(header, 1)
            for entry in self._early:
                self._take_entry(entry, scope, 1)
        elif "resourceType" in header:
            self._take(header, NDJSON, 1, 0)
        elif self._early:
            self._fail("not a FHIR resource: it has no resourceType", 1)
        else:
            self.report.is_foreign = True

    def _take(self, resource: Json, origin: Origin, line: int, offset: int, depth: int = 0) -> None:
        """Read one resource."""
        kind = resource.get("resourceType")
        if type(kind) is not str:
            self._fail("not a FHIR resource: it has no resourceType", line)
        try:
            if kind in _READERS:
                self._take_clinical(kind, resource, origin, line, offset)
            elif kind == "Bundle":
                self._take_bundle(resource, line, offset, depth + 1)
                return
            elif kind == "OperationOutcome":
                self._take_outcome(line)
                return
            else:
                check_release(kind, resource)
                if kind not in _REFERENTS:
                    self._set_aside(kind, line)
                    return
                _REFERENTS[kind](self, resource, origin, line, offset)
        except OtherRelease as other:
            self._fail(f"FHIR {other.release}, not R4", line, ADVICE[other.release])
        except SHAPE_ERRORS:
            key = self._safe_key(kind, resource, origin)
            self._rows.append((*self._provenance(key, resource, line, offset), None, *_misshapen(kind)))
        self.report.resources[kind] += 1

    def _set_aside(self, kind: str, line: int) -> None:
        kind = kind if kind in R4_TYPES else UNKNOWN_TYPE
        count, first = self.report.aside.get(kind, (0, line))
        self.report.aside[kind] = count + 1, first

    def _take_clinical(self, kind: str, resource: Json, origin: Origin, line: int, offset: int) -> None:
        check_release(kind, resource)
        read, _, number = _READERS[kind]
        about = resource.get("subject") or resource.get("patient")
        head = (
            *self._provenance(identity(kind, resource, origin), resource, line, offset),
            lookup("Patient", about, resource, origin) if about else None,
            number,
        )
        for row in read(resource, origin):
            self._rows.append(head + row)
        if len(self._rows) >= PART_ROWS:
            self._scratch.flush()

    def _provenance(self, key: str | None, resource: Json, line: int, offset: int) -> Provenance:
        meta = resource.get("meta")
        version = meta.get("lastUpdated") if type(meta) is dict else None
        return key, version if type(version) is str else None, self._start + offset, line

    def _safe_key(self, kind: str, resource: Json, origin: Origin) -> str | None:
        """The key of a misshapen resource, so that a newer good version of it still counts."""
        try:
            return identity(kind, resource, origin)
        except SHAPE_ERRORS:
            return None

    def _take_patient(self, resource: Json, origin: Origin, line: int, offset: int) -> None:
        key = person_key(resource, origin, self._start + offset)
        provenance = self._provenance(key, resource, line, offset)
        updated = day(provenance[1])[0]
        found, remarks = person(resource, key, updated)
        reach, others = contacts(resource)
        place = self._start + offset
        registered = registrations(resource, origin) if self._registers else []
        known_as = [(name, "Patient", place) for name in names("Patient", resource, origin)]
        self._scratch.table("patients").append((*provenance, updated, *found, *reach))
        self._scratch.table("registrations").extend((place, *each) for each in registered)
        self._scratch.table("contacts").extend((place, *each) for each in others)
        self._scratch.table("names").extend(known_as)
        self._scratch.table("remarks").extend((place, reason) for reason in remarks)
        if len(self._scratch.table("patients")) >= PART_ROWS:
            self._scratch.flush()

    def _take_organisation(self, resource: Json, origin: Origin, line: int, offset: int) -> None:
        place = self._start + offset
        key = identity("Organization", resource, origin) or f"@{place}"
        row = (*self._provenance(key, resource, line, offset), ods_code(resource))
        known_as = [(name, "Organization", place) for name in names("Organization", resource, origin)]
        self._scratch.table("organisations").append(row)
        self._scratch.table("names").extend(known_as)

    def _take_medication(self, resource: Json, origin: Origin, line: int, offset: int) -> None:
        place = self._start + offset
        key = identity("Medication", resource, origin) or f"@{place}"
        row = (*self._provenance(key, resource, line, offset), *medicine(resource.get("code") or {}))
        known_as = [(name, "Medication", place) for name in names("Medication", resource, origin)]
        self._scratch.table("medicines").append(row)
        self._scratch.table("names").extend(known_as)

    def _take_bundle(self, bundle: Json, line: int, offset: int, depth: int) -> None:
        """Read a Bundle that stands whole on a line or inside another."""
        if depth > _DEEPEST_BUNDLE:
            self._fail("Bundles nested too deeply", line)
        entries = bundle.pop("entry", None)
        self._close_bundle(bundle, line)
        if type(entries) is not list and entries is not None:
            self._fail(_BAD_BUNDLE, line)
        for number, content in enumerate(entries or ()):
            if type(content) is not dict:
                self._fail(_BAD_BUNDLE, line)
            entry = Entry(content, line, offset + number)
            self._take_entry(entry, f"{self._block.number}.{line}.{offset}", depth)

    def _close_bundle(self, bundle: Json, line: int) -> None:
        """Note what a Bundle says of itself, apart from its entries."""
        try:
            check_release("Bundle", bundle)
            kind, stamp = bundle.get("type"), bundle.get("timestamp")
            is_page = kind == "searchset"
            has_next = is_page and any(link.get("relation") == "next" for link in bundle.get("link") or ())
        except OtherRelease as other:
            self._fail(f"FHIR {other.release}, not R4", line, ADVICE[other.release])
        except SHAPE_ERRORS:
            self._fail(_BAD_BUNDLE, line)
        if kind in _REFUSED_BUNDLES or bundle.get("entry") is not None:
            self._fail(f"a Bundle of type {kind}" if kind in _REFUSED_BUNDLES else _BAD_BUNDLE, line, _ASK_FOR_CURRENT)
        if type(stamp) is str:
            self.report.instants.append(stamp)
        if is_page:
            self.report.pages.append(has_next)

    def _take_entry(self, entry: Entry, scope: str, depth: int) -> None:
        content = entry.content
        try:
            resource = content.get("resource")
            deleted = (content.get("request") or {}).get("method") == "DELETE"
            failed = str((content.get("response") or {}).get("status", ""))[:1] in ("4", "5")
            is_outcome = (content.get("search") or {}).get("mode") == "outcome"
            kind = resource.get("resourceType") if resource is not None else None
        except SHAPE_ERRORS:
            self._fail(_BAD_BUNDLE, entry.line)
        if failed:
            self._fail_outcome(entry.line)
        if deleted:
            self.report.deletions.append(entry.line)
        elif is_outcome and kind == "OperationOutcome":
            self.report.problems.append(entry.line)
        elif resource is not None:
            origin = Origin.of_entry(text(content.get("fullUrl")) or "", scope)
            self._take(resource, origin, entry.line, entry.offset, depth)

    def _take_outcome(self, line: int) -> None:
        if not self._block.reports_problems:
            self._fail_outcome(line)
        self.report.problems.append(line)

    def _fail_outcome(self, line: int) -> NoReturn:
        self._fail(
            "an OperationOutcome in place of data",
            line,
            "The sending server answered with an error: mend it there and export again.",
        )

    def _fail(self, reason: str, line: int, advice: str = "") -> NoReturn:
        raise Unreadable(reason, file=self._block.file, line=line, advice=advice)


_REFERENTS: dict[str, Callable[[_Extraction, Json, Origin, int, int], None]] = {
    "Patient": _Extraction._take_patient,  # noqa: SLF001 - the class's own table of methods
    "Organization": _Extraction._take_organisation,  # noqa: SLF001
    "Medication": _Extraction._take_medication,  # noqa: SLF001
}


def _misshapen(kind: str) -> tuple[object, ...]:
    """The rejected row of a resource that cannot be read, from its type on."""
    _, target, number = _READERS.get(kind, (None, Table.EVENTS, None))
    return number, int(target), int(Fate.REJECTED), int(Reason.MISSHAPEN), *(None,) * (len(ROW_COLUMNS) - 3)
