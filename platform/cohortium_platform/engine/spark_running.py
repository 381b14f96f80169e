"""Spark itself: one session for an evaluation, on this machine, on a cluster or behind Spark Connect.

Here: how a session is opened and closed, and what is told when something fails. Not here: what it is asked to do.
PySpark is imported by modules named `spark_...` only, and by whoever asks for this engine: nothing else needs it.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from cohortium_platform.engine.control import Cancellation, EngineSettings
from cohortium_platform.errors import BadInput, Cancelled, CohortiumError, Unavailable

__all__ = ["SparkRunning", "opened"]

_OF_EACH_SESSION = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "false",
    "spark.sql.caseSensitive": "true",
    "spark.sql.analyzer.maxIterations": "1000",
    "spark.sql.constraintPropagation.enabled": "false",
    "spark.sql.parquet.enableVectorizedReader": "true",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
}
"""What the meaning of our expressions stands on, whatever a cluster's defaults are; and no search for what else must
hold of columns, which finds nothing here and takes minutes when many columns are worked out from one another.
"""

_OF_ONE_MACHINE = {
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.shuffle.partitions": "2",
}
"""Where a query is planned for longer than it runs: fewer plans, less compilation, few partitions."""
_OF_THE_DRIVER = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
    "spark.driver.maxResultSize": "0",
    "spark.driver.extraJavaOptions": "-Xss16m",
    "spark.sql.catalogImplementation": "in-memory",
}
"""Results are fetched whole, as every engine fetches them; a deep rule makes a deep tree."""

_SIZE = re.compile(r"([0-9.]+) ?([KMGT])(i?)B")
_PAUSE = 0.2
"""Seconds between two tries to stop a session."""

_lock = Lock()


class SparkRunning:
    """A session of one evaluation; the end of the `with` block is the end of all interrupting."""

    def __init__(self, session: SparkSession, cancellation: Cancellation) -> None:
        self.session, self.cancellation = session, cancellation
        self._ended = Event()

    def interrupt(self) -> None:
        """Stop what the session runs, and what it begins to run from now on: a query is planned for seconds before
        there is anything to stop.
        """
        Thread(target=self._interrupt, name="cohortium-interrupt", daemon=True).start()

    def _interrupt(self) -> None:
        while not self._ended.is_set():
            self.session.interruptAll()
            self._ended.wait(_PAUSE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tell what went wrong, without quoting any row. Raises `Cancelled`, `Unavailable` when a file cannot be read,
        memory is short or Spark does not answer, and `CohortiumError`.
        """
        if self.cancellation.cancelled:
            raise Cancelled("The evaluation was cancelled.")
        try:
            yield
        except CohortiumError:
            raise
        except Exception as failure:
            if self.cancellation.cancelled:
                raise Cancelled("The evaluation was cancelled.") from None
            if not _is_of_spark(failure):
                raise
            raise _told(failure) from None
        if self.cancellation.cancelled:
            raise Cancelled("The evaluation was cancelled.")


def _is_of_spark(failure: Exception) -> bool:
    return isinstance(failure, PySparkException) or type(failure).__module__.split(".")[0] in {"py4j", "grpc"}


def _told(failure: Exception) -> CohortiumError:
    """Put a failure into words of ours: Spark's own may quote what it was working on."""
    says = str(failure)
    if any(
        word in says for word in ("FAILED_READ_FILE", "PATH_NOT_FOUND", "FileNotFoundException", "is not a Parquet")
    ):
        return Unavailable("A file of records cannot be read by Spark.", "See Spark's log.")
    if any(word in says for word in ("OutOfMemoryError", "SparkOutOfMemoryError", "maxResultSize")):
        return Unavailable(
            "An evaluation needs more memory than Spark may use.", "Give Spark's driver or executors more."
        )
    if "UNAVAILABLE" in says or "Connection refused" in says:
        return Unavailable("Spark does not answer.", "Check COHORTIUM_SPARK_MASTER and that Spark runs there.")
    return CohortiumError(f"Spark refused a step of the engine ({type(failure).__name__}).")


@contextmanager
def opened(master: str, settings: EngineSettings) -> Iterator[SparkSession]:
    """Give a session of its own for the length of the block: temporary views and settings are no one else's."""
    session = _connected(master) if master.startswith("sc://") else _started(master, settings).newSession()
    try:
        options = _OF_EACH_SESSION | (_OF_ONE_MACHINE if master.startswith("local") else {})
        for name, value in options.items():
            session.conf.set(name, value)
        yield session
    finally:
        if master.startswith("sc://"):
            session.stop()


def _connected(master: str) -> SparkSession:
    try:
        session: SparkSession = SparkSession.builder.remote(master).create()
    except Exception as failure:
        if not _is_of_spark(failure):
            raise
        raise _told(failure) from None
    return session


def _started(master: str, settings: EngineSettings) -> SparkSession:
    """Give the one Spark driver of this process, which starts with the first evaluation and ends with the process."""
    _check_java()
    builder = SparkSession.builder.appName("cohortium").master(_with_threads(master, settings.threads))
    for name, value in _OF_THE_DRIVER.items():
        builder = builder.config(name, value)
    if settings.memory_limit is not None:
        builder = builder.config("spark.driver.memory", f"{_mebibytes(settings.memory_limit)}m")
    if master.startswith("local"):
        builder = builder.config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
    with _lock:
        return builder.getOrCreate()


def _check_java() -> None:
    home = os.environ.get("JAVA_HOME")
    if shutil.which("java") is None and not (home and shutil.which("java", path=str(Path(home) / "bin"))):
        raise Unavailable(
            "Spark needs Java 17 on this machine, and there is none.",
            "Run deploy/install-java.sh, set JAVA_HOME, or point COHORTIUM_SPARK_MASTER at Spark Connect (sc://...).",
        )


def _with_threads(master: str, threads: int | None) -> str:
    return f"local[{threads or '*'}]" if master == "local" else master


def _mebibytes(size: str) -> int:
    """Read a size as DuckDB writes them, such as 4GB or 512MiB."""
    found = _SIZE.fullmatch(size)
    if found is None:
        raise BadInput("A memory limit is no size.", "Write it as 4GB or 512MiB.")
    number, factor, binary = found.groups()
    power = "KMGT".index(factor) + 1
    return max(int(float(number) * (1024 if binary else 1000) ** power / 2**20), 512)
