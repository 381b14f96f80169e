"""Completing a review in one request: stored, recorded, and every registry's tiles of the patient turned with it."""

from __future__ import annotations

from uuid import UUID

from cohortium_platform.engine.control import EngineSettings
from cohortium_platform.engine.entered import OnePatient, reevaluate_patient
from cohortium_platform.records import RecordStore
from cohortium_platform.results import ResultStore
from cohortium_tenants.care import Draft, ask_to_fold, complete
from cohortium_web.pages.reviews.opened import OpenedReview

__all__ = ["complete_review"]


def complete_review(review: OpenedReview, draft: Draft) -> tuple[UUID, list[str]]:
    """Complete a saved draft, in the request's transaction. Gives the response, and the registries whose results could
    not follow at once. Raises `NotComplete` and `Conflict`.
    """
    asking, whose = review.asking, review.whose
    root, tenant, actor = asking.site.settings.store_root, asking.who.tenant_id, str(asking.who.person_id)
    store = RecordStore(root, tenant)
    with asking.timed("complete"):
        response, laid_over = complete(
            asking.session,
            asking.keys,
            store,
            review.definition,
            whose,
            draft,
            review.fill(draft),
            by=asking.who.person_id,
            actor=actor,
        )
    try:
        behind = _turn(review, store, ResultStore(root, tenant))
        ask_to_fold(asking.session, whose.practice, actor)
    except BaseException:
        for path in laid_over.written:
            store.discard(path)
        raise
    return response, behind


def _turn(review: OpenedReview, store: RecordStore, results: ResultStore) -> list[str]:
    """Evaluate the patient anew in every registry; those whose results come from another definition are behind."""
    asking, whose = review.asking, review.whose
    engine = EngineSettings(threads=1, memory_limit=asking.site.settings.memory_limit)
    behind = []
    with asking.timed("evaluate"):
        for pack, registered in asking.site.definitions.of_tenant(asking.session).items():
            who = OnePatient(pack, registered.definition, registered.of_tenant.hash, whose.practice, whose.patient_id)
            if not reevaluate_patient(asking.session, store, results, who, engine):
                behind.append(registered.title)
    return behind
