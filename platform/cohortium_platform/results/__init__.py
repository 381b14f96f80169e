"""Results: what indicators say of a tenant's patients, as files in the tenant's folder and their catalogue.

Here: writing and committing them, and reading them for pages. Not here: working them out (`engine`).
"""

from cohortium_platform.results.former import Former, bring_back, evaluated_packs, former_results, newest_switch
from cohortium_platform.results.models import Evaluation, ResultFileRow
from cohortium_platform.results.reader import Adjusted, ListPage, ListQuery, ListRow, RegistryResults, ResultReader
from cohortium_platform.results.replacing import replace_patient
from cohortium_platform.results.store import (
    STATUS_CODES,
    Count,
    Evaluated,
    Kept,
    ResultKind,
    ResultStore,
    WrittenResults,
    commit,
    count_results,
    write,
)

__all__ = [
    "STATUS_CODES",
    "Adjusted",
    "Count",
    "Evaluated",
    "Evaluation",
    "Former",
    "Kept",
    "ListPage",
    "ListQuery",
    "ListRow",
    "RegistryResults",
    "ResultFileRow",
    "ResultKind",
    "ResultReader",
    "ResultStore",
    "WrittenResults",
    "bring_back",
    "commit",
    "count_results",
    "evaluated_packs",
    "former_results",
    "newest_switch",
    "replace_patient",
    "write",
]
