"""From files to one line a person in Spark: who is registered where on each date, and the rows that rules ask for, as
lists in the one order that every engine uses.

A person's rows are those of the practice where they are registered at the date, told apart by practice and patient
together. Not here: what rules make of the lists (`spark_frames`), and in which order things are done (`spark`).

    people      practice, patient_id, as_of, main, before, facts, missing_<table>, rows_<n>
                (`main`: an index date; `before`: the day to which a stale practice's records run)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import reduce

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - its usual name

from cohortium_platform.engine.source import FRAME_TABLES, RecordSource, Standing
from cohortium_platform.engine.spark_frames import ROW_FIELDS, group_field, rows_column
from cohortium_platform.engine.spark_patients import Numbering, missing_table
from cohortium_plugins.model.definition import Codelist
from cohortium_plugins.model.nodes import Rows

__all__ = ["CODED", "PERSON", "SparkRecords"]

CODED = ("events", "medications")
"""Tables whose rows are read by codelist."""

PERSON = ("practice", "patient_id")

_COLUMNS: Mapping[str, str] = {
    "patients": "practice STRING, patient_id BIGINT, date_of_birth DATE, sex STRING, ethnicity STRING, "
    "imd_decile TINYINT, date_of_death DATE",
    "registrations": "practice STRING, patient_id BIGINT, start_date DATE, end_date DATE",
    "events": "practice STRING, patient_id BIGINT, date DATE, code BIGINT, value DOUBLE, unit STRING, episode STRING, "
    "source STRING, entry INT",
    "medications": "practice STRING, patient_id BIGINT, date DATE, code BIGINT, source STRING, entry INT",
    "consultations": "practice STRING, patient_id BIGINT, date DATE, kind STRING, source STRING, entry INT",
    "contacts": "practice STRING, patient_id BIGINT, date DATE, kind STRING, relationship STRING, source STRING, "
    "entry INT",
}
"""The record store's columns that an evaluation reads."""

_MOST = 1.7976931348623157e308


