"""Talking to providers: what they publish of themselves, their keys, the exchange of a code, the userinfo endpoint.

Here: every request to a provider, each with a time limit and through Authlib's client where OAuth is spoken. Not here:
whether an answer can be believed (`tokens`). What a provider publishes is kept for a while, in this process alone.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlencode, urlsplit

import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from joserfc import jwt
from joserfc.jwk import RSAKey

from cohortium_auth.login.oidc.providers import OpenedProvider, may_be_asked
from cohortium_auth.login.refusals import SignInRefused
from cohortium_auth.login.signatures import PublicKey
from cohortium_platform.errors import Unavailable

__all__ = ["Granted", "Metadata", "ProviderNetwork"]

_TIMEOUT = httpx2.Timeout(6.0, connect=3.0)
_KEPT_SECONDS = 600.0
_ASKED_AGAIN_SECONDS = 10.0
"""A key that is not known makes us ask again, no more often: a flood of forged tokens must not reach the provider."""
_MOST_BYTES = 1024 * 1024
_ASSERTION_SECONDS = 240
_ASSERTION_ALGORITHM = "RS512"

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a provider publishes of itself (OpenID Connect Discovery 1.0), as far as it is used. `says_issuer` is
    whether it promises to name itself in its answer (RFC 9207).
    """

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str
    says_issuer: bool
    end_session_endpoint: str = ""


@dataclass(frozen=True, slots=True)
class Granted:
    """What a code was exchanged for."""

    access_token: str
    id_token: str


@dataclass(slots=True)
class _Kept:
    content: object
    at: float


