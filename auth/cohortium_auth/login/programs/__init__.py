"""Programs that sign in by themselves, as SMART Backend Services do. Not here: their routes."""

from cohortium_auth.login.programs.assertions import client_of, verify_assertion
from cohortium_auth.login.programs.scopes import Scope, covers, read_scopes
from cohortium_auth.login.programs.service import (
    NewProgram,
    SignedInProgram,
    add_program,
    end_program,
    find_program,
    list_programs,
)
from cohortium_auth.login.programs.tokens import AccessTokens, Bearer

__all__ = [
    "AccessTokens",
    "Bearer",
    "NewProgram",
    "Scope",
    "SignedInProgram",
    "add_program",
    "client_of",
    "covers",
    "end_program",
    "find_program",
    "list_programs",
    "read_scopes",
    "verify_assertion",
]
