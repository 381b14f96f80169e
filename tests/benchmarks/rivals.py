"""The same indicators as people would write them by hand: DuckDB SQL, one query an indicator; pandas; Polars.

Seven of the pack's indicators, statuses only: less than the engine gives. Each says how many members have each
status; `bench_rivals.py` compares that with the engine's, and the time. Only for records all of one snapshot, read as
plain Parquet files, with every practice's records running to the index date.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import duckdb

from cohortium_plugins.model import Definition

__all__ = ["INDICATORS", "Inputs", "pandas_counts", "polars_counts", "sql_counts"]

Counts = Mapping[str, Mapping[str, int]]
QOF_START = date(2003, 4, 1)
INDICATORS = (
    "can001-cancer-register",
    "medication-review",
    "care-review",
    "bowel-screening",
    "weight-and-bmi",
    "alcohol-use-screening",
    "depression-and-anxiety-screening",
)


@dataclass(frozen=True)
class Inputs:
    """Files by table, the pack's codelists, the index date."""

    files: Mapping[str, Sequence[str]]
    definition: Definition
    index_date: date
    threads: int

    def codes(self, codelist: str, *categories: str, without: str | None = None) -> list[int]:
        """Give a list's codes, of some categories or without one."""
        return [
            code.code
            for code in self.definition.codelists[codelist].by_code.values()
            if (not categories or code.category in categories) and (without is None or code.category != without)
        ]

    @cached_property
    def lists(self) -> Mapping[str, list[int]]:
        """Give the lists that the seven indicators look at, by short names."""
        return {
            "cancer": self.codes("cancer-diagnosis"),
            "medication_review": self.codes("medication-review"),
            "care_review": self.codes("cancer-care-review"),
            "bowel": self.codes("bowel-screening", "result-normal", "result-abnormal"),
            "colorectal": self.codes("cancer-tumour-site", "colorectal"),
            "bmi": self.codes("bmi-value"),
            "height": self.codes("body-height"),
            "weight": self.codes("body-weight"),
            "alcohol": self.codes("alcohol-consumption", without="declined"),
            "alcohol_declined": self.codes("alcohol-consumption", "declined"),
            "depression": self.codes("depression-screening", without="declined"),
            "depression_declined": self.codes("depression-screening", "declined"),
            "anxiety": self.codes("anxiety-screening"),
        }


# --- DuckDB SQL -----------------------------------------------------------------------------------------------------

_MEMBERS = """
    registered AS (
        SELECT patient_id, practice FROM registrations
        WHERE start_date <= $day AND (end_date IS NULL OR end_date >= $day)
        QUALIFY row_number() OVER (PARTITION BY patient_id ORDER BY start_date DESC, practice DESC) = 1
    ),
    members AS (
        SELECT patient_id, practice, any_value(p.date_of_birth) AS born, min(e.date) AS diagnosed,
            date_part('year', age($day::DATE, any_value(p.date_of_birth))) AS age
        FROM registered JOIN patients AS p USING (patient_id, practice) JOIN events AS e USING (patient_id, practice)
        WHERE e.code IN (FROM cancer) AND e.date BETWEEN DATE '2003-04-01' AND $day
            AND (e.episode IS NULL OR e.episode IN ('first', 'new'))
            AND (p.date_of_death IS NULL OR p.date_of_death > $day)
        GROUP BY ALL
    )
"""
_LAST = "SELECT patient_id, practice, max(date) AS last FROM events JOIN members USING (patient_id, practice)"

