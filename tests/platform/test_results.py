"""Results are written, made to count, and read for the practices allowed and no others."""

import dataclasses
import datetime as dt

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cohortium_platform.errors import BadInput, Conflict, NotFound
from cohortium_platform.results import (
    STATUS_CODES,
    Evaluated,
    ListQuery,
    RegistryResults,
    ResultKind,
    ResultReader,
    ResultStore,
    commit,
    write,
)
from cohortium_platform.statistics import rates
from cohortium_plugins.model import Status

NOW, BEFORE = dt.date(2025, 6, 30), dt.date(2025, 5, 31)
INDICATORS = ["review", "smoking"]


def result(patient, practice, indicator, status, *, day=NOW, **columns):
    return {
        "patient_id": patient, "practice": practice, "indicator": indicator, "index_date": day, "status": status,
        "reason": None, "due_date": None, "due_now": False, "met_date": None, "value": None, "value_code": None,
        "value_text": None, "adjustment": None, "event_date": None, "event_code": None, "event_source": None,
        "window_end": None, **columns,
    }  # fmt: skip


SCHEMA = pa.schema([
    ("patient_id", pa.int64()), ("practice", pa.string()), ("indicator", pa.string()), ("index_date", pa.date32()),
    ("status", pa.string()), ("reason", pa.string()), ("due_date", pa.date32()), ("due_now", pa.bool_()),
    ("met_date", pa.date32()), ("value", pa.float64()), ("value_code", pa.int64()), ("value_text", pa.string()),
    ("adjustment", pa.string()), ("event_date", pa.date32()), ("event_code", pa.int64()),
    ("event_source", pa.string()), ("window_end", pa.date32()),
])  # fmt: skip
MEMBERS = pa.schema([
    ("patient_id", pa.int64()), ("practice", pa.string()), ("index_date", pa.date32()), ("age", pa.int32()),
    ("sex", pa.string()), ("since", pa.date32()), ("shown_code", pa.int64()), ("shown_text", pa.string()),
    ("site", pa.string()), ("stage", pa.string()),
])  # fmt: skip


def member(patient, practice, age, site, *, day=NOW):
    return {
        "patient_id": patient, "practice": practice, "index_date": day, "age": age, "sex": "female",
        "since": dt.date(2020, 1, 1), "shown_code": 100, "shown_text": site, "site": site, "stage": None,
    }  # fmt: skip


RESULTS = [
    result(1, "Z1", "review", "met", met_date=dt.date(2025, 1, 1), window_end=dt.date(2025, 12, 1)),
    result(1, "Z1", "smoking", "overdue", due_date=dt.date(2024, 6, 1)),
    result(2, "Z1", "review", "overdue", window_end=dt.date(2025, 6, 29)),
    result(2, "Z1", "smoking", "overdue"),
    result(3, "Z2", "review", "due", due_date=dt.date(2025, 7, 1), window_end=dt.date(2025, 7, 1)),
    result(3, "Z2", "smoking", "met", value_text="never"),
    result(4, "Z3", "smoking", "excluded", adjustment="declined"),
    result(1, "Z1", "review", "overdue", day=BEFORE, window_end=dt.date(2025, 5, 1)),
]
PEOPLE = [
    member(1, "Z1", 50, "breast"),
    member(2, "Z1", 61, "lung"),
    member(3, "Z2", 72, None),
    member(4, "Z3", 40, "breast"),
]


def listed_table(results, people):
    """The list as an engine gives it: a status code for each indicator, by column."""
    now = {(r["patient_id"], r["indicator"]): r["status"] for r in results if r["index_date"] == NOW}
    rows = [
        {
            **person,
            **{
                f"status:{n}": STATUS_CODES[Status(now.get((person["patient_id"], n), "not_applicable"))]
                for n in INDICATORS
            },
            "gaps": sum(now.get((person["patient_id"], n)) == "overdue" for n in INDICATORS),
            "due": sum(now.get((person["patient_id"], n)) == "due" for n in INDICATORS),
        }
        for person in people
    ]
    fields = [(f"status:{n}", pa.uint8()) for n in INDICATORS] + [("gaps", pa.int32()), ("due", pa.int32())]
    return pa.Table.from_pylist(rows, pa.schema([*MEMBERS, *(pa.field(*field) for field in fields)]))


