"""Opt-outs: who must be left out of every use that is not direct care. Not here: what is refused then (`policy`)."""

from cohortium_auth.opt_outs.asking import write_question
from cohortium_auth.opt_outs.loading import load_cleared_list, sweep_lists
from cohortium_auth.opt_outs.models import ClearedList
from cohortium_auth.opt_outs.service import cleared_list, is_current, newest_list, without_opted_out
from cohortium_auth.opt_outs.type_1 import DISSENT, WITHDRAWAL, type_1_dissent

__all__ = [
    "DISSENT",
    "WITHDRAWAL",
    "ClearedList",
    "cleared_list",
    "is_current",
    "load_cleared_list",
    "newest_list",
    "sweep_lists",
    "type_1_dissent",
    "without_opted_out",
    "write_question",
]
