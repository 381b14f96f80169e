"""Loading a delivery: what the command line and jobs call.

Here: choosing the importer, running the load, putting its errors into the platform's tree. Not here: the load itself
(`pipeline`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sqlmodel import Session

from cohortium_platform.ingest.errors import DeliveryRefused
from cohortium_platform.ingest.importers import choose_importer
from cohortium_platform.ingest.limits import LoadLimits
from cohortium_platform.ingest.pipeline import Run, Transaction
from cohortium_platform.ingest.progress import Tell
from cohortium_platform.ingest.reporting import KnownCodes
from cohortium_platform.ingest.target import LoadResult, LoadTarget, Requester
from cohortium_platform.records.sweep import sweep
from cohortium_plugins.importing import Importer, ImportOptions, Unreadable
from cohortium_plugins.installed import installed_importers

__all__ = ["LoadOptions", "load"]


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How to load. `transaction` opens the one transaction (a job gives its own), and `on_commit` runs in it, last."""

    importer: str | Importer | None = None
    limits: LoadLimits = field(default_factory=LoadLimits)
    requester: Requester = field(default_factory=Requester)
    known_codes: KnownCodes | None = None
    progress: Tell | None = None
    transaction: Transaction | None = None
    on_commit: Callable[[Session, LoadResult], None] | None = None


_PLAIN = LoadOptions()


def load(
    target: LoadTarget, delivery: Path, options: ImportOptions | None = None, how: LoadOptions = _PLAIN
) -> LoadResult:
    """Load a delivery whole or not at all, and say what came of it.

    Loading the same delivery again changes nothing and says so. What loads that died have left is swept up first.
    Raises `DeliveryRefused` (nothing of it is kept), `Conflict` (another load of the same practice and source came in
    between), `Unavailable`, and what `progress` raises.
    """
    asked = how.importer
    importer = (
        choose_importer(delivery, asked, list(installed_importers().values()))
        if asked is None or isinstance(asked, str)
        else asked
    )
    run = Run(
        target=target,
        delivery=delivery,
        options=options or ImportOptions(),
        importer=importer,
        limits=how.limits,
        requester=how.requester,
        known_codes=how.known_codes,
        tell=how.progress,
        transaction=how.transaction,
        on_commit=how.on_commit,
    )
    sweep(target.database, target.tenant_id, target.store)
    try:
        return run.load()
    except Unreadable as unreadable:
        where = unreadable.file if unreadable.line is None else f"{unreadable.file}, line {unreadable.line}"
        raise DeliveryRefused(f"{where}: {unreadable.reason}.", unreadable.advice) from None