def evaluated(*, practices=("Z1", "Z2", "Z3"), definition="d1", results=RESULTS, listed=PEOPLE):
    return Evaluated(
        pack="test", version="1", definition_hash=definition, parameters={}, indicators=INDICATORS,
        stratifiers=["site", "stage"], windowed=["review"], snapshot=1, index_dates=[BEFORE, NOW],
        practices=practices, engine="test",
        started=dt.datetime.now(dt.UTC), results=pa.Table.from_pylist(results, SCHEMA),
        listed=listed_table(results, listed),
    )  # fmt: skip


@pytest.fixture(scope="module")
def reader():
    reader = ResultReader()
    yield reader
    reader.close()


@pytest.fixture
def store(settings, tenant):
    return ResultStore(settings.store_root, tenant.id)


def test_the_order_and_the_pieces_that_results_come_in_leave_no_trace(store):
    """Words as words or as numbers of dictionaries that each piece has for itself; a patient's rows anywhere."""
    words = pa.schema([
        (f.name, pa.dictionary(pa.int32(), pa.string()) if f.type == pa.string() else f.type) for f in SCHEMA
    ])  # fmt: skip
    tables = [pa.Table.from_pylist(RESULTS, SCHEMA)]
    for places in ([7, 3, 0, 6, 1, 5, 2, 4], [4, 0, 7, 2, 5, 3, 1, 6]):
        pieces = [pa.Table.from_pylist([RESULTS[place]], words) for place in places]
        tables.append(pa.concat_tables(pieces))
    written = []
    for table in tables:
        files = write(store, dataclasses.replace(evaluated(), results=table)).files
        written.append({kind: (sha256, rows) for kind, (_, sha256, rows) in files.items()})
    assert written[0] == written[1] == written[2]
    path, _, rows = files["results"]
    assert rows == {"Z1": 4, "Z2": 2, "Z3": 1}
    expected = sorted(RESULTS[:7], key=lambda row: (row["practice"], row["patient_id"], row["indicator"]))
    assert pq.read_table(store.path(path)).to_pylist() == expected


def test_many_rows_in_pieces_fill_groups_of_one_size(store):
    rows = pa.table({"practice": ["Z1"] * 40_000, "n": list(range(40_000))})
    path, digest = store.write("test", ResultKind.RESULTS, rows)
    pieces = [rows.slice(start, 7_001) for start in range(0, 40_000, 7_001)]
    _, again = store.write_pieces("test", ResultKind.RESULTS, rows.schema, pieces)
    assert again == digest
    groups = pq.read_metadata(store.path(path))
    assert [groups.row_group(n).num_rows for n in range(groups.num_row_groups)] == [16_384, 16_384, 7_232]


@pytest.fixture
def published(database, tenant, store):
    found = evaluated()
    written = write(store, found)
    with database.tenant(tenant.id) as session:
        commit(session, found, written)


@pytest.fixture
def registry(database, tenant, reader, store, published):  # noqa: ARG001 - something to read
    def open_(*practices):
        with database.tenant(tenant.id) as session:
            return RegistryResults(session, reader, store, "test", practices)

    return open_


def ids(page):
    return [row.patient_id for row in page.rows]


