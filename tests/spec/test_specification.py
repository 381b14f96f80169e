"""The specification tables: rows in, rule, value out, on every engine; and the manual that is written from them.

Expected values are worked out by hand from what the operations' docstrings say. `COHORTIUM_WRITE_DOCS=1` writes the
manual anew at docs/language/; without it a test holds the manual to the tables.
"""

import dataclasses
import os
import tomllib
from datetime import date
from pathlib import Path

import pytest

from cohortium_platform.engine.golden import duckdb_engine
from cohortium_plugins import authoring, composing, language, seasons
from cohortium_plugins.golden import interpret
from cohortium_plugins.language import BoolSeries, DateSeries
from cohortium_plugins.model import Code, Codelist, Definition, Stratifier, nodes
from cohortium_plugins.model.serialise import NODE_TYPES
from cohortium_plugins.model.values import Unit
from cohortium_plugins.record import Record, Row
from cohortium_plugins.words import Words

HERE = Path(__file__).parent
MANUAL = HERE.parents[1] / "docs" / "language"
INDEX_DATE = date(2025, 6, 30)
CHAPTERS = {path.stem: tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(HERE.glob("*.toml"))}
ENGINES = {"interpreter": interpret, "duckdb": duckdb_engine}
VOCABULARY = {**vars(language), **vars(authoring), **vars(seasons), **vars(composing), "date": date}


def codelist(name, **codes):
    listed = tuple(Code(number, word, category) for word, (number, category) in codes.items())
    return Codelist(name, name, "made for the specification", "1", listed)


LISTS = {
    found.name: found
    for found in [
        codelist("a", a1=(11, "x"), a2=(12, "y")),
        codelist("b", b1=(21, None)),
        codelist("c", c1=(31, None), c2=(32, None), c3=(33, None), c4=(34, None)),
        codelist("groups", c1=(31, "left"), c2=(32, "left"), c3=(33, "right")),
        codelist("empty"),
    ]
}
NUMBERS = {code.term: code.code for found in LISTS.values() for code in found.codes}
WORDS = {number: word for word, number in NUMBERS.items()}
everyone = authoring.Cohort(
    "everyone", title="Everyone", members=language.patient.is_registered, since=language.patient.registered_since
)
with_b = language.events("b").earliest()
joined_with_b = authoring.Cohort("joined", title="Joined", members=with_b.exists, since=with_b.date)


# --- records ------------------------------------------------------------------------------------------------------


def entry(text, place):
    day, code, *rest = text.split()
    found = {"source": "gp"}
    for word in rest:
        if word.startswith("source="):
            found["source"] = word.removeprefix("source=")
        elif word in ("new", "first", "review"):
            found["episode"] = word
        elif word[0].isdigit() or word[0] == "-":
            found["value"] = float(word)
        else:
            found["unit"] = word
    return Row(date.fromisoformat(day), code=NUMBERS[code], entry=place, **found)


def kinded(text, place):
    day, kind, *rest = text.split()
    return Row(date.fromisoformat(day), kind=kind, relationship=rest[0] if rest else None, entry=place)


def registration(text):
    words = text.split()
    practice = words.pop(0) if words[0].startswith("Y") else "Y1"
    days = [date.fromisoformat(word) for word in words]
    return Row(days[0], practice=practice, end_date=days[1] if len(days) > 1 else None)


def record(number, row):
    tables = {
        "events": tuple(entry(text, place) for place, text in enumerate(row.get("events", ()))),
        "medications": tuple(entry(text, place) for place, text in enumerate(row.get("medications", ()))),
        "consultations": tuple(kinded(text, place) for place, text in enumerate(row.get("consultations", ()))),
        "contacts": tuple(kinded(text, place) for place, text in enumerate(row.get("contacts", ()))),
        "registrations": tuple(registration(text) for text in row.get("registered", ["2000-01-01"])),
    }
    return Record(
        patient_id=number,
        practice="Y1",
        date_of_birth=row.get("born", date(1970, 1, 1)),
        sex=row.get("sex"),
        ethnicity=row.get("ethnicity"),
        imd_decile=row.get("imd_decile"),
        date_of_death=row.get("died"),
        rows=tables,
        missing=frozenset(row.get("missing", ())),
        records_to=row.get("records_to"),
    )


# --- values ---------------------------------------------------------------------------------------------------------


def rule_of(text):
    found = eval(text, dict(VOCABULARY))  # noqa: S307 - a rule of our own tables
    return language.wrap(found.value) if isinstance(found, Stratifier) else found


