"""What an author hears: the file and line, what is wrong, and what to write instead."""

import runpy
from datetime import date

import pytest

from cohortium_plugins.codelists import load_codelists
from cohortium_plugins.errors import CodelistError, DefinitionError, PackError
from cohortium_plugins.golden.reading import read_file
from cohortium_plugins.language import (
    Measure,
    code,
    consultations,
    days,
    entry_date,
    events,
    index_date,
    kind,
    months,
    patient,
    value,
    years,
)
from cohortium_plugins.model import Duration, Unit
from cohortium_plugins.places import here

START = """\
from datetime import date
from cohortium_plugins.authoring import Cohort, Indicator, Parameter, Stratifier
from cohortium_plugins.composing import Composite
from cohortium_plugins.language import *
from cohortium_plugins.model import Code, Codelist
from cohortium_plugins.pack import Pack

people = Cohort("people", title="P", members=patient.is_registered, since=patient.registered_since)
codes = (Code(1001, "", "smoker"), Code(2001, "", "never"))
lists = {"smoking-status": Codelist("smoking-status", "S", "x", "1", codes)}
done = events("smoking-status").latest()
"""
BUILD = """
def build(*indicators):
    return Pack.build(
        id="p", version="1", title="P", publisher="x", codelists=lists, cohorts=[people], indicators=indicators
    )
"""
FIRST_LINE = len((START + BUILD).splitlines()) + 1


def written(tmp_path, text):
    file = tmp_path / "cohortium_pack_trial" / "rules.py"
    file.parent.mkdir()
    file.write_text(START + BUILD + text, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("patient.age > date(2025, 1, 1)", 0, "A number was expected here, and this is a date. From two days to a"),
        ("x = 1\nindex_date + 7", 1, "A date cannot move by a bare number. Say a unit: days(7)"),
        ("index_date - date(2025, 1, 1)", 0, "Between two days: days_between"),
        ("done.date + done.date", 0, "Two days cannot be added"),
        ("done.date > months(3)", 0, "index_date - months(12)"),
        ("done.value > 'x'", 0, "Write the number without quotes"),
        ("done.lattest", 0, "Pick has no lattest."),
        ("events('smoking-status').earlest()", 0, "Did you mean earliest?"),
        ("patient.registred_since", 0, "Did you mean registered_since?"),
        ("done.date.is_mising", 0, "Did you mean is_missing?"),
        ("Indicator('i', title='I', cohort=people, mett=done, source='x')", 0, "takes no mett. Did you mean met?"),
        ("Indicator('i', title='I', cohort=people, met=done)", 0, "missing a required argument: 'source'"),
        ("Parameter('p', months(1), title='P', choice=[months(1)])", 0, "Did you mean choices?"),
        (
            ("i = Indicator('i', title='I', cohort=people,\n  met=events('smoking-statuss').latest(), source='x')\n"
            "build(i)"),
            1,
            "There is no codelist smoking-statuss. Did you mean smoking-status?",
        ),
        (
            ("i = Indicator('i', title='I', cohort=people,\n  met=events('smoking-status')\n"
            "  .where_category('smokr').latest(), source='x')\nbuild(i)"),
            2,
            "has the category smokr. Did you mean smoker?",
        ),
        (
            "\ni = Indicator('i', title='I', cohort=people, met=done.category == 'evr', source='x')\nbuild(i)",
            1,
            "No code of smoking-status has the category evr. Did you mean never?",
        ),
        (
            "i = Indicator('i', title='I', cohort=people, met=done, source='x')\nbuild(\n  i, i)",
            0,
            "Two indicators are called i",
        ),
        ("Pack.build(id='p', versoin='1')", 0, "build takes no versoin. Did you mean version?"),
        (
            ("i = Indicator('i', title='I', cohort=people, met=done, source='x')\n\n"
            "Composite('c', title='C', cohort=people, parts=[i], source='x')"),
            2,
            "c: 1 parts are too few",
        ),
    ],
)  # fmt: skip
def test_every_error_names_the_line_of_the_pack(tmp_path, text, line, words):
    file = written(tmp_path, text)
    with pytest.raises(DefinitionError) as refused:
        runpy.run_path(str(file))
    assert (refused.value.place.file, refused.value.place.line) == (str(file), FIRST_LINE + line)
    assert str(refused.value).startswith(f"cohortium_pack_trial/rules.py, line {FIRST_LINE + line}: ")
    assert words in str(refused.value)


