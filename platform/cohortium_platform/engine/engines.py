"""Which engine evaluates: the one place that knows both.

Spark's package is looked for only when it is asked for. Not here: the engines themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import partial
from typing import Protocol

import pyarrow as pa

from cohortium_platform.engine.control import EngineSettings, Progress
from cohortium_platform.engine.duckdb import evaluate
from cohortium_platform.engine.evaluated import EvaluatedTables
from cohortium_platform.engine.source import RecordSource
from cohortium_platform.errors import Unavailable
from cohortium_platform.settings import Settings
from cohortium_plugins.model.definition import Definition

__all__ = ["Evaluate", "engine_of"]


class Evaluate(Protocol):
    """An engine: see `duckdb.evaluate`."""

    def __call__(  # noqa: PLR0913 - what, over what, for whom, when, and how
        self,
        definition: Definition,
        source: RecordSource,
        practices: Sequence[str],
        index_dates: Sequence[date],
        *,
        settings: EngineSettings | None = None,
        progress: Progress | None = None,
        outlook: bool = False,
        settled: pa.Table | None = None,
    ) -> EvaluatedTables:
        """Evaluate a bound definition for the patients of some practices at several index dates."""


def engine_of(settings: Settings) -> Evaluate:
    """Give the engine that the settings name. Raises `Unavailable` when its package is not installed."""
    if settings.engine == "duckdb":
        return evaluate
    try:
        from cohortium_platform.engine import spark  # noqa: PLC0415 - the platform works without it
    except ModuleNotFoundError as missing:
        if missing.name is None or not missing.name.startswith(("pyspark", "py4j")):
            raise
        raise Unavailable(
            "COHORTIUM_ENGINE=spark needs the package pyspark, which is not installed.",
            "Run: pip install 'cohortium[spark]', or set COHORTIUM_ENGINE=duckdb.",
        ) from None
    return partial(spark.evaluate, master=settings.spark_master)