def showing(series):
    """An indicator that is met whatever the value, unless it cannot be decided, and shows the value."""
    met = series.is_missing | series.is_known
    extra = {}
    if isinstance(series, BoolSeries):
        word = language.case(
            language.when(series).then("true"), language.when(~series).then("false"), language.otherwise("unknown")
        )
        extra["shows"] = [word]
    elif isinstance(series, DateSeries):
        extra["date"] = series
    else:
        extra["shows"] = [series]
    return authoring.Indicator("value", title="Value", cohort=everyone, met=met, source="x", **extra)


def value_of(result, series):
    if result.reason is not None:
        return f"reason {result.reason}"
    if isinstance(series, DateSeries):
        return result.met_date or "unknown"
    if isinstance(series, BoolSeries):
        return {"true": True, "false": False}.get(result.value_text, "unknown")
    found = [item for item in (result.value, result.value_code, result.value_text) if item is not None]
    if not found:
        return "unknown"
    return WORDS[found[0]] if result.value_code is not None else found[0]


def part(name, **given):
    """An indicator that a composite is made of."""
    return authoring.Indicator(name, title=name, cohort=joined_with_b, source="x", **given)


def evaluate(engine, indicator, cohort, rows):
    definition = Definition(LISTS, (), (cohort,), (indicator,))
    results, records = {}, [record(number, row) for number, row in enumerate(rows, start=1)]
    for group in standing_together(records):
        results |= {result.patient_id: result for result in ENGINES[engine](definition, group, [INDEX_DATE]).results}
    return [results[each.patient_id] for each in records]


def standing_together(records):
    """A practice stands as a whole: records that say the same of it go together."""
    together = {}
    for each in records:
        together.setdefault((each.missing, each.records_to), []).append(each)
    return together.values()


TABLES = [(name, table) for name, chapter in CHAPTERS.items() for table in chapter.get("table", ())]
STATUSES = [(name, table) for name, chapter in CHAPTERS.items() for table in chapter.get("status", ())]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("name", "table"), TABLES, ids=[f"{name}: {table['title']}" for name, table in TABLES])
def test_values(engine, name, table):
    del name
    series = rule_of(table["rule"])
    assert_values(table, evaluate(engine, showing(series), everyone, table["rows"]))


def assert_values(table, answers):
    series = rule_of(table["rule"])
    assert [value_of(answer, series) for answer in answers] == [row["is"] for row in table["rows"]]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("name", "table"), STATUSES, ids=[table["title"] for _, table in STATUSES])
def test_statuses(engine, name, table):
    del name
    assert_statuses(table, evaluate(engine, measure(table), joined_with_b, table["rows"]))


def measure(table):
    parts = eval(f"dict({table['indicator']})", {**VOCABULARY, "part": part})  # noqa: S307 - a rule of our own tables
    make = VOCABULARY[table.get("made_by", "Indicator")]
    return make("measure", title="Measure", cohort=joined_with_b, source="x", **parts)


def assert_statuses(table, answers):
    for row, answer in zip(table["rows"], answers, strict=True):
        found = {
            "status": answer.status.value, "reason": answer.reason, "due_date": answer.due_date,
            "due_now": answer.due_now, "met_date": answer.met_date, "adjustment": answer.adjustment,
        }  # fmt: skip
        expected = {name: row.get(name) for name in found} | {"due_now": row.get("due_now", False)}
        assert found == expected


# --- the same on Spark ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spark_answers(spark_engine):
    """What Spark says of every row of every table: an indicator a table and a patient a row, in a few runs, since Spark
    takes seconds to begin.
    """
    asked = [(showing(rule_of(table["rule"])), everyone, table) for _, table in TABLES]
    asked += [(measure(table), joined_with_b, table) for _, table in STATUSES]
    numbered = [dataclasses.replace(indicator, name=f"i{n}") for n, (indicator, _, _) in enumerate(asked)]
    rows = [(n, row) for n, (_, _, table) in enumerate(asked) for row in table["rows"]]
    records = [record(number, row) for number, (_, row) in enumerate(rows)]
    found = {}
    for group in standing_together(records):
        tables = dict.fromkeys(rows[each.patient_id][0] for each in group)
        definition = Definition(LISTS, (), (everyone, joined_with_b), tuple(numbered[n] for n in tables))
        for result in spark_engine(definition, group, [INDEX_DATE]).results:
            if result.indicator == f"i{rows[result.patient_id][0]}":
                found[result.patient_id] = result
    by_table = {}
    for number, (n, _) in enumerate(rows):
        by_table.setdefault(asked[n][2]["title"], []).append(found[number])
    return by_table


@pytest.mark.xdist_group("spark")
@pytest.mark.parametrize(("name", "table"), TABLES, ids=[f"{name}: {table['title']}" for name, table in TABLES])
def test_values_on_spark(spark_answers, name, table):
    del name
    assert_values(table, spark_answers[table["title"]])