class SparkRecords:
    """The records of some practices, as far as rules ask for them."""

    def __init__(
        self, session: SparkSession, source: RecordSource, practices: Sequence[str], index_dates: Sequence[date]
    ) -> None:
        self.session, self.source = session, source
        self.practices, self.index_dates = practices, index_dates
        self.settled: pa.Table | None = None
        self.departed = False
        """Whether those who have left a practice are looked at too."""
        self.standings: Mapping[str, Standing] = {practice: source.standing(practice) for practice in practices}

    @property
    def missing(self) -> frozenset[str]:
        """The tables that were never loaded for some practice."""
        return frozenset(table for standing in self.standings.values() for table in standing.missing)

    @property
    def is_stale(self) -> bool:
        """Whether some practice's records end before the last index date."""
        ends = (standing.records_to for standing in self.standings.values())
        return any(end is not None and end < self.index_dates[-1] for end in ends)

    def _read(self, table: str, files: Sequence[str]) -> DataFrame:
        reader = self.session.read.schema(_COLUMNS[table])
        if not files:
            return self.session.createDataFrame([], _COLUMNS[table])
        return reader.option("datetimeRebaseMode", "CORRECTED").parquet(*files)

    # --- rows -----------------------------------------------------------------------------------------------------

    def rows(
        self, wanted: Iterable[Rows], numbering: Numbering, codelists: Mapping[str, Codelist], keys: DataFrame | None
    ) -> DataFrame:
        """Give one line a person with the rows of each codelist or table; of these people only, if `keys` are given."""
        by_table: dict[str, list[Rows]] = {}
        for item in wanted:
            by_table.setdefault(item.name, []).append(item)
        parts = [self._rows_of(table, some, numbering, codelists, keys) for table, some in by_table.items()]
        together = reduce(DataFrame.unionByName, parts)
        numbers = sorted(numbering.rows[item] for some in by_table.values() for item in some)
        lists = [
            F.sort_array(F.collect_list(F.when(F.col("list") == number, F.col("row")))).alias(rows_column(number))
            for number in numbers
        ]
        return together.groupBy(*PERSON).agg(*lists)

    def _rows_of(
        self,
        table: str,
        wanted: Sequence[Rows],
        numbering: Numbering,
        codelists: Mapping[str, Codelist],
        keys: DataFrame | None,
    ) -> DataFrame:
        found = self._read(table, self.source.files(table, self.practices))
        if keys is not None:  # first, since members are few and codes on lists are many
            found = found.join(keys, list(PERSON), "left_semi")
        groups = [group_field(number) for number in numbering.groupings.values()]
        have: dict[str, Column] = {}
        if table in CODED:
            codes = self._codes(wanted, numbering, codelists)
            found = found.join(F.broadcast(codes), "code")
            have = {name: F.col(name) for name in ("list", "category", *groups)}
        else:
            have["list"] = F.lit(numbering.rows[wanted[0]])
        if table == "registrations":
            found = found.withColumnRenamed("start_date", "date")
            have["source"], have["entry"] = F.lit("gp"), F.lit(0)
        else:
            have["source"], have["entry"] = F.col("source"), F.col("entry")
        if table == "events":  # a value that is no finite number is none; Spark takes NaN for the greatest
            have["value"] = F.when(F.abs("value") <= _MOST, F.col("value"))
        kinds = {**ROW_FIELDS, **dict.fromkeys(groups, "STRING")}
        fields = [
            have.get(name, F.col(name) if name in found.columns else F.lit(None)).cast(kind).alias(name)
            for name, kind in kinds.items()
        ]
        seen = F.col("date") <= F.lit(self.index_dates[-1])
        return found.where(seen).select(*PERSON, have["list"].cast("INT").alias("list"), F.struct(*fields).alias("row"))

    def _codes(self, wanted: Sequence[Rows], numbering: Numbering, codelists: Mapping[str, Codelist]) -> DataFrame:
        """Give the codes of several codelists, each with its category there and in every grouping codelist."""
        listed = [
            (numbering.rows[item], code)
            for item in wanted
            if item.codelist is not None
            for code in codelists[item.codelist].by_code.values()
        ]
        columns = {
            "list": pa.array([number for number, _ in listed], pa.int32()),
            "code": pa.array([code.code for _, code in listed], pa.int64()),
            "category": pa.array([code.category for _, code in listed], pa.string()),
        }
        for name, number in numbering.groupings.items():
            lookup = codelists[name].by_code
            found = [known.category if (known := lookup.get(code.code)) else None for _, code in listed]
            columns[group_field(number)] = pa.array(found, pa.string())
        return self.session.createDataFrame(pa.table(columns))

    # --- people ---------------------------------------------------------------------------------------------------

    def people(self, rows: DataFrame | None, needed: Sequence[int] | None) -> DataFrame:
        """Give one line a person and day: whoever has rows of one of the needed lists (None: everyone registered)."""
        if needed is None or rows is None:
            table = "patients" if self.departed else "registrations"
            registered = self._read(table, self.source.files(table, self.practices))
            persons = registered.where(F.col("practice").isin(*self.practices)).select(*PERSON).distinct()
            if needed is not None:
                persons = persons.where(F.lit(False))  # noqa: FBT003 - nobody
            if rows is not None:
                persons = persons.join(rows, list(PERSON), "left")
        else:
            sizes = [F.size(rows_column(number)) > 0 for number in needed]
            persons = rows.where(reduce(Column.__or__, sizes, F.lit(False)))  # noqa: FBT003
        if self.settled is not None:
            settled = self.session.createDataFrame(self.settled.select(list(PERSON)))
            persons = persons.join(settled, list(PERSON), "left_anti")
        return self._with_facts(self._on_days(persons))

    def _on_days(self, persons: DataFrame) -> DataFrame:
        """Give a line for each day on which someone is looked at, with the registration that counts then: of those that
        run the latest to start, and of several on one day that with the greatest practice code.
        """
        everywhere = self._read("registrations", self.source.registration_files(self.practices))
        span = F.struct("start_date", "practice", "end_date")
        spans = everywhere.groupBy("patient_id").agg(F.collect_list(span).alias("spans"))
        how = "left" if self.departed else "inner"
        found = persons.join(spans, "patient_id", how).join(F.broadcast(self._standings()), "practice")
        days = F.array(*(F.lit(day) for day in self.index_dates))
        here = F.filter(days, lambda day: _registered(day)["practice"] == F.col("practice"))
        found = found.withColumn("days", days if self.departed else here)
        late = F.exists("days", lambda day: F.col("records_end") < day)
        every = F.when(late, F.array_union("days", F.array("records_end"))).otherwise(F.col("days"))
        found = found.withColumn("is_late", late).withColumn("as_of", F.explode(every))
        return found.select(
            *(name for name in found.columns if name not in {"spans", "days", "is_late"}),
            F.array_contains("days", F.col("as_of")).alias("main"),
            F.coalesce(F.col("is_late") & (F.col("as_of") == F.col("records_end")), F.lit(False)).alias("before"),  # noqa: FBT003
            _registered(F.col("as_of")).alias("latest"),
        )

    def _with_facts(self, found: DataFrame) -> DataFrame:
        patients = self._read("patients", self.source.files("patients", self.practices))
        found = found.join(patients, list(PERSON), "left")
        here = F.col("latest.practice") == F.col("practice")
        died = F.when(F.col("date_of_death") <= F.col("as_of"), F.col("date_of_death"))
        return found.select(
            *(name for name in found.columns if name not in {"latest", "imd_decile", "date_of_death"}),
            F.col("imd_decile").cast("DOUBLE").alias("imd_decile"),
            died.alias("date_of_death"),
            F.when(here, F.col("latest.start_date")).alias("registered_since"),
            (F.coalesce(here, F.lit(False)) & died.isNull()).alias("is_registered"),  # noqa: FBT003
            F.least("records_end", "as_of").alias("records_to"),
        )

    def _standings(self) -> DataFrame:
        """Give a line a practice: the day its records run to, and which tables were never loaded."""
        standings = [self.standings[practice] for practice in self.practices]
        columns = {
            "practice": pa.array(self.practices, pa.string()),
            "records_end": pa.array([standing.records_to for standing in standings], pa.date32()),
        }
        for table in FRAME_TABLES:
            columns[missing_table(table)] = pa.array([table in standing.missing for standing in standings], pa.bool_())
        return self.session.createDataFrame(pa.table(columns))


def _registered(day: Column) -> Column:
    """Give the registration that counts on a day."""
    running = F.filter(
        "spans",
        lambda span: (span["start_date"] <= day) & (span["end_date"].isNull() | (span["end_date"] >= day)),
    )
    return F.array_max(F.transform(running, lambda span: F.struct(span["start_date"], span["practice"])))