class ProviderNetwork:
    """One to a process. `loopback` permits providers on this machine without HTTPS."""

    def __init__(self, *, loopback: bool = False) -> None:
        self._loopback = loopback
        self._kept: MutableMapping[str, _Kept] = {}
        self._lock = threading.Lock()

    def metadata(self, provider: OpenedProvider) -> Metadata:
        """What the provider publishes. Raises `Unavailable` when it does not answer or names another issuer."""
        issuer = provider.expected.issuer
        found = self._document(issuer.rstrip("/") + "/.well-known/openid-configuration")
        if found.get("issuer") != issuer:
            raise _unusable(provider)
        names = ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint")
        addresses = {name: found.get(name) for name in names}
        if not provider.kind.asks_userinfo:
            addresses["userinfo_endpoint"] = issuer
        texts = {name: text for name, text in addresses.items() if isinstance(text, str)}
        allowed = self._loopback and urlsplit(issuer).scheme == "http"
        if len(texts) < len(names) or not all(may_be_asked(url, loopback=allowed) for url in texts.values()):
            raise _unusable(provider)
        promised = found.get("authorization_response_iss_parameter_supported") is True
        end = found.get("end_session_endpoint")
        ending = end if isinstance(end, str) and may_be_asked(end, loopback=allowed) else ""
        return Metadata(**texts, says_issuer=promised, end_session_endpoint=ending)

    def keys(self, provider: OpenedProvider) -> _PublishedKeys:
        """The provider's public keys, as `signatures.Keys`."""
        return self.published_keys(self.metadata(provider).jwks_uri)

    def published_keys(self, url: str) -> _PublishedKeys:
        """The public keys that somebody publishes at an address, as `signatures.Keys`."""
        return _PublishedKeys(self, url)

    def authorization_url(self, provider: OpenedProvider, redirect: str, **asked: str) -> str:
        """Where to send the browser; `asked` holds `state`, `nonce` and `code_verifier`."""
        more = {"acr_values": " ".join(provider.expected.acr_values)} if provider.expected.acr_values else {}
        with self._client(provider, redirect) as client:
            endpoint = self.metadata(provider).authorization_endpoint
            url, _state = client.create_authorization_url(endpoint, **asked, **more)
        return str(url)

    def sign_out_url(self, provider: OpenedProvider, back: str) -> str:
        """Where somebody signs out at the provider itself and comes back from (OpenID Connect RP-Initiated Logout 1.0);
        empty when it publishes no such place. Raises `Unavailable`.
        """
        endpoint = self.metadata(provider).end_session_endpoint
        asked = urlencode({"client_id": provider.expected.audience, "post_logout_redirect_uri": back})
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{asked}" if endpoint else ""

    def exchange(self, provider: OpenedProvider, redirect: str, code: str, verifier: str) -> Granted:
        """Exchange a code. Raises `SignInRefused` when the provider refuses it, `Unavailable` without an answer."""
        endpoint = self.metadata(provider).token_endpoint
        with self._client(provider, redirect) as client:
            token = _asking(
                provider, lambda: client.fetch_token(endpoint, code=code, code_verifier=verifier, state=None)
            )
        access, identity = token.get("access_token"), token.get("id_token")
        if not isinstance(access, str) or not isinstance(identity, str):
            raise SignInRefused("no-id-token")
        return Granted(access, identity)

    def userinfo(self, provider: OpenedProvider, access_token: str) -> Mapping[str, object]:
        """The claims of the userinfo endpoint, not yet believed."""
        endpoint = self.metadata(provider).userinfo_endpoint
        return _asking(provider, lambda: self._fetch(endpoint, {"authorization": f"Bearer {access_token}"}))

    def key_set(self, url: str, *, not_older: float = _KEPT_SECONDS) -> Sequence[PublicKey]:
        """The keys of a JWKS address. Raises `Unavailable`."""
        keys = self._document(url, not_older).get("keys")
        return [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []

    def _client(self, provider: OpenedProvider, redirect: str) -> OAuth2Client:
        method = _assertion_by(provider) if provider.key_id else "client_secret_basic"
        return OAuth2Client(
            client_id=provider.expected.audience,
            client_secret=provider.secret,
            token_endpoint_auth_method=method,
            scope=provider.scopes,
            redirect_uri=redirect,
            code_challenge_method="S256",
            timeout=_TIMEOUT,
        )

    def _document(self, url: str, not_older: float = _KEPT_SECONDS) -> Mapping[str, object]:
        with self._lock:
            kept = self._kept.get(url)
        if kept is None or time.monotonic() - kept.at > not_older:
            try:
                kept = _Kept(self._fetch(url, {}), time.monotonic())
            except (httpx2.HTTPError, ValueError) as failure:
                raise Unavailable(
                    "A service that signs people in does not answer.",
                    "Try again in a minute, or tell your administrator.",
                ) from failure
            with self._lock:
                self._kept[url] = kept
        return kept.content if isinstance(kept.content, dict) else {}

    def _fetch(self, url: str, headers: Mapping[str, str]) -> Mapping[str, object]:
        with (
            httpx2.Client(timeout=_TIMEOUT) as client,
            client.stream("GET", url, headers={"accept": "application/json", **headers}) as answer,
        ):
            answer.raise_for_status()
            body = b""
            for part in answer.iter_bytes():
                body += part
                if len(body) > _MOST_BYTES:
                    raise ValueError("too long")
        found = json.loads(body)
        if not isinstance(found, dict):
            raise ValueError("no object")  # noqa: TRY004 - as any other content that is wrong
        return found


@dataclass(frozen=True, slots=True)
class _PublishedKeys:
    """The keys at one address; `signatures.Keys`."""

    network: ProviderNetwork
    url: str

    def current(self) -> Sequence[PublicKey]:
        """Those known now."""
        return self.network.key_set(self.url)

    def anew(self) -> Sequence[PublicKey]:
        """Those of this moment, or of a few seconds ago when it was asked then."""
        return self.network.key_set(self.url, not_older=_ASKED_AGAIN_SECONDS)


def _assertion_by(provider: OpenedProvider) -> Callable[..., tuple[str, Mapping[str, str], str]]:
    """Prove who we are by a signed assertion (RFC 7523), a new one each time: a provider refuses one it has seen."""
    key = RSAKey.import_key(provider.secret)

    def prepare(
        client: OAuth2Client, _method: str, uri: str, headers: Mapping[str, str], body: bytes | str
    ) -> tuple[str, Mapping[str, str], str]:
        now = int(time.time())
        claims = {"iss": client.client_id, "sub": client.client_id, "aud": str(uri), "jti": secrets.token_urlsafe(24)}
        times = {"iat": now, "exp": now + _ASSERTION_SECONDS}
        header = {"alg": _ASSERTION_ALGORITHM, "kid": provider.key_id}
        assertion = jwt.encode(header, {**claims, **times}, key, algorithms=[_ASSERTION_ALGORITHM])
        kind = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
        text = body.decode() if isinstance(body, bytes) else body
        text += f"&client_id={client.client_id}&client_assertion_type={kind}&client_assertion={assertion}"
        return uri, headers, text

    return prepare


def _asking(provider: OpenedProvider, ask: Callable[[], Answer]) -> Answer:
    """Ask a provider. A refusal is the sign-in's, anything else is a provider that does not answer."""
    try:
        return ask()
    except OAuthError as refused:
        raise SignInRefused("code") from refused
    except httpx2.HTTPStatusError as failure:
        if failure.response.is_client_error:
            raise SignInRefused("code") from failure
        raise _silent(provider) from failure
    except (httpx2.HTTPError, ValueError) as failure:
        raise _silent(provider) from failure


def _silent(provider: OpenedProvider) -> Unavailable:
    return Unavailable(
        f"{provider.title} does not answer.", "Try again in a minute. If it goes on, tell your administrator."
    )


def _unusable(provider: OpenedProvider) -> Unavailable:
    return Unavailable(f"{provider.title} is not what was set up here.", "Tell your administrator.")
