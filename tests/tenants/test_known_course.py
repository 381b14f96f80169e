"""The known truth, through everything: generated, loaded, evaluated by the pack on DuckDB, counted.

Five populations of 200,000 people follow the measured course of the two cancer indicators after their funding ended.
Only cancer patients are written, which changes no figure of theirs and saves most of the time.
"""

from dataclasses import replace
from datetime import date
from uuid import uuid4

import pytest

from cohortium_platform.engine.service import Request, evaluate_tenant
from cohortium_platform.statistics import rates
from cohortium_platform.synthetic import QOF_RETIREMENT, SUPPORT_DISCUSSED, Only, SyntheticOptions, synthesise
from cohortium_plugins.importing import ImportOptions
from cohortium_plugins.model import Status
from cohortium_tenants.demo import NORTH_LONDON, build_demo_tenant, demo_practices
from cohortium_tenants.loading import LoadOptions, load_delivery
from cohortium_tenants.packs import add_local_code, definition_of, enable_pack

LOCAL_CODE = 9_000_001
WITHIN = 2.0
# Published: at each month's end, percent with support within 3 months (CAN005) and review within 12 months (CAN004).
COURSE = {
    date(2024, 11, 30): (80.4, 80.0),
    date(2024, 12, 31): (82.7, 81.9),
    date(2025, 1, 31): (85.6, 86.9),
    date(2025, 4, 30): (82.7, 81.7),
    date(2025, 5, 31): (79.0, 75.4),
    date(2025, 6, 30): (74.3, 68.9),
    date(2025, 7, 31): (72.3, 66.0),
    date(2025, 8, 31): (68.2, 62.3),
    date(2025, 9, 30): (64.6, 58.7),
    date(2025, 10, 31): (60.4, 54.2),
    date(2025, 11, 30): (56.9, 51.2),
}
INDICATORS = ("can005-support-within-3-months", "can004-care-review-12-months")


def a_tenant(database, key_encryption, *, fill_list):
    plan = replace(NORTH_LONDON, slug=f"t{uuid4().hex}")
    tenant = build_demo_tenant(database, key_encryption, plan, plan.practices_for(200_000))
    with database.tenant(tenant.id) as session:
        enable_pack(session, "cancer-care", by="test")
        if fill_list:
            add_local_code(
                session, "cancer-care", SUPPORT_DISCUSSED, LOCAL_CODE, "Support discussed (local)",
                reason="no published list", by="test",
            )  # fmt: skip
    return tenant


def loaded(database, settings, key_encryption, tenant, folder, seed):
    practices = demo_practices(NORTH_LONDON, NORTH_LONDON.practices_for(200_000))
    options = SyntheticOptions(
        people=200_000, practices=practices, seed=seed, course=QOF_RETIREMENT, only=Only.CANCER,
        local_codes={SUPPORT_DISCUSSED: LOCAL_CODE},
    )  # fmt: skip
    synthesise(options, folder)
    load_delivery(database, settings, key_encryption, tenant.id, folder, ImportOptions(), LoadOptions())


def evaluated(database, settings, tenant, days):
    with database.tenant(tenant.id) as session:
        found = definition_of(session, "cancer-care")
    request = Request(found.pack, found.definition, found.parameters, list(days), publish=False)
    return evaluate_tenant(database, settings, tenant.id, request)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_the_evaluated_rates_follow_the_measured_course(database, settings, key_encryption, tmp_path, seed):
    tenant = a_tenant(database, key_encryption, fill_list=True)
    loaded(database, settings, key_encryption, tenant, tmp_path / "extract", seed)
    done = evaluated(database, settings, tenant, COURSE)
    found = {(rate.indicator, rate.index_date): rate for rate in rates(done.counts)}
    off = {
        (name, day): round(100 * found[name, day].rate - published[place], 2)
        for day, published in COURSE.items()
        for place, name in enumerate(INDICATORS)
        if abs(100 * found[name, day].rate - published[place]) > WITHIN
    }
    assert off == {}
    # The rate over closed windows only is another number, and is there beside it.
    assert all(found[name, day].closed_windows is not None for day in COURSE for name in INDICATORS)


@pytest.mark.slow
def test_where_the_list_was_not_filled_the_indicator_is_not_evaluated(database, settings, key_encryption, tmp_path):
    tenant = a_tenant(database, key_encryption, fill_list=False)
    loaded(database, settings, key_encryption, tenant, tmp_path / "extract", 1)
    done = evaluated(database, settings, tenant, [date(2025, 11, 30)])
    support = {count.status for count in done.counts if count.indicator == INDICATORS[0]}
    assert support <= {Status.NOT_EVALUATED, Status.NOT_APPLICABLE}
    assert Status.NOT_EVALUATED in support
