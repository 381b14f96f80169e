"""Heads: signed checkpoints of a tenant's log, and proofs against them.

Here: taking one, the last one, proving that an entry is under it or that an older one is its beginning. Not here: the
text of either (`notes`), and when one is due (`keeping`).

The next root is worked out from the frontier kept with the last head and the leaves placed since. Before it is
signed it must follow from the last head: the last root is worked out again from the leaves and nodes as they are now,
a consistency proof from it to the new root is made, and checked. So the log never signs two heads that do not agree.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlmodel import Session, col, select

from cohortium_platform.audit.models import AuditHead
from cohortium_platform.audit.notes import LogSigner, Proof, open_note
from cohortium_platform.audit.sequencer import hold_log, sequence
from cohortium_platform.audit.stored import LogBroken, StoredTree, leaf_hashes
from cohortium_platform.audit.tree import Frontier, consistency_path, consistent, included, inclusion_path, root_of
from cohortium_platform.database import Database, tenant_of
from cohortium_platform.errors import BadInput

__all__ = ["last_head", "prove_consistency", "prove_place", "take_head"]


def last_head(session: Session) -> AuditHead | None:
    """The latest head, if any was taken."""
    return session.exec(select(AuditHead).order_by(col(AuditHead.size).desc()).limit(1)).one_or_none()


def take_head(database: Database, tenant_id: UUID, signer: LogSigner) -> AuditHead | None:
    """Place what is visible, and sign the head; the last one when nothing came since, None while the log is empty.

    Raises `LogBroken` instead of signing a head that does not follow from the last.
    """
    sequence(database, tenant_id)
    with database.tenant(tenant_id) as session:
        size, last = hold_log(session), last_head(session)
        if last is not None:
            _expect_own(last, size, signer)
        if size == 0 or (last is not None and last.size == size):
            return last
        frontier = Frontier() if last is None else Frontier(last.size, last.frontier)
        for leaf in leaf_hashes(session, frontier.size, size):
            frontier.append(leaf)
        if last is not None:
            _expect_consistent(session, last, frontier)
        head = AuditHead(
            tenant_id=tenant_of(session),
            size=size,
            root=frontier.root(),
            frontier=frontier.hashes,
            note=signer.sign(size, frontier.root()),
            at=datetime.now(UTC),
        )
        session.add(head)
        session.flush()
        return head


def _expect_own(last: AuditHead, size: int, signer: LogSigner) -> None:
    """See that the last head is what this key signed, and no larger than the log."""
    try:
        checkpoint = open_note(last.note, signer.key)
    except BadInput as wrong:
        raise LogBroken(
            f"The last checkpoint, of {last.size} entries, is not as it was signed: {wrong.message}"
        ) from wrong
    if (checkpoint.size, checkpoint.root) != (last.size, last.root) or last.root != _root(last):
        raise LogBroken(f"The last checkpoint, of {last.size} entries, is not as it was signed.")
    if size < last.size:
        raise LogBroken(
            f"The last checkpoint is of {last.size} entries, and the log has {size}: its end was cut off.",
            "Run `cohortium audit check`.",
        )


def _root(head: AuditHead) -> bytes | None:
    try:
        return Frontier(head.size, head.frontier).root()
    except ValueError:
        return None


def _expect_consistent(session: Session, last: AuditHead, new: Frontier) -> None:
    tree = StoredTree(session)
    path = consistency_path(last.size, new.size, tree)
    follows = consistent(last.size, new.size, last.root, new.root(), path)
    if not follows or root_of(last.size, tree) != last.root:
        raise LogBroken(
            f"The log no longer leads on from its last checkpoint, of {last.size} entries: no new one is signed.",
            "Run `cohortium audit check`.",
        )


def prove_place(session: Session, place: int, head: AuditHead) -> Proof:
    """The proof that the entry at a place is in the log of a head. Raises `BadInput` for a place beyond it, and
    `LogBroken` when what is kept of the tree does not prove it.
    """
    if not 0 <= place < head.size:
        raise BadInput(f"Place {place} is not under the checkpoint of {head.size} entries.", "Take a checkpoint first.")
    tree = StoredTree(session)
    path = inclusion_path(place, head.size, tree)
    if not included(tree(0, place), place, head.size, path, head.root):
        raise LogBroken(f"The log does not prove its entry at place {place}.", "Run `cohortium audit check`.")
    return Proof(place, path, head.note)


def prove_consistency(session: Session, old: int, head: AuditHead) -> list[bytes]:
    """The path from the log's first `old` entries to a head. Raises `BadInput` for a size it does not lead from."""
    if not 0 < old <= head.size:
        raise BadInput(f"No proof leads from {old} entries to a checkpoint of {head.size}.")
    return consistency_path(old, head.size, StoredTree(session))
