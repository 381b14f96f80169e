"""One blessed way to a tenant's rows: `database.tenant(id)`. This guard finds any other.

It reads the code's syntax. It looks for whatever could open a way of its own (an engine, a session, a connection of the
driver's, the engine of a `Database`, the tenant's setting) outside the few modules whose work that is. A query needs a
session, so without such a way there is none outside a tenant's transaction.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

# Who may, and why.
ALLOWED = {
    "platform/cohortium_platform/database.py": "it is the way",
    "platform/cohortium_platform/services/embedded.py": "administers a server that has no tables yet",
    "platform/cohortium_platform/migrations/upgrade.py": "makes tables, as their owner",
    "platform/cohortium_platform/migrations/protection.py": "writes the policy that reads the tenant's setting",
    "platform/cohortium_platform/migrations/env.py": "is what Alembic runs",
}
OPENERS = frozenset({
    "create_engine", "create_async_engine", "engine_from_config", "sessionmaker", "async_sessionmaker",
    "scoped_session", "Session", "AsyncSession", "ConnectionPool", "AsyncConnectionPool",
})  # fmt: skip
DRIVERS = {"psycopg", "psycopg_pool", "psycopg2", "asyncpg"}


def ways(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of whatever opens a way to the database.

    A driver may be imported for its types, and a session's own connection be used to copy; connecting anew is a way.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func) in OPENERS:
            yield node.lineno, f"{_name(node.func)}()"
        elif isinstance(node, ast.Attribute) and node.attr == "connect" and _name(node.value) in _CONNECTING:
            yield node.lineno, f"{_name(node.value)}.connect"
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in DRIVERS:
            yield from ((node.lineno, f"{node.module}.connect") for alias in node.names if alias.name == "connect")
        elif isinstance(node, ast.Attribute) and node.attr == "engine" and _names_a_database(node.value):
            yield node.lineno, "Database.engine"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _sets_the_tenant(node.value):
            yield node.lineno, "the setting app.tenant"


_CONNECTING = {*DRIVERS, "Connection", "AsyncConnection"}


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


def _names_a_database(node: ast.expr) -> bool:
    return "database" in _name(node).lower() or _name(node) == "owner"


def _sets_the_tenant(text: str) -> bool:
    return "app.tenant" in text.lower() or "set_config" in text.lower()


def test_only_the_database_module_opens_a_way_to_rows(root: Path, modules: list[Path]) -> None:
    found = [
        f"{file.relative_to(root)}:{line}: {name}"
        for file in modules
        if str(file.relative_to(root)) not in ALLOWED
        for line, name in ways(ast.parse(file.read_text()))
    ]
    assert found == [], "take a session from database.tenant(id)"


def test_the_exceptions_are_still_needed(root: Path) -> None:
    idle = [name for name in ALLOWED if not list(ways(ast.parse((root / name).read_text())))]
    assert idle in ([], ["platform/cohortium_platform/migrations/env.py"])


@pytest.mark.parametrize(
    "code",
    [
        "engine = create_engine(url)",
        "sqlalchemy.create_engine(url)",
        "with Session(engine) as session: pass",
        "sqlmodel.Session(engine)",
        "psycopg.connect(url)",
        "psycopg.Connection.connect(url)",
        "from psycopg import connect",
        "asyncpg.connect(url)",
        "self._database.engine.connect()",
        "database.engine.begin()",
        "connection.execute(text(\"SET app.tenant = 'x'\"))",
        "connection.execute(text('SELECT set_config(:a, :b, false)'))",
    ],
)
def test_the_guard_sees_each_way_round(code: str) -> None:
    assert list(ways(ast.parse(code)))


def test_the_guard_lets_a_tenants_session_be() -> None:
    code = "import psycopg\nwith database.tenant(t) as session:\n    session.exec(settings.engine)"
    assert list(ways(ast.parse(code))) == []
