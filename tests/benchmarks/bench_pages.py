"""How fast the registry's pages are answered from a cold process, beside DuckDB's bare top 50 of the same list.

The registry is a full-size tenant's: 180 practices and as many members as BENCH_PAGES_MEMBERS says, with statuses drawn
at random and written as an evaluation writes them. For each page the site is started anew; `cold` is its first page
after the start, the rest follow in the same process. Times are the server's own, sign-in and audit included. Prints;
asserts only that every page came. Run with `make bench`.
"""
# ruff: noqa: T201 - a benchmark prints

from __future__ import annotations

import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import groupby
from pathlib import Path

import duckdb
import httpx2
import numpy as np
import pyarrow as pa
import pytest
from sqlmodel import Session

from cohortium_auth.login import NewMembership, Role, add_person
from cohortium_auth.policy import share
from cohortium_platform.database import Database
from cohortium_platform.identities import Identity
from cohortium_platform.identities.loading import IdentityBatch, IdentitySealer, apply_changes
from cohortium_platform.keys import KeyEncryption
from cohortium_platform.records import Load, Replacement, publish
from cohortium_platform.results import Evaluated, ResultStore, commit, write
from cohortium_platform.settings import Settings
from cohortium_plugins.model import Definition
from cohortium_tenants.demo import NORTH_LONDON, build_demo_tenant
from cohortium_tenants.keys import open_keys
from cohortium_tenants.onboarding import onboard
from cohortium_tenants.organisations import OrganisationType, load_graph
from cohortium_tenants.packs import TenantDefinition, definition_of, enable_pack
from cohortium_tenants.tenants import Tenant

MEMBERS = int(os.environ.get("BENCH_PAGES_MEMBERS", "50000"))
DAY, START = date(2025, 11, 30), date(2020, 1, 1)
LIST = "/registries/cancer-care/"
RARE = "?gaps=12&by-tumour-site=pancreatic&age_from=80&indicator=care-plan&status=met"
STATUSES = ("not_applicable", "met", "due", "overdue", "excluded", "not_evaluated")
SHARES = (0.08, 0.5, 0.08, 0.18, 0.04, 0.12)


@dataclass(frozen=True)
class Place:
    """The tenant, and how many of its members each user may see."""

    tenant: Tenant
    in_reach: Mapping[str, int]


@pytest.fixture(scope="module")
def place(settings: Settings, database: Database, key_encryption: KeyEncryption, tmp_path_factory) -> Place:
    tenant = build_demo_tenant(database, key_encryption, NORTH_LONDON, NORTH_LONDON.full_practices)
    with database.tenant(tenant.id) as session:
        in_reach = _people(session)
        enable_pack(session, "cancer-care", by="bench")
        found = definition_of(session, "cancer-care")
        practices = sorted(load_graph(session).practices(DAY))
        _records_to(session, tenant, practices)
    members = _members(found.definition, practices)
    store = ResultStore(settings.store_root, tenant.id)
    evaluated = _evaluated(found, practices, members)
    written = write(store, evaluated)
    with database.tenant(tenant.id) as session:
        commit(session, evaluated, written)
        keys = open_keys(session, key_encryption)
    with IdentitySealer(keys, tmp_path_factory.mktemp("identities") / "copied") as sealer:
        pairs = zip(members["practice"].to_pylist(), members["patient_id"].to_pylist(), strict=True)
        for practice, group in groupby(pairs, key=lambda pair: pair[0]):
            sealer.add(_identities(practice, [patient for _, patient in group]), {})
    with database.tenant(tenant.id) as session:
        apply_changes(session, sealer.changes)
    return Place(tenant, in_reach)


