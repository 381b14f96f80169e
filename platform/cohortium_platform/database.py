"""The database: sessions that know one tenant, and the two kinds of table.

Here: `Database`, whose only way to a tenant's rows is `database.tenant(id)`; `TenantTable` and `ServiceTable`, of which
every table is one; how each tenant table travels when the tenant leaves. Not here: creating tables and their policies
(`migrations`), and any domain's own tables (its `models.py`).

A session is one transaction. It begins by naming its tenant to PostgreSQL, for that transaction alone, so that a pooled
connection carries no tenant over; it commits when the block ends and rolls back when the block raises. Code inside
never commits. Row-level security, forced on every tenant table, does the rest: without a tenant there are no rows.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, Literal, Never, TypeVar
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import Engine, MetaData, Table, create_engine, event, make_url, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import OperationalError
from sqlmodel import Field, Session, SQLModel

from cohortium_platform.errors import BadSettings, CohortiumError, ReadOnly, Unavailable

__all__ = [
    "APP_ROLE",
    "READ_ONLY_STATE",
    "AllTenants",
    "Database",
    "Privilege",
    "ServiceTable",
    "TenantTable",
    "Travels",
    "afterwards",
    "metadata",
    "service_tables",
    "tenant_of",
    "tenant_tables",
]

APP_ROLE = "cohortium_app"
"""The role the service works as: it owns nothing, and cannot become a role that does."""

READ_ONLY_STATE = "CO001"
"""The SQLSTATE with which the database refuses a change in a tenant's read-only period."""

