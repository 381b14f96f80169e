"""A load killed at any point leaves the tenant as it was before or as it is after, never in between."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from cohortium_platform.ingest import QualityReport
from cohortium_platform.records import RecordTable, sweep

PROGRAM = Path(__file__).with_name("killed_load.py")
PATIENTS = """
    local_id,nhs_number,date_of_birth,sex,practice,family_name
    1,9990000018,1950-02-28,f,A81001,{0}
    2,9990000026,1960-01-01,m,A81002,{0}
"""
EVENTS = "local_id,practice,date,code,value\n1,A81001,2020-01-01,22298006,{0}\n2,A81002,2020-01-01,22298006,{0}\n"


@pytest.fixture
def killed(loads, settings) -> Iterator[Callable[[Path, int], dict[str, int]]]:
    """Load a delivery in a process that is killed at the point of a number; 0 lets it live."""
    keys = loads.target.keys
    orders = {
        "database": settings.database_url.get_secret_value(),
        "store": str(settings.store_root),
        "tenant": str(loads.target.tenant_id),
        **{name: getattr(keys, name).hex() for name in ("data", "pseudonym", "search", "audit")},
    }
    with subprocess.Popen(
        [sys.executable, str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:

        def load(delivery: Path, at: int) -> dict[str, int]:
            child.stdin.write(json.dumps(orders | {"delivery": str(delivery), "at": at}) + "\n")
            child.stdin.flush()
            return json.loads(child.stdout.readline())

        yield load
        child.stdin.close()
        assert child.wait(10) == 0


def content(loads) -> dict[str, object]:
    """What anyone can see of a tenant, without numbers and names that are new each time."""
    patients = [patient for (patient,) in loads.rows("patients", "patient_id")]
    with loads.target.database.tenant(loads.target.tenant_id) as session:
        one = {
            table: session.exec(text(f"SELECT count(*) FROM {table}")).one()[0]
            for table in ("identities", "identity_terms")
        }
        quality = session.exec(text("SELECT quality FROM record_loads ORDER BY finished DESC LIMIT 1")).one()[0]
        loaded, audited, snapshots = (
            session.exec(text(f"SELECT count(*) FROM {table}")).one()[0]
            for table in ("record_loads", "audit_entries WHERE action = 'records.load'", "record_snapshots")
        )
    assert loaded == audited == snapshots == loads.snapshot(), "a load, its audit entry and its snapshot go together"
    return {
        **{table: sorted(loads.rows(table)) for table in map(str, RecordTable)},
        "names": sorted(who.family_name for who in loads.identities(*patients).values()),
        "counts": one,
        "quality": QualityReport.from_json(quality).tables,
    }


@pytest.mark.slow
def test_a_load_killed_anywhere_is_whole_or_not_there(loads, killed):
    deliveries = [
        loads.write({"patients.csv": PATIENTS.format(name), "events.csv": EVENTS.format(name[-1])})
        for name in ("Name1", "Name2")
    ]
    loads.load(deliveries[1])
    whole = [None, content(loads)]
    loads.load(deliveries[0])
    whole[0] = content(loads)
    assert whole[0] != whole[1]

    points = killed(deliveries[1], 0)["passed"]
    assert content(loads) == whole[1]
    assert points > 50
    now, committed = 1, []
    for point in range(1, points + 1):
        assert killed(deliveries[1 - now], point) == {"killed": 9}, f"point {point} was not reached"
        found = content(loads)
        assert found in whole, f"killed at point {point}, the tenant is neither as before nor as after"
        if found == whole[1 - now]:
            committed.append(point)
            now = 1 - now
    assert committed == list(range(points - len(committed) + 1, points + 1)), "what was committed stays committed"
    assert 1 <= len(committed) <= 10

    tenant, store = loads.target.tenant_id, loads.target.store
    assert sweep(loads.target.database, tenant, store).files == 0, "what is young may belong to a load under way"
    swept = sweep(loads.target.database, tenant, store, unnamed_for=timedelta(0))
    assert swept.files > 10
    assert swept.work_folders > 10
    assert content(loads) == whole[now]
    named = {file.path for number in range(1, loads.snapshot() + 1) for file in loads.files(number)}
    assert {file.path for file in store.files()} == named
    assert list(store.work_folders()) == []
    assert loads.load(deliveries[now]).unchanged
