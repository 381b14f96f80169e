from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import date
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlmodel import select

from cohortium_platform.audit import AuditEntry
from cohortium_platform.database import Database
from cohortium_platform.errors import BadInput, CohortiumError, NotFound, Unavailable
from cohortium_platform.jobs import (
    Job,
    JobContext,
    JobKind,
    JobState,
    LeaseLost,
    cancel,
    deliverable,
    enqueue,
    find_job,
    list_jobs,
    load_kinds,
    run_job,
)
from cohortium_tenants.tenants import Tenant


@dataclass(frozen=True, slots=True)
class Loading:
    practice: str
    day: date


def kind(handler: object, **options: object) -> JobKind[Loading]:
    return JobKind("test-loading", Loading, handler, **options)


LOADING = Loading("Y12345", date(2026, 11, 30))


def ask(database: Database, tenant: Tenant, of: JobKind[Loading], parameters: Loading = LOADING) -> UUID:
    with database.tenant(tenant.id) as session:
        return enqueue(session, None, of, parameters, requested_by="person-1")


def look(database: Database, tenant: Tenant, job_id: UUID) -> Job:
    with database.tenant(tenant.id) as session:
        return find_job(session, job_id)


def test_a_job_gets_its_parameters_as_they_were_and_keeps_its_result(database: Database, tenant: Tenant) -> None:
    seen: list[object] = []

    def handler(context: JobContext, parameters: Loading) -> dict[str, object]:
        seen.append(parameters)
        context.progress(0.5, "half")
        seen.append(look(database, tenant, context.job_id).progress)
        return {"rows": 7}

    job_id = ask(database, tenant, kind(handler))
    assert run_job(database, {"test-loading": kind(handler)}, tenant.id, job_id) == JobState.SUCCEEDED
    job = look(database, tenant, job_id)
    assert seen == [LOADING, 0.5]
    assert (job.state, job.result, job.progress, job.attempts) == ("succeeded", {"rows": 7}, 1.0, 1)
    assert job.finished is not None
    assert job.worker is None


def test_a_repeated_delivery_does_nothing(database: Database, tenant: Tenant) -> None:
    runs: list[int] = []
    of = kind(lambda _context, _parameters: runs.append(1))
    job_id = ask(database, tenant, of)
    assert run_job(database, {of.name: of}, tenant.id, job_id) == JobState.SUCCEEDED
    assert run_job(database, {of.name: of}, tenant.id, job_id) is None
    assert runs == [1]


