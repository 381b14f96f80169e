"""Exporters, each run in a process of its own, with limits; those of this distribution as well.

Not here: the process (`cohortium_platform.apart`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cohortium_platform.apart import ApartLimits, BrokeDown, Saying, run_apart
from cohortium_platform.errors import CohortiumError
from cohortium_plugins.exporting import Export, Exporter
from cohortium_plugins.installed import installed_exporters

__all__ = ["EXPORTING", "ExportFailed", "write_apart"]

EXPORTING = ApartLimits(seconds=900.0, bytes=4 * 2**30, file_bytes=2**29)
"""A registry of an ICB is some hundred thousand rows."""


class ExportFailed(CohortiumError):  # noqa: N818 - an error is named for what happened
    """An exporter did not write its file; nothing of it is kept."""

    title = "That file could not be made"


@dataclass(frozen=True, slots=True)
class _Task:
    exporter: str
    export: Export
    file: Path


def write_apart(
    exporter: Exporter, export: Export, file: Path, limits: ApartLimits, *, waiting: Callable[[], None]
) -> None:
    """Have an exporter write a new file; `waiting` is called at least every few seconds, and may raise.

    Raises `ExportFailed`, which names the exporter and how it broke down. Whatever is raised, no file is left.
    """
    task = _Task(exporter.name, export, file)
    try:
        run_apart(f"exporter-{exporter.name}", _write, task, limits, _hear, waiting=waiting)
        how = "" if file.is_file() and not file.is_symlink() else "wrote no file"
    except BrokeDown as broken:
        how = str(broken)
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    if how:
        file.unlink(missing_ok=True)
        raise ExportFailed(f"The exporter {exporter.name} {how}.", "Ask its maker; nothing of it was kept.")


def _hear(name: str, _said: Mapping[str, Any]) -> None:
    """An exporter has nothing to say before its end."""
    raise ValueError(name)


def _write(task: _Task, _saying: Saying) -> None:  # pragma: no cover - runs in the exporter's process
    installed_exporters()[task.exporter].write(task.export, task.file)
