"""Hand-made patients of three practices and a trust, as a tabular extract writes them."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from cohortium_plugins.installed import installed_packs

INDEX_DATE = date(2025, 11, 30)
ELM, OAK, ASH = "Z90001", "Z90002", "Z90003"
TRUST = "RZ9"
LYMPHOMA, BREAST, BOWEL_CANCER = 13048006, 254837009, 363406005
REVIEW, SUMMARY, SMOKES, NEVER_SMOKED = 401123009, 1324891000000103, 77176002, 266919005
BMI = 60621009
UNASKED = 386661006
"""A code that no measure of the pack asks for."""
OBJECTOR, DISSENT = 150, 827241000000103
"""One of them, and the code of a type 1 opt-out, which they have where a test asks for it."""
FILLERS = 60
"""People of the second practice who make a second page; each with the same few entries."""


@dataclass(frozen=True)
class Patient:
    """One patient: events are code, day, value, unit."""

    number: int
    practice: str
    family: str
    given: str
    born: date
    sex: str
    events: Sequence[tuple[int, date, float | None, str]]
    title: str = "Mrs"
    kin: str = ""
    telephone: str = ""
    consulted: Sequence[date] = field(default=())
    left: date | None = None
    died: date | None = None

    @property
    def nhs_number(self) -> str:
        """A number of the range for tests, with its check digit."""
        for tenth in range(self.number * 10, self.number * 10 + 10):
            digits = f"999{tenth:06d}"
            check = 11 - sum(int(digit) * (10 - place) for place, digit in enumerate(digits)) % 11
            if check != 10:
                return digits + str(check % 11)
        raise AssertionError

    @property
    def local_id(self) -> str:
        return f"L{self.number}"


ADA = Patient(
    1, ELM, "Blackwood", "Ada", date(1960, 3, 15), "female",
    [
        (BREAST, date(2025, 2, 10), None, ""),
        (REVIEW, date(2025, 6, 1), None, ""),
        (NEVER_SMOKED, date(2025, 6, 1), None, ""),
        (BMI, date(2025, 6, 1), 27.4, "kg/m2"),
        (SMOKES, date(2026, 2, 1), None, ""),
    ],
    kin="Noah Blackwood", telephone="020 7946 0001", consulted=[date(2025, 6, 1), date(2025, 9, 9)],
)  # fmt: skip
BEN = Patient(
    2, ELM, "O\u2019Cardew", "Ben", date(1950, 1, 1), "male", [(BOWEL_CANCER, date(2018, 5, 5), None, "")], title="Mr"
)
CORA = Patient(
    3, OAK, "Delaney", "Cora", date(1985, 7, 7), "female", [(LYMPHOMA, date(2024, 10, 20), None, "")], title="Ms"
)
WELL = Patient(4, ELM, "Wellbeloved", "Ida", date(1970, 2, 2), "female", [(REVIEW, date(2025, 1, 1), None, "")])
HIDDEN = Patient(5, ASH, "Hidden", "Zora", date(1966, 6, 6), "female", [(BREAST, date(2020, 2, 2), None, "")])


def everyone() -> Iterator[Patient]:
    """Give every patient; one of them is in no registry."""
    yield from (ADA, BEN, CORA, WELL, HIDDEN)
    for number in range(100, 100 + FILLERS):
        events = [(LYMPHOMA, date(2020, 1, 1 + number % 28), None, ""), (REVIEW, date(2025, 3, 3), None, "")]
        yield Patient(
            number,
            OAK,
            "Objector" if number == OBJECTOR else f"Filler{chr(97 + number % 26)}",
            "Pat",
            date(1940 + number % 50, 4, 4),
            "male",
            events,
            title="Mr",
        )


def write_extract(
    folder: Path, unsaid: Collection[int] = (), *, objecting: bool = False, more: Sequence[Patient] = ()
) -> Path:
    """Write what the practices' system sends; as if nobody had ever recorded the codes `unsaid`. With `objecting`,
    somebody has a type 1 opt-out; `more` are patients beside everyone.
    """
    people = [*everyone(), *more]
    _write(folder / "patients.csv", [_patient(each) for each in people])
    _write(folder / "registrations.csv", [
        {"local_id": each.local_id, "practice": each.practice, "start_date": "2010-01-01", "end_date": each.left or ""}
        for each in people
    ])  # fmt: skip
    _write(folder / "events.csv", [
        {"local_id": each.local_id, "practice": each.practice, "date": day, "code": code,
         "value": "" if value is None else value, "unit": unit, "episode": ""}
        for each in people for code, day, value, unit in (*each.events, *_objection(each, objecting=objecting))
        if code not in unsaid
    ])  # fmt: skip
    _write(folder / "consultations.csv", [
        {"local_id": each.local_id, "practice": each.practice, "date": day, "kind": "face-to-face"}
        for each in people for day in each.consulted
    ])  # fmt: skip
    _write(folder / "medications.csv", [{"local_id": "L1", "practice": ELM, "date": "2025-01-01", "code": 134498003}])
    _write(folder / "contacts.csv", [
        {"local_id": each.local_id, "practice": each.practice, "date": "2024-01-01", "kind": "next-of-kin",
         "relationship": "N", "name": each.kin, "value": "020 7946 0999"}
        for each in people if each.kin
    ])  # fmt: skip
    (folder / "extract.yaml").write_text(f"source: gp\nrecords_to: {INDEX_DATE}\n")
    return folder


def _objection(patient: Patient, *, objecting: bool) -> Sequence[tuple[int, date, float | None, str]]:
    return [(DISSENT, date(2021, 4, 5), None, "")] if objecting and patient.number == OBJECTOR else []


def write_trust_extract(folder: Path, unsaid: Collection[int] = ()) -> Path:
    """Write what the trust sends: one end-of-treatment summary."""
    _write(folder / "patients.csv", [
        {"local_id": "T1", "nhs_number": ADA.nhs_number, "date_of_birth": ADA.born, "sex": ADA.sex}
    ])  # fmt: skip
    code = UNASKED if SUMMARY in unsaid else SUMMARY
    _write(folder / "events.csv", [{"local_id": "T1", "date": "2025-08-08", "code": code, "value": "", "unit": ""}])
    (folder / "extract.yaml").write_text(f"source: {TRUST}\nrecords_to: 2025-10-31\n")
    return folder


def _patient(patient: Patient) -> dict[str, object]:
    return {
        "local_id": patient.local_id, "nhs_number": patient.nhs_number, "nhs_number_status": "01",
        "family_name": patient.family, "given_name": patient.given, "title": patient.title,
        "date_of_birth": patient.born, "sex": patient.sex, "ethnicity": "A", "imd_decile": 5, "lsoa": "",
        "date_of_death": patient.died or "", "practice": patient.practice, "address": f"{patient.number} Alder Road",
        "postcode": "ZZ1 1ZZ", "telephone": patient.telephone, "mobile": "", "email": "", "next_of_kin_name": "",
        "next_of_kin_relationship": "", "next_of_kin_telephone": "", "contact_recorded": "2024-01-01",
    }  # fmt: skip


def _write(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def known_code(codelist: str) -> int:
    """Give some code of a codelist of the cancer pack."""
    return installed_packs()["cancer-care"].definition.codelists[codelist].codes[0].code