def _people(session: Session) -> dict[str, int]:
    """A PCN's clinician and the largest place's care coordinator; every practice shares with both kinds."""
    graph = load_graph(session)
    reached: dict[str, int] = {}
    for practice in graph.practices(DAY):
        for code in graph.above(practice, DAY):
            if graph.nodes[code].type in {OrganisationType.PCN, OrganisationType.PLACE}:
                share(session, practice, code, start=START, document="bench")
    for code in graph.nodes:
        onboard(session, code, on=START, document="bench", by="bench")
    pcn = graph.of_type(OrganisationType.PCN, DAY)[0]
    places = graph.of_type(OrganisationType.PLACE, DAY)
    largest = max(places, key=lambda code: len(graph.practices_under(code, DAY)))
    for name, code in (("PCN user", pcn), ("Place user", largest)):
        add_person(session, name, [NewMembership(Role.CLINICIAN, code, START)])
        reached[name] = len(graph.practices_under(code, DAY))
    return reached


def _records_to(session: Session, tenant: Tenant, practices: list[str]) -> None:
    now = datetime.now(UTC)
    load = Load(
        tenant_id=tenant.id, started=now, importer="bench", source="gp", delivery="bench", actor="bench", quality={}
    )
    session.add(load)
    session.flush()
    replacements = [Replacement(practice, "gp", DAY, []) for practice in practices]
    expected = {(practice, "gp"): None for practice in practices}
    publish(session, replacements, load_id=load.id, expected=expected)


