"""Who has signed in. Not here: what they may do (`policy`).

`SignedIn` is all that the rest of Cohortium knows of somebody; a `SignInMethod` says who they are; `sessions` keep it.
"""

from cohortium_auth.login.cookies import CookieSigner, open_cookie_signer
from cohortium_auth.login.demo import DemoSignIn, TenantPeople
from cohortium_auth.login.people import (
    Holding,
    NewMembership,
    add_membership,
    add_person,
    end_membership,
    holdings_on,
    names_of,
    roles_of,
)
from cohortium_auth.login.roles import Purpose, Role
from cohortium_auth.login.sessions import (
    NewSession,
    change_session,
    end_other_sessions,
    end_session,
    end_sessions_of,
    offered_roles,
    open_session,
    open_sessions_of,
    resume,
)
from cohortium_auth.login.signed_in import HIGHEST_ASSURANCE, Identified, SignedIn, SignInMethod, Standing

__all__ = [
    "HIGHEST_ASSURANCE",
    "CookieSigner",
    "DemoSignIn",
    "Holding",
    "Identified",
    "NewMembership",
    "NewSession",
    "Purpose",
    "Role",
    "SignInMethod",
    "SignedIn",
    "Standing",
    "TenantPeople",
    "add_membership",
    "add_person",
    "change_session",
    "end_membership",
    "end_other_sessions",
    "end_session",
    "end_sessions_of",
    "holdings_on",
    "names_of",
    "offered_roles",
    "open_cookie_signer",
    "open_session",
    "open_sessions_of",
    "resume",
    "roles_of",
]
