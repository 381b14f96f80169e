"""What the templates of reviews show, as data. Not here: where it comes from (`forms`, `printing`, `routes`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

__all__ = ["FormItem", "FormOption", "Offered", "PlanPart", "Recording", "SummaryPart", "Turned"]


@dataclass(frozen=True, slots=True)
class FormOption:
    """An answer that can be chosen."""

    value: str
    words: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class FormItem:
    """One item of a form. `shown` is whether what is answered asks for it; `hint` says what was recorded last."""

    link_id: str
    type: str
    text: str
    required: bool
    repeats: bool
    shown: bool
    typed: str
    options: Sequence[FormOption]
    unit: str
    most: int | None
    hint: str
    wrong: str
    items: Sequence[FormItem]


@dataclass(frozen=True, slots=True)
class Offered:
    """A template for this patient, and what is being filled in of it."""

    name: str
    title: str
    description: str
    path: str
    saved: datetime | None
    saved_by: str


@dataclass(frozen=True, slots=True)
class Recording:
    """A code that a completed review recorded."""

    term: str
    code: int
    value: str
    local: bool
    question: str


@dataclass(frozen=True, slots=True)
class Turned:
    """A measure that is met now."""

    registry: str
    title: str
    day: date | None


@dataclass(frozen=True, slots=True)
class PlanPart:
    """A heading of the care plan in the patient's words, and what stands below it."""

    title: str
    lines: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class SummaryPart:
    """A section of the summary: questions with their answers."""

    title: str
    lines: Sequence[tuple[str, str]]
