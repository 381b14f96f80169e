"""Kinds of job: a name, the parameters it takes, and the function that does it. Not here: any kind itself."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from pydantic import TypeAdapter

from cohortium_platform.errors import BadInput
from cohortium_platform.layers import modules_named

if TYPE_CHECKING:
    from cohortium_platform.jobs.context import JobContext

__all__ = ["JobKind", "JobResult", "RunnableKind", "load_kinds"]

JobResult = Mapping[str, object]
"""What a job says at its end, as JSON: counts and names, nothing about a patient."""

P = TypeVar("P")


class RunnableKind(Protocol):
    """A kind of job as the worker sees it, whatever its parameters."""

    @property
    def name(self) -> str:
        """What a job's row calls it."""

    @property
    def lease_seconds(self) -> float:
        """How long a silent worker keeps a job; a living one renews it three times in that span."""

    @property
    def attempts(self) -> int:
        """How often a job may be begun before it counts as failed."""

    def run(self, context: JobContext, parameters: Mapping[str, object]) -> JobResult | None:
        """Do the work from the parameters as the row holds them."""


@dataclass(frozen=True)
class JobKind(Generic[P]):
    """A kind of job. `parameters` is a frozen dataclass of plain values (ids, ODS codes, dates, paths).

    `handler` does the work and may be called again after any crash, so it changes the tenant only in
    `context.transaction()`; calling `context.succeed` in the last of these makes the work and its success one commit.
    While a job waits or runs, none is added of the same `unique` key, which is made from the parameters.
    """

    name: str
    parameters: type[P]
    handler: Callable[[JobContext, P], JobResult | None]
    lease_seconds: float = 60.0
    attempts: int = 3
    unique: Callable[[P], str] | None = None

    @cached_property
    def _adapter(self) -> TypeAdapter[P]:
        return TypeAdapter(self.parameters)

    def as_json(self, parameters: P) -> dict[str, object]:
        """The parameters as a row holds them."""
        json: dict[str, object] = self._adapter.dump_python(parameters, mode="json")
        return json

    def run(self, context: JobContext, parameters: Mapping[str, object]) -> JobResult | None:
        """Do the work. Raises pydantic's `ValidationError` on parameters of another build."""
        return self.handler(context, self._adapter.validate_python(parameters))


def load_kinds(more: Iterable[RunnableKind] = ()) -> Mapping[str, RunnableKind]:
    """Every kind that a `tasks` module of any layer lists as `KINDS`, and those given.

    Raises `BadInput` on two of one name.
    """
    kinds: dict[str, RunnableKind] = {}
    found = [kind for module in modules_named("tasks") for kind in importlib.import_module(module).KINDS]
    for kind in [*found, *more]:
        if kind.name in kinds:
            raise BadInput(f"Two kinds of job are called {kind.name}.", "Rename one.")
        kinds[kind.name] = kind
    return kinds
