"""A template as a form: what is asked of this patient, what was typed, what was recorded last.

Not here: saving and completing (`routes`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date

from starlette.datastructures import FormData

from cohortium_plugins.model import Definition
from cohortium_plugins.record import Record, Row
from cohortium_plugins.templates import Item, ItemType, Template
from cohortium_tenants.care import Filled
from cohortium_web.pages.reviews.views import FormItem, FormOption
from cohortium_web.words import day, plain_term, value_with_unit

__all__ = ["PREFIX", "day_in", "form_items", "last_recorded", "typed_in", "typed_words"]

PREFIX = "q-"
"""Before a linkId in the name of a field."""


def typed_in(template: Template, form: FormData) -> dict[str, Sequence[str]]:
    """Give what a form sent for the items of a template, by linkId; nothing else of it."""
    typed: dict[str, Sequence[str]] = {}
    for item in template.walk():
        words = [str(each).replace("\r\n", "\n") for each in form.getlist(PREFIX + item.link_id)]
        if item.type.is_answered and any(words):
            typed[item.link_id] = words
    return typed


def typed_words(item: Item, typed: Sequence[str]) -> str:
    """Give what was typed as it is read, whatever it is."""
    if item.type is ItemType.CHOICE:
        return "; ".join(option.display for option in item.options if option.code in typed)
    if item.type is ItemType.BOOLEAN:
        return {"yes": "Yes", "no": "No"}.get("".join(typed), "")
    return " ".join(typed)


def form_items(  # noqa: PLR0913, PLR0917 - what a form is made of
    items: Iterable[Item],
    for_patient: frozenset[str],
    filled: Filled,
    typed: Mapping[str, Sequence[str]],
    wrong: Mapping[str, str],
    last: Mapping[str, str],
) -> list[FormItem]:
    """Give the items that are for this patient."""
    found = []
    for item in items:
        if item.link_id not in for_patient:
            continue
        words = typed.get(item.link_id, ())
        options = [FormOption(option.code, option.display, option.code in words) for option in item.options]
        if item.type is ItemType.BOOLEAN:
            options = [FormOption("yes", "Yes", "yes" in words), FormOption("no", "No", "no" in words)]
        found.append(
            FormItem(
                link_id=item.link_id,
                type=item.type,
                text=item.text,
                required=item.required,
                repeats=item.repeats,
                shown=item.link_id in filled.shown,
                typed="".join(words[:1]),
                options=options,
                unit=item.unit,
                most=item.max_length,
                hint=last.get(item.link_id, ""),
                wrong=wrong.get(item.link_id, ""),
                items=form_items(item.items, for_patient, filled, typed, wrong, last),
            )
        )
    return found


def last_recorded(template: Template, definition: Definition, record: Record) -> Mapping[str, str]:
    """Say of each question that records something what was recorded last, by linkId."""
    found = {}
    for item in template.walk():
        names = {recording.codelist for recording in item.recordings()}
        latest = max(_rows(record, definition, names), key=Row.order, default=None)
        if latest is not None:
            found[item.link_id] = f"Last recorded {day(latest.date)}: {_said(definition, names, latest)}"
    return found


def _rows(record: Record, definition: Definition, names: Iterable[str]) -> Iterator[Row]:
    codes = {code for name in names for code in definition.codelists[name].by_code}
    return (row for row in record.rows.get("events", ()) if row.code in codes)


def _said(definition: Definition, names: Iterable[str], row: Row) -> str:
    terms = (definition.codelists[name].by_code.get(row.code or 0) for name in names)
    term = next((plain_term(code.term) for code in terms if code is not None), "")
    return f"{term} {value_with_unit(row.value, row.unit)}".strip()


def day_in(text: str) -> date | None:
    """Give the day of the review that was typed; None for what is no day."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
