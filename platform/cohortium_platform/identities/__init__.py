"""The identity store: who a `patient_id` is, encrypted under the tenant's key and found by keyed hashes.

Here: the identity itself, search terms, bulk writing, searching, opening, erasing. Not here: who may open one
(cohortium_auth), pseudonyms (`ingest`), and clinical records (`records`), which never meet an identity.
"""

from cohortium_platform.identities.identity import Contact, Identity
from cohortium_platform.identities.loading import IdentityBatch, IdentityChanges
from cohortium_platform.identities.service import erase, open_many, search

__all__ = ["Contact", "Identity", "IdentityBatch", "IdentityChanges", "erase", "open_many", "search"]
