"""What a template asks of one patient, what was answered, and what that records. Plain functions over plain values.

Here: which items are shown, what typed words mean, what is still missing, the codes recorded, the FHIR
QuestionnaireResponse. Not here: where responses are kept, and who may fill one in.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from cohortium_plugins.errors import TemplateError
from cohortium_plugins.interpreter import Evaluation
from cohortium_plugins.model.definition import Code, Codelist, Definition
from cohortium_plugins.model.serialise import Json
from cohortium_plugins.model.values import Status
from cohortium_plugins.record import Record
from cohortium_plugins.status import is_member, standing
from cohortium_plugins.templates import EnableWhen, Item, ItemType, Recording, ShownWhen, Template

__all__ = [
    "Answer",
    "Answers",
    "Recorded",
    "Typed",
    "code_of",
    "in_words",
    "is_for",
    "items_for",
    "missing",
    "read_answers",
    "recorded",
    "response_json",
    "shown_items",
]

Answer = bool | float | date | str | tuple[str, ...]
"""Of a yes/no item, a number, a date, words; and the codes of the answers chosen."""

Answers = Mapping[str, Answer]
"""Answers by linkId; what was not answered is absent."""

Typed = Mapping[str, Sequence[str]]
"""What a form sent, by linkId."""

_MOST_DIGITS = 12
_MOST_WORDS = 20_000
_YES_NO = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True)
class Recorded:
    """A code that a response records. `link_id` is empty for what completing it records; `code` is None where the
    tenant has added none to an empty list: then the answer is kept and no measure can see it.
    """

    link_id: str
    codelist: Codelist
    code: Code | None
    value: float | None = None
    unit: str | None = None


# --- for whom ---------------------------------------------------------------------------------------------------------


def is_for(template: Template, definition: Definition, record: Record, index_date: date) -> bool:
    """Whether a template is for this patient."""
    evaluation = Evaluation(record, index_date, definition.codelists)
    return not template.shown_when or any(_holds(definition, each, evaluation) for each in template.shown_when)


def items_for(template: Template, definition: Definition, record: Record, index_date: date) -> frozenset[str]:
    """Give the linkIds of the items that are for this patient, whatever is answered."""
    evaluation = Evaluation(record, index_date, definition.codelists)
    held: dict[ShownWhen, bool] = {}

    def holds(condition: ShownWhen) -> bool:
        if condition not in held:
            held[condition] = _holds(definition, condition, evaluation)
        return held[condition]

    def walk(items: Sequence[Item]) -> Iterator[str]:
        for item in items:
            if not item.shown_when or any(holds(each) for each in item.shown_when):
                yield item.link_id
                yield from walk(item.items)

    return frozenset(walk(template.items))


def _holds(definition: Definition, condition: ShownWhen, evaluation: Evaluation) -> bool:
    if condition.kind == "cohort":
        return is_member(evaluation, definition.cohort(condition.name))
    if condition.kind == "indicator":
        indicator = definition.indicator(condition.name)
        # What cannot be evaluated may apply: the section is shown rather than lost.
        return standing(definition, indicator, evaluation).status is not Status.NOT_APPLICABLE
    stratifier = next(each for each in definition.stratifiers if each.name == condition.name)
    return evaluation.value(stratifier.value).value == condition.value


# --- what is shown ----------------------------------------------------------------------------------------------------


def shown_items(template: Template, answers: Answers, for_patient: frozenset[str]) -> frozenset[str]:
    """Give the linkIds of the items that are shown: for this patient, with what is answered. An answer to an item that
    is not shown counts for nothing.
    """
    shown: set[str] = set()

    def walk(items: Sequence[Item]) -> None:
        for item in items:
            if item.link_id in for_patient and _enabled(item, answers, shown):
                shown.add(item.link_id)
                walk(item.items)

    walk(template.items)
    return frozenset(shown)


def _enabled(item: Item, answers: Answers, shown: set[str]) -> bool:
    if not item.enable_when:
        return True
    found = [_fits(each, answers.get(each.question) if each.question in shown else None) for each in item.enable_when]
    return any(found) if item.enable_any else all(found)


def _fits(condition: EnableWhen, answer: Answer | None) -> bool:
    wanted, operator = condition.value, condition.operator
    if operator == "exists":
        return (answer is not None) is wanted
    if answer is None:
        return False
    if operator in ("=", "!="):
        return _same(answer, wanted) is (operator == "=")
    if isinstance(answer, date):
        return _ordered(answer.isoformat(), operator, str(wanted))
    return isinstance(answer, float) and _ordered(answer, operator, float(wanted))


def _same(answer: Answer, wanted: float | str) -> bool:
    if isinstance(answer, tuple):
        return wanted in answer
    return (answer.isoformat() if isinstance(answer, date) else answer) == wanted


def _ordered(left: float | str, operator: str, right: float | str) -> bool:
    less, more = left < right, left > right  # type: ignore[operator]
    return {">": more, "<": less, ">=": not less, "<=": not more}[operator]


# --- what was typed ---------------------------------------------------------------------------------------------------


def read_answers(template: Template, typed: Typed) -> tuple[dict[str, Answer], dict[str, str]]:
    """Read what was typed; and say what is wrong with what cannot be read, by linkId."""
    answers: dict[str, Answer] = {}
    wrong: dict[str, str] = {}
    for item in template.walk():
        words = [word.strip() for word in typed.get(item.link_id, ()) if word.strip()]
        if not words or not item.type.is_answered:
            continue
        try:
            answers[item.link_id] = _read(item, words)
        except TemplateError as error:
            wrong[item.link_id] = error.message
    return answers, wrong


def _read(item: Item, words: Sequence[str]) -> Answer:
    if item.type is ItemType.CHOICE:
        return _chosen(item, words)
    if len(words) > 1:
        raise TemplateError("Give one answer.")
    word = words[0]
    if item.type is ItemType.BOOLEAN:
        if word not in _YES_NO:
            raise TemplateError("Choose yes or no.")
        return _YES_NO[word]
    if item.type is ItemType.DATE:
        try:
            return date.fromisoformat(word)
        except ValueError:
            raise TemplateError("Enter a real date.") from None
    if item.type in (ItemType.DECIMAL, ItemType.INTEGER):
        return _number(item, word)
    most = item.max_length or _MOST_WORDS
    if len(word) > most:
        raise TemplateError(f"Use {most} characters or fewer: there are {len(word)}.")
    return word


def _chosen(item: Item, words: Sequence[str]) -> tuple[str, ...]:
    known = [option.code for option in item.options]
    if not set(words) <= set(known):
        raise TemplateError("Choose from the answers listed.")
    if len(set(words)) > 1 and not item.repeats:
        raise TemplateError("Choose one answer.")
    return tuple(code for code in known if code in words)


def _number(item: Item, word: str) -> float:
    try:
        value = float(word) if len(word) <= _MOST_DIGITS else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise TemplateError(
            "Enter a number, such as 72.5." if item.type is ItemType.DECIMAL else "Enter a whole number."
        )
    if item.type is ItemType.INTEGER and not value.is_integer():
        raise TemplateError("Enter a whole number.")
    unit = f" {item.unit}" if item.unit else ""
    if item.minimum is not None and value < item.minimum:
        raise TemplateError(f"Enter {item.minimum:g}{unit} or more.")
    if item.maximum is not None and value > item.maximum:
        raise TemplateError(f"Enter {item.maximum:g}{unit} or less.")
    return value


def missing(template: Template, answers: Answers, shown: frozenset[str]) -> Sequence[Item]:
    """Give the items that must be answered before it is complete, and are not."""
    return [
        item
        for item in template.walk()
        if item.required and item.type.is_answered and item.link_id in shown and item.link_id not in answers
    ]


# --- what it records --------------------------------------------------------------------------------------------------


def recorded(template: Template, definition: Definition, answers: Answers, shown: frozenset[str]) -> Sequence[Recorded]:
    """Give the codes that a completed response records, in the template's order, each code and value once."""
    found: dict[tuple[object, ...], Recorded] = {}
    for each in _recorded(template, definition, answers, shown):
        key = (each.codelist.name,) if each.code is None else (each.code.code, each.value, each.unit)
        found.setdefault(key, each)
    return list(found.values())


