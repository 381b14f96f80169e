"""Opt-outs: who must be left out of every use that is not direct care. Not here: what is refused then (`policy`)."""

from cohortium_auth.opt_outs.loading import load_cleared_list
from cohortium_auth.opt_outs.models import ClearedList
from cohortium_auth.opt_outs.service import (
    DISSENT,
    WITHDRAWAL,
    cleared_list,
    is_current,
    type_1_dissent,
    without_opted_out,
)

__all__ = [
    "DISSENT",
    "WITHDRAWAL",
    "ClearedList",
    "cleared_list",
    "is_current",
    "load_cleared_list",
    "type_1_dissent",
    "without_opted_out",
]
