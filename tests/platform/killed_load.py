"""A program for `test_loads_killed`: loads a delivery again and again, each time in a fresh process that is killed at
the next of many points. It reads its orders from standard input, as JSON, and says on standard output how each ended.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from uuid import UUID

from cohortium_platform.database import Database
from cohortium_platform.ingest import LoadOptions, LoadTarget, load
from cohortium_platform.keys import TenantKeys
from cohortium_platform.records import RecordStore

STEPS = [
    ("ingest.tabular.importer", "TabularImporter.read"),
    ("ingest.pipeline", "read_patients"),
    ("ingest.pipeline", "pseudonymise"),
    ("ingest.pipeline", "settle"),
    ("ingest.pipeline", "read_tables"),
    ("records.store", "RecordStore.write"),
    ("records.store", "_write_parquet"),
    ("identities.loading", "IdentitySealer.add"),
    ("ingest.pipeline", "publish"),
    ("ingest.pipeline", "apply_changes"),
    ("audit", "record"),
    ("ingest.pipeline", "Run._result"),
    ("records.store", "RecordStore.discard"),
]
"""Steps of a load. It is killed before and after each, as often as the step happens."""


class Fuse:
    """Counts the points passed, and kills the process at one of them."""

    def __init__(self, at: int) -> None:
        self.at, self.passed = at, 0

    def point(self) -> None:
        self.passed += 1
        if self.passed == self.at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, step: Callable[..., object]) -> Callable[..., object]:
        @functools.wraps(step)
        def burning(*args: object, **named: object) -> object:
            self.point()
            result = step(*args, **named)
            self.point()
            return result

        return burning

    def lay(self) -> None:
        for module, name in STEPS:
            owner: object = importlib.import_module(f"cohortium_platform.{module}")
            *path, last = name.split(".")
            for part in path:
                owner = getattr(owner, part)
            setattr(owner, last, self.around(getattr(owner, last)))


class Everything:
    def practices(self, _: date) -> frozenset[str]:
        return frozenset({"A81001", "A81002"})


def run(orders: dict[str, str], fuse: Fuse) -> None:
    database = Database(orders["database"])
    tenant = UUID(orders["tenant"])
    keys = TenantKeys(tenant, *(bytes.fromhex(orders[name]) for name in ("data", "pseudonym", "search", "audit")))
    target = LoadTarget(database, tenant, RecordStore(Path(orders["store"]), tenant), keys, Everything())

    @contextmanager
    def transaction() -> Iterator[object]:
        """The load's one transaction, with a point just before its commit and one just after."""
        with database.tenant(tenant) as session:
            yield session
            fuse.point()
        fuse.point()

    fuse.lay()
    load(target, Path(orders["delivery"]), how=LoadOptions(transaction=transaction))
    database.close()


def say(ended: dict[str, int]) -> None:
    sys.stdout.write(json.dumps(ended) + "\n")
    sys.stdout.flush()


def main() -> None:
    for line in sys.stdin:
        orders = json.loads(line)
        child = os.fork()
        if child == 0:
            fuse = Fuse(int(orders["at"]))
            run(orders, fuse)
            say({"passed": fuse.passed})
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            say({"killed": os.WTERMSIG(status)})
        elif os.WEXITSTATUS(status):
            say({"failed": os.WEXITSTATUS(status)})


if __name__ == "__main__":
    main()
