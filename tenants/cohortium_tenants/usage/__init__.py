"""How registries are used: by registry, organisation, role and week. Never by whom."""

from cohortium_tenants.usage.service import Used, usage

__all__ = ["Used", "usage"]
