"""Templates: what is wrong is said with file, item, key and nearest word; what is shown and recorded is as written."""

import copy
import json
from datetime import date

import pytest

from cohortium_plugins.answering import (
    in_words,
    is_for,
    items_for,
    missing,
    read_answers,
    recorded,
    response_json,
    shown_items,
)
from cohortium_plugins.authoring import Cohort, Indicator, Stratifier
from cohortium_plugins.errors import TemplateError
from cohortium_plugins.language import case, events, otherwise, patient, text, when
from cohortium_plugins.model import Code, Codelist
from cohortium_plugins.pack import Pack, load_templates
from cohortium_plugins.record import Record, Row
from cohortium_plugins.templates import Template

DAY = date(2025, 3, 1)


def records(codelist, **parts):
    kinds = {"answer": "valueBoolean"}
    inner = [
        {"url": key, kinds.get(key, "valueString"): value} for key, value in {"codelist": codelist, **parts}.items()
    ]
    return {"url": "urn:cohortium:template:records", "extension": inner}


def shown(**parts):
    inner = [{"url": key, "valueString": value} for key, value in parts.items()]
    return {"url": "urn:cohortium:template:shown-when", "extension": inner}


def option(code, *extensions):
    return {"valueCoding": {"code": code, "display": code.capitalize()}, "extension": list(extensions)}


UNIT = {
    "url": "http://hl7.org/fhir/StructureDefinition/questionnaire-unit",
    "valueCoding": {"system": "http://unitsofmeasure.org", "code": "kg"},
}
LEAST = {"url": "http://hl7.org/fhir/StructureDefinition/minValue", "valueDecimal": 2}
QUESTIONNAIRE = {
    "resourceType": "Questionnaire",
    "id": "review",
    "version": "1",
    "status": "active",
    "title": "Review",
    "extension": [records("review", code="720006006"), shown(cohort="people")],
    "item": [
        {"linkId": "note", "type": "display", "text": "Take your time."},
        {"linkId": "support", "type": "boolean", "text": "Support discussed?", "required": True,
         "extension": [records("support")]},
        {"linkId": "why-not", "type": "text", "text": "Why not?", "maxLength": 20,
         "enableWhen": [{"question": "support", "operator": "=", "answerBoolean": False}]},
        {"linkId": "weight", "type": "decimal", "text": "Weight", "extension": [UNIT, LEAST, records("weight")]},
        {"linkId": "plan", "type": "choice", "text": "Plan", "answerOption": [
            option("agreed", records("plan", category="agreed")), option("none")]},
        {"linkId": "diabetes", "type": "group", "text": "Diabetes", "extension": [shown(indicator="diabetes-review")],
         "item": [{"linkId": "diabetes.feet", "type": "boolean", "text": "Feet checked?",
                   "extension": [records("feet")]}]},
        {"linkId": "old", "type": "group", "text": "Falls",
         "extension": [shown(stratifier="age", value="old"), shown(indicator="diabetes-review")],
         "item": [{"linkId": "old.falls", "type": "integer", "text": "Falls"}]},
    ],
}  # fmt: skip


def a_pack(questionnaire=QUESTIONNAIRE, local=()):
    def codelist(name, *codes):
        return Codelist(name, name.capitalize(), "x", "1", codes)

    lists = {
        "illness": codelist("illness", Code(1001, "Illness")),
        "review": codelist("review", Code(401123009, "Regime"), Code(720006006, "Procedure")),
        "support": codelist("support", *local),
        "weight": codelist("weight", Code(27113001, "Body weight")),
        "plan": codelist("plan", Code(1002, "Agreed", "agreed"), Code(1003, "Declined", "declined")),
        "feet": codelist("feet", Code(1004, "Feet examined")),
        "diabetes": codelist("diabetes", Code(1005, "Diabetes")),
    }
    ill = events("illness").earliest()
    diabetes = events("diabetes").earliest()
    people = Cohort("people", title="People", members=ill.exists, since=ill.date)
    check = Indicator("diabetes-review", title="Feet", cohort=people, applies=diabetes.exists,
                      met=events("feet").latest(), source="x")  # fmt: skip
    band = case(when(patient.age >= 65).then(text("old")), otherwise(text("young")))
    ages = Stratifier("age", title="Age", value=band, labels={"old": "65 and over", "young": "Under 65"})
    # Every list stands in a rule or only in the template.
    return Pack.build(
        id="p", version="1", title="P", publisher="x", codelists=lists, cohorts=[people], indicators=[check],
        stratifiers=[ages], templates={"review": Template.from_json(questionnaire, "review.json")},
    )  # fmt: skip