_QUERIES: Mapping[str, str] = {
    "can001-cancer-register": f"WITH {_MEMBERS} SELECT 'met' AS status, count(*) FROM members GROUP BY ALL",
    "medication-review": f"""
        WITH {_MEMBERS}, done AS ({_LAST} WHERE code IN (FROM medication_review) AND date <= $day GROUP BY ALL)
        SELECT CASE WHEN last + INTERVAL 12 MONTH >= $day THEN 'met'
            WHEN last IS NULL AND diagnosed >= $day THEN 'due' ELSE 'overdue' END AS status, count(*)
        FROM members LEFT JOIN done USING (patient_id, practice) GROUP BY ALL
    """,
    "care-review": f"""
        WITH {_MEMBERS}, done AS (
            {_LAST} WHERE code IN (FROM care_review) AND date BETWEEN diagnosed AND $day GROUP BY ALL
        )
        SELECT CASE WHEN last IS NOT NULL THEN 'met' WHEN diagnosed >= $day THEN 'due' ELSE 'overdue' END AS status,
            count(*)
        FROM members LEFT JOIN done USING (patient_id, practice) GROUP BY ALL
    """,
    "bowel-screening": f"""
        WITH {_MEMBERS}, done AS ({_LAST} WHERE code IN (FROM bowel) AND date <= $day GROUP BY ALL),
        own AS ({_LAST} WHERE code IN (FROM colorectal) AND date <= $day GROUP BY ALL)
        SELECT CASE WHEN age NOT BETWEEN 50 AND 74 THEN 'not_applicable'
            WHEN done.last + INTERVAL 24 MONTH >= $day THEN 'met' WHEN own.last IS NOT NULL THEN 'excluded'
            WHEN done.last IS NULL AND greatest(diagnosed, born + INTERVAL 50 YEAR) >= $day THEN 'due'
            ELSE 'overdue' END AS status, count(*)
        FROM members LEFT JOIN done USING (patient_id, practice) LEFT JOIN own USING (patient_id, practice) GROUP BY ALL
    """,
    "weight-and-bmi": f"""
        WITH {_MEMBERS},
        b AS ({_LAST} WHERE code IN (FROM bmi) AND value BETWEEN 10 AND 100 AND date <= $day GROUP BY ALL),
        h AS ({_LAST} WHERE code IN (FROM height) AND value > 0 AND date BETWEEN born + INTERVAL 18 YEAR AND $day
            GROUP BY ALL),
        w AS ({_LAST} WHERE code IN (FROM weight) AND value > 0 AND date <= $day GROUP BY ALL),
        j AS (
            SELECT m.*, greatest(b.last, CASE WHEN h.last IS NOT NULL THEN w.last END) AS last
            FROM members AS m LEFT JOIN b USING (patient_id, practice) LEFT JOIN h USING (patient_id, practice)
            LEFT JOIN w USING (patient_id, practice)
        )
        SELECT CASE WHEN age < 18 THEN 'not_applicable' WHEN last + INTERVAL 24 MONTH >= $day THEN 'met'
            WHEN last IS NULL AND greatest(diagnosed, born + INTERVAL 18 YEAR) >= $day THEN 'due'
            ELSE 'overdue' END AS status, count(*)
        FROM j GROUP BY ALL
    """,
    "alcohol-use-screening": f"""
        WITH {_MEMBERS},
        done AS ({_LAST} WHERE code IN (FROM alcohol) AND date BETWEEN born + INTERVAL 16 YEAR AND $day GROUP BY ALL),
        no AS ({_LAST} WHERE code IN (FROM alcohol_declined)
            AND date BETWEEN $day - INTERVAL 12 MONTH AND $day GROUP BY ALL)
        SELECT CASE WHEN age < 16 THEN 'not_applicable' WHEN done.last + INTERVAL 12 MONTH >= $day THEN 'met'
            WHEN no.last IS NOT NULL THEN 'excluded'
            WHEN done.last IS NULL AND greatest(diagnosed, born + INTERVAL 16 YEAR) >= $day THEN 'due'
            ELSE 'overdue' END AS status, count(*)
        FROM members LEFT JOIN done USING (patient_id, practice) LEFT JOIN no USING (patient_id, practice) GROUP BY ALL
    """,
    "depression-and-anxiety-screening": f"""
        WITH {_MEMBERS},
        d AS ({_LAST} WHERE code IN (FROM depression) AND date <= $day GROUP BY ALL),
        a AS ({_LAST} WHERE code IN (FROM anxiety) AND date <= $day GROUP BY ALL),
        no AS ({_LAST} WHERE code IN (FROM depression_declined)
            AND date BETWEEN $day - INTERVAL 12 MONTH AND $day GROUP BY ALL)
        SELECT CASE WHEN greatest(d.last, a.last) + INTERVAL 12 MONTH >= $day THEN 'met'
            WHEN no.last IS NOT NULL THEN 'excluded'
            WHEN greatest(d.last, a.last) IS NULL AND diagnosed >= $day THEN 'due'
            ELSE 'overdue' END AS status, count(*)
        FROM members LEFT JOIN d USING (patient_id, practice) LEFT JOIN a USING (patient_id, practice)
        LEFT JOIN no USING (patient_id, practice) GROUP BY ALL
    """,
}  # fmt: skip


