"""Accounts of a tenant's own, with a password and a second factor, where it has no provider.

Not here: sessions, and pages. Accounts let nobody in once a provider is enabled.
"""

from cohortium_auth.login.local.passwords import check_password
from cohortium_auth.login.local.service import (
    Checked,
    Enrolling,
    account_name,
    add_account,
    change_password,
    check,
    enrol,
    hold_enrolment,
    reset_account,
    take_enrolment,
)
from cohortium_auth.login.local.totp import TotpSecret

__all__ = [
    "Checked",
    "Enrolling",
    "TotpSecret",
    "account_name",
    "add_account",
    "change_password",
    "check",
    "check_password",
    "enrol",
    "hold_enrolment",
    "reset_account",
    "take_enrolment",
]
