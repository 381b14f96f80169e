"""Templates: forms that a clinician fills in, as FHIR R4 Questionnaires with the code that each answer records.

Here: what a template is, and whether its names lead somewhere in a pack. Not here: reading the JSON (`questionnaires`),
and what a filled-in one records (`answering`).

Three extensions carry what FHIR has no element for, each under `EXTENSION`:

    records     on the questionnaire (when completed), an item or an answer option: `codelist`, and `code` or
                `category` where the list has several codes; on a yes/no item also `answer`, the one that records it
    shown-when  on the questionnaire or an item: a `cohort` the patient is a member of, an `indicator` that applies to
                them, or a `stratifier` and its `value`; several are alternatives
    plain       on an item: what the care plan calls it, in the patient's words; an item without it is not printed there
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable

from cohortium_plugins.errors import TemplateError, nearest
from cohortium_plugins.model.definition import Codelist, Definition
from cohortium_plugins.model.serialise import Json

__all__ = [
    "EXTENSION",
    "EnableWhen",
    "Item",
    "ItemType",
    "Option",
    "Recording",
    "ShownWhen",
    "Template",
    "check_templates",
    "load_templates",
]

EXTENSION = "urn:cohortium:template:"


class ItemType(enum.StrEnum):
    """The kinds of item: those of FHIR that a form here can show."""

    GROUP = "group"
    DISPLAY = "display"
    BOOLEAN = "boolean"
    DECIMAL = "decimal"
    INTEGER = "integer"
    DATE = "date"
    STRING = "string"
    TEXT = "text"
    CHOICE = "choice"

    @property
    def is_answered(self) -> bool:
        """Whether such an item takes an answer."""
        return self not in (ItemType.GROUP, ItemType.DISPLAY)


@dataclass(frozen=True, slots=True)
class Recording:
    """A code that is recorded. Without `code`, the list's only one of the category, or the first that the tenant has
    added to an empty list. `answer`: the answer to a yes/no item that records it.
    """

    codelist: str
    code: int | None = None
    category: str | None = None
    answer: bool = True


@dataclass(frozen=True, slots=True)
class ShownWhen:
    """For whom something is shown: a cohort's members, those an indicator applies to, or one value of a stratifier."""

    kind: str
    name: str
    value: str | None = None


@dataclass(frozen=True, slots=True)
class EnableWhen:
    """An answer on which another item depends. Operators are those of FHIR; `value` is None for `exists` false."""

    question: str
    operator: str
    value: bool | float | str


@dataclass(frozen=True, slots=True)
class Option:
    """An answer that can be chosen."""

    code: str
    display: str
    records: tuple[Recording, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """A section, a question or a note. `enable_any`: one of `enable_when` is enough. `unit` goes with a number."""

    link_id: str
    text: str
    type: ItemType
    required: bool = False
    repeats: bool = False
    options: tuple[Option, ...] = ()
    items: tuple[Item, ...] = ()
    enable_when: tuple[EnableWhen, ...] = ()
    enable_any: bool = False
    shown_when: tuple[ShownWhen, ...] = ()
    records: tuple[Recording, ...] = ()
    plain: str = ""
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    max_length: int | None = None

    def walk(self) -> Iterator[Item]:
        """Yield the item and everything in it, in order."""
        yield self
        for item in self.items:
            yield from item.walk()

    def recordings(self) -> Iterator[Recording]:
        """Yield what its own answers can record."""
        yield from self.records
        for option in self.options:
            yield from option.records


@dataclass(frozen=True, slots=True)
class Template:
    """A form. `records` is what completing it records whatever was answered; `text` is the questionnaire as canonical
    JSON, of which the rest is made.
    """

    name: str
    title: str
    version: str
    description: str
    items: tuple[Item, ...]
    shown_when: tuple[ShownWhen, ...] = ()
    records: tuple[Recording, ...] = ()
    text: str = field(default="", repr=False)

    def walk(self) -> Iterator[Item]:
        """Yield every item, in order."""
        for item in self.items:
            yield from item.walk()

    def recordings(self) -> Iterator[Recording]:
        """Yield everything that a response can record."""
        yield from self.records
        for item in self.walk():
            yield from item.recordings()

    def item(self, link_id: str) -> Item:
        """Give an item. Raises TemplateError."""
        for item in self.walk():
            if item.link_id == link_id:
                return item
        raise TemplateError(f"{self.name} has no item {link_id}.", nearest(link_id, [i.link_id for i in self.walk()]))

    def to_json(self) -> dict[str, Json]:
        """Give the questionnaire: equal templates give equal JSON."""
        read: dict[str, Json] = json.loads(self.text)
        return read

    @classmethod
    def from_json(cls, questionnaire: Mapping[str, Json], file: str = "") -> Template:
        """Read a questionnaire. Raises TemplateError, which names the file, the item and the key."""
        from cohortium_plugins.questionnaires import read_questionnaire  # noqa: PLC0415 - it makes these types

        return read_questionnaire(questionnaire, file)


def load_templates(folder: Traversable) -> dict[str, Template]:
    """Read a pack's templates: one FHIR Questionnaire each, in a JSON file named for its `id`.

    Raises:
        TemplateError: a file is malformed; names the file, the item and the key.
    """
    templates: dict[str, Template] = {}
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".json"):
            continue
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise TemplateError(f"{file.name} is not JSON: {error}.", "Check quotes, commas and brackets.") from error
        if not isinstance(found, dict):
            raise TemplateError(f"{file.name} is not a Questionnaire.", "Write one object: {...}.")
        template = Template.from_json(found, file.name)
        if file.name != f"{template.name}.json":
            raise TemplateError(f"{file.name}: its id is {template.name}.", f"Call the file {template.name}.json.")
        templates[template.name] = template
    return templates