def sql_counts(inputs: Inputs) -> Counts:
    """One query an indicator, each reading what it needs from the files."""
    with duckdb.connect(config={"threads": inputs.threads}) as connection:
        connection.execute("SET parquet_metadata_cache = true").fetchall()
        for table, files in inputs.files.items():
            listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
            connection.execute(f"CREATE TEMP VIEW {table} AS FROM read_parquet([{listed}])").fetchall()
        for name, codes in inputs.lists.items():
            connection.execute(f"CREATE TEMP TABLE {name} AS SELECT unnest($1::BIGINT[]) AS code", [codes]).fetchall()
        return {
            name: dict(connection.execute(query, {"day": inputs.index_date}).fetchall())
            for name, query in _QUERIES.items()
        }


# --- pandas and Polars: the last day of each list first, then plain columns -----------------------------------------


def polars_counts(inputs: Inputs) -> Counts:
    """Lazy frames over the same files, collected by the streaming engine."""
    import polars as pl  # noqa: PLC0415 - only `make bench` installs it

    day, key = inputs.index_date, ["patient_id", "practice"]
    frames = {table: pl.scan_parquet(list(files)) for table, files in inputs.files.items()}
    registered = (
        frames["registrations"]
        .filter((pl.col("start_date") <= day) & (pl.col("end_date").is_null() | (pl.col("end_date") >= day)))
        .sort("start_date", "practice")
        .group_by("patient_id")
        .agg(pl.col("practice").last())
    )
    people = frames["patients"].filter(pl.col("date_of_death").is_null() | (pl.col("date_of_death") > day))
    wanted = sorted({code for codes in inputs.lists.values() for code in codes})
    events = frames["events"].filter(pl.col("code").is_in(wanted) & (pl.col("date") <= day))
    diagnosed = (
        events.filter(
            pl.col("code").is_in(inputs.lists["cancer"])
            & (pl.col("date") >= QOF_START)
            & (pl.col("episode").is_null() | pl.col("episode").is_in(["first", "new"]))
        )
        .group_by(key)
        .agg(pl.col("date").min().alias("diagnosed"))
    )
    members = people.join(registered, on=key).join(diagnosed, on=key).select(*key, "date_of_birth", "diagnosed")
    rows = events.join(members, on=key).select(*key, "date_of_birth", "diagnosed", "date", "code", "value").collect()
    base = members.collect()

    def last(name: str, *conditions: pl.Expr) -> pl.DataFrame:
        found = rows.filter(pl.col("code").is_in(inputs.lists[name]), *conditions)
        return found.group_by(key).agg(pl.col("date").max().alias(name))

    def birthday(age: int) -> pl.Expr:
        return pl.col("date_of_birth").dt.offset_by(f"{age}y")

    recent = pl.col("date") >= pl.lit(day).dt.offset_by("-12mo")
    parts = [
        last("medication_review"), last("care_review", pl.col("date") >= pl.col("diagnosed")), last("bowel"),
        last("colorectal"), last("bmi", pl.col("value").is_between(10, 100)),
        last("height", pl.col("value") > 0, pl.col("date") >= birthday(18)), last("weight", pl.col("value") > 0),
        last("alcohol", pl.col("date") >= birthday(16)), last("alcohol_declined", recent), last("depression"),
        last("depression_declined", recent), last("anxiety"),
    ]  # fmt: skip
    for part in parts:
        base = base.join(part, on=key, how="left")
    return _counted(base.to_dicts(), day)


