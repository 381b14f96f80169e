"""A program for `test_refresh`: refreshes a tenant, and is killed by itself in the middle of it.

Its orders stand on the command line: the database, the settings as JSON, the tenant, the day, and the place: `working`
(the engine runs), `written` (files are there, nothing counts yet) or `counting` (before the commit).
"""

import os
import runpy
import signal
import sys
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from uuid import UUID

from pydantic import SecretStr

from cohortium_platform.database import Database
from cohortium_platform.engine.refresh import refresh_tenant
from cohortium_platform.settings import Settings


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def main():
    address, described, tenant, day, place = sys.argv[1:]
    settings = Settings.model_validate_json(described)
    database, tenant_id = Database(SecretStr(address)), UUID(tenant)

    def progress(fraction, _step):
        if place == "working" and fraction > 0.2:
            die()

    @contextmanager
    def transaction():
        if place == "written":
            die()
        with database.tenant(tenant_id) as session:
            yield session
            session.flush()
            die()

    request = runpy.run_path(str(Path(__file__).with_name("test_refresh.py")))["REQUEST"]
    to = date.fromisoformat(day)
    refresh_tenant(database, settings, tenant_id, request, progress, to=to, transaction=transaction)


main()
