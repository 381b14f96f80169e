"""Equal definitions give equal bytes; what was written is what is read; malformed input is refused with a place."""

import json
from datetime import date

import pytest

from cohortium_plugins.authoring import Cohort, Indicator, Parameter, Stratifier, age_band
from cohortium_plugins.errors import DefinitionError, MalformedPack
from cohortium_plugins.language import case, events, index_date, months, otherwise, patient, season_start, when
from cohortium_plugins.model import Code, Codelist, nodes
from cohortium_plugins.model.serialise import bind, content_hash, from_json, to_json
from cohortium_plugins.pack import Pack

interval = Parameter("test-interval", months(12), title="Interval", choices=[months(12), months(6)])


def a_pack():
    first = events("illness").on_or_after(date(2003, 4, 1)).earliest()
    people = Cohort("people", title="People", members=patient.is_registered & first.exists, since=first.date)
    season = case(when(patient.age >= 65).then(season_start(index_date, 9, 1)), otherwise(first.date))
    check = Indicator("check", title="Check", cohort=people, met=events("check").latest(), every=interval, source="x")
    flu = Indicator("flu", title="Flu", cohort=people, met=events("check").on_or_after(season).latest(), source="x")
    lists = {
        "illness": Codelist("illness", "Illness", "x", "1", (Code(1001, "Illness", "primary"),)),
        "check": Codelist("check", "Check", "x", "1", ()),
    }
    bands = Stratifier("age", title="Age", value=age_band(0, 65), labels={"0-64": "Under 65", "65+": "65 and over"})
    return Pack.build(
        id="p", version="1", title="P", publisher="x", codelists=lists, cohorts=[people], indicators=[check, flu],
        stratifiers=[bands],
    )  # fmt: skip


def test_reading_gives_what_was_written():
    pack = a_pack()
    data = to_json(pack.definition)
    read = from_json(json.loads(json.dumps(data)))
    assert read == pack.definition
    assert content_hash(read) == pack.hash
    assert read.indicators[0].met is pack.definition.indicators[0].met


def test_equal_definitions_have_equal_hashes_and_a_changed_code_does_not():
    pack, again = a_pack(), a_pack()
    assert pack.hash == again.hash
    changed = bind(pack.definition, additions={"check": (Code(9, "Local check", None, local=True),)})
    assert content_hash(changed) != content_hash(bind(pack.definition))


def test_binding_replaces_every_parameter():
    bound = bind(a_pack().definition, {"test-interval": months(6)})
    roots = list(nodes.walk(*bound.roots()))
    assert not [node for node in roots if isinstance(node, nodes.ParameterValue)]
    assert months(6) in [node.value for node in roots if isinstance(node, nodes.Constant)]


@pytest.mark.parametrize(
    ("parameters", "advice"),
    [({"test-intervall": months(6)}, "Did you mean test-interval"), ({"test-interval": months(7)}, "Choose from")],
)
def test_a_wrong_choice_is_refused_with_what_to_write(parameters, advice):
    with pytest.raises(DefinitionError, match=advice):
        bind(a_pack().definition, parameters)


def breakage(change):
    data = json.loads(json.dumps(to_json(a_pack().definition)))
    change(data)
    return data


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(schema=99),
        lambda d: d.pop("cohorts"),
        lambda d: d["nodes"].append({"node": "Evil"}),
        lambda d: d["nodes"][0].update(surprise=1),
        lambda d: d["nodes"][-1].update(node="Not", operand=10_000),
        lambda d: d["nodes"].append({"node": "Not", "operand": True}),
        lambda d: d["indicators"][0].update(met="1"),
        lambda d: d["indicators"][0].update(title=7),
        lambda d: d["codelists"][0]["codes"].append({"code": "x"}),
        lambda d: d["parameters"][0].update(default={"date": "yesterday"}),
    ],
)
def test_malformed_definitions_are_refused(change):
    with pytest.raises(MalformedPack):
        from_json(breakage(change))


def test_an_unknown_codelist_names_the_nearest():
    people = Cohort("people", title="People", members=events("ilness").exists, since=index_date)
    lists = {"illness": Codelist("illness", "Illness", "x", "1", ())}
    with pytest.raises(DefinitionError, match="Did you mean illness"):
        Pack.build(id="p", version="1", title="P", publisher="x", codelists=lists, cohorts=[people], indicators=[])
