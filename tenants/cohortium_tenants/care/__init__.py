"""Care activity in Cohortium: templates filled in, and the entries that they make."""

from cohortium_tenants.care.completing import Completed, Filled, NotComplete, amend, complete, completed, fill
from cohortium_tenants.care.drafts import (
    Draft,
    ResponseHead,
    Whose,
    discard_draft,
    find_draft,
    responses_of,
    save_draft,
)
from cohortium_tenants.care.models import ResponseStatus
from cohortium_tenants.care.tasks import FOLD, FoldEntries, ask_to_fold

__all__ = [
    "FOLD",
    "Completed",
    "Draft",
    "Filled",
    "FoldEntries",
    "NotComplete",
    "ResponseHead",
    "ResponseStatus",
    "Whose",
    "amend",
    "ask_to_fold",
    "complete",
    "completed",
    "discard_draft",
    "fill",
    "find_draft",
    "responses_of",
    "save_draft",
]
