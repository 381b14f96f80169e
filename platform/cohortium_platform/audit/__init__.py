"""The audit log: what was done, by whom, in which role, for which purpose, to what.

Here: entries, written in the transaction they record. Not here: deciding anything (cohortium_auth), and the Merkle tree
over the log, whose sequencer reads entries and keeps their place in the tree in tables of its own.
"""

from cohortium_platform.audit.models import AuditEntry, Outcome
from cohortium_platform.audit.service import SERVICE, Entry, record, record_alone

__all__ = ["SERVICE", "AuditEntry", "Entry", "Outcome", "record", "record_alone"]
