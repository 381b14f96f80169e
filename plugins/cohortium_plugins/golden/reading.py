"""Reads files of golden patients: TOML text in, cases out. Errors name the file, the patient and the key."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

from cohortium_plugins.errors import GoldenError, nearest
from cohortium_plugins.golden.cases import Binding, Case
from cohortium_plugins.golden.expecting import NONE, read_member, read_result
from cohortium_plugins.golden.rows import TABLE_KEYS, Complaint, read_code, read_rows
from cohortium_plugins.model.definition import Code
from cohortium_plugins.model.nodes import TABLES
from cohortium_plugins.model.values import Duration, Scalar, Unit
from cohortium_plugins.record import Record, Row

__all__ = ["SHARED", "GoldenFile", "read_file", "read_files"]

SHARED = "shared.toml"
"""The file whose codes and patients the others of its folder may use. Nothing is expected there."""

FILE_KEYS = ("indicator", "index_date", "codes", "patient")
PATIENT_KEYS = (
    "name", "why", "based_on", "index_date", "born", "sex", "ethnicity", "imd_decile", "registered", "died",
    "records_to", "not_loaded", "parameters", "local_codes", "without_codes", *TABLE_KEYS, "expect", "at",
)  # fmt: skip
NOT_INHERITED = ("name", "why", "based_on", "index_date", "expect", "at")
MERGED = ("parameters", "local_codes")
SIXTY_THREE_BITS = (1 << 63) - 1

Table = dict[str, object]


@dataclass(frozen=True)
class GoldenFile:
    """A file as read: its codes by word, its patients' tables by name, its cases."""

    name: str
    codes: Mapping[str, int] = field(default_factory=dict)
    patients: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    index_date: dt.date | None = None
    cases: tuple[Case, ...] = ()


def read_files(texts: Mapping[str, str]) -> tuple[GoldenFile, ...]:
    """Read a folder of files, by name, in the order of their names; the shared one first."""
    shared = read_file(SHARED, texts[SHARED]) if SHARED in texts else None
    others = tuple(read_file(name, text, shared) for name, text in sorted(texts.items()) if name != SHARED)
    return others if shared is None else (shared, *others)


def read_file(name: str, text: str, shared: GoldenFile | None = None) -> GoldenFile:
    """Read one file, with what it may use of the shared one.

    Raises:
        GoldenError: the text is not TOML, or says something that a golden patient cannot.
    """
    try:
        data: Table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise GoldenError(f"{name} is not TOML: {error}.", "Check quotes, brackets and commas there.") from error
    complain = _complaint(name, text)
    _check_keys(data, FILE_KEYS, complain)
    base = shared or GoldenFile("")
    codes = {**base.codes, **_codes(data.get("codes", {}), complain)}
    indicator = data.get("indicator")
    index_date = _day("index_date", data.get("index_date"), complain) or base.index_date
    patients: dict[str, Table] = {key: dict(table) for key, table in base.patients.items()}
    cases: list[Case] = []
    named: set[str] = set()
    for said in cast("list[Table]", data.get("patient", [])):
        who = str(said.get("name", ""))
        complain = _complaint(name, text, who or f"patient {len(named) + 1}", len(named))
        _check_keys(said, PATIENT_KEYS, complain)
        if not who or who in named:
            raise complain("a patient needs a name of its own.", "Say what is special about it.")
        named.add(who)
        patients[who] = _merged(said, patients, complain)
        if name != SHARED:
            writer = _Writer(name, who, None if indicator is None else str(indicator), codes, complain)
            cases.extend(writer.cases(said, patients[who], index_date))
    return GoldenFile(name, codes, patients, index_date, tuple(cases))


def _complaint(file: str, text: str, patient: str | None = None, before: int = 0) -> Complaint:
    """Give what makes errors of a file, or of its patient with so many before it: they name the line of the key that
    the message speaks of, else that of the patient's name.
    """

    def complain(message: str, advice: str) -> Exception:
        key = re.match(r"the key (\S+) is not known", message)
        line = _line(text, before if patient is not None else None, None if key is None else key[1])
        where = file if line is None else f"{file}, line {line}"
        return GoldenError(f"{where}: {message}" if patient is None else f'{where}, "{patient}": {message}', advice)

    return complain


