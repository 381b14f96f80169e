"""A tenant's packs: what it has enabled with which parameters and codes of its own, exchanging it and rolling back.

The catalogue, which is the same for all tenants, is the room `catalogue`.
"""

from cohortium_tenants.packs.choices import Choice, OwnCode
from cohortium_tenants.packs.history import HISTORY_MONTHS, history_days
from cohortium_tenants.packs.models import EnabledPack, Enablement, LocalCode, Preview
from cohortium_tenants.packs.service import (
    TenantDefinition,
    add_local_code,
    chosen_now,
    definition_of,
    enable_pack,
    enabled_packs,
    local_codes,
    propose,
)
from cohortium_tenants.packs.switching import enablements, former_of, publishing, roll_back
from cohortium_tenants.packs.tasks import (
    EVALUATE,
    EVALUATE_ANEW,
    REFRESH,
    SWITCH,
    EvaluatePack,
    RefreshPack,
    SwitchPack,
    ask_to_refresh,
    ask_to_switch,
)

__all__ = [
    "EVALUATE",
    "EVALUATE_ANEW",
    "HISTORY_MONTHS",
    "REFRESH",
    "SWITCH",
    "Choice",
    "EnabledPack",
    "Enablement",
    "EvaluatePack",
    "LocalCode",
    "OwnCode",
    "Preview",
    "RefreshPack",
    "SwitchPack",
    "TenantDefinition",
    "add_local_code",
    "ask_to_refresh",
    "ask_to_switch",
    "chosen_now",
    "definition_of",
    "enable_pack",
    "enabled_packs",
    "enablements",
    "former_of",
    "history_days",
    "local_codes",
    "propose",
    "publishing",
    "roll_back",
]
