"""How an evaluation is limited, followed and stopped, whichever engine runs it.

Not here: the engines (`duckdb`, `spark`), and settings of the service (`cohortium_platform.settings`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Protocol

__all__ = ["Cancellation", "EngineSettings", "Interruptible", "Progress"]

Progress = Callable[[float, str], None]
"""Told how far it has come (0 to 1) and what is being done; may raise to stop."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What one evaluation may use of this machine: threads (None: all), memory as DuckDB writes sizes (None: most of
    it), where it may spill what does not fit (None: nowhere), and where it may keep extracts (`duckdb_extracts`) of the
    records, whose files must then never change (None: nowhere).
    """

    threads: int | None = None
    memory_limit: str | None = None
    temporary: Path | None = None
    extracts: Path | None = None


class Interruptible(Protocol):
    """Work under way that another thread may stop."""

    def interrupt(self) -> None:
        """Stop the statement that runs."""


class Cancellation:
    """Lets another thread stop an evaluation: the statements that run are interrupted, and no other begins."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._cancelled = False
        self._running: list[Interruptible] = []

    @property
    def cancelled(self) -> bool:
        """Whether it was asked to stop."""
        return self._cancelled

    def cancel(self) -> None:
        """Ask it to stop."""
        with self._lock:
            self._cancelled = True
            for running in self._running:
                running.interrupt()

    @contextmanager
    def watching(self, running: Interruptible) -> Iterator[None]:
        """Interrupt this when asked to, for the length of the block."""
        with self._lock:
            self._running.append(running)
        try:
            yield
        finally:
            with self._lock:
                self._running.remove(running)
