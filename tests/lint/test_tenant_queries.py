"""What could show one tenant's rows to another though every session is opened rightly (`test_tenant_sessions`).

Two guards over the code's syntax. One reads SQL: statements that would put row-level security aside. The other reads
the blocks of `all_tenants` sessions: a tenant's table has no place there. It gives no rows today, since row-level
security is forced; the guard keeps anyone from building on that. What a helper does with such a session is not
followed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import pytest

from cohortium_platform.database import tenant_tables
from cohortium_platform.migrations import import_models

ASIDE = {
    "a function with its owner's rights": re.compile(r"\bSECURITY\s+DEFINER\b", re.IGNORECASE),
    "a materialized view": re.compile(r"\bMATERIALIZED\s+VIEW\b", re.IGNORECASE),
    "a view with its owner's rights": re.compile(
        r"\bCREATE\s+(OR\s+REPLACE\s+)?((GLOBAL|LOCAL)\s+)?(TEMP(ORARY)?\s+)?(RECURSIVE\s+)?VIEW\b"
        r"(?!.*security_invoker\s*(=\s*(true|on|1))?\s*[,)])",
        re.IGNORECASE | re.DOTALL,
    ),
    "a role that sees past row-level security": re.compile(r"\bBYPASSRLS\b|\bSUPERUSER\b"),
    "row-level security taken off": re.compile(
        r"\b(DISABLE|NO\s+FORCE)\s+ROW\s+LEVEL\s+SECURITY\b|\brow_security\s*(=|to)\s*'?off", re.IGNORECASE
    ),
    "another role taken on": re.compile(
        r"\bSET\s+(LOCAL\s+|SESSION\s+)?(ROLE|SESSION\s+AUTHORIZATION)\s", re.IGNORECASE
    ),
    "a policy that lets everything through": re.compile(r"\bUSING\s*\(\s*true\s*\)", re.IGNORECASE),
}
_OF_DUCKDB = "a view of DuckDB, over one tenant's files in this process' memory"
ALLOWED = {
    ("platform/cohortium_platform/engine/duckdb_records.py", "a view with its owner's rights"): _OF_DUCKDB,
    ("platform/cohortium_platform/engine/duckdb_script.py", "a view with its owner's rights"): _OF_DUCKDB,
    ("tenants/cohortium_tenants/exit/describing.py", "a view with its owner's rights"): (
        "a view of DuckDB, for whoever reads a bundle"
    ),
    ("platform/cohortium_platform/ingest/fhir/resolving.py", "a view with its owner's rights"): _OF_DUCKDB,
    ("platform/cohortium_platform/audit/functions.py", "a function with its owner's rights"): (
        "sequences that the application may not read; each function looks at the transaction's tenant only"
    ),
}


def put_aside(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and kind of every piece of SQL in the code that would put row-level security aside. Docstrings are words."""
    words = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        text = _text(node)
        if text and id(node) not in words:
            yield from ((node.lineno, kind) for kind, found in ASIDE.items() if found.search(text))