def pandas_counts(inputs: Inputs) -> Counts:
    """Data frames read whole, column by column, and joined."""
    import pandas as pd  # noqa: PLC0415 - only `make bench` installs it

    day, key = pd.Timestamp(inputs.index_date), ["patient_id", "practice"]
    columns = {
        "registrations": [*key, "start_date", "end_date"],
        "patients": [*key, "date_of_birth", "date_of_death"],
        "events": [*key, "date", "code", "value", "episode"],
    }
    frames = {
        table: pd.concat([pd.read_parquet(file, columns=columns[table]) for file in inputs.files[table]])
        for table in columns
    }
    for table, names in (
        ("registrations", ["start_date", "end_date"]),
        ("patients", ["date_of_birth", "date_of_death"]),
    ):
        for name in names:
            frames[table][name] = pd.to_datetime(frames[table][name])
    frames["events"]["date"] = pd.to_datetime(frames["events"]["date"])
    r = frames["registrations"]
    r = r[(r.start_date <= day) & (r.end_date.isna() | (r.end_date >= day))]
    r = r.sort_values(["start_date", "practice"]).groupby("patient_id", as_index=False).last()[key]
    p = frames["patients"]
    p = p[p.date_of_death.isna() | (p.date_of_death > day)][[*key, "date_of_birth"]]
    wanted = {code for codes in inputs.lists.values() for code in codes}
    e = frames["events"]
    e = e[e.code.isin(wanted) & (e.date <= day)]
    c = e[e.code.isin(inputs.lists["cancer"]) & (e.date >= pd.Timestamp(QOF_START))]
    c = c[c.episode.isna() | c.episode.isin(["first", "new"])]
    c = c.groupby(key, as_index=False).date.min().rename(columns={"date": "diagnosed"})
    base = p.merge(r, on=key).merge(c, on=key)
    rows = e.merge(base, on=key)

    def last(name: str, *conditions: Callable[[pd.DataFrame], pd.Series]) -> pd.DataFrame:
        found = rows[rows.code.isin(inputs.lists[name])]
        for condition in conditions:
            found = found[condition(found)]
        return found.groupby(key, as_index=False).date.max().rename(columns={"date": name})

    def after_birthday(age: int) -> Callable[[pd.DataFrame], pd.Series]:
        return lambda found: found.date >= found.date_of_birth + pd.DateOffset(years=age)

    def recent(found: pd.DataFrame) -> pd.Series:
        return found.date >= day - pd.DateOffset(months=12)

    parts = [
        last("medication_review"), last("care_review", lambda f: f.date >= f.diagnosed), last("bowel"),
        last("colorectal"), last("bmi", lambda f: f.value.between(10, 100)),
        last("height", lambda f: f.value > 0, after_birthday(18)), last("weight", lambda f: f.value > 0),
        last("alcohol", after_birthday(16)), last("alcohol_declined", recent), last("depression"),
        last("depression_declined", recent), last("anxiety"),
    ]  # fmt: skip
    for part in parts:
        base = base.merge(part, on=key, how="left")
    found = [
        {name: value.date() if isinstance(value, pd.Timestamp) else (None if value is pd.NaT else value)
         for name, value in row.items()}
        for row in base.to_dict("records")
    ]  # fmt: skip
    return _counted(found, inputs.index_date)


def _counted(members: Sequence[Mapping[str, object]], day: date) -> Counts:
    """Decide statuses member by member: few rows are left by then."""
    found = {name: Counter() for name in INDICATORS}
    for member in members:
        for name, status in _statuses(member, day).items():
            found[name][status] += 1
    return found


def _years_after(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, day=28)


def _months_after(day: date, months: int) -> date:
    return _years_after(day, months // 12)


def _latest(*days: date | None) -> date | None:
    return max((day for day in days if day is not None), default=None)


def _statuses(m: Mapping[str, object], day: date) -> Mapping[str, str]:
    born, diagnosed = m["date_of_birth"], m["diagnosed"]
    age = day.year - born.year - (_years_after(born, day.year - born.year) > day)

    def repeated(last: date | None, months: int, begins: date, *, excluded: bool = False) -> str:
        if last is not None and _months_after(last, months) >= day:
            return "met"
        if excluded:
            return "excluded"
        return "due" if last is None and begins >= day else "overdue"

    return {
        "can001-cancer-register": "met",
        "medication-review": repeated(m["medication_review"], 12, diagnosed),
        "care-review": "met" if m["care_review"] else "due" if diagnosed >= day else "overdue",
        "bowel-screening": "not_applicable" if not 50 <= age <= 74 else repeated(
            m["bowel"], 24, max(diagnosed, _years_after(born, 50)), excluded=m["colorectal"] is not None
        ),
        "weight-and-bmi": "not_applicable" if age < 18 else repeated(
            _latest(m["bmi"], m["weight"] if m["height"] else None), 24, max(diagnosed, _years_after(born, 18))
        ),
        "alcohol-use-screening": "not_applicable" if age < 16 else repeated(
            m["alcohol"], 12, max(diagnosed, _years_after(born, 16)), excluded=m["alcohol_declined"] is not None
        ),
        "depression-and-anxiety-screening": repeated(
            _latest(m["depression"], m["anxiety"]), 12, diagnosed, excluded=m["depression_declined"] is not None
        ),
    }  # fmt: skip
