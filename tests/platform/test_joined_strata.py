"""A stratifier that another distribution adds to a pack gives the same strata on every engine, Spark among them."""

from datetime import date

import pytest

from cohortium_platform.engine.golden import duckdb_engine
from cohortium_plugins.golden import interpret
from cohortium_plugins.golden.cases import Binding
from cohortium_plugins.installed import PACKS_GROUP, installed_packs
from cohortium_plugins.record import Record, Row

pytestmark = pytest.mark.xdist_group("spark")

CANCER, CARES, CARES_NO_LONGER = 254837009, 224484003, 506401000000109
BEFORE, TODAY = date(2024, 5, 31), date(2025, 5, 31)
PRACTICES = ["Y00000", "Y00001"]
MODULE = f"""
from cohortium_plugins.authoring import Stratifier
from cohortium_plugins.hookspecs import hookimpl
from cohortium_plugins.joining import AddedStratifier
from cohortium_plugins.language import case, events, months, otherwise, patient, when
from cohortium_plugins.model import Code, Codelist

codes = (Code({CARES}, "Carer", "carer"), Code({CARES_NO_LONGER}, "Not a carer", "not-carer"))
carers = Codelist("carers-of-others", "Whether somebody cares for another", "x", "1", codes)
latest = events("carers-of-others").latest()
caring = Stratifier(
    "caring",
    title="Cares for somebody",
    value=case(
        when((latest.category == "carer") & (patient.age >= 65)).then("older"),
        when(events("carers-of-others").where_category("carer").in_last(months(12)).exists).then("lately"),
        when(latest.category == "carer").then("once"),
        when(patient.sex == "male").then("man"),
    ),
    labels={{"older": "At 65 or over", "lately": "Recorded lately", "once": "Recorded once", "man": "A man"}},
)


@hookimpl
def stratifiers():
    return [AddedStratifier("cancer-care", caring, {{"carers-of-others": carers}})]
"""


def records():
    """People around 65 with cancer, who care or not, since 11, 12 or 13 months, or on the index date."""
    days = [date(2024, 6, 30), date(2024, 5, 31), date(2024, 5, 30), date(2025, 5, 31), date(2023, 5, 31)]
    for n in range(60):
        caring = [Row(days[n % 5], code=CARES, entry=1)] if n % 3 else []
        ended = [Row(days[(n + 1) % 5], code=CARES_NO_LONGER, entry=2)] if n % 4 == 0 else []
        practice = PRACTICES[n % 2]
        rows = {
            "registrations": (Row(date(2000, 1, 1), practice=practice),),
            "events": (Row(date(2020, 5, 1), code=CANCER, entry=0), *caring, *ended),
        }
        born = (date(1960, 5, 31), date(1960, 6, 1))[n % 2] if n % 7 else date(1980, 1, 1)
        yield Record(n + 1, practice, born, ("male", "female", None)[n % 11 % 3], rows=rows)


def strata(answer):
    return {(each.patient_id, each.index_date): dict(each.strata) for each in answer.members}


def test_strata_of_another_distribution_are_the_same_on_spark(install, spark_engine):
    install("cohortium_caring_lately", MODULE, PACKS_GROUP)
    definition = Binding().apply(installed_packs()["cancer-care"].definition)
    assert definition.stratifiers[-1].name == "caring"
    people, days = list(records()), [BEFORE, TODAY]
    by_rules, by_duckdb, by_spark = (
        strata(engine(definition, people, days)) for engine in (interpret, duckdb_engine, spark_engine)
    )
    assert len(by_rules) == len(people) * len(days)
    assert by_duckdb == by_rules
    assert by_spark == by_rules
    values = {strata["caring"] for strata in by_rules.values()}
    assert values == {"older", "lately", "once", "man", None}, "the rule divides people"
