"""A program for `test_switching`: runs a job that exchanges a pack, and is killed by itself in the middle of it.

Its orders stand on the command line: the tenant, the job, and the place: `working` (the engine runs), `written` (files
are there, nothing counts yet) or `counting` (before the commit).
"""

import os
import signal
import sys
from contextlib import contextmanager
from uuid import UUID

from cohortium_platform.database import Database
from cohortium_platform.jobs import JobContext, load_kinds, run_job
from cohortium_platform.settings import load_settings
from cohortium_tenants.packs import tasks


def die(*_args, **_kwargs):
    os.kill(os.getpid(), signal.SIGKILL)


def main():
    tenant, job, place = sys.argv[1:]
    succeed, switching = JobContext.succeed, tasks.switching

    def progress(_self, fraction, _step=""):
        if place == "working" and fraction > 0.2:
            die()

    def late(self, session, result=None):
        succeed(self, session, result)
        session.flush()
        if place == "counting":
            die()

    def exchanging(*args, **kwargs):
        opened = switching(*args, **kwargs)

        @contextmanager
        def ending():
            if place == "written":
                die()
            with opened() as session:
                yield session

        return ending

    JobContext.progress, JobContext.succeed, tasks.switching = progress, late, exchanging
    run_job(Database(load_settings().database_url), load_kinds(), UUID(tenant), UUID(job))


main()