def test_what_is_no_pack_has_no_line():
    caller = {"__name__": "cohortium_platform.engine.checks", "here": here}
    exec("found = here()", caller)  # noqa: S102 - a caller of another package
    assert caller["found"] is None
    assert here().file == __file__


def test_a_pack_knows_the_lines_of_its_parts_and_what_it_does_not_use(tmp_path):
    file = written(
        tmp_path,
        "spare = Parameter('spare', months(1), title='Spare', choices=[months(1)])\n"
        "pack = build(Indicator('i', title='I', cohort=people, met=done, source='x'))",
    )
    pack = runpy.run_path(str(file))["pack"]
    assert pack.places["indicator", "i"].line == FIRST_LINE + 1
    assert str(pack.places["cohort", "people"]) == "cohortium_pack_trial/rules.py, line 8"
    assert [parameter.name for parameter in pack.unused] == ["spare"]


def test_packs_may_use_the_same_names(tmp_path):
    """Each keeps its own parameter and its own lines, whichever was read first."""
    packs, files = [], []
    for number, length in enumerate((6, 24)):
        folder = tmp_path / f"pack{number}"
        folder.mkdir()
        text = (
            "\n" * number + f"often = Parameter('interval', months({length}), title='T', choices=[months({length})])\n"
            "again = Indicator('i', title='I', cohort=people, met=done, every=often, source='x')\n"
            "built = lambda: build(again)"
        )
        files.append(runpy.run_path(str(written(folder, text))))
    packs = [file["built"]() for file in files]
    assert [pack.definition.parameters[0].default for pack in packs] == [months(6), months(24)]
    lines = [pack.places["parameter", "interval"].line for pack in packs]
    assert lines == [FIRST_LINE, FIRST_LINE + 1]
    assert lines == [pack.places["indicator", "i"].line - 1 for pack in packs]
    assert [pack.unused for pack in packs] == [(), ()]


# --- windows that can never hold ------------------------------------------------------------------------------------

a = events("a")
KG = Measure("weight", unit="kg", converts={"g": (0.001, 0)})


@pytest.mark.parametrize(
    "write",
    [
        lambda: a.between(date(2025, 2, 1), date(2025, 1, 1)),
        lambda: a.between(index_date, index_date - months(12)),
        lambda: a.between(index_date - months(6), index_date - months(12)),
        lambda: a.between(a.earliest().date + months(12), a.earliest().date),
        lambda: a.between(patient.birthday(50), patient.birthday(40)),
        lambda: a.on_or_after(index_date + days(1)),
        lambda: a.in_last(Duration(-1, Unit.MONTHS)).in_last(-months(2)),
        lambda: a.where(entry_date > index_date),
        lambda: a.on_or_after(date(2025, 1, 1)).on_or_before(date(2024, 12, 31)),
        lambda: a.where(entry_date < date(2025, 1, 1)).on_or_after(date(2025, 1, 1)),
        lambda: a.where(entry_date > date(2025, 1, 1)).where(entry_date < date(2025, 1, 2)),
        lambda: a.where(value >= 50).where(value < 50),
        lambda: a.where(value > 50).first_of_each("a").within(days(1), of=a).where(value == 50),
        lambda: a.where(value.between(100, 10)),
        lambda: patient.age.between(70, 60),
        lambda: index_date.between(date(2025, 2, 1), date(2025, 1, 1)),
        lambda: a.where_category("x").where_category("y"),
        lambda: a.where(code == 1).where(code.is_in(2, 3)),
        lambda: consultations().where((kind == "home") & (kind == "telephone")),
        lambda: a.measured(KG).where(value > 5).where(value < 4),
        lambda: a.on_or_after(index_date - years(1)).on_or_before(index_date - months(24)),
    ],
)
def test_a_window_that_can_never_hold_is_refused(write):
    with pytest.raises(DefinitionError, match=r"can never hold|wrong way round"):
        write()


