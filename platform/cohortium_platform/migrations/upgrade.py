"""Running the migrations as the tables' owner.

Here: `migrate`, which makes the application role and upgrades, and the comparison of models with a database. Not here:
the revisions (`versions`).
"""

from __future__ import annotations

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from pydantic import SecretStr
from sqlalchemy import Connection, make_url, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from cohortium_platform.database import APP_ROLE, Database, metadata
from cohortium_platform.errors import BadSettings, Conflict, Unavailable
from cohortium_platform.migrations.protection import import_models
from cohortium_platform.settings import Settings

__all__ = ["differences", "migrate"]

_ONE_AT_A_TIME = 0x436F686F  # any fixed number: two migrations at once wait for each other


def migrate(settings: Settings) -> None:
    """Make the application role when it is absent, and bring every table up to the models. Can be repeated.

    Raises `BadSettings` when a role is not what it must be, `Conflict` when the database was made by another build,
    `Unavailable` when PostgreSQL does not answer.
    """
    if settings.owner_database_url is None:
        raise BadSettings("COHORTIUM_OWNER_DATABASE_URL is missing.", "It names the role that owns the tables.")
    if make_url(settings.database_url.get_secret_value()).username != APP_ROLE:
        raise BadSettings(f"COHORTIUM_DATABASE_URL names another role than {APP_ROLE}.", f"Name {APP_ROLE} there.")
    import_models()
    owner = Database(settings.owner_database_url, connections=1)
    try:
        with owner.engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _ONE_AT_A_TIME})
            _ensure_app_role(connection, settings.database_url)
            config = Config()
            config.set_main_option("script_location", "cohortium_platform:migrations")
            config.set_main_option("path_separator", "os")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            if found := differences(connection):
                raise Conflict(
                    f"The database does not fit this build: {'; '.join(found)}.",
                    "It was made by another build. Install that one, or start with an empty database.",
                )
    except OperationalError as failure:
        raise Unavailable("PostgreSQL does not answer.", "Check COHORTIUM_OWNER_DATABASE_URL.") from failure
    finally:
        owner.close()


def differences(connection: Connection) -> list[str]:
    """What a database has otherwise than the models say; empty when they are equal."""
    context = MigrationContext.configure(connection)
    return [str(difference) for difference in compare_metadata(context, metadata)]


def _ensure_app_role(connection: Connection, url: SecretStr) -> None:
    """Make the application role, or see that it is as weak as it must be."""
    found = connection.execute(text(_APP_ROLE), {"role": APP_ROLE}).one_or_none()
    if found is None:
        _make_app_role(connection, make_url(url.get_secret_value()).password or "")
    elif found.strong or found.member:
        raise BadSettings(
            f"The role {APP_ROLE} could see past row-level security.",
            f"Run: ALTER ROLE {APP_ROLE} NOSUPERUSER NOBYPASSRLS NOCREATEROLE; and revoke every role granted to it.",
        )


def _make_app_role(connection: Connection, password: str) -> None:
    """Make it with the password that the settings give; PostgreSQL and its log see only the SCRAM verifier."""
    driver = connection.connection.driver_connection
    verifier = driver.pgconn.encrypt_password(password.encode(), APP_ROLE.encode(), b"scram-sha-256").decode()  # type: ignore[union-attr]
    attributes = "LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB NOINHERIT"
    try:
        connection.exec_driver_sql(f"CREATE ROLE {APP_ROLE} {attributes} PASSWORD '{verifier}'")
    except ProgrammingError as refused:
        raise BadSettings(
            f"The role {APP_ROLE} does not exist, and the owner may not make it.",
            f"Run as an administrator: CREATE ROLE {APP_ROLE} {attributes} PASSWORD '...';",
        ) from refused


_APP_ROLE = """
    SELECT rolsuper OR rolbypassrls OR rolcreaterole AS strong,
           EXISTS (SELECT FROM pg_auth_members WHERE member = pg_roles.oid) AS member
    FROM pg_roles WHERE rolname = :role
"""
