"""Sensitive codes: a tenant's versioned list of codes that are never shown outside the practice that recorded them.

Here: the list, and a record without them. Not here: taking them out of definitions (`cohortium_tenants.packs`), and who
may see what (pages).
"""

from cohortium_tenants.sensitive.hiding import without_codes
from cohortium_tenants.sensitive.models import Category, SensitiveChange
from cohortium_tenants.sensitive.service import ListChanged, changes, hold_list, list_version, sensitive_codes

__all__ = [
    "Category",
    "ListChanged",
    "SensitiveChange",
    "changes",
    "hold_list",
    "list_version",
    "sensitive_codes",
    "without_codes",
]
