"""Folding entries made in Cohortium into one file a practice, as a job."""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import Session

from cohortium_platform.jobs import JobContext, JobKind, enqueue
from cohortium_platform.jobs.kinds import JobResult
from cohortium_platform.records import RecordStore, fold_entries, unfolded
from cohortium_platform.records.tasks import ask_to_publish
from cohortium_platform.settings import load_settings

__all__ = ["FOLD", "KINDS", "MOST_FILES", "FoldEntries", "ask_to_fold"]

MOST_FILES = 20
"""Files of entries that a practice may have before they are folded: each costs every reader an opening."""


@dataclass(frozen=True, slots=True)
class FoldEntries:
    """Whose practices to fold: those with more files than this."""

    more_than: int = MOST_FILES
    actor: str = "service"


def _fold(context: JobContext, asked: FoldEntries) -> JobResult | None:
    """Fold practice by practice, each in a transaction of its own; done twice it finds nothing left."""
    store = RecordStore(load_settings().store_root, context.tenant_id)
    with context.database.tenant(context.tenant_id) as session:
        practices = unfolded(session, more_than=asked.more_than)
    for done, practice in enumerate(practices):
        context.progress(done / len(practices), f"Folding entries: practice {done + 1} of {len(practices)}")
        with context.transaction() as session:
            fold_entries(session, store, practice, actor=asked.actor)
            ask_to_publish(session, asked.actor)
    return {"practices": len(practices)}


FOLD = JobKind("fold-entries", FoldEntries, _fold, unique=lambda _asked: "all")
KINDS = [FOLD]


def ask_to_fold(session: Session, practice: str, actor: str) -> None:
    """Ask for folding, in the caller's transaction, where a practice has come to have many files."""
    if practice in unfolded(session, more_than=MOST_FILES):
        enqueue(session, None, FOLD, FoldEntries(actor=actor), requested_by=actor)
