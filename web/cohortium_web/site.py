"""What every request stands on: settings, database, keys, signatures. One to a process.

Not here: anything of one request (`asking`).
"""

from __future__ import annotations

from starlette.requests import Request

from cohortium_auth.login import CookieSigner, DemoSignIn, open_cookie_signer
from cohortium_auth.login.limits import Limits
from cohortium_auth.login.oidc import ProviderNetwork
from cohortium_auth.login.programs import AccessTokens
from cohortium_auth.policy import read_policies
from cohortium_platform.database import Database
from cohortium_platform.errors import BadSettings, CohortiumError
from cohortium_platform.jobs import JobQueue
from cohortium_platform.keys import KeyEncryption, load_key_encryption
from cohortium_platform.results import ResultReader
from cohortium_platform.settings import Settings
from cohortium_tenants.tenants import tenant_ids
from cohortium_web.definitions import Definitions

__all__ = ["Site"]


class Site:
    """Opened when the server starts and closed when it stops; `open` may be called again after `close`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings.database_url)
        # For work in a transaction of its own while a request's is open: from the same pool, requests that each hold a
        # connection and wait for a second would stop one another.
        self.aside = Database(settings.database_url, connections=4)
        self.key_encryption: KeyEncryption = load_key_encryption(settings)
        self.queue = JobQueue(settings.redis_url)
        self.definitions = Definitions()
        # One thread a query: a page's queries take milliseconds, and requests run beside each other.
        self.results = ResultReader(threads=1)
        self.providers = ProviderNetwork(loopback=settings.demo)
        self._signer: CookieSigner | None = None
        self._access_tokens: AccessTokens | None = None

    def open(self) -> None:
        """Refuse to serve as a role that sees past row-level security; read keys, policies and each tenant's registries
        once, so that no request pays for it.
        """
        self.database.verify_role()
        self._signer = open_cookie_signer(self.database, self.key_encryption)
        read_policies()
        self.results.rows("SELECT 1", {})
        for tenant_id in tenant_ids(self.database):
            with self.database.tenant(tenant_id) as session:
                self.definitions.of_tenant(session)

    def close(self) -> None:
        """Give back every connection."""
        self.database.close()
        self.aside.close()
        self.results.close()

    @property
    def signer(self) -> CookieSigner:
        """Signs cookies and forms."""
        if self._signer is None:
            raise CohortiumError("The site was not opened.", "Start it through its lifespan.")
        return self._signer

    @property
    def access_tokens(self) -> AccessTokens:
        """Signs and reads what programs are given."""
        if self._access_tokens is None:
            self._access_tokens = AccessTokens(self.signer.derived(b"access tokens"))
        return self._access_tokens

    @property
    def limits(self) -> Limits:
        """Counts tries to sign in."""
        return Limits(self.aside, self.signer.derived(b"limits")[0])

    def address(self, request: Request) -> str:
        """The service's own address, without a path. Raises `BadSettings` where it is not set: what a request says of
        it is believed in a demonstration only.
        """
        if self.settings.public_url is not None:
            return self.settings.public_url
        if self.settings.demo:
            return str(request.base_url).rstrip("/")
        raise BadSettings("The service does not know its own address.", "Set COHORTIUM_PUBLIC_URL.")

    def demo_sign_in(self) -> DemoSignIn:
        """The demonstration's way to sign in. Raises `BadSettings` outside demonstration mode."""
        return DemoSignIn(self.settings, self.database)
