"""Searching, opening and erasing identities, in the caller's transaction.

Here: what a page needs. Not here: whether someone may (cohortium_auth), and writing in bulk (`loading`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import delete
from sqlmodel import Session, col, select

from cohortium_platform.identities.identity import Identity
from cohortium_platform.identities.loading import bound_to, rebuild_terms
from cohortium_platform.identities.models import IdentityTerm, SealedIdentity
from cohortium_platform.identities.pseudonyms import pseudonym_of_nhs_number
from cohortium_platform.identities.terms import START_LETTERS, Terms, name_words, nhs_number_in
from cohortium_platform.keys import TenantKeys

__all__ = ["erase", "open_many", "search"]


def search(session: Session, keys: TenantKeys, text: str, *, practices: Collection[str]) -> frozenset[int]:
    """Patients of these practices whose NHS number the text is, or whose name has every word of it.

    A word of three letters also finds names that begin with it; where no name has a longer word whole, names that
    begin with its first three letters are found. Empty text finds nobody. Nothing is decrypted.
    """
    terms = Terms(keys)
    if (number := nhs_number_in(text)) is not None:
        untrusted = _having_all(session, [[terms.nhs_number(number)]], practices)
        return untrusted | _existing(session, pseudonym_of_nhs_number(keys, number), practices)
    words = name_words(text)
    exact = [
        [terms.word(word), terms.start(word)] if len(word) == START_LETTERS else [terms.word(word)] for word in words
    ]
    found = _having_all(session, exact, practices)
    if found or not any(len(word) > START_LETTERS for word in words):
        return found
    begun = [[terms.word(word) if len(word) < START_LETTERS else terms.start(word)] for word in words]
    return _having_all(session, begun, practices)


def _existing(session: Session, patient_id: int, practices: Collection[str]) -> frozenset[int]:
    """The patient, when one of these practices knows them."""
    statement = select(SealedIdentity.patient_id).where(
        col(SealedIdentity.patient_id) == patient_id, col(SealedIdentity.practice).in_(practices)
    )
    return frozenset(session.exec(statement))


def _having_all(session: Session, words: Sequence[Sequence[int]], practices: Collection[str]) -> frozenset[int]:
    """Patients who have, at one practice, a term of each word."""
    if not words or not practices:
        return frozenset()
    wanted = [term for alternatives in words for term in alternatives]
    statement = select(IdentityTerm).where(
        col(IdentityTerm.practice).in_(practices), col(IdentityTerm.term).in_(wanted)
    )
    having: dict[str, dict[int, frozenset[int]]] = {}
    for row in session.exec(statement):
        having.setdefault(row.practice, {})[row.term] = frozenset(row.patient_ids)
    found: set[int] = set()
    for by_term in having.values():
        of_each = [frozenset[int]().union(*(by_term.get(term, ()) for term in word)) for word in words]
        found |= frozenset.intersection(*of_each)
    return frozenset(found)


def open_many(
    session: Session, keys: TenantKeys, patient_ids: Collection[int], *, practices: Collection[str] | None = None
) -> dict[int, Identity]:
    """Decrypt these patients' identities: give it the page shown and no more. Unknown patients are left out.

    Where several practices supplied one, that of the practice where the patient is registered counts, and of those the
    one written last. `practices` limits whose word is taken. Raises `CohortiumError` on one that was tampered with.
    """
    statement = select(
        SealedIdentity.patient_id, SealedIdentity.practice, SealedIdentity.version, SealedIdentity.sealed
    ).where(col(SealedIdentity.patient_id).in_(patient_ids))
    if practices is not None:
        statement = statement.where(col(SealedIdentity.practice).in_(practices))
    rows = session.exec(statement.order_by("registered", "written", "practice"))
    best = {patient: (practice, version, sealed) for patient, practice, version, sealed in rows}
    return {
        patient: Identity.from_bytes(keys.open(sealed, bound_to(practice, patient, version)))
        for patient, (practice, version, sealed) in best.items()
    }


def erase(session: Session, patient_ids: Collection[int]) -> int:
    """Remove these patients' identities and everything they are found by; returns how many rows held one."""
    where = col(SealedIdentity.patient_id).in_(patient_ids)
    practices = session.exec(select(SealedIdentity.practice).where(where)).all()
    session.connection().execute(delete(SealedIdentity).where(where))
    rebuild_terms(session, frozenset(practices))
    session.expire_all()
    return len(practices)
