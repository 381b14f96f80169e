"""The audit log: what was done, by whom, in which role, for which purpose, to what; and the proof that it is whole.

Here: entries, written in the transaction they record (`service`); their place in a Merkle tree (`sequencer`, `tree`);
signed checkpoints of it (`heads`, `notes`); exporting, verifying, checking and searching the log. Not here: deciding
anything (cohortium_auth).
"""

from cohortium_platform.audit.models import AuditEntry, Outcome
from cohortium_platform.audit.service import SERVICE, Entry, record, record_alone, record_many
from cohortium_platform.audit.tickets import open_log

__all__ = ["SERVICE", "AuditEntry", "Entry", "Outcome", "open_log", "record", "record_alone", "record_many"]