@pytest.mark.xdist_group("spark")
@pytest.mark.parametrize(("name", "table"), STATUSES, ids=[table["title"] for _, table in STATUSES])
def test_statuses_on_spark(spark_answers, name, table):
    del name
    assert_statuses(table, spark_answers[table["title"]])


# --- nothing is left out ------------------------------------------------------------------------------------------


def used_nodes():
    for _, table in TABLES:
        yield from nodes.walk(rule_of(table["rule"]).node)


def test_every_kind_of_node_has_a_table():
    # Parameters are constants before anything is evaluated: `model.serialise.bind`, and its own tests.
    assert {type(node) for node in used_nodes()} >= set(NODE_TYPES.values()) - {nodes.ParameterValue}


def test_every_way_to_pick_compare_reckon_and_count_time_has_a_table():
    used = list(used_nodes())
    assert {node.how for node in used if isinstance(node, nodes.Pick)} == set(nodes.How)
    compared = {node.op for node in used if isinstance(node, nodes.Compare)}
    assert compared == set(nodes.CompareOp)
    assert {node.op for node in used if isinstance(node, nodes.Arithmetic)} == set(nodes.ArithmeticOp)
    durations = {node.duration.value.unit for node in used if isinstance(node, nodes.DateAdd)}
    assert durations == set(Unit)
    assert {node.name for node in used if isinstance(node, nodes.Rows)} == set(nodes.TABLES)


def test_every_fact_of_a_patient_has_a_table():
    used = {node.name for node in used_nodes() if isinstance(node, nodes.PatientFact)}
    assert used == set(nodes.FACTS)


def said(table):
    return Words(LISTS).of(rule_of(table["rule"]).node)


def test_every_rule_can_be_said():
    for name, table in TABLES:
        words = said(table)
        assert words
        assert "<" not in words, (name, table["title"])  # no object shown as Python shows it


# --- the manual ----------------------------------------------------------------------------------------------------


def shown(value):
    return "`" + value.isoformat() + "`" if isinstance(value, date) else f"`{value}`"


def record_in_words(row):
    parts = [f"{name}: {', '.join(row[name])}" for name in ("events", "medications", "consultations", "contacts",
                                                            "registered") if row.get(name)]  # fmt: skip
    parts += [f"{name}: {row[name]}" for name in ("born", "sex", "ethnicity", "imd_decile", "died", "records_to")
              if name in row]  # fmt: skip
    parts += [f"never loaded: {', '.join(row['missing'])}"] if "missing" in row else []
    return "<br>".join(parts) or "nothing recorded"


def chapter_page(chapter):
    lines = [f"# {chapter['title']}", "", chapter["intro"], ""]
    lists = (
        "Codelists in these tables: `a` holds a1 (category x) and a2 (category y); `b` holds b1; `c` holds c1 to c4; "
        "`groups` puts c1 and c2 under left and c3 under right; `empty` has no codes."
    )
    lines += [lists, ""]
    for table in (*chapter.get("table", ()), *chapter.get("status", ())):
        lines += [f"## {table['title']}", ""]
        if "words" in table:
            lines += [table["words"], ""]
        lines += [
            "```python",
            table.get("rule") or f"{table.get('made_by', 'Indicator')}(..., {table['indicator']})",
            "```",
            "",
        ]
        if "rule" in table:
            lines += [f"In words: {said(table)}.", ""]
        lines += ["| record | gives | why |", "| --- | --- | --- |"]
        for row in table["rows"]:
            gives = shown(row["is"]) if "is" in row else ", ".join(
                f"{name} {shown(row[name])}"
                for name in ("status", "reason", "adjustment", "due_date", "due_now", "met_date") if name in row
            )  # fmt: skip
            lines.append(f"| {record_in_words(row)} | {gives} | {row.get('note', '')} |")
        lines.append("")
    return "\n".join(lines)


def pages():
    made = {f"{name}.md": chapter_page(chapter) for name, chapter in CHAPTERS.items()}
    listed = [f"- [{chapter['title']}]({name}.md): {chapter['intro']}" for name, chapter in CHAPTERS.items()]
    intro = (
        "Authors write Python that only builds data (`cohortium_plugins.language` and `authoring`). Every operation "
        "has one meaning on every engine; the tables here are its specification and are run as tests. They are written "
        "anew by `COHORTIUM_WRITE_DOCS=1 pytest tests/spec`."
    )
    made["README.md"] = "\n".join(["# The rule language", "", intro, "", *listed, ""])
    return made


def test_the_manual_is_current():
    if os.environ.get("COHORTIUM_WRITE_DOCS"):
        MANUAL.mkdir(parents=True, exist_ok=True)
        for name, text in pages().items():
            (MANUAL / name).write_text(text, encoding="utf-8")
    written = {path.name: path.read_text(encoding="utf-8") for path in MANUAL.glob("*.md")}
    assert written == pages()