def _line(text: str, patient: int | None, key: str | None) -> int | None:
    """Give the line of a key of the file or of one of its patients; without such a line, that of the patient's name."""
    lines = text.splitlines()
    heads = [number for number, line in enumerate(lines) if re.match(r"\s*\[\[\s*patient\s*\]\]", line)]
    if patient is None or patient >= len(heads):
        first, last = 0, heads[0] if heads else len(lines)
    else:
        first, last = heads[patient], heads[patient + 1] if patient + 1 < len(heads) else len(lines)
    wanted = [key, None if patient is None else "name"]
    for word in (word for word in wanted if word is not None):
        for number in range(first, last):
            if re.search(rf"(?:^|[{{,]|^\[patient\.)\s*[\"']?{re.escape(word)}[\"']?\s*[=.\]]", lines[number]):
                return number + 1
    return None if patient is None or patient >= len(heads) else first + 1


def _check_keys(table: Table, known: Iterable[str], complain: Complaint) -> None:
    for key in table:
        if key not in known:
            raise complain(f"the key {key} is not known.", nearest(key, known))


def _codes(table: object, complain: Complaint) -> dict[str, int]:
    if not isinstance(table, dict) or not all(isinstance(code, int) for code in table.values()):
        raise complain("codes must be identifiers by word.", "Write care-review = 720006006 under [codes].")
    return dict(table)


def _day(key: str, item: object, complain: Complaint) -> dt.date | None:
    if item is None or item == NONE:
        return None
    if isinstance(item, str):
        try:
            return dt.date.fromisoformat(item)
        except ValueError:
            item = None
    if not isinstance(item, dt.date) or isinstance(item, dt.datetime):
        raise complain(f"{key} must be a day.", f"Write {key} = 2025-05-08.")
    return item


def _merged(said: Table, patients: Mapping[str, Table], complain: Complaint) -> Table:
    """Put a patient on top of the one it is based on: rows are added, everything else is replaced."""
    base: Table = {}
    if "based_on" in said:
        if said["based_on"] not in patients:
            raise complain(
                f"there is no patient called {said['based_on']} before this one.",
                nearest(str(said["based_on"]), patients),
            )
        base = patients[str(said["based_on"])]
    merged = {key: item for key, item in base.items() if key not in NOT_INHERITED}
    for key, item in said.items():
        if key in TABLE_KEYS:
            merged[key] = [*cast("list[str]", merged.get(key, [])), *cast("list[str]", item)]
        elif key in MERGED and isinstance(item, dict):
            merged[key] = {**cast("Table", merged.get(key, {})), **item}
        else:
            merged[key] = {} if key in MERGED else item
    return merged