def check_templates(definition: Definition, templates: Mapping[str, Template]) -> None:
    """Make sure that every name in a pack's templates leads somewhere in it. Raises TemplateError."""
    for template in templates.values():
        where = f"{template.name}.json"
        for shown in template.shown_when:
            _check_shown(definition, shown, where)
        for recording in template.records:
            _check_recording(definition, recording, where)
        for item in template.walk():
            for shown in item.shown_when:
                _check_shown(definition, shown, f"{where}, item {item.link_id}")
            for recording in item.recordings():
                _check_recording(definition, recording, f"{where}, item {item.link_id}")


def _check_shown(definition: Definition, shown: ShownWhen, where: str) -> None:
    known = {
        "cohort": [cohort.name for cohort in definition.cohorts],
        "indicator": [indicator.name for indicator in definition.indicators],
        "stratifier": [stratifier.name for stratifier in definition.stratifiers],
    }[shown.kind]
    if shown.name not in known:
        message = f"{where}: shown-when names the {shown.kind} {shown.name}, which the pack does not have."
        raise TemplateError(message, nearest(shown.name, known))
    if shown.kind == "stratifier":
        values = [value for each in definition.stratifiers if each.name == shown.name for value, _ in each.labels]
        if shown.value not in values:
            message = f"{where}: the stratifier {shown.name} has no value {shown.value}."
            raise TemplateError(message, nearest(shown.value or "", values))


def _check_recording(definition: Definition, recording: Recording, where: str) -> None:
    codelist = definition.codelists.get(recording.codelist)
    if codelist is None:
        message = f"{where}: records names the codelist {recording.codelist}, which the pack does not have."
        raise TemplateError(message, nearest(recording.codelist, definition.codelists))
    if recording.code is not None:
        if recording.code not in codelist.by_code:
            message = f"{where}: {recording.code} is not a code of {codelist.name}."
            raise TemplateError(message, f"Choose one of its {len(codelist.codes)} codes.")
        return
    if not codelist.codes:
        return
    _check_only_one(codelist, recording, where)


def _check_only_one(codelist: Codelist, recording: Recording, where: str) -> None:
    fitting = [code for code in codelist.codes if recording.category in (None, code.category)]
    if len(fitting) == 1:
        return
    if not fitting:
        categories = {code.category for code in codelist.codes if code.category is not None}
        message = f"{where}: no code of {codelist.name} has the category {recording.category}."
        raise TemplateError(message, nearest(recording.category or "", categories))
    message = f"{where}: {len(fitting)} codes of {codelist.name} could be recorded."
    raise TemplateError(message, "Name the one that is meant: code.")
