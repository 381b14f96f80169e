"""Signing in through an OpenID provider: NHS Care Identity, Entra ID (NHSmail), or any other that keeps the standard.

`providers` says which ones a tenant has; `flow` begins and finishes a sign-in; `logout` ends sessions when the provider
says so. Not here: sessions, and pages.
"""

from cohortium_auth.login.oidc.flow import Begun, Finished, Recognised, begin, finish, hold, recognise, release
from cohortium_auth.login.oidc.kinds import Kind
from cohortium_auth.login.oidc.links import link_person, unlink_person
from cohortium_auth.login.oidc.logout import end_by_logout_token
from cohortium_auth.login.oidc.network import ProviderNetwork
from cohortium_auth.login.oidc.providers import (
    NewProvider,
    OpenedProvider,
    add_provider,
    enabled_providers,
    find_provider,
    list_providers,
    open_provider,
    provider_of,
    replace_secret,
    set_enabled,
)

__all__ = [
    "Begun",
    "Finished",
    "Kind",
    "NewProvider",
    "OpenedProvider",
    "ProviderNetwork",
    "Recognised",
    "add_provider",
    "begin",
    "enabled_providers",
    "end_by_logout_token",
    "find_provider",
    "finish",
    "hold",
    "link_person",
    "list_providers",
    "open_provider",
    "provider_of",
    "recognise",
    "release",
    "replace_secret",
    "set_enabled",
    "unlink_person",
]
