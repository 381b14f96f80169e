"""A table on a page: sorted by a link at each column's head, and taken away as CSV, the very rows that are shown.

Here: tables and their forms (a few also as JSON). Not here: what any table holds. `templates/table.html` renders one.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cohortium_platform.spreadsheets import plain_cell
from cohortium_plugins.exporting import HIDDEN
from cohortium_web.words import day, moment

__all__ = ["Cell", "Column", "Table", "as_csv", "as_json"]

_ORDERS = {"ascending": "descending", "descending": "ascending"}

Value = str | int | float | date | datetime | None


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name in addresses, its head, and whether it holds numbers."""

    name: str
    title: str
    numeric: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: what it holds, perhaps what it leads to, and perhaps a tag's colour (`green`, `red`, ...). `hidden` says
    in words that there is a value which may not be shown; in a file an asterisk stands for it.
    """

    value: Value
    href: str = ""
    tag: str = ""
    hidden: str = ""

    @property
    def text(self) -> str:
        """The value as people read it."""
        if self.hidden:
            return self.hidden
        if isinstance(self.value, datetime):
            return moment(self.value)
        if isinstance(self.value, date):
            return day(self.value)
        if isinstance(self.value, int):
            return f"{self.value:,}"
        return "" if self.value is None else str(self.value)

    @property
    def plain(self) -> str:
        """The value as programs read it: days and moments in ISO form, numbers without marks."""
        if self.hidden:
            return HIDDEN
        if isinstance(self.value, date | datetime):
            return self.value.isoformat()
        return "" if self.value is None else str(self.value)


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its rows in order. `name` is the file's name as CSV; `empty` what stands where there are no rows;
    `foot` holds rows that stay below the others however they are sorted; `has_json`: whether it is given as JSON too;
    `csv_at`: the route that gives it as CSV, where taking it away is an action of its own; `suppression`: how its
    counts are suppressed, in words, where they are.
    """

    name: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    empty: str
    query: str = ""
    sorted_by: str = ""
    order: str = ""
    foot: Sequence[Sequence[Cell]] = ()
    has_json: bool = False
    csv_at: str = ""
    suppression: str = ""

    def asked(self, request: Request) -> Table:
        """The table sorted as the address asks; an unknown column leaves it as it is."""
        query = [
            (name, value)
            for name, value in request.query_params.multi_items()
            if name not in {"sort", "order", "format"}
        ]
        table = replace(self, query=urlencode(query))
        by, order = request.query_params.get("sort", ""), request.query_params.get("order", "ascending")
        places = {column.name: place for place, column in enumerate(self.columns)}
        if by not in places or order not in _ORDERS:
            return table
        place = places[by]
        known = [row for row in self.rows if row[place].value is not None]
        unknown = [row for row in self.rows if row[place].value is None]
        known.sort(key=lambda row: _key(row[place].value), reverse=order == "descending")
        return replace(table, rows=[*known, *unknown], sorted_by=by, order=order)

    def sort_link(self, column: Column) -> str:
        """Where a column's head leads: sorted by it, or the other way round when it is already."""
        order = _ORDERS[self.order] if column.name == self.sorted_by else "ascending"
        return "?" + "&".join(part for part in (self.query, urlencode({"sort": column.name, "order": order})) if part)

    @property
    def csv_link(self) -> str:
        """Where the same rows are as CSV."""
        return self._link("csv") if not self.csv_at else self._sorted(self.csv_at)

    @property
    def json_link(self) -> str:
        """Where the same rows are as JSON."""
        return self._link("json")

    def _link(self, form: str) -> str:
        return self._sorted("", f"format={form}")

    def _sorted(self, at: str, *more: str) -> str:
        """An address of the rows as they are shown."""
        sorting = urlencode({"sort": self.sorted_by, "order": self.order}) if self.sorted_by else ""
        return f"{at}?" + "&".join(part for part in (self.query, sorting, *more) if part)


def as_csv(table: Table) -> Response:
    """The table as a CSV file. Text that a spreadsheet would run as a formula is quoted as text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([column.title for column in table.columns])
    for row in (*table.rows, *table.foot):
        writer.writerow([plain_cell(cell.plain) for cell in row])
    headers = {"content-disposition": f'attachment; filename="{_file(table)}.csv"'}
    return Response("\ufeff" + text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def as_json(table: Table) -> Response:
    """The table as JSON: rows and what stands below them, each by its columns' names."""
    names = [column.name for column in table.columns]

    def rows(of: Sequence[Sequence[Cell]]) -> list[dict[str, object]]:
        return [
            {name: HIDDEN if cell.hidden else _as_json(cell.value) for name, cell in zip(names, row, strict=True)}
            for row in of
        ]

    content = {
        "caption": table.caption,
        "columns": {column.name: column.title for column in table.columns},
        "hidden": HIDDEN,
        "suppression": table.suppression,
        "rows": rows(table.rows),
        "foot": rows(table.foot),
    }
    headers = {"content-disposition": f'attachment; filename="{_file(table)}.json"'}
    return JSONResponse(content, headers=headers)


def _file(table: Table) -> str:
    """What a file of the table is called: whoever is passed it sees that its counts are suppressed."""
    return f"{table.name}-suppressed" if table.suppression else table.name


def _as_json(value: Value) -> object:
    return value.isoformat() if isinstance(value, date | datetime) else value


def _key(value: Value) -> tuple[int, float, str]:
    if isinstance(value, int | float):
        return (0, value, "")
    return (1, 0.0, value.isoformat() if isinstance(value, date | datetime) else str(value).casefold())
