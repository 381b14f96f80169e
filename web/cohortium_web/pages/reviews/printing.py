"""What is printed of a completed review: a care plan in plain words for the patient, a summary for the record.

The care plan has the patient's own words and no code; the summary every answer, and the codes that were recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cohortium_plugins.answering import Answer, in_words, read_answers
from cohortium_plugins.templates import Item, Template
from cohortium_tenants.care import Completed
from cohortium_web.pages.reviews.views import PlanPart, Recording, SummaryPart
from cohortium_web.words import plain_term, value_with_unit

__all__ = ["care_plan", "recordings", "summary"]


def care_plan(template: Template, done: Completed) -> Sequence[PlanPart]:
    """Give what was answered under the headings that the template has for the patient."""
    answers = _answers(template, done)
    parts = []
    for section in template.items:
        lines = [(item.plain, said) for item, said in _said(section, answers) if item.plain and item is not section]
        if lines:
            parts.append(PlanPart(section.plain or section.text, _unrepeated(section.plain, lines)))
    return parts


def summary(template: Template, done: Completed) -> Sequence[SummaryPart]:
    """Give every answer, section by section."""
    answers = _answers(template, done)
    parts = []
    for section in template.items:
        lines = [(item.text, said) for item, said in _said(section, answers)]
        if lines:
            parts.append(SummaryPart(section.text, lines))
    return parts


def recordings(template: Template, done: Completed) -> Sequence[Recording]:
    """Give the codes that were recorded, with the questions that they answer."""
    texts = {item.link_id: item.text for item in template.walk()}
    return [
        Recording(
            term=plain_term(str(each["term"])),
            code=int(str(each["code"])),
            value=value_with_unit(each["value"], each["unit"]),  # type: ignore[arg-type]
            local=bool(each["local"]),
            question=texts.get(str(each["link_id"]), "") or "Completing the review",
        )
        for each in done.codes
    ]


def _answers(template: Template, done: Completed) -> Mapping[str, Answer]:
    answers, _ = read_answers(template, done.typed)
    return {link: answer for link, answer in answers.items() if link in done.shown}


def _said(section: Item, answers: Mapping[str, Answer]) -> Iterator[tuple[Item, str]]:
    for item in section.walk():
        if item.link_id in answers:
            yield item, in_words(item, answers[item.link_id])


def _unrepeated(title: str, lines: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    """Leave out a line's heading that only says again what its section is called."""
    return [("" if heading == title else heading, said) for heading, said in lines]