def a_record(*codes, born=date(1990, 1, 1)):
    rows = {"events": tuple(Row(date(2024, 1, 1), code=code) for code in codes)}
    return Record(1, "A", born, rows=rows)


def changed(path, value):
    """The questionnaire with one key of one item (or of the whole, "") replaced; None takes it away."""
    copied = copy.deepcopy(QUESTIONNAIRE)
    link, _, key = path.partition("/")
    place = next((item for item in copied["item"] if item["linkId"] == link), copied)
    if value is None:
        del place[key]
    else:
        place[key] = value
    return copied


def test_a_template_goes_to_json_and_back_and_stands_in_the_hash_of_its_pack():
    pack = a_pack()
    template = pack.templates["review"]
    again = Template.from_json(json.loads(json.dumps(template.to_json())))
    assert again == template
    other = a_pack(changed("note/text", "Take all the time you need."))
    assert other.hash != pack.hash
    assert a_pack().hash == pack.hash


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("/resourceType", "Bundle", "review.json: resourceType is not Questionnaire."),
        ("/titel", "x", "review.json: the key titel is not known. Did you mean title?"),
        ("/id", "My Review", "review.json: the id My Review is not a name."),
        ("/version", None, "review.json: version is missing"),
        ("/item", [], "review.json: no question stands in it."),
        ("weight/txet", "x", "review.json, item weight: the key txet is not known. Did you mean text?"),
        ("weight/type", "decimel", "item weight: the type decimel is not known here. Did you mean decimal?"),
        ("weight/initial", [], "review.json, item weight: initial is not read here."),
        ("weight/linkId", "support", "review.json, item support: two items have this linkId."),
        ("weight/repeats", True, "review.json, item weight: repeats goes with the type choice."),
        ("weight/required", "yes", "review.json, item weight: required is not true or false."),
        ("plan/answerOption", [], "review.json, item plan: answerOption goes with the type choice."),
        ("plan/answerOption", [option("a"), option("a")], "review.json, item plan: two answers have one code."),
        ("support/extension", [records("suport")],
         "item support: records names the codelist suport, which the pack does not have. Did you mean support?"),
        ("support/extension", [records("support", cod="1")],
         "review.json, item support: records has no part cod. Did you mean code?"),
        ("support/extension", [records("review")],
         "review.json, item support: 2 codes of review could be recorded. Name the one that is meant"),
        ("support/extension", [records("review", code="720006007")],
         "review.json, item support: records: 720006007 is not a SNOMED CT concept."),
        ("support/extension", [records("plan", category="agree")],
         "review.json, item support: no code of plan has the category agree. Did you mean agreed?"),
        ("weight/extension", [records("weight", answer=False)],
         "review.json, item weight: answer goes with the type boolean."),
        ("diabetes/extension", [shown(indicator="diabetes-rewiev")],
         "the indicator diabetes-rewiev, which the pack does not have. Did you mean diabetes-review?"),
        ("diabetes/extension", [shown(cohort="people", indicator="diabetes-review")],
         "shown-when names not one thing."),
        ("diabetes/extension", [shown(stratifier="age", value="ancient")], "the stratifier age has no value ancient."),
        ("diabetes/extension", [records("feet")], "item diabetes: a group records nothing."),
        ("diabetes/extension", [{"url": "urn:cohortium:template:shown"}], "the extension shown is not known here."),
        ("why-not/enableWhen", [{"question": "suport", "operator": "=", "answerBoolean": True}],
         "item why-not: no question suport stands before it. Did you mean support?"),
        ("why-not/enableWhen", [{"question": "plan", "operator": "=", "answerBoolean": True}],
         "item why-not: no question plan stands before it."),
        ("why-not/enableWhen", [{"question": "support", "operator": "=", "answerString": "yes"}],
         "item why-not: the answer asked of support is not of its type."),
        ("why-not/enableWhen", [{"question": "support", "operator": ">", "answerBoolean": True}],
         "item why-not: > goes with numbers and dates."),
        ("why-not/enableWhen", [{"question": "support", "operator": "~", "answerBoolean": True}],
         "item why-not: operator: ~ is not known."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(path, value, says):
    with pytest.raises(TemplateError) as wrong:
        a_pack(changed(path, value))
    assert says in str(wrong.value)


def test_a_template_nested_without_end_is_refused():
    item = {"linkId": "deep", "type": "boolean", "text": "Deep"}
    for level in range(50):
        item = {"linkId": f"g{level}", "type": "group", "text": "Group", "item": [item]}
    with pytest.raises(TemplateError, match="it stands 9 deep"):
        a_pack({**QUESTIONNAIRE, "item": [item]})


@pytest.mark.parametrize("odd", [json.loads("NaN"), json.loads("[" * 900 + "]" * 900)])
def test_what_cannot_be_written_again_is_refused_or_kept(odd):
    try:
        again = a_pack({**QUESTIONNAIRE, "contained": odd}).templates["review"].to_json()
    except TemplateError as refused:
        assert "it holds what JSON cannot write again" in str(refused)  # noqa: PT017 - either is right
    else:
        assert again["contained"] == odd


def test_files_of_a_folder_are_read_and_malformed_ones_named(tmp_path):
    (tmp_path / "review.json").write_text(json.dumps(QUESTIONNAIRE), encoding="utf-8")
    (tmp_path / "README.md").write_text("not a template", encoding="utf-8")
    assert list(load_templates(tmp_path)) == ["review"]
    (tmp_path / "other.json").write_text(json.dumps(QUESTIONNAIRE), encoding="utf-8")
    with pytest.raises(TemplateError, match=r"other\.json: its id is review\."):
        load_templates(tmp_path)
    (tmp_path / "other.json").write_text("{", encoding="utf-8")
    with pytest.raises(TemplateError, match=r"other\.json is not JSON"):
        load_templates(tmp_path)
    (tmp_path / "other.json").write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(TemplateError, match=r"other\.json is not JSON"):
        load_templates(tmp_path)


@pytest.mark.parametrize(
    ("record", "hidden"),
    [
        (a_record(1001), {"diabetes", "diabetes.feet", "old", "old.falls"}),
        (a_record(1001, 1005), set()),
        (a_record(1001, born=date(1950, 1, 1)), {"diabetes", "diabetes.feet"}),
    ],
)
def test_sections_are_shown_to_those_they_are_for(record, hidden):
    pack = a_pack()
    template = pack.templates["review"]
    every = {item.link_id for item in template.walk()}
    assert every - items_for(template, pack.definition, record, DAY) == hidden


def test_a_template_is_for_members_of_its_cohort():
    pack = a_pack()
    assert is_for(pack.templates["review"], pack.definition, a_record(1001), DAY)
    assert not is_for(pack.templates["review"], pack.definition, a_record(1005), DAY)


def fill(pack, typed, record):
    template = pack.templates["review"]
    answers, wrong = read_answers(template, typed)
    visible = shown_items(template, answers, items_for(template, pack.definition, record, DAY))
    return template, answers, wrong, visible


def test_each_answer_records_its_code_and_completing_records_the_review():
    local = Code(9001, "Support discussed (local)", local=True)
    pack = a_pack(local=(local,))
    typed = {"support": ["yes"], "why-not": ["left over"], "weight": ["72.5"], "plan": ["agreed"],
             "diabetes.feet": ["yes"], "old.falls": ["2"]}  # fmt: skip
    template, answers, wrong, visible = fill(pack, typed, a_record(1001, 1005))
    assert wrong == {}
    found = [(each.link_id, each.code and each.code.code, each.value, each.unit)
             for each in recorded(template, pack.definition, answers, visible)]  # fmt: skip
    assert found == [
        ("support", 9001, None, None),
        ("weight", 27113001, 72.5, "kg"),
        ("plan", 1002, None, None),
        ("diabetes.feet", 1004, None, None),
        ("", 720006006, None, None),
    ]


def test_answers_that_are_not_shown_record_nothing():
    pack = a_pack()
    typed = {"support": ["no"], "diabetes.feet": ["yes"]}
    template, answers, _, visible = fill(pack, typed, a_record(1001))
    assert "why-not" in visible
    assert [each.link_id for each in recorded(template, pack.definition, answers, visible)] == [""]


def test_an_empty_list_is_named_and_nothing_recorded_for_it():
    pack = a_pack()
    template, answers, _, visible = fill(pack, {"support": ["yes"]}, a_record(1001))
    first = recorded(template, pack.definition, answers, visible)[0]
    assert (first.link_id, first.code, first.codelist.title) == ("support", None, "Support")


def test_what_must_be_answered_is_named():
    pack = a_pack()
    template, answers, _, visible = fill(pack, {"weight": ["80"]}, a_record(1001))
    assert [item.link_id for item in missing(template, answers, visible)] == ["support"]


@pytest.mark.parametrize(
    ("link", "typed", "says"),
    [
        ("support", "perhaps", "Choose yes or no."),
        ("weight", "heavy", "Enter a number, such as 72.5."),
        ("weight", "nan", "Enter a number, such as 72.5."),
        ("weight", "1e400", "Enter a number, such as 72.5."),
        ("weight", "1", "Enter 2 kg or more."),
        ("old.falls", "1.5", "Enter a whole number."),
        ("plan", "other", "Choose from the answers listed."),
        ("why-not", "x" * 21, "Use 20 characters or fewer: there are 21."),
    ],
)
def test_what_cannot_be_read_is_said(link, typed, says):
    _, wrong = read_answers(a_pack().templates["review"], {link: [typed]})
    assert wrong == {link: says}


def test_more_than_one_answer_is_said():
    _, wrong = read_answers(a_pack().templates["review"], {"plan": ["agreed", "none"]})
    assert wrong == {"plan": "Choose one answer."}


def test_a_response_is_fhir():
    pack = a_pack()
    typed = {"support": ["no"], "why-not": [" Too tired "], "weight": ["72.5"], "plan": ["none"]}
    template, answers, _, visible = fill(pack, typed, a_record(1001))
    found = response_json(template, answers, visible, status="completed", authored="2025-03-01T10:00:00+00:00")
    assert found == {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": "Questionnaire/review|1",
        "status": "completed",
        "authored": "2025-03-01T10:00:00+00:00",
        "item": [
            {"linkId": "support", "text": "Support discussed?", "answer": [{"valueBoolean": False}]},
            {"linkId": "why-not", "text": "Why not?", "answer": [{"valueString": "Too tired"}]},
            {"linkId": "weight", "text": "Weight", "answer": [{"valueDecimal": 72.5}]},
            {"linkId": "plan", "text": "Plan", "answer": [{"valueCoding": {"code": "none", "display": "None"}}]},
        ],
    }
    assert in_words(template.item("weight"), answers["weight"]) == "72.5 kg"
    with pytest.raises(TemplateError, match=r"review has no item wieght\. Did you mean weight\?"):
        template.item("wieght")