@pytest.mark.parametrize(
    "write",
    [
        lambda: a.between(date(2025, 1, 1), date(2025, 1, 1)),
        lambda: a.between(index_date - months(12), index_date),
        lambda: a.between(index_date - months(12), index_date - days(360)),
        lambda: a.between(index_date - months(1), index_date - days(31)),
        lambda: a.between(a.earliest().date, events("b").earliest().date),
        lambda: a.on_or_after(index_date),
        lambda: a.where(value >= 50).where(value <= 50),
        lambda: a.where(value >= 50).measured(KG).where(value < 1),
        lambda: a.where_category("x", "y").where_category("y", "z"),
        lambda: a.where((value > 5) | (value < 4)),
        lambda: a.between(index_date - years(1), index_date - months(12)),
        lambda: a.on_or_after(consultations().where(kind == "home").latest().date),
        lambda: a.where(value > 5).on_or_after(a.where(value < 4).latest().date),
    ],
)
def test_a_window_that_may_hold_is_not(write):
    assert write().node is not None


def test_lengths_can_be_multiplied_and_turned_round():
    assert months(3) * 4 == months(12)
    assert 2 * days(7) == days(14)
    assert -months(3) == months(-3)


# --- files ----------------------------------------------------------------------------------------------------------

GOOD = '[smoking]\nsource = "x"\ntitle = "S"\n\n[weight]\nsource = "x"\n'


@pytest.mark.parametrize(
    ("toml", "weight", "words"),
    [
        (GOOD.replace("title", "titel"), "code,term\n", "line 3: the key titel is not known. Did you mean title?"),
        (GOOD.replace("[weight]", "[weigth]"), "code,term\n", "line 5: there is no file weigth.csv. .* mean weight?"),
        (GOOD.replace("[smoking]", "[smoking"), "code,term\n", "codelists.toml is not TOML: .*line 1"),
        ('[smoking]\nsource = "x"\n', "code,term\n", "weight.csv is not described in codelists.toml"),
        ('[smoking]\nsource = "x"\n[weight]\ntitle = "W"\n', "code,term\n", "line 3: weight has no source"),
        (GOOD, "code,term,categorie\n", "weight.csv, line 1: .* categorie is not known. Did you mean category?"),
        (GOOD, "code,term\n27113001,Body weight\n27113002,x\n", "weight.csv, line 3: not a SNOMED CT concept"),
        (GOOD, "code,term\n27113001,Body weight, so\n", "weight.csv, line 2: 3 columns instead of 2"),
    ],
)  # fmt: skip
def test_codelist_files_are_refused_with_file_line_key_and_nearest_word(tmp_path, toml, weight, words):
    (tmp_path / "codelists.toml").write_text(toml, encoding="utf-8")
    (tmp_path / "smoking.csv").write_text("code,term\n", encoding="utf-8")
    (tmp_path / "weight.csv").write_text(weight, encoding="utf-8")
    with pytest.raises(CodelistError, match=words):
        load_codelists(tmp_path)


def test_golden_files_are_refused_with_file_line_key_and_nearest_word():
    text = 'indicator = "i"\nindex_date = 2025-01-01\n\n[[patient]]\nname = "one"\nexpect = "met"\n\n'
    with pytest.raises(PackError, match=r'i\.toml, line 11, "two": the key brn is not known\. Did you mean born\?'):
        read_file("i.toml", text + '[[patient]]\nname = "two"\nexpect = "met"\nbrn = 1960-01-01\n')
    with pytest.raises(PackError, match=r'i\.toml, line 9, "two": '):
        read_file("i.toml", text + '[[patient]]\nname = "two"\nexpect = "mett"\n')
    with pytest.raises(PackError, match=r"i\.toml, line 1: the key indicatr is not known\. Did you mean indicator\?"):
        read_file("i.toml", text.replace("indicator =", "indicatr ="))
