"""A page of the list as a CSV file for direct care. Not here: recording that it was taken (`routes`)."""

from __future__ import annotations

import csv
import io

from cohortium_platform.spreadsheets import plain_cell
from cohortium_plugins.model import Status
from cohortium_web.pages.registry.lists import ListedPage

__all__ = ["COLUMNS", "as_csv"]

COLUMNS = ("Name", "NHS number", "Age", "Practice", "Condition", "Since", "Gaps", "Due", "Overdue measures")


def as_csv(listed: ListedPage) -> str:
    """The page shown, one row a patient. Text that a spreadsheet would run as a formula is quoted as text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    registry = listed.registry
    for row in listed.page.rows:
        overdue = [each.title for each in registry.indicators if row.statuses.get(each.name) is Status.OVERDUE]
        cells: list[object] = [
            listed.name_of(row.patient_id),
            listed.nhs_number_of(row.patient_id) or "",
            "" if row.age is None else row.age,
            registry.asking.name_of(row.practice),
            registry.shown(row.shown_code, row.shown_text),
            row.since or "",
            row.gaps,
            row.due,
            "; ".join(overdue),
        ]
        writer.writerow([plain_cell(cell) for cell in cells])
    return text.getvalue()