def _members(definition: Definition, practices: list[str]) -> pa.Table:
    """The list as an engine gives it."""
    draw = np.random.default_rng(1)
    codes = draw.choice(len(STATUSES), size=(MEMBERS, len(definition.indicators)), p=SHARES).astype(np.uint8)
    strata = {
        each.name: pa.array(np.array([value for value, _ in each.labels])[draw.integers(0, len(each.labels), MEMBERS)])
        for each in definition.stratifiers
    }
    columns = {
        "patient_id": pa.array(draw.permutation(MEMBERS * 1000)[:MEMBERS].astype(np.int64)),
        "practice": pa.array([practices[number * len(practices) // MEMBERS] for number in range(MEMBERS)]),
        "age": pa.array(draw.integers(25, 95, MEMBERS).astype(np.int32)),
        "sex": pa.array(np.where(draw.random(MEMBERS) < 0.5, "female", "male").tolist()),
        "since": pa.array([date(2018, 1, 1)] * MEMBERS),
        "shown_code": pa.array(np.full(MEMBERS, 254837009)),
        "shown_text": strata["tumour-site"],
        "gaps": pa.array((codes == STATUSES.index("overdue")).sum(1).astype(np.int32)),
        "due": pa.array((codes == STATUSES.index("due")).sum(1).astype(np.int32)),
        **strata,
        **{f"status:{each.name}": pa.array(codes[:, n]) for n, each in enumerate(definition.indicators)},
    }
    return pa.table(columns)


def _evaluated(found: TenantDefinition, practices: list[str], members: pa.Table) -> Evaluated:
    """Long results in the order of members and indicators, with every column that pages read."""
    indicators = [each.name for each in found.definition.indicators]
    codes = np.stack([members[f"status:{name}"].to_numpy() for name in indicators], axis=1).ravel()
    many = len(codes)
    empty = {
        "reason": pa.string(), "due_date": pa.date32(), "met_date": pa.date32(), "value": pa.float64(),
        "value_code": pa.int64(), "value_text": pa.string(), "adjustment": pa.string(), "event_date": pa.date32(),
        "event_code": pa.int64(), "event_source": pa.string(), "window_end": pa.date32(),
    }  # fmt: skip
    repeated = np.repeat(np.arange(MEMBERS), len(indicators))
    results = pa.table(
        {
            "patient_id": members["patient_id"].take(pa.array(repeated)),
            "practice": members["practice"].take(pa.array(repeated)),
            "indicator": pa.array(np.tile(np.array(indicators), MEMBERS)),
            "index_date": pa.array([DAY] * many),
            "status": pa.array(np.array(STATUSES)[codes]),
            "due_now": pa.array(np.zeros(many, dtype=bool)),
            **{name: pa.nulls(many, kind) for name, kind in empty.items()},
        }
    )
    return Evaluated(
        pack="cancer-care", version=found.pack.version, definition_hash=found.hash, parameters={},
        indicators=indicators, stratifiers=[each.name for each in found.definition.stratifiers], windowed=[],
        snapshot=1, index_dates=[DAY], practices=practices, engine="bench", started=datetime.now(UTC),
        results=results, listed=members,
    )  # fmt: skip


def _identities(practice: str, patients: list[int]) -> IdentityBatch:
    people = [
        Identity(
            nhs_number=f"{patient % 10**10:010d}", family_name=f"Family{patient % 977}",
            given_name=f"Given{patient % 89}", title="Ms", date_of_birth=date(1950, 3, 4), address="1 Alder Road",
            postcode="ZZ1 1ZZ",
        )
        for patient in patients
    ]  # fmt: skip
    names = [[each.family_name or "" for each in people], [each.given_name or "" for each in people]]
    plain = [each.to_bytes() for each in people]
    return IdentityBatch(practice, patients, [True] * len(patients), plain, names, [each.nhs_number for each in people])


@contextmanager
def served(settings: Settings) -> Iterator[str]:
    """The site in a process of its own, from its start on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert settings.owner_database_url is not None
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("COHORTIUM_")},
        "COHORTIUM_DATABASE_URL": settings.database_url.get_secret_value(),
        "COHORTIUM_OWNER_DATABASE_URL": settings.owner_database_url.get_secret_value(),
        "COHORTIUM_REDIS_URL": settings.redis_url.get_secret_value(),
        "COHORTIUM_STORE_URL": settings.store_url,
        "COHORTIUM_KEY_FILE": str(settings.key_file),
        "COHORTIUM_DEMO": "true",
    }
    program = Path(sys.executable).parent / "cohortium"
    server = subprocess.Popen([program, "serve", "--port", str(port)], env=environment, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                httpx2.get(f"{address}/healthz")
                break
            except httpx2.TransportError:
                time.sleep(0.05)
        yield address
    finally:
        server.terminate()
        server.wait()


@contextmanager
def signed_in(address: str, name: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=address, headers={"accept": "text/html"}, follow_redirects=True) as client:
        _sign_in(client, name)
        yield client


def _sign_in(client: httpx2.Client, name: str) -> None:
    page = client.get("/sign-in/demo").text
    forms = re.findall(r'<form action="/sign-in/demo".*?</form>', page, re.DOTALL)
    form = next(form for form in forms if f"as {name}" in form)
    client.post("/sign-in/demo", data=dict(re.findall(r'name="(\w+)" value="([^"]*)"', form)))


def milliseconds(answer: httpx2.Response) -> float:
    assert answer.status_code == 200, answer.text[:500]
    return float(answer.headers["server-timing"].rpartition("total;dur=")[2])


def test_pages(place: Place, settings: Settings) -> None:
    print(f"\n{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs; load {os.getloadavg()[0]:.1f}")
    print(f"{MEMBERS:,} members of {NORTH_LONDON.full_practices} practices; milliseconds of server time")
    list_file = next(settings.store_root.joinpath(str(place.tenant.id)).glob("results/cancer-care/list-*.parquet"))
    bare = []
    for _ in range(10):
        began = time.perf_counter()
        duckdb.sql(f"FROM '{list_file}' ORDER BY gaps DESC LIMIT 50").fetchall()
        bare.append((time.perf_counter() - began) * 1000)
    print(f"{'bare top 50 in DuckDB':42} median {statistics.median(bare):7.1f}")
    for user, practices in place.in_reach.items():
        last = max(1, -(-MEMBERS * practices // NORTH_LONDON.full_practices // 50))
        pages = {"first": "", "last": f"?page={last}", "rarest": RARE, "tiles": "tiles/"}
        for title, query in pages.items():
            with served(settings) as address, signed_in(address, user) as client:
                cold = milliseconds(client.get(LIST + query))
                warm = [milliseconds(client.get(LIST + query)) for _ in range(10)]
            said = f"{user} ({practices} practices), {title}"
            times = statistics.median(warm)
            ratio = times / statistics.median(bare)
            print(f"{said:42} cold {cold:7.1f}   median {times:7.1f}   {ratio:5.1f} x bare")