@dataclass(frozen=True)
class _Writer:
    """Turns the tables of one patient into cases."""

    file: str
    patient: str
    indicator: str | None
    codes: Mapping[str, int]
    complain: Complaint

    def cases(self, said: Table, merged: Table, default: dt.date | None) -> Iterator[Case]:
        """Yield a case for `expect`, at the patient's index date, and one for each date of `at`."""
        expected: list[tuple[dt.date | None, object]] = []
        if "expect" in said:
            expected.append((_day("index_date", said.get("index_date"), self.complain) or default, said["expect"]))
        expected.extend(
            (_day("at", day, self.complain), item) for day, item in cast("Table", said.get("at", {})).items()
        )
        if not expected:
            raise self.complain("nothing is expected.", "Give expect, or at with dates; or move it to shared.toml.")
        record, binding = self.record(merged), self.binding(merged)
        for day, item in expected:
            if day is None:
                raise self.complain("there is no index date.", "Give index_date to the patient or the file.")
            yield self.case(day, item, Case(self.file, self.patient, str(said.get("why", "")), day, record, binding))

    def case(self, day: dt.date, item: object, case: Case) -> Case:
        """Add to a case what is expected of it."""
        shell = (case.file, case.patient, case.why, day, case.record, case.binding)
        if self.indicator is not None:
            return Case(*shell, (read_result(self.indicator, item, self.codes, self.complain),))
        if not isinstance(item, dict):
            raise self.complain("what is expected must be a table.", "Write expect = { member = true }.")
        results = cast("Table", item.get("results", {}))
        return Case(
            *shell,
            tuple(read_result(name, said, self.codes, self.complain) for name, said in results.items()),
            read_member(item, self.codes, self.complain),
        )

    def record(self, merged: Table) -> Record:
        """Give the patient's record. Practices that differ in what was loaded, or until when, are different ones."""
        records_to = _day("records_to", merged.get("records_to"), self.complain)
        missing = sorted(cast("list[str]", merged.get("not_loaded", [])))
        for table in missing:
            if table not in TABLES:
                raise self.complain(f"there is no table {table}.", nearest(table, TABLES))
        practice = "-".join(
            ["golden", *(f"no-{table}" for table in missing), *([str(records_to)] if records_to else [])]
        )
        digest = hashlib.sha256(f"{self.file}/{self.patient}".encode()).digest()
        rows: dict[str, tuple[Row, ...]] = {
            table: read_rows(table, cast("list[str]", merged[table]), self.codes, self.complain)
            for table in TABLE_KEYS
            if table in merged
        }
        rows["registrations"] = tuple(self.registrations(merged, practice))
        return Record(
            patient_id=int.from_bytes(digest[:8]) & SIXTY_THREE_BITS,
            practice=practice,
            date_of_birth=_day("born", merged.get("born"), self.complain),
            sex=_text(merged.get("sex")),
            ethnicity=_text(merged.get("ethnicity")),
            imd_decile=cast("int | None", merged.get("imd_decile")),
            date_of_death=_day("died", merged.get("died"), self.complain),
            rows=rows,
            missing=frozenset(missing),
            records_to=records_to,
        )

    def registrations(self, merged: Table, practice: str) -> Iterator[Row]:
        """Yield the registrations: days on which one began, or tables with start, end and practice."""
        for position, item in enumerate(cast("list[object]", merged.get("registered", []))):
            said: Table = item if isinstance(item, dict) else {"start": item}
            _check_keys(said, ("start", "end", "practice"), self.complain)
            start = _day("registered", said.get("start"), self.complain)
            if start is None:
                raise self.complain("a registration needs its first day.", "Write registered = [2010-01-01].")
            end = _day("registered", said.get("end"), self.complain)
            yield Row(start, end_date=end, practice=str(said.get("practice", practice)), entry=position)

    def binding(self, merged: Table) -> Binding:
        """Give the tenant's choices."""
        chosen = cast("dict[str, object]", merged.get("parameters", {}))
        local = cast("dict[str, list[object]]", merged.get("local_codes", {}))
        return Binding(
            parameters=tuple((name, self.choice(said)) for name, said in sorted(chosen.items())),
            local_codes=tuple((name, tuple(self.local_code(item) for item in local[name])) for name in sorted(local)),
            without_codes=tuple(sorted(cast("list[str]", merged.get("without_codes", [])))),
        )

    def choice(self, said: object) -> Scalar:
        """Read what a tenant chose: a value, or a length of time as { months = 15 }."""
        match said:
            case bool() | int() | float() | str() | dt.date():
                return said
            case {**length} if len(length) == 1:
                unit, count = next(iter(length.items()))
                if str(unit) in list(Unit) and isinstance(count, int) and not isinstance(count, bool):
                    return Duration(count, Unit(str(unit)))
        raise self.complain("a choice is no value.", "Write a value, or a length of time as { months = 15 }.")

    def local_code(self, item: object) -> Code:
        """Read a code of a tenant's own: a word or identifier, or a table with its category."""
        said: Table = item if isinstance(item, dict) else {"code": item}
        _check_keys(said, ("code", "category"), self.complain)
        code = read_code(str(said.get("code", "")), self.codes, self.complain)
        return Code(code, f"local code {code}", _text(said.get("category")), local=True)


def _text(item: object) -> str | None:
    return None if item is None or item == NONE else str(item)
