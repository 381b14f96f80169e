"""The page about tabular extracts says what is so: its examples are loaded, its tables compared with the code."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
import yaml

from cohortium_platform.ingest.tabular.importer import NEEDED
from cohortium_plugins.importing import EXTRACT_COLUMNS

PAGE = (Path(__file__).parents[2] / "docs" / "operator" / "tabular-extracts.md").read_text()
EXAMPLES = dict(re.findall(r"^```\w+ (\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
PLAIN = {"patients.csv", "registrations.csv", "events.csv"}
FOREIGN = {"demographics_1.csv", "reg.csv", "coded/entries.csv"}


def test_every_example_is_used():
    assert EXAMPLES.keys() == PLAIN | FOREIGN | {"extract.yaml", "supplier.yaml"}


def test_the_plain_example_loads_as_it_says(loads):
    result = loads.load({name: EXAMPLES[name] for name in PLAIN}, manifest=EXAMPLES["extract.yaml"])
    assert result.report.tables["events"].kept == 3
    assert all(count.severity == "warning" for count in result.report.counts)
    jane = loads.patient("9990000018")
    assert sorted(
        row[1:] for row in loads.rows("events", "patient_id, date, code, value, unit, episode") if row[0] == jane
    ) == [
        (date(2019, 8, 20), 254837009, None, None, "new"),
        (date(2025, 3, 4), 60621009, 27.4, "kg/m2", None),
    ]
    assert loads.identities(jane)[jane].name == "SMITH, Jane"
    assert [(q.records_to, code) for code, q in result.report.practices.items()] == [(date(2025, 11, 30), "A81001")]


@pytest.mark.parametrize("inline", [True, False])
def test_another_suppliers_columns_give_the_same_records(loads, inline):
    loads.load({name: EXAMPLES[name] for name in PLAIN}, manifest=EXAMPLES["extract.yaml"])
    foreign = {name: EXAMPLES[name] for name in FOREIGN}
    mapping = yaml.safe_load(EXAMPLES["supplier.yaml"])
    if inline:
        again = loads.load(foreign, manifest=EXAMPLES["extract.yaml"], mapping=mapping, importer="tabular")
    else:
        manifest = EXAMPLES["extract.yaml"] + "mapping: supplier.yaml\n"
        again = loads.load(foreign | {"supplier.yaml": EXAMPLES["supplier.yaml"]}, manifest=manifest)
    assert again.unchanged


def test_the_table_of_columns_is_the_codes():
    rows = dict(re.findall(r"^\| (\w+) \| (.*local_id.*) \|$", PAGE, re.MULTILINE))
    named = {table: [re.sub(r"\W", "", column) for column in cells.split(",")] for table, cells in rows.items()}
    assert named == {table: list(columns) for table, columns in EXTRACT_COLUMNS.items()}
    bold = {table: tuple(re.findall(r"\*\*(\w+)\*\*", cells)) for table, cells in rows.items()}
    assert bold == {table: NEEDED[table] for table in EXTRACT_COLUMNS}