metadata: MetaData = SQLModel.metadata
metadata.naming_convention = {  # names that migrations can rely on
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

_log = logging.getLogger(__name__)


class Privilege(enum.StrEnum):
    """What the application role may do with a table's rows."""

    SELECT = "SELECT"
    INSERT = "INSERT"
    UPDATE = "UPDATE"
    DELETE = "DELETE"


@dataclass(frozen=True, slots=True)
class Travels:
    """What becomes of a tenant table when the tenant leaves: `EXPORTED`, `DERIVED` or `left(reason)`."""

    how: Literal["exported", "derived", "left"]
    reason: str = ""

    EXPORTED: ClassVar[Travels]
    DERIVED: ClassVar[Travels]

    @staticmethod
    def left(reason: str) -> Travels:
        """It stays behind, for a reason that the exit page shows."""
        return Travels("left", reason)


Travels.EXPORTED = Travels("exported")
Travels.DERIVED = Travels("derived")


class TenantTable(SQLModel):
    """A table whose rows belong to tenants. Inherit with `table=True`, declare `travels`, and put no column before
    `tenant_id` in any key, unique constraint or index: a key without it would tell one tenant of another's rows.
    Foreign keys to a tenant table name both columns, through `ForeignKeyConstraint` in `__table_args__`.
    """

    tenant_id: UUID = Field(primary_key=True)

    travels: ClassVar[Travels]
    stays: ClassVar[Mapping[str, str]] = {}
    """Columns of a table that travels whose values stay behind, each with the reason."""
    changes_while_read_only: ClassVar[bool] = False
    """Whether rows change in a read-only period as well: they record reading, let people in or out, run jobs, or decide
    about leaving. Rows of any other table do not (`portability.read_only`)."""
    privileges: ClassVar[frozenset[Privilege]] = frozenset(Privilege)


class ServiceTable(SQLModel):
    """A table of the service itself, with no row-level security. `reason` says why no tenant owns its rows."""

    reason: ClassVar[str]
    privileges: ClassVar[frozenset[Privilege]] = frozenset(Privilege)


def tenant_tables() -> Mapping[str, type[TenantTable]]:
    """Every tenant table whose models have been imported, by name (see `migrations.import_models`)."""
    return {_table(model).name: model for model in _mapped(TenantTable)}


def service_tables() -> Mapping[str, type[ServiceTable]]:
    """Every table of the service itself whose models have been imported, by name."""
    return {_table(model).name: model for model in _mapped(ServiceTable)}


_Model = TypeVar("_Model", bound=SQLModel)


def _mapped(kind: type[_Model]) -> Iterator[type[_Model]]:
    for model in kind.__subclasses__():
        if hasattr(model, "__table__"):
            yield model
        yield from _mapped(model)


def _table(model: type[SQLModel]) -> Table:
    table: Table = model.__table__  # type: ignore[attr-defined]
    return table


@dataclass(frozen=True, slots=True)
class AllTenants:
    """Says that the service acts for itself and for no tenant, and why. It opens tables of the service, and no tenant's
    rows: to reach those, take each tenant's id and open a session for it.
    """

    reason: str

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise ValueError("Say why the service acts for itself.")


class _TransactionSession(Session):
    """One transaction, ended only by the block that opened it."""

    def commit(self) -> Never:
        """Refuse: after a commit the session would have lost its tenant, and half of the work would be visible."""
        raise CohortiumError(
            "Something inside a transaction tried to commit.", "Leave the commit to the block that opened the session."
        )


class Database:
    """PostgreSQL as one role. Make one a process; it keeps a pool, so close it at the end."""

    def __init__(self, url: SecretStr | str, *, connections: int = 10) -> None:
        plain = url.get_secret_value() if isinstance(url, SecretStr) else url
        self._engine = create_engine(
            make_url(plain).set(drivername="postgresql+psycopg"),
            pool_size=connections,
            max_overflow=connections,
            pool_pre_ping=True,
            connect_args={"application_name": "cohortium", "connect_timeout": 10},
        )
        event.listen(self._engine, "handle_error", _refuse_as_read_only)

    @property
    def engine(self) -> Engine:
        """For migrations and tests of isolation. Anything else takes a session."""
        return self._engine

    @contextmanager
    def tenant(self, tenant_id: UUID, *, frozen: bool = False) -> Iterator[Session]:
        """One transaction that sees and writes the rows of one tenant; commits at the end of the block. A `frozen` one
        sees throughout what was there when it began (repeatable read).

        Objects stay readable after the block. Raises `Unavailable` when PostgreSQL does not answer.
        """
        if not isinstance(tenant_id, UUID):
            raise TypeError("A tenant is named by its UUID.")
        with self._transaction(str(tenant_id), frozen=frozen) as session:
            session.info["tenant"] = tenant_id
            yield session

    @contextmanager
    def all_tenants(self, service: AllTenants) -> Iterator[Session]:
        """One transaction of the service itself: service tables, and no tenant's rows."""
        if not isinstance(service, AllTenants):
            raise TypeError("Say why: AllTenants(reason=...).")
        _log.debug("the service acts for itself: %s", service.reason)
        with self._transaction("") as session:
            yield session

    @contextmanager
    def _transaction(self, tenant: str, *, frozen: bool = False) -> Iterator[Session]:
        session = _TransactionSession(self._engine, expire_on_commit=False)
        try:
            with session, session.begin():
                try:
                    options = {"isolation_level": "REPEATABLE READ"} if frozen else {}
                    connection = session.connection(execution_options=options)
                except OperationalError as failure:
                    raise Unavailable("PostgreSQL does not answer.", "Try again in a minute.") from failure
                connection.execute(text("SELECT set_config('app.tenant', :tenant, true)"), {"tenant": tenant})
                yield session
        finally:
            for act in session.info.pop(_AFTERWARDS, ()):
                act(self)

    def verify_role(self) -> None:
        """Stop the start, by `BadSettings`, when this database's role could see past row-level security."""
        with self._engine.connect() as connection:
            role = connection.execute(text(_ROLE)).one()
        if role.superuser or role.bypasses or role.owns:
            raise BadSettings(
                f"COHORTIUM_DATABASE_URL names the role {role.name}, which row-level security does not bind.",
                f"Name {APP_ROLE} there, and the owner in COHORTIUM_OWNER_DATABASE_URL.",
            )

    def close(self) -> None:
        """Give every connection back to PostgreSQL."""
        self._engine.dispose()


_ROLE = """
    SELECT rolname AS name, rolsuper AS superuser, rolbypassrls AS bypasses, EXISTS (
        SELECT FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
        AND pg_has_role(current_user, relowner, 'MEMBER')
    ) AS owns
    FROM pg_roles WHERE rolname = current_user
"""


def _refuse_as_read_only(context: ExceptionContext) -> None:
    """Put the database's refusal in a read-only period into words, wherever a statement meets it."""
    diagnosis = getattr(context.original_exception, "diag", None)
    if diagnosis is not None and diagnosis.sqlstate == READ_ONLY_STATE:
        raise ReadOnly(
            f"Nothing can be changed {diagnosis.message_primary}.",
            "You can read, print and fetch everything as before. Write elsewhere what is to be kept.",
        ) from None


_AFTERWARDS = "what is done once the transaction has ended"


def afterwards(session: Session, act: Callable[[Database], None]) -> None:
    """Do something once this session's transaction has ended, however it ended, and its connection is given back. What
    is done must not raise: the work itself is over.
    """
    session.info.setdefault(_AFTERWARDS, []).append(act)


def tenant_of(session: Session) -> UUID:
    """The tenant that a session of `Database.tenant` was opened for."""
    tenant = session.info.get("tenant")
    if not isinstance(tenant, UUID):
        raise CohortiumError("This session was opened for no tenant.", "Open it with database.tenant(id).")
    return tenant
