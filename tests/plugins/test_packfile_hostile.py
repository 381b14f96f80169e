"""Rules that only somebody who writes a file by hand can write are refused with the reason, at little cost."""

import dataclasses
import json
import random
import subprocess
import sys

import pytest

from cohortium_pack_cancer_care import pack as cancer_care
from cohortium_plugins import packfile
from cohortium_plugins.errors import PackError
from cohortium_plugins.golden import check, read_files
from cohortium_plugins.model.serialise import NODE_TYPES, to_json
from cohortium_plugins.packing.soundness import _RULES

SECONDS, BYTES = 2.0, 200 * 2**20
READ = """
import json, resource, sys
from pathlib import Path
from cohortium_plugins.errors import PackError
from cohortium_plugins.packfile import read
try:
    read(Path(sys.argv[1]))
    said = None
except PackError as error:
    said = str(error)
used = resource.getrusage(resource.RUSAGE_SELF)
highest = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(json.dumps([said, used.ru_utime + used.ru_stime, int(highest.split()[1]) * 1024]))
"""


def first(rules, kind):
    return next(node for node in rules["nodes"] if node["node"] == kind)


def grow(rules, step, times):
    """Let the first indicator's condition grow, each step standing on the one before."""
    position = rules["indicators"][0]["met"]
    for _ in range(times):
        rules["nodes"].append(step(position))
        position = len(rules["nodes"]) - 1
    rules["indicators"][0]["met"] = position


def both(position):
    return {"node": "And", "operands": [position, position]}


def no(position):
    return {"node": "Not", "operand": position}


def millions_of_years(rules):
    length = next(n for n in rules["nodes"] if n["node"] == "Constant" and "duration" in str(n["value"]))
    length["value"] = {"duration": [10**9, "days"]}


def outside(rules):
    rules["nodes"].append({"node": "RowValue", "column": "date"})
    rules["indicators"][0]["begins"] = len(rules["nodes"]) - 1


def frames(rules):
    """Ten thousand, each a filter of the one before."""
    condition = first(rules, "Filter")["condition"]
    frame = next(position for position, node in enumerate(rules["nodes"]) if node["node"] == "Rows")
    for _ in range(10_000):
        rules["nodes"].append({"node": "Filter", "frame": frame, "condition": condition})
        frame = len(rules["nodes"]) - 1
    rules["nodes"].append({"node": "Exists", "frame": frame})
    rules["indicators"][0]["met"] = len(rules["nodes"]) - 1


def update(node, **fields):
    return lambda rules: first(rules, node).update(fields)


def codes(count):
    return lambda rules: rules["codelists"][0].update(codes=[[n + 1, "a term", None, False] for n in range(count)])


HOSTILE = {
    "an unknown node": (lambda r: first(r, "Exists").update(node="Execute"), "of no known kind"),
    "a node that is a list": (lambda r: first(r, "Exists").update(node=["x"]), "of no known kind"),
    "a node that stands on a later one": (update("Exists", frame=10**6), "does not stand before it"),
    "a column that no row has": (update("PickValue", column="nhs_number"), "no such column"),
    "a table that there is not": (update("Rows", name="identities"), "no such table"),
    "a fact that there is not": (update("PatientFact", name="name"), "no such fact"),
    "a codelist that there is not": (update("Rows", codelist="x"), "no codelist x"),
    "a month that no year has": (update("SeasonStart", month=13), "no such day"),
    "a constant without end": (update("Constant", value=1e400, kind="number"), "no pack's file"),
    "a condition that is a day": (
        lambda r: r["indicators"][0].update(met=r["indicators"][0]["begins"]), "must be a bool",
    ),
    "a cohort that there is not": (lambda r: r["indicators"][0].update(cohort="x"), "does not list"),
    "a row's column where there is no row": (outside, "where there is none"),
    "a rule that says itself twice, forty times": (lambda r: grow(r, both, 40), "too long"),
    "a rule of ten thousand levels": (lambda r: grow(r, no, 10_000), "too long"),
    "a rule of a hundred thousand parts": (lambda r: grow(r, no, 100_000), "too long"),
    "two hundred thousand operands": (
        lambda r: r["nodes"].append({"node": "And", "operands": [0] * 200_000}), "too long",
    ),
    "ten thousand frames": (frames, "too long"),
    "an interval of millions of years": (millions_of_years, "too long"),
    "a hundred and thirty thousand codes": (codes(130_000), "too long"),
    "a code of a thousand digits": (
        lambda r: r["codelists"][0].update(codes=[[10**999, "", None, False]]), "no published list",
    ),
    "codes up to the bound that end badly": (
        lambda r: (codes(90_000)(r), r["codelists"][0]["codes"].append([True, "", None, False])), "code is malformed",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def whole():
    return json.loads(packfile.build(cancer_care))


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_refused_with_the_reason_at_little_cost(whole, name, tmp_path):
    change, said = HOSTILE[name]
    copy = json.loads(json.dumps(whole))
    change(copy["content"]["definition"])
    path = tmp_path / "pack"
    path.write_text(json.dumps(copy))
    done = subprocess.run([sys.executable, "-c", READ, path], capture_output=True, text=True, check=True, timeout=60)
    reason, seconds, memory = json.loads(done.stdout)
    assert reason is not None, "it was taken"
    assert said in reason
    assert len(reason) < 2_000
    assert seconds <= SECONDS
    assert memory <= BYTES


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("id", "../x", "id or version"),
        ("version", "<b>", "id or version"),
        ("title", "x" * 300, "at most 200"),
        ("golden", {"../x.toml": ""}, "not called as a file"),
        ("golden", {"x.toml": "x" * (4 * 2**20)}, "larger than any"),
        ("golden", {f"{number}.toml": "" for number in range(2_000)}, "larger than any"),
        ("changes", "x" * 2**19, "larger than any"),
        ("documentation", 7, "no text"),
    ],
)
def test_what_stands_beside_the_rules_has_bounds(whole, part, value, said):
    content = {**whole, "content": {**whole["content"], part: value}}
    with pytest.raises(PackError, match=said):
        packfile.read(json.dumps(content).encode())


def test_a_definition_changed_anywhere_is_refused_or_can_be_evaluated():
    """Whoever knows the format can write any node: what is taken must not make an engine fail."""
    chance = random.Random(20260201)  # noqa: S311 - changes to try
    lists = cancer_care.definition.codelists
    bare = {name: dataclasses.replace(codelist, codes=()) for name, codelist in lists.items()}
    rules = json.dumps(to_json(dataclasses.replace(cancer_care.definition, codelists=bare)))
    cases = [case for file in read_files(cancer_care.golden) for case in file.cases if not case.results][:12]
    taken = 0
    for _ in range(1_000):
        changed = json.loads(rules)
        _change(changed, chance)
        try:
            found = packfile._definition(changed)
        except PackError:
            continue
        taken += 1
        list(check(dataclasses.replace(found, codelists=lists), cases))
    assert taken


def _change(rules, chance):
    node = chance.choice(rules["nodes"])
    field = chance.choice([name for name in node if name != "node"] or ["node"])
    other = chance.choice(rules["nodes"])
    node[field] = chance.choice([
        None, True, 0, -1, 1.5, "", "date", [], {}, {"date": "2020-01-01"}, {"duration": [1, "days"]}, [0], [None],
        chance.randrange(len(rules["nodes"])), chance.choice(list(other.values())), other["node"],
    ])  # fmt: skip


def test_every_kind_of_node_is_looked_at():
    assert set(NODE_TYPES.values()) == set(_RULES)