def test_two_workers_at_one_moment_run_a_job_once(database: Database, tenant: Tenant) -> None:
    runs: list[int] = []

    def handler(_context: JobContext, _parameters: Loading) -> None:
        runs.append(1)
        time.sleep(0.2)

    of = kind(handler)
    job_id = ask(database, tenant, of)
    threads = [threading.Thread(target=run_job, args=(database, {of.name: of}, tenant.id, job_id)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert runs == [1]


def test_another_tenant_can_neither_see_nor_run_a_job(database: Database, tenant: Tenant, other_tenant: Tenant) -> None:
    of = kind(lambda _context, _parameters: None)
    job_id = ask(database, tenant, of)
    assert run_job(database, {of.name: of}, other_tenant.id, job_id) is None
    with database.tenant(other_tenant.id) as session:
        assert list_jobs(session) == []
        with pytest.raises(NotFound):
            cancel(session, job_id)


def test_work_and_success_are_one_commit(database: Database, tenant: Tenant) -> None:
    def handler(context: JobContext, _parameters: Loading) -> None:
        with context.transaction() as session:
            session.add(_row(tenant, "half of the work"))
            context.succeed(session, {"rows": 1})
            raise CohortiumError("The disk is full.", "Make room.")

    of = kind(handler)
    job_id = ask(database, tenant, of)
    assert run_job(database, {of.name: of}, tenant.id, job_id) == JobState.FAILED
    assert look(database, tenant, job_id).error == "The disk is full. Make room."
    assert _actions(database, tenant) == ["job.test-loading.failed"]


def _row(tenant: Tenant, action: str) -> AuditEntry:
    return AuditEntry(
        tenant_id=tenant.id, id=uuid4(), at="2026-11-30T00:00:00Z", actor="a", role="", organisation="", purpose="",
        action=action, resource="", practices=[], patients=[], policy="", outcome="done", request_id="", detail={},
    )  # fmt: skip


def _actions(database: Database, tenant: Tenant) -> list[str]:
    with database.tenant(tenant.id) as session:
        return sorted(session.exec(select(AuditEntry.action).where(AuditEntry.action != "tenant.create")))


def test_a_worker_that_slept_through_its_lease_can_change_nothing(database: Database, tenant: Tenant) -> None:
    def handler(context: JobContext, _parameters: Loading) -> None:
        with database.tenant(tenant.id) as session:  # as if PostgreSQL's clock had run on, and another had taken it
            session.connection().execute(
                text("UPDATE jobs SET worker = :other WHERE id = :id"), {"other": uuid4(), "id": context.job_id}
            )
        with context.transaction() as session:
            session.add(_row(tenant, "too late"))

    of = kind(handler)
    job_id = ask(database, tenant, of)
    assert run_job(database, {of.name: of}, tenant.id, job_id) is None
    assert look(database, tenant, job_id).state == JobState.RUNNING
    assert _actions(database, tenant) == []


def test_progress_tells_a_worker_that_it_has_lost_its_lease(database: Database, tenant: Tenant) -> None:
    told: list[type[Exception]] = []

    def handler(context: JobContext, _parameters: Loading) -> None:
        with database.tenant(tenant.id) as session:
            session.connection().execute(text("UPDATE jobs SET worker = NULL WHERE id = :id"), {"id": context.job_id})
        try:
            context.progress(0.1)
        except LeaseLost as lost:
            told.append(type(lost))
            raise

    of = kind(handler)
    run_job(database, {of.name: of}, tenant.id, ask(database, tenant, of))
    assert told == [LeaseLost]


def test_a_lease_is_kept_while_the_handler_works(database: Database, tenant: Tenant) -> None:
    def handler(context: JobContext, _parameters: Loading) -> None:
        time.sleep(0.8)
        with database.tenant(tenant.id) as session:
            assert (context.job_id, 1) not in deliverable(session)

    of = kind(handler, lease_seconds=0.3)
    job_id = ask(database, tenant, of)
    assert run_job(database, {of.name: of}, tenant.id, job_id) == JobState.SUCCEEDED


def test_what_is_down_for_a_moment_is_tried_again_later(database: Database, tenant: Tenant) -> None:
    def handler(_context: JobContext, _parameters: Loading) -> None:
        raise Unavailable("The store does not answer.")

    of = kind(handler, attempts=2)
    job_id = ask(database, tenant, of)
    assert run_job(database, {of.name: of}, tenant.id, job_id) == JobState.QUEUED
    assert run_job(database, {of.name: of}, tenant.id, job_id) is None, "its time has not come"
    with database.tenant(tenant.id) as session:
        session.connection().execute(text("UPDATE jobs SET not_before = now()"))
    assert run_job(database, {of.name: of}, tenant.id, job_id) == JobState.FAILED
    assert look(database, tenant, job_id).attempts == 2


def test_an_unexpected_error_is_told_without_its_words(database: Database, tenant: Tenant) -> None:
    def handler(_context: JobContext, _parameters: Loading) -> None:
        raise ValueError("could not parse 943 476 5919 Smith")

    of = kind(handler)
    job_id = ask(database, tenant, of)
    assert run_job(database, {of.name: of}, tenant.id, job_id) == JobState.FAILED
    error = look(database, tenant, job_id).error
    assert error is not None
    assert error.startswith("An unexpected error: ValueError at handler, line ")
    assert "Smith" not in error


def test_a_job_that_waits_is_cancelled_at_once(database: Database, tenant: Tenant) -> None:
    of = kind(lambda _context, _parameters: None)
    job_id = ask(database, tenant, of)
    with database.tenant(tenant.id) as session:
        assert cancel(session, job_id) == JobState.CANCELLED
    assert run_job(database, {of.name: of}, tenant.id, job_id) is None


def test_a_job_that_runs_is_cancelled_at_its_next_safe_place(database: Database, tenant: Tenant) -> None:
    passed: list[float] = []

    def handler(context: JobContext, _parameters: Loading) -> None:
        with database.tenant(tenant.id) as session:
            assert cancel(session, context.job_id) == JobState.RUNNING
        context.progress(0.5)
        passed.append(0.5)

    of = kind(handler)
    job_id = ask(database, tenant, of)
    assert run_job(database, {of.name: of}, tenant.id, job_id) == JobState.CANCELLED
    assert passed == []
    assert _actions(database, tenant) == ["job.test-loading.cancelled"]


def test_a_worker_that_is_told_to_stop_gives_its_job_back(database: Database, tenant: Tenant) -> None:
    stopping = threading.Event()

    def handler(context: JobContext, _parameters: Loading) -> None:
        stopping.set()
        context.progress(0.5)

    of = kind(handler)
    job_id = ask(database, tenant, of)
    assert run_job(database, {of.name: of}, tenant.id, job_id, stopping=stopping) == JobState.QUEUED
    with database.tenant(tenant.id) as session:
        assert deliverable(session) == [(job_id, 0)]


def test_a_job_whose_worker_always_dies_ends_as_failed(database: Database, tenant: Tenant) -> None:
    of = kind(lambda _context, _parameters: None, attempts=2)
    job_id = ask(database, tenant, of)
    with database.tenant(tenant.id) as session:
        session.connection().execute(
            text("UPDATE jobs SET state = 'running', attempts = 2, lease_until = now() - interval '1 second'")
        )
    assert run_job(database, {of.name: of}, tenant.id, job_id) == JobState.FAILED
    assert "without a word 2 times" in (look(database, tenant, job_id).error or "")


def test_a_job_of_an_unknown_kind_fails_and_says_so(database: Database, tenant: Tenant) -> None:
    job_id = ask(database, tenant, kind(lambda _context, _parameters: None))
    assert run_job(database, {}, tenant.id, job_id) == JobState.FAILED
    assert look(database, tenant, job_id).error == "This build knows no job of the kind test-loading."


def test_of_one_unique_key_only_one_job_waits_or_runs(database: Database, tenant: Tenant, other_tenant: Tenant) -> None:
    of = kind(lambda _context, _parameters: None, unique=lambda loading: loading.practice)
    first = ask(database, tenant, of)
    assert ask(database, tenant, of) == first
    assert ask(database, tenant, of, Loading("Y54321", LOADING.day)) != first
    assert ask(database, other_tenant, of) != first, "another tenant's job tells nothing of this one's"
    run_job(database, {of.name: of}, tenant.id, first)
    assert ask(database, tenant, of) != first


def test_two_kinds_of_one_name_are_refused() -> None:
    of = kind(lambda _context, _parameters: None)
    assert of.name in load_kinds([of])
    with pytest.raises(BadInput, match="test-loading"):
        load_kinds([of, of])
