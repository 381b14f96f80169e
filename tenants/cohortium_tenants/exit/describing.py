"""How a bundle explains itself: README, dictionary of its tables, their schemas, and the program that checks it.

Not here: what is in the tables (`planning`).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files

from cohortium_platform.engine.evaluated import RESULT_COLUMNS
from cohortium_platform.portability.tables import described, exported_tables
from cohortium_platform.records import SCHEMAS

__all__ = ["descriptions"]

_RECORDS: Mapping[str, str] = {
    "patient_id": "the person's pseudonym, a number that is no NHS number",
    "practice": "ODS code of the practice whose record this is",
    "date": "the day it is about; of contacts, the day it was recorded",
    "code": "SNOMED CT identifier, or a code of the practice's own system",
    "value": "the number that was recorded with it",
    "unit": "its unit, as recorded",
    "episode": "first, new, review and the like, where a feed carries it",
    "source": "gp: the practice's own system; cohortium: entered in Cohortium; else ODS code of the trust",
    "entry": "the place at which the source gave the row among the person's rows, which orders rows of one day",
    "kind": "of consultations how it was held; of contacts telephone, mobile, email, address or next-of-kin",
    "relationship": "UK Core relationship code of a next of kin",
    "start_date": "first day of the registration",
    "end_date": "last day of the registration, counted in",
    "date_of_birth": "date of birth",
    "sex": "male, female or indeterminate",
    "ethnicity": "the letter of the 16+1 groups; Z is not stated",
    "imd_decile": "Index of Multiple Deprivation, 1 is the most deprived",
    "date_of_death": "date of death",
}
_RESULTS: Mapping[str, str] = {
    "patient_id": "the person's pseudonym",
    "practice": "ODS code of the practice where they are registered",
    "indicator": "the indicator's name in its pack",
    "index_date": "the date as of which it was worked out",
    "status": "met, due, overdue, excluded, not_applicable or not_evaluated",
    "reason": "why it is not evaluated, or does not apply",
    "due_date": "when it falls or fell due, or, if met, is due again",
    "due_now": "whether it is due without a date",
    "met_date": "when it was met",
    "value": "the number that is shown",
    "value_code": "the code that is shown",
    "value_text": "the text that is shown",
    "adjustment": "the personalised care adjustment that excludes",
    "event_date": "date of the entry that decided",
    "event_code": "its code",
    "event_source": "its source",
    "window_end": "the last day on which it could be met, where there is one",
}


def descriptions(copied: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Path and content of each such file; `copied` are the paths of all Parquet files."""
    resources = files("cohortium_platform.portability")
    yield "README.md", resources.joinpath("bundle_readme.md").read_bytes()
    yield "verify.py", resources.joinpath("verify_bundle.py").read_bytes()
    yield "data-dictionary.md", _dictionary().encode()
    yield "schema.sql", "".join(_views(copied)).encode()
    for name in exported_tables():
        yield f"json-schema/{name}.json", json.dumps(described(name), indent=1, sort_keys=True).encode() + b"\n"


def _dictionary() -> str:
    parts = ["# Data dictionary\n"]
    for table, schema in SCHEMAS.items():
        columns = [(field.name, str(field.type), _RECORDS[field.name]) for field in schema.columns]
        parts.append(_section(f"records: {table}", "", columns))
    results = [(name, str(kind.value), _RESULTS[name]) for name, kind in RESULT_COLUMNS.items()]
    parts.append(_section("results: results and history", "A row a person, indicator and index date.", results))
    for name in exported_tables():
        schema_of = described(name)
        properties = schema_of["properties"]
        columns = [(column, _words(said), "") for column, said in properties.items()]  # type: ignore[attr-defined]
        parts.append(_section(f"control: {name}", str(schema_of["description"]), columns))
    return "\n".join(parts)


_DUCKDB: Mapping[str, str] = {
    "uuid": "UUID", "date-time": "TIMESTAMP", "date": "DATE", "integer": "BIGINT", "number": "DOUBLE",
    "boolean": "BOOLEAN", "string": "VARCHAR",
}  # fmt: skip
"""The type of a column of lines for DuckDB; lists and objects stay JSON."""


def _kind(said: Mapping[str, object]) -> str:
    """The kind of a column, whether or not it may be null."""
    first = said["anyOf"][0] if "anyOf" in said else said  # type: ignore[index]
    return str(first.get("format", first["type"]))


def _words(said: Mapping[str, object]) -> str:
    return f"{_kind(said)} or null" if "anyOf" in said else _kind(said)


def _section(title: str, words: str, columns: Sequence[tuple[str, str, str]]) -> str:
    rows = "".join(f"| `{name}` | {kind} | {meaning} |\n" for name, kind, meaning in columns)
    return f"## {title}\n\n{words}\n\n| column | type | meaning |\n| --- | --- | --- |\n{rows}"


_VIEW = """
CREATE OR REPLACE VIEW {name} AS
FROM read_parquet([{files}], hive_partitioning = false, union_by_name = true);
"""
_LINES = """
CREATE OR REPLACE VIEW control_{name} AS
FROM read_json('control/{name}.jsonl', format = 'newline_delimited', columns = {{{columns}}});
"""


def _views(copied: Sequence[str]) -> Iterator[str]:
    """A view for each table of records, each kind of results and each table of lines."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(copied):
        table = path.rpartition("/")[2].partition("-")[0]
        found[table if path.startswith("records/") else f"results_{table}"].append(path)
    for name, paths in sorted(found.items()):
        yield _VIEW.format(name=name, files=", ".join(f"'{path}'" for path in paths))
    for name in exported_tables():
        properties: Mapping[str, Mapping[str, object]] = described(name)["properties"]  # type: ignore[assignment]
        columns = ", ".join(f"'{column}': '{_DUCKDB.get(_kind(said), 'JSON')}'" for column, said in properties.items())
        yield _LINES.format(name=name, columns=columns)