def _recorded(
    template: Template, definition: Definition, answers: Answers, shown: frozenset[str]
) -> Iterator[Recorded]:
    for item in template.walk():
        answer = answers.get(item.link_id)
        if answer is None or item.link_id not in shown:
            continue
        for recording in _recordings(item, answer):
            codelist = definition.codelists[recording.codelist]
            value, unit = (answer, item.unit or None) if isinstance(answer, float) else (None, None)
            yield Recorded(item.link_id, codelist, code_of(codelist, recording), value, unit)
    for recording in template.records:
        codelist = definition.codelists[recording.codelist]
        yield Recorded("", codelist, code_of(codelist, recording))


def _recordings(item: Item, answer: Answer) -> Iterator[Recording]:
    if isinstance(answer, bool):
        yield from (recording for recording in item.records if recording.answer is answer)
        return
    yield from item.records
    if isinstance(answer, tuple):
        for option in item.options:
            if option.code in answer:
                yield from option.records


def code_of(codelist: Codelist, recording: Recording) -> Code | None:
    """Give the code that a recording means in a tenant's codelist; None where there is none, or it was withheld."""
    if recording.code is not None:
        return codelist.by_code.get(recording.code)
    fitting = (code for code in codelist.codes if recording.category in (None, code.category))
    return next(fitting, None)


