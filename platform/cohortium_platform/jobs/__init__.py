"""Jobs: work that outlives a request.

Here: what a kind of job is, asking for one, running it so that nothing is lost or done twice, and the worker process.
Not here: any job's own work, which lies in the `tasks.py` of its domain as a list `KINDS`.

A job's truth is its row in PostgreSQL; Redis only carries its id. A delivery that is lost is made again by the sweep;
one that comes twice finds the row taken. A worker that dies stops renewing its lease, and another takes the job up when
that runs out. A handler does its work in `context.transaction()`, which refuses to commit for a worker whose lease has
gone.
"""

from cohortium_platform.jobs.context import JobContext, LeaseLost
from cohortium_platform.jobs.kinds import JobKind, RunnableKind, load_kinds
from cohortium_platform.jobs.models import Job, JobState
from cohortium_platform.jobs.queue import JobQueue
from cohortium_platform.jobs.running import run_job
from cohortium_platform.jobs.service import cancel, deliverable, enqueue, find_job, list_jobs
from cohortium_platform.jobs.worker import run_worker

__all__ = [
    "Job",
    "JobContext",
    "JobKind",
    "JobQueue",
    "JobState",
    "LeaseLost",
    "RunnableKind",
    "cancel",
    "deliverable",
    "enqueue",
    "find_job",
    "list_jobs",
    "load_kinds",
    "run_job",
    "run_worker",
]
