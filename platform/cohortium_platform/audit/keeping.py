"""What the worker does for every tenant's log: places each second, checkpoints each hour.

Here: the loop. Not here: what it does each time (`sequencer`, `heads`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.exc import OperationalError

from cohortium_platform.audit.heads import last_head, take_head
from cohortium_platform.audit.notes import LogSigner
from cohortium_platform.audit.sequencer import sequence
from cohortium_platform.database import Database
from cohortium_platform.errors import CohortiumError, Unavailable

__all__ = ["CHECKPOINT_AGE", "LogKeeper"]

CHECKPOINT_AGE = timedelta(minutes=50)
"""A log that grew gets a new checkpoint when its last one is as old, so that an hour never passes without."""

_SECONDS = 1.0
_LOOK_SECONDS = 60.0

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class LogKeeper:
    """Keeps the logs of all tenants. `signers` opens a tenant's signing key; without it no checkpoints are taken."""

    database: Database
    tenants: Callable[[], Sequence[UUID]]
    signers: Callable[[Database, UUID], LogSigner] | None = None
    _looked: dict[UUID, float] = field(default_factory=dict)
    _troubled: set[UUID] = field(default_factory=set)

    def run(self, stopping: threading.Event) -> None:
        """Keep them until told to stop; a database that does not answer is waited for."""
        while not stopping.wait(_SECONDS):
            try:
                self.keep_all()
            except (Unavailable, OperationalError):
                _log.warning("the audit logs wait: PostgreSQL does not answer")

    def keep_all(self) -> None:
        """Look after each tenant's log once. One that is broken is reported, and does not hold up the others."""
        for tenant_id in self.tenants():
            try:
                self._keep(tenant_id)
            except (Unavailable, OperationalError):
                raise
            except CohortiumError as failure:
                self._trouble(tenant_id, f"{failure.message} {failure.advice}")
            except Exception as failure:  # noqa: BLE001 - whatever it is, the other tenants' logs go on
                self._trouble(tenant_id, type(failure).__name__)
            else:
                self._troubled.discard(tenant_id)

    def _trouble(self, tenant_id: UUID, what: str) -> None:
        """Say it once, until it is over."""
        if tenant_id not in self._troubled:
            _log.error("the audit log of tenant %s: %s", tenant_id, what)
        self._troubled.add(tenant_id)

    def _keep(self, tenant_id: UUID) -> None:
        sequence(self.database, tenant_id, wait=False)
        now = time.monotonic()
        if self.signers is None or now - self._looked.get(tenant_id, -_LOOK_SECONDS) < _LOOK_SECONDS:
            return
        self._looked[tenant_id] = now
        with self.database.tenant(tenant_id) as session:
            last = last_head(session)
        if last is None or datetime.now(UTC) - last.at >= CHECKPOINT_AGE:
            take_head(self.database, tenant_id, self.signers(self.database, tenant_id))
