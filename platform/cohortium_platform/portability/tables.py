"""PostgreSQL tables of a tenant as lines of JSON, by what each table declares; and their description.

A line is an object with the row's columns: text, numbers, booleans, lists and objects as they are; identifiers, dates
and moments (UTC) as text; bytes in hexadecimal. Not here: the audit log, which has a format of its own.
"""

from __future__ import annotations

import datetime as dt
import enum
import json
from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

from sqlalchemy import Column, Table, select
from sqlalchemy.dialects import postgresql
from sqlmodel import Session

from cohortium_platform.database import metadata, tenant_tables
from cohortium_platform.errors import CohortiumError

__all__ = ["IN_THE_LOG", "described", "exported_tables", "left_behind", "lines_of"]

IN_THE_LOG = frozenset({"audit_entries", "audit_leaves", "audit_heads"})
"""Tables that travel as the exported log."""

_AT_ONCE = 2_000


def exported_tables() -> Sequence[str]:
    """Tables that travel as lines, in an order in which each comes after those it refers to."""
    wanted = {name for name, model in tenant_tables().items() if model.travels.how == "exported"}
    return [table.name for table in metadata.sorted_tables if table.name in wanted - IN_THE_LOG]


def left_behind() -> Mapping[str, str]:
    """What stays, table by table or column by column, and why."""
    tables = tenant_tables().items()
    stays = {f"{name}": model.travels.reason for name, model in tables if model.travels.how == "left"}
    columns = {f"{name}.{column}": why for name, model in tables for column, why in model.stays.items()}
    return dict(sorted({**stays, **columns}.items()))


def lines_of(session: Session, name: str) -> Iterator[bytes]:
    """The rows of a table of the session's tenant, a line each, by their key."""
    table = metadata.tables[name]
    columns = _columns(table)
    query = select(*columns).order_by(*table.primary_key.columns)
    found = session.connection().execute(query.execution_options(yield_per=_AT_ONCE))
    for row in found:
        values = {column.name: _plain(value) for column, value in zip(columns, row, strict=True)}
        yield json.dumps(values, ensure_ascii=False, sort_keys=True).encode() + b"\n"


def described(name: str) -> dict[str, object]:
    """JSON Schema (2020-12) of a line of a table."""
    table, model = metadata.tables[name], tenant_tables()[name]
    properties = {column.name: _schema(column) for column in _columns(table)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": name,
        "description": " ".join((model.__doc__ or "").split()),
        "type": "object",
        "properties": properties,
        "required": sorted(properties),
        "additionalProperties": False,
    }


def _columns(table: Table) -> list[Column[object]]:
    stays = tenant_tables()[table.name].stays
    return [column for column in table.columns if column.name not in stays]


_TEXT: Mapping[str, object] = {"type": "string"}
_TYPES: Mapping[str, Mapping[str, object]] = {
    "UUID": {"type": "string", "format": "uuid"},
    "TIMESTAMP WITH TIME ZONE": {"type": "string", "format": "date-time"},
    "DATE": {"type": "string", "format": "date"},
    "BYTEA": {"type": "string", "pattern": "^([0-9a-f]{2})*$"},
    "BOOLEAN": {"type": "boolean"},
    "BIGINT": {"type": "integer"},
    "INTEGER": {"type": "integer"},
    "SMALLINT": {"type": "integer"},
    "FLOAT": {"type": "number"},
    "VARCHAR": _TEXT,
    "TEXT": _TEXT,
    "JSONB": {"type": ["object", "array"]},
}
"""What a line holds for each type of PostgreSQL."""


def _schema(column: Column[object]) -> dict[str, object]:
    kind = column.type.compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]
    of = _TYPES[kind.removesuffix("[]")]
    found: dict[str, object] = {"type": "array", "items": of} if kind.endswith("[]") else dict(of)
    if not column.nullable:
        return found
    return {"anyOf": [found, {"type": "null"}]}


def _plain(value: object) -> object:  # noqa: PLR0911 - one way out for each kind of value
    if value is None or (isinstance(value, bool | int | float | str) and not isinstance(value, enum.Enum)):
        return value
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat()
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    raise CohortiumError(f"A table holds a {type(value).__name__}, which has no form in a bundle.")
