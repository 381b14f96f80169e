"""Loading deliveries for a tenant: with its keys, its store and its own picture of organisations."""

from cohortium_tenants.loading.service import LoadOptions, load_delivery
from cohortium_tenants.loading.tasks import IMPORT, ImportDelivery

__all__ = ["IMPORT", "ImportDelivery", "LoadOptions", "load_delivery"]
