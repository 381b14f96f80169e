"""Who a tenant is: making and finding them. Not here: what a tenant has, which has rooms of its own."""

from cohortium_tenants.tenants.models import Tenant
from cohortium_tenants.tenants.service import create_tenant, find_tenant, list_tenants, tenant_ids

__all__ = ["Tenant", "create_tenant", "find_tenant", "list_tenants", "tenant_ids"]
