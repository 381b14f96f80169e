"""Which packs a tenant has enabled, with which parameters and local codes."""

from cohortium_tenants.packs.models import EnabledPack, LocalCode
from cohortium_tenants.packs.service import (
    TenantDefinition,
    add_local_code,
    definition_of,
    enable_pack,
    enabled_packs,
    find_pack,
    local_codes,
)
from cohortium_tenants.packs.tasks import (
    EVALUATE,
    EVALUATE_ANEW,
    REFRESH,
    EvaluatePack,
    RefreshPack,
    ask_to_refresh,
    publishing,
)

__all__ = [
    "EVALUATE",
    "EVALUATE_ANEW",
    "REFRESH",
    "EnabledPack",
    "EvaluatePack",
    "LocalCode",
    "RefreshPack",
    "TenantDefinition",
    "add_local_code",
    "ask_to_refresh",
    "definition_of",
    "enable_pack",
    "enabled_packs",
    "find_pack",
    "local_codes",
    "publishing",
]
