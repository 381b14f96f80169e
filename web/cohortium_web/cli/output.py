"""How commands speak: tables and progress for people, one JSON document for programs.

With `--json`, standard output holds that document and nothing else; progress and advice go to standard error.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Protocol
from uuid import UUID

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

__all__ = ["AsJson", "Output", "Report", "plain"]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


class Report(Protocol):
    """Tells how far a step has come, from 0 to 1, and what it is doing."""

    def __call__(self, fraction: float, doing: str = "") -> None:
        """Take note."""


def plain(value: object) -> object:  # noqa: PLR0911 - one way out for each kind of value
    """Turn a result into what JSON can hold."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, dt.date | dt.datetime):
        return value.isoformat()
    if isinstance(value, UUID | Path):
        return str(value)
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes):
        return [plain(item) for item in value]
    return value


class Output:
    """Where one command's words go."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.screen = Console(stderr=as_json)

    def say(self, text: str) -> None:
        """Print a line for people."""
        self.screen.print(text, highlight=False)

    def document(self, value: object) -> None:
        """Print the JSON document, when one was asked for."""
        if self.as_json:
            typer.echo(json.dumps(plain(value), ensure_ascii=False, indent=2))

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Print a table for people; numbers stand to the right."""
        if self.as_json:
            return
        table = Table(title=title, title_justify="left")
        for position, column in enumerate(columns):
            numeric = bool(rows) and all(isinstance(row[position], int | float) for row in rows)
            table.add_column(column, justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            table.add_row(*("" if cell is None else str(plain(cell)) for cell in row))
        self.screen.print(table)

    @contextmanager
    def step(self, title: str) -> Iterator[Report]:
        """Show progress of one step. On a terminal a bar moves; elsewhere one line says that it is done."""
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        if not self.screen.is_terminal:
            yield lambda _fraction, _doing="": None
            self.say(f"{title}: done")
            return
        with Progress(*columns, console=self.screen) as progress:
            task = progress.add_task(title, total=1.0)

            def report(fraction: float, doing: str = "") -> None:
                progress.update(task, completed=fraction, description=f"{title} {doing}".strip())

            yield report
            progress.update(task, completed=1.0, description=title)