# --- FHIR and words ---------------------------------------------------------------------------------------------------


def in_words(item: Item, answer: Answer) -> str:
    """Give an answer as it is read, with its unit."""
    if isinstance(answer, bool):
        return "Yes" if answer else "No"
    if isinstance(answer, tuple):
        return "; ".join(option.display for option in item.options if option.code in answer)
    if isinstance(answer, date):
        return f"{answer.day} {answer:%B %Y}"
    if isinstance(answer, float):
        return f"{answer:g} {item.unit}".strip()
    return str(answer)


def response_json(
    template: Template, answers: Answers, shown: frozenset[str], *, status: str, authored: str
) -> dict[str, Json]:
    """Give a FHIR R4 QuestionnaireResponse of what is shown and answered, without who it is about or by."""
    questionnaire = template.to_json()
    canonical = str(questionnaire.get("url") or f"Questionnaire/{template.name}")
    return {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": f"{canonical}|{template.version}",
        "status": status,
        "authored": authored,
        "item": _response_items(template.items, answers, shown),
    }


def _response_items(items: Sequence[Item], answers: Answers, shown: frozenset[str]) -> list[Json]:
    found: list[Json] = []
    for item in items:
        if item.link_id not in shown or item.type is ItemType.DISPLAY:
            continue
        inner = _response_items(item.items, answers, shown)
        answer = answers.get(item.link_id)
        if answer is None and not inner:
            continue
        written: dict[str, Json] = {"linkId": item.link_id, "text": item.text}
        if answer is not None:
            written["answer"] = _response_answers(item, answer)
        if inner:
            written["item"] = inner
        found.append(written)
    return found


def _response_answers(item: Item, answer: Answer) -> list[Json]:
    if isinstance(answer, bool):
        return [{"valueBoolean": answer}]
    if isinstance(answer, tuple):
        chosen = [option for option in item.options if option.code in answer]
        return [{"valueCoding": {"code": option.code, "display": option.display}} for option in chosen]
    if isinstance(answer, date):
        return [{"valueDate": answer.isoformat()}]
    if isinstance(answer, float):
        return [{"valueInteger": int(answer)} if item.type is ItemType.INTEGER else {"valueDecimal": answer}]
    return [{"valueString": answer}]
