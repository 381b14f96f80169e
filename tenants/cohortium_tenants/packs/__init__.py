"""Which packs a tenant has enabled, with which parameters and local codes."""

from cohortium_tenants.packs.models import EnabledPack, LocalCode
from cohortium_tenants.packs.service import (
    TenantDefinition,
    add_local_code,
    definition_of,
    enable_pack,
    enabled_packs,
    local_codes,
)

__all__ = [
    "EnabledPack",
    "LocalCode",
    "TenantDefinition",
    "add_local_code",
    "definition_of",
    "enable_pack",
    "enabled_packs",
    "local_codes",
]