def test_a_list_stands_in_order_of_gaps_and_holds_allowed_practices_only(registry):
    page = registry("Z1", "Z2").page(ListQuery())
    assert ids(page) == [2, 1, 3]
    assert page.total == 3
    assert page.rows[0].gaps == 2
    assert page.rows[0].statuses == {"review": Status.OVERDUE, "smoking": Status.OVERDUE}
    assert page.rows[2].strata == {"site": None, "stage": None}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (ListQuery(indicator="review", status=Status.OVERDUE), [2]),
        (ListQuery(indicator="review", status=Status.NOT_APPLICABLE), [4]),
        (ListQuery(min_gaps=1), [2, 1]),
        (ListQuery(age_from=61, age_to=72), [2, 3]),
        (ListQuery(strata={"site": "breast"}), [1, 4]),
        (ListQuery(practices=frozenset({"Z2"})), [3]),
        (ListQuery(patients=[4, 1, 99]), [1, 4]),
        (ListQuery(patients=[]), []),
        (ListQuery(limit=1, offset=1), [1]),
        (ListQuery(limit=3, offset=0), [2, 1, 3]),
        (ListQuery(limit=3, offset=1), [1, 3, 4]),
        (ListQuery(limit=2, offset=2), [3, 4]),
        (ListQuery(limit=2, offset=3), [4]),
        (ListQuery(limit=0), []),
        (ListQuery(offset=99), []),
    ],
)
def test_filters(registry, query, expected):
    assert ids(registry("Z1", "Z2", "Z3").page(query)) == expected


def test_filters_of_unknown_names_are_refused(registry):
    with pytest.raises(BadInput, match="no indicator called"):
        registry("Z1").page(ListQuery(indicator="nonsense'; --"))
    with pytest.raises(BadInput, match="no stratifier called"):
        registry("Z1").page(ListQuery(strata={"nonsense": "x"}))


def test_tiles_count_every_status(registry):
    tiles = registry("Z1", "Z2", "Z3").tiles()
    assert tiles["smoking"][Status.OVERDUE] == 2
    assert tiles["smoking"][Status.EXCLUDED] == 1
    assert tiles["review"][Status.NOT_APPLICABLE] == 1


def test_tiles_counted_beforehand_are_those_of_the_lines(registry):
    for practices in (["Z1"], ["Z2", "Z3"], ["Z1", "Z2", "Z3"]):
        found = registry(*practices)
        assert found.tiles() == found.tiles(ListQuery(practices=frozenset(practices)))


def test_a_patient_outside_the_practices_allowed_is_not_there(registry):
    row, results = registry("Z2").patient(3)
    assert row.age == 72
    assert [(r.indicator, r.status) for r in results] == [("review", Status.DUE), ("smoking", Status.MET)]
    with pytest.raises(NotFound):
        registry("Z2").patient(1)
    with pytest.raises(NotFound):
        registry("Z9")


def test_rates_and_closed_windows(registry):
    assert {rate.closed_windows for rate in rates(registry("Z1").counts()) if rate.indicator == "smoking"} == {None}
    by_day = {
        rate.index_date: rate for rate in rates(registry("Z1", "Z2", "Z3").counts()) if rate.indicator == "review"
    }
    assert by_day[NOW].rate == 1 / 2
    assert by_day[NOW].closed_windows == 0.0
    assert by_day[NOW].due == 1
    assert by_day[BEFORE].rate == 0.0


def test_a_practice_evaluated_anew_supersedes_its_own_rows_only(database, tenant, store, registry):
    again = evaluated(practices=["Z1"], results=[result(1, "Z1", "smoking", "met")], listed=[PEOPLE[0]])
    written = write(store, again)
    with database.tenant(tenant.id) as session:
        commit(session, again, written)
    page = registry("Z1", "Z2", "Z3").page(ListQuery())
    assert sorted(ids(page)) == [1, 3, 4]
    assert registry("Z1").patient(1)[0].gaps == 0


def test_a_practice_left_without_members_has_an_empty_list(database, tenant, store, registry):
    again = evaluated(practices=["Z3"], results=[], listed=[])
    written = write(store, again)
    with database.tenant(tenant.id) as session:
        commit(session, again, written)
    assert registry("Z3").page(ListQuery()).total == 0


def test_a_registry_never_mixes_two_definitions(database, tenant, store, registry):
    other = evaluated(practices=["Z1"], definition="d2")
    written = write(store, other)
    with pytest.raises(Conflict, match="Evaluate all practices together"), database.tenant(tenant.id) as session:
        commit(session, other, written)
    store.discard(written)
    assert registry("Z1").evaluation.definition_hash == "d1"
    assert not any(store.path(path).exists() for path, _, _ in written.files.values())
