"""Reads a FHIR R4 Questionnaire as a template. Errors name the file, the item, the key and the nearest word.

Elements that say nothing about a form here (`contact`, `jurisdiction` and the like) are kept in the JSON and not looked
at; what a form here cannot do (`answerValueSet`, `initial`, attachments) is refused, so that nothing is lost in
silence. Not here: whether the names in it lead somewhere in a pack (`templates.check_templates`).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from cohortium_plugins.errors import TemplateError, nearest
from cohortium_plugins.model.serialise import Json
from cohortium_plugins.snomed import is_concept_id
from cohortium_plugins.templates import EXTENSION, EnableWhen, Item, ItemType, Option, Recording, ShownWhen, Template

__all__ = ["OPERATORS", "read_questionnaire"]

OPERATORS = ("exists", "=", "!=", ">", "<", ">=", "<=")
MOST_ITEMS = 1_000
MOST_NESTED = 8
MOST_TEXT = 5_000

_MIN, _MAX, _UNIT = (
    f"http://hl7.org/fhir/StructureDefinition/{name}" for name in ("minValue", "maxValue", "questionnaire-unit")
)
_QUESTIONNAIRE_KEYS = frozenset([
    "resourceType", "id", "meta", "implicitRules", "language", "text", "contained", "extension",
    "modifierExtension", "url", "identifier", "version", "name", "title", "derivedFrom", "status", "experimental",
    "subjectType", "date", "publisher", "contact", "description", "useContext", "jurisdiction", "purpose",
    "copyright", "approvalDate", "lastReviewDate", "effectivePeriod", "code", "item",
])  # fmt: skip
_ITEM_KEYS = frozenset([
    "id", "extension", "linkId", "definition", "code", "prefix", "text", "type", "enableWhen", "enableBehavior",
    "required", "repeats", "maxLength", "answerOption", "item",
])  # fmt: skip
_REFUSED_KEYS: Mapping[str, str] = {
    "answerValueSet": "List the answers: answerOption.",
    "initial": "A form here begins empty.",
    "readOnly": "Use an item of type display.",
}
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LINK_ID = re.compile(r"[A-Za-z0-9]+([._-][A-Za-z0-9]+)*")
_ANSWERS: Mapping[str, tuple[ItemType, ...]] = {
    "answerBoolean": (ItemType.BOOLEAN,),
    "answerDecimal": (ItemType.DECIMAL,),
    "answerInteger": (ItemType.INTEGER,),
    "answerDate": (ItemType.DATE,),
    "answerString": (ItemType.STRING, ItemType.TEXT),
    "answerCoding": (ItemType.CHOICE,),
}


def read_questionnaire(found: Mapping[str, Json], file: str = "") -> Template:
    """Read one. Raises TemplateError."""
    return _Reader(file or str(found.get("id", "template"))).template(found)


@dataclass(frozen=True, slots=True)
class _Reader:
    file: str

    def template(self, found: Mapping[str, Json]) -> Template:
        where = self.file
        if found.get("resourceType") != "Questionnaire":
            self.fail(where, "resourceType is not Questionnaire.", 'Write "resourceType": "Questionnaire".')
        self.check_keys(found, _QUESTIONNAIRE_KEYS, where)
        name = self.words(found, "id", where)
        if not _NAME.fullmatch(name):
            self.fail(where, f"the id {name} is not a name.", "Use small letters, digits and hyphens.")
        if found.get("status") not in ("draft", "active", "retired"):
            self.fail(where, "status is missing or not known.", 'Write "status": "active".')
        items = tuple(self.item(each, where, 1) for each in self.objects(found, "item", where))
        if not any(item.type.is_answered for top in items for item in top.walk()):
            self.fail(where, "no question stands in it.", "Add an item with a type other than group.")
        self.check_links(items)
        extensions = self.extensions(found, where, ("records", "shown-when"))
        return Template(
            name=name,
            title=self.words(found, "title", where),
            version=self.words(found, "version", where),
            description=str(found.get("description", "")),
            items=items,
            shown_when=tuple(self.shown_when(each, where) for each in extensions["shown-when"]),
            records=tuple(self.recording(each, where) for each in extensions["records"]),
            text=self.canonical(found),
        )

    def canonical(self, found: Mapping[str, Json]) -> str:
        try:
            return json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        except (ValueError, RecursionError):
            self.fail(self.file, "it holds what JSON cannot write again.", "Look for NaN and for nesting without end.")

    # --- items ----------------------------------------------------------------------------------------------------

    def item(self, found: Mapping[str, Json], file: str, depth: int) -> Item:
        link_id = self.words(found, "linkId", f"{file}, an item")
        where = f"{self.file}, item {link_id}"
        if not _LINK_ID.fullmatch(link_id):
            self.fail(where, "the linkId is not a name.", "Use letters, digits, dots and hyphens.")
        if depth > MOST_NESTED:
            self.fail(where, f"it stands {depth} deep.", f"Nest at most {MOST_NESTED} deep.")
        self.check_keys(found, _ITEM_KEYS, where)
        kind = self.type(found, where)
        options = tuple(self.option(each, where) for each in self.objects(found, "answerOption", where))
        if (kind is ItemType.CHOICE) is not bool(options):
            self.fail(where, "answerOption goes with the type choice.", "Give a choice its answers, and others none.")
        if len({option.code for option in options}) < len(options):
            self.fail(where, "two answers have one code.", "Give each a code of its own.")
        extensions = self.extensions(found, where, ("records", "shown-when", "plain"))
        items = tuple(self.item(each, where, depth + 1) for each in self.objects(found, "item", where))
        if items and kind is not ItemType.GROUP:
            self.fail(where, "items stand in it.", "Only a group holds items; put them beside it.")
        return Item(
            link_id=link_id,
            text=self.words(found, "text", where),
            type=kind,
            required=self.flag(found, "required", where),
            repeats=self.repeats(found, kind, where),
            options=options,
            items=items,
            enable_when=tuple(self.enable_when(each, where) for each in self.objects(found, "enableWhen", where)),
            enable_any=self.choice(found, "enableBehavior", ("all", "any"), where) == "any",
            shown_when=tuple(self.shown_when(each, where) for each in extensions["shown-when"]),
            records=self.recordings_of(extensions["records"], kind, where),
            plain="".join(self.words(each, "valueString", where) for each in extensions["plain"][:1]),
            unit=self.unit(found, kind, where),
            minimum=self.bound(found, _MIN, kind, where),
            maximum=self.bound(found, _MAX, kind, where),
            max_length=self.length(found, where),
        )

    def type(self, found: Mapping[str, Json], where: str) -> ItemType:
        try:
            return ItemType(str(found.get("type")))
        except ValueError:
            self.fail(
                where, f"the type {found.get('type')} is not known here.", nearest(str(found.get("type")), ItemType)
            )

    def repeats(self, found: Mapping[str, Json], kind: ItemType, where: str) -> bool:
        repeats = self.flag(found, "repeats", where)
        if repeats and kind is not ItemType.CHOICE:
            self.fail(where, "repeats goes with the type choice.", "Leave it out, or offer answers to choose from.")
        return repeats

    def option(self, found: Mapping[str, Json], where: str) -> Option:
        self.check_keys(found, frozenset(("id", "extension", "valueCoding")), where)
        coding = found.get("valueCoding")
        if not isinstance(coding, dict):
            self.fail(where, "an answerOption has no valueCoding.", 'Write {"valueCoding": {"code": …, "display": …}}.')
        code = self.words(coding, "code", where)
        if not _LINK_ID.fullmatch(code):
            self.fail(where, f"the answer's code {code} is not a name.", "Use letters, digits, dots and hyphens.")
        extensions = self.extensions(found, where, ("records",))
        records = self.recordings_of(extensions["records"], ItemType.CHOICE, where)
        return Option(code, self.words(coding, "display", where), records)

    def enable_when(self, found: Mapping[str, Json], where: str) -> EnableWhen:
        self.check_keys(found, frozenset(("id", "question", "operator", *_ANSWERS)), where)
        question = self.words(found, "question", where)
        operator = self.choice(found, "operator", OPERATORS, where)
        given = [key for key in _ANSWERS if key in found]
        if not operator or len(given) != 1:
            self.fail(where, "enableWhen needs an operator and one answer.", nearest("", _ANSWERS))
        value = found[given[0]]
        if given[0] == "answerCoding" and isinstance(value, dict):
            value = self.words(value, "code", where)
        if not isinstance(value, bool | int | float | str):
            self.fail(where, f"enableWhen: {given[0]} is not of its kind.", "Write the answer itself.")
        if operator == "exists" and not isinstance(value, bool):
            self.fail(where, "enableWhen: exists goes with answerBoolean.", 'Write "answerBoolean": true.')
        return EnableWhen(question, operator, value)

    def check_links(self, items: tuple[Item, ...]) -> None:
        """See that names are used once, and that conditions name an earlier question whose answers they could be."""
        every = [item for top in items for item in top.walk()]
        if len(every) > MOST_ITEMS:
            self.fail(self.file, f"it has {len(every)} items.", f"At most {MOST_ITEMS} can be shown.")
        known: dict[str, Item] = {}
        for item in every:
            where = f"{self.file}, item {item.link_id}"
            if item.link_id in known:
                self.fail(where, "two items have this linkId.", "Give each one of its own.")
            for condition in item.enable_when:
                if condition.question not in known or not known[condition.question].type.is_answered:
                    questions = [link for link, each in known.items() if each.type.is_answered]
                    message = f"no question {condition.question} stands before it."
                    self.fail(where, message, nearest(condition.question, questions))
                self.check_condition(known[condition.question], condition, where)
            known[item.link_id] = item

    def check_condition(self, question: Item, condition: EnableWhen, where: str) -> None:
        if condition.operator == "exists":
            return
        is_number = isinstance(condition.value, int | float) and not isinstance(condition.value, bool)
        fits = {
            ItemType.BOOLEAN: isinstance(condition.value, bool),
            ItemType.DECIMAL: is_number,
            ItemType.INTEGER: is_number,
        }.get(question.type, isinstance(condition.value, str))
        if not fits:
            self.fail(where, f"the answer asked of {question.link_id} is not of its type.", f"It is {question.type}.")
        if condition.operator not in ("=", "!=") and question.type not in (
            ItemType.DECIMAL,
            ItemType.INTEGER,
            ItemType.DATE,
        ):
            self.fail(where, f"{condition.operator} goes with numbers and dates.", "Use = or !=.")
        codes = [option.code for option in question.options]
        if codes and condition.value not in codes:
            message = f"{question.link_id} has no answer {condition.value}."
            self.fail(where, message, nearest(str(condition.value), codes))

    # --- extensions -----------------------------------------------------------------------------------------------

    def extensions(
        self, found: Mapping[str, Json], where: str, known: tuple[str, ...]
    ) -> Mapping[str, list[Mapping[str, Json]]]:
        """Give those of our own by name; others are not looked at. One of ours in the wrong place is refused."""
        own: dict[str, list[Mapping[str, Json]]] = {name: [] for name in known}
        for each in self.objects(found, "extension", where):
            url = str(each.get("url", ""))
            if not url.startswith(EXTENSION):
                continue
            name = url.removeprefix(EXTENSION)
            if name not in own:
                self.fail(where, f"the extension {name} is not known here.", nearest(name, known))
            own[name].append(each)
        return own

    def parts(self, found: Mapping[str, Json], known: tuple[str, ...], where: str) -> Mapping[str, Json]:
        """Give the values of an extension that has parts, by their names."""
        values: dict[str, Json] = {}
        for part in self.objects(found, "extension", where):
            name = str(part.get("url", ""))
            given = [key for key in part if key.startswith("value")]
            if name not in known:
                self.fail(where, f"{_short(found)} has no part {name}.", nearest(name, known))
            if len(given) != 1 or name in values:
                self.fail(where, f"{_short(found)}: {name} needs one value.", 'Write "valueString": "…".')
            values[name] = part[given[0]]
        return values

    def recordings_of(self, found: Iterable[Mapping[str, Json]], kind: ItemType, where: str) -> tuple[Recording, ...]:
        recordings = tuple(self.recording(each, where) for each in found)
        if recordings and not kind.is_answered:
            self.fail(where, f"a {kind} records nothing.", "Put records on a question or an answer in it.")
        if kind is not ItemType.BOOLEAN and not all(recording.answer for recording in recordings):
            self.fail(where, "answer goes with the type boolean.", "Leave it out.")
        return recordings

    def recording(self, found: Mapping[str, Json], where: str) -> Recording:
        parts = self.parts(found, ("codelist", "code", "category", "answer"), where)
        codelist, code, category = parts.get("codelist"), parts.get("code"), parts.get("category")
        answer = parts.get("answer", True)
        if not isinstance(codelist, str):
            self.fail(where, "records names no codelist.", 'Add {"url": "codelist", "valueString": "…"}.')
        if code is not None and not (isinstance(code, str) and is_concept_id(code)):
            self.fail(
                where, f"records: {code} is not a SNOMED CT concept.", "Write it as text; its digits are checked."
            )
        if category is not None and not isinstance(category, str):
            self.fail(where, "records: category is not text.", 'Write "valueString": "…".')
        if not isinstance(answer, bool):
            self.fail(where, "records: answer is not true or false.", 'Write "valueBoolean": true.')
        return Recording(codelist, None if code is None else int(code), category, answer)

    def shown_when(self, found: Mapping[str, Json], where: str) -> ShownWhen:
        parts = self.parts(found, ("cohort", "indicator", "stratifier", "value"), where)
        kinds = [kind for kind in ("cohort", "indicator", "stratifier") if kind in parts]
        if len(kinds) != 1 or ("value" in parts) is not (kinds == ["stratifier"]):
            advice = "Give a cohort, or an indicator, or a stratifier and its value."
            self.fail(where, "shown-when names not one thing.", advice)
        name, value = parts[kinds[0]], parts.get("value")
        if not isinstance(name, str) or not isinstance(value, str | None):
            self.fail(where, "shown-when names something that is not text.", 'Write "valueString": "…".')
        return ShownWhen(kinds[0], name, value)

    def unit(self, found: Mapping[str, Json], kind: ItemType, where: str) -> str:
        for each in self.objects(found, "extension", where):
            coding = each.get("valueCoding")
            if each.get("url") == _UNIT and isinstance(coding, dict):
                if kind not in (ItemType.DECIMAL, ItemType.INTEGER):
                    self.fail(where, "a unit goes with a number.", "Leave it out.")
                return self.words(coding, "display" if "display" in coding else "code", where)
        return ""

    def bound(self, found: Mapping[str, Json], url: str, kind: ItemType, where: str) -> float | None:
        for each in self.objects(found, "extension", where):
            if each.get("url") == url:
                value = each.get("valueDecimal", each.get("valueInteger"))
                is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
                if not is_number or kind not in (ItemType.DECIMAL, ItemType.INTEGER):
                    self.fail(where, "minValue and maxValue are numbers of a number.", "Write valueDecimal.")
                return float(value)  # type: ignore[arg-type]
        return None

    # --- plain values ---------------------------------------------------------------------------------------------

    def check_keys(self, found: Mapping[str, Json], known: frozenset[str], where: str) -> None:
        for key in found:
            if key in _REFUSED_KEYS:
                self.fail(where, f"{key} is not read here.", _REFUSED_KEYS[key])
            if key not in known and not key.startswith("_"):
                self.fail(where, f"the key {key} is not known.", nearest(key, known))

    def objects(self, found: Mapping[str, Json], key: str, where: str) -> list[dict[str, Json]]:
        value = found.get(key, [])
        if not isinstance(value, list):
            self.fail(where, f"{key} is not a list.", f'Write "{key}": [{{…}}].')
        objects: list[dict[str, Json]] = [each for each in value if isinstance(each, dict)]
        if len(objects) < len(value):
            self.fail(where, f"{key} is not a list of objects.", f'Write "{key}": [{{…}}].')
        return objects

    def words(self, found: Mapping[str, Json], key: str, where: str) -> str:
        value = found.get(key)
        if not isinstance(value, str) or not value.strip() or len(value) > MOST_TEXT:
            self.fail(where, f"{key} is missing, or not text of a usual length.", f'Write "{key}": "…".')
        return value.strip()

    def flag(self, found: Mapping[str, Json], key: str, where: str) -> bool:
        value = found.get(key, False)
        if not isinstance(value, bool):
            self.fail(where, f"{key} is not true or false.", f'Write "{key}": true.')
        return value

    def choice(self, found: Mapping[str, Json], key: str, known: tuple[str, ...], where: str) -> str:
        if key not in found:
            return ""
        value = found[key]
        if value not in known:
            self.fail(where, f"{key}: {value} is not known.", nearest(str(value), known))
        return str(value)

    def length(self, found: Mapping[str, Json], where: str) -> int | None:
        value = found.get("maxLength")
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            self.fail(where, "maxLength is not a number of letters.", 'Write "maxLength": 500.')
        return value

    def fail(self, where: str, message: str, advice: str) -> NoReturn:
        raise TemplateError(f"{where}: {message}", advice)


def _short(extension: Mapping[str, Json]) -> str:
    return str(extension.get("url", "")).removeprefix(EXTENSION)