def _text(node: ast.AST) -> str:
    """A text of the code; of one with values in it, the parts that stand fast."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "?" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def strays(tree: ast.Module, tables: Collection[str], models: Collection[str]) -> Iterator[tuple[int, str]]:
    """Line and name of each tenant table, or model of one, in a block of an `all_tenants` session; what a name stands
    for in the same function or module is looked at too.
    """
    reads = re.compile(rf"\b(from|join|into|update|table|only)\s+(public\.)?\"?({'|'.join(tables)})\b", re.IGNORECASE)
    outside = _assigned(tree.body)
    for block, names in _blocks(tree, outside):
        for node in _looked_at(block, names):
            if isinstance(node, ast.Name | ast.Attribute) and _last(node) in models:
                yield node.lineno, _last(node)
            elif found := reads.search(_text(node)):
                yield node.lineno, found[3]


def _blocks(tree: ast.AST, outside: Mapping[str, ast.expr]) -> Iterator[tuple[ast.With, Mapping[str, ast.expr]]]:
    """Each such block, with what names stand for round it."""
    for node in ast.iter_child_nodes(tree):
        names = outside
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names = {**outside, **_assigned(list(ast.walk(node)))}
        if isinstance(node, ast.With) and any(_opens_all(item.context_expr) for item in node.items):
            yield node, names
        yield from _blocks(node, names)


def _opens_all(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and _last(node.func) == "all_tenants"


def _assigned(nodes: Collection[ast.AST]) -> Mapping[str, ast.expr]:
    found = {}
    for node in nodes:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        value = getattr(node, "value", None)
        found.update({target.id: value for target in targets if isinstance(target, ast.Name) and value is not None})
    return found


def _looked_at(block: ast.AST, names: Mapping[str, ast.expr]) -> Iterator[ast.AST]:
    """Every node of a block, and of what its names stand for."""
    seen: set[str] = set()
    left = list(ast.walk(block))
    while left:
        node = left.pop()
        yield node
        if isinstance(node, ast.Name) and node.id in names and node.id not in seen:
            seen.add(node.id)
            left += ast.walk(names[node.id])


def _last(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


@pytest.fixture(scope="module")
def tables() -> Mapping[str, str]:
    """Names of the tenant tables, and of their models."""
    import_models()
    return {name: model.__name__ for name, model in tenant_tables().items()}


def test_no_sql_puts_row_level_security_aside(root: Path, modules: list[Path], all_files: list[Path]) -> None:
    found = {
        (str(file.relative_to(root)), kind) for file in modules for _, kind in put_aside(ast.parse(file.read_text()))
    }
    assert found == set(ALLOWED), "row-level security must bind whatever reads a tenant's rows"
    assert [str(file) for file in all_files if file.suffix == ".sql"] == [], "SQL files are not read by this guard"


def test_functions_with_their_owners_rights_look_names_up_where_nobody_else_can_write(root: Path) -> None:
    for name, kind in ALLOWED:
        if "function" not in kind:
            continue
        texts = [_text(node) for node in ast.walk(ast.parse((root / name).read_text()))]
        risky = [
            text for text in texts if ASIDE[kind].search(text) and "SET search_path = pg_catalog, pg_temp" not in text
        ]
        assert [text for text in risky if "LANGUAGE" in text] == []


def test_no_session_of_all_tenants_reads_a_tenants_table(
    root: Path, modules: list[Path], tables: Mapping[str, str]
) -> None:
    found = [
        f"{file.relative_to(root)}:{line}: {name}"
        for file in modules
        for line, name in strays(ast.parse(file.read_text()), tables.keys(), set(tables.values()))
    ]
    assert found == [], "take each tenant's id, and open a session for it"


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("CREATE FUNCTION f() LANGUAGE sql SECURITY DEFINER AS $$ SELECT 1 $$", "a function with its owner's rights"),
        ("create function f() language sql security\n  definer", "a function with its owner's rights"),
        ("CREATE MATERIALIZED VIEW v AS SELECT 1", "a materialized view"),
        ("CREATE VIEW v AS SELECT * FROM people", "a view with its owner's rights"),
        ("CREATE OR REPLACE TEMP VIEW v AS SELECT 1", "a view with its owner's rights"),
        ("CREATE VIEW v WITH (security_invoker = false) AS SELECT 1", "a view with its owner's rights"),
        ("CREATE VIEW v WITH (security_barrier = true) AS SELECT 1", "a view with its owner's rights"),
        ("ALTER ROLE cohortium_app BYPASSRLS", "a role that sees past row-level security"),
        ("CREATE ROLE x SUPERUSER", "a role that sees past row-level security"),
        ("ALTER TABLE people DISABLE ROW LEVEL SECURITY", "row-level security taken off"),
        ("ALTER TABLE people NO FORCE ROW LEVEL SECURITY", "row-level security taken off"),
        ("SET row_security = off", "row-level security taken off"),
        ("SET LOCAL ROLE owner", "another role taken on"),
        ("SET SESSION AUTHORIZATION postgres", "another role taken on"),
        ("CREATE POLICY p ON people USING (true)", "a policy that lets everything through"),
    ],
)  # fmt: skip
def test_the_guard_sees_sql_that_puts_it_aside(sql: str, kind: str) -> None:
    for code in (f"op.execute({sql!r})", f"_SQL = f{sql!r}", f"def f():\n    '''words'''\n    return text({sql!r})"):
        assert kind in {found for _, found in put_aside(ast.parse(code))}


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE VIEW v WITH (security_invoker = true) AS SELECT 1",
        "CREATE VIEW v WITH (security_invoker=on, security_barrier) AS SELECT 1",
        "CREATE ROLE x NOSUPERUSER NOBYPASSRLS",
        "ALTER TABLE people FORCE ROW LEVEL SECURITY",
        "SELECT 1",
    ],
)
def test_the_guard_lets_other_sql_be(sql: str) -> None:
    assert list(put_aside(ast.parse(f"op.execute({sql!r})"))) == []
    assert list(put_aside(ast.parse("def f():\n    '''Never SECURITY DEFINER.'''"))) == []


@pytest.mark.parametrize(
    "code",
    [
        "with database.all_tenants(why) as s:\n    s.exec(select(Person))",
        "with database.all_tenants(why) as s:\n    s.get(models.Person, key)",
        "with database.all_tenants(why) as s:\n    s.execute(text('SELECT * FROM people'))",
        "with self._db.all_tenants(Why('x')) as s:\n    s.exec(text('select 1 from a join public.people'))",
        "def f():\n    with d.all_tenants(w) as s:\n        s.execute(text(f'DELETE FROM \"people\" WHERE {x}'))",
        "_SQL = 'UPDATE people SET name = 1'\ndef f():\n    with d.all_tenants(w) as s:\n        s.execute(text(_SQL))",
        "def f():\n    statement = select(Person)\n    with d.all_tenants(w) as s:\n        s.exec(statement)",
        "class A:\n    def f(self):\n        with x as y, d.all_tenants(w) as s:\n            s.exec(delete(Person))",
    ],
)
def test_the_guard_sees_each_stray(code: str) -> None:
    assert list(strays(ast.parse(code), ["people"], ["Person"]))


@pytest.mark.parametrize(
    "code",
    [
        "with database.tenant(t) as s:\n    s.exec(select(Person))",
        "with database.all_tenants(why) as s:\n    s.exec(select(Tenant))",
        "with d.all_tenants(w) as s:\n    t = s.exec(select(Tenant))\nwith d.tenant(t[0]) as s:\n    s.get(Person, 1)",
        "with database.all_tenants(why) as s:\n    s.execute(text('SELECT 1'))  # from people",
    ],
)
def test_the_guard_lets_service_tables_be(code: str) -> None:
    assert list(strays(ast.parse(code), ["people"], ["Person"])) == []
