"""`cohortium provider`: the OpenID providers by which a tenant's people sign in."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer
from joserfc.jwk import RSAKey

from cohortium_auth.login.oidc import (
    Kind,
    NewProvider,
    ProviderNetwork,
    add_provider,
    list_providers,
    open_provider,
    replace_secret,
    set_enabled,
)
from cohortium_auth.login.oidc.kinds import Rules
from cohortium_platform.errors import BadInput
from cohortium_tenants.keys import open_keys
from cohortium_web.cli.context import open_place
from cohortium_web.cli.output import AsJson, Output
from cohortium_web.cli.people import record_change

__all__ = ["app"]

app = typer.Typer(help="Sign-in providers: add, list, check, enable, disable.", no_args_is_help=True)

_KEY_BITS = 3072
Tenant = Annotated[str, typer.Option("--tenant", help="The tenant's short name.")]
Name = Annotated[str, typer.Argument(help="The provider's name in addresses, such as care-identity.")]


SecretInput = Annotated[bool, typer.Option("--secret-stdin", help="Read the client secret: one line.")]
OwnKey = Annotated[
    bool, typer.Option("--own-key", help="Sign with a key made here instead of a secret; its public half is shown.")
]


def _proof(*, secret_stdin: bool, own_key: bool) -> tuple[str, str, dict[str, object]]:
    """How we prove ourselves: the secret, or a new private key with its id and its public half. Raises `BadInput`."""
    if secret_stdin == own_key:
        raise BadInput("Say how we prove ourselves to it.", "Give either --secret-stdin or --own-key.")
    if secret_stdin:
        return sys.stdin.readline().rstrip("\r\n"), "", {}
    key = RSAKey.generate_key(_KEY_BITS, auto_kid=True)
    public = {**key.as_dict(private=False), "alg": "RS512", "use": "sig"}
    return key.as_pem(private=True).decode(), str(key.kid), {"keys": [public]}


def _pairs(texts: list[str], what: str) -> dict[str, str]:
    """Read `KEY=VALUE` options. Raises `BadInput`."""
    pairs = [text.rpartition("=") for text in texts]
    if any(not key or not value for key, _, value in pairs):
        raise BadInput(f"{what} is written KEY=VALUE.", "For example --job-role R8000=clinician")
    return {key: value for key, _, value in pairs}


def _levels(texts: list[str]) -> dict[str, int]:
    try:
        return {acr: int(level) for acr, level in _pairs(texts, "An assurance level").items()}
    except ValueError as wrong:
        raise BadInput("An assurance level is 1, 2 or 3.", "For example --level mfa=2") from wrong


@app.command()
def add(  # noqa: PLR0913 - each is an option of the command
    tenant: Tenant,
    name: Name,
    *,
    kind: Annotated[str, typer.Option(help="cis2 (NHS Care Identity), entra (NHSmail, Entra ID) or oidc (any other).")],
    title: Annotated[str, typer.Option(help="What people call it: it stands on the button.")],
    issuer: Annotated[str, typer.Option(help="Its issuer, exactly as its tokens name it.")],
    client_id: Annotated[str, typer.Option(help="The client id that it gave you.")],
    secret_stdin: SecretInput = False,
    own_key: OwnKey = False,
    algorithm: Annotated[str, typer.Option(help="What its tokens are signed with.")] = "RS256",
    scopes: Annotated[str, typer.Option(help="Scopes to ask for; those of its kind when absent.")] = "",
    acr: Annotated[list[str] | None, typer.Option("--acr", help="An acr to demand; several are alternatives.")] = None,
    least_assurance: Annotated[int, typer.Option(help="The least assurance level: 1, 2 or 3.")] = 2,
    directory: Annotated[str, typer.Option(help="For Entra ID: the directory's id.")] = "",
    job_role: Annotated[
        list[str] | None, typer.Option("--job-role", help="For Care Identity: R8000=clinician and so on.")
    ] = None,
    level: Annotated[
        list[str] | None, typer.Option("--level", help="The level an acr stands for: ACR=2; *=2 for every sign-in.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add a provider. The private key or secret is sealed under the tenant's key and never shown."""
    output = Output(as_json=as_json)
    if kind not in set(Kind):
        raise BadInput("Say what kind of provider it is.", f"Kinds: {', '.join(Kind)}.")
    secret, key_id, public = _proof(secret_stdin=secret_stdin, own_key=own_key)
    rules = Rules(least_assurance, directory, _pairs(job_role or [], "A job role"), _levels(level or []))
    new = NewProvider(
        name, title, Kind(kind), issuer, client_id, secret, key_id=key_id, algorithm=algorithm, scopes=scopes,
        acr_values=tuple(acr or ()), rules=rules,
    )  # fmt: skip
    with open_place() as place, place.database.tenant(place.tenant(tenant).id) as session:
        keys = open_keys(session, place.key_encryption)
        add_provider(session, keys, new, loopback=place.settings.demo)
        record_change(session, "provider.add", f"provider/{name}", kind=kind, issuer=issuer)
        path = f"{place.settings.public_url or 'https://YOUR-ADDRESS'}/sign-in/to/{tenant}/with/{name}"
    output.say(f"Added {title}. Register there:\n  return address:        {path}/back\n"
               f"  back-channel logout:   {path}/logout")  # fmt: skip
    if public:
        output.say(f"  our public key (JWKS): {json.dumps(public)}")
    output.document({"provider": name, "redirect_uri": f"{path}/back", "logout_uri": f"{path}/logout", "jwks": public})


@app.command("new-secret")
def new_secret(
    tenant: Tenant, name: Name, *, secret_stdin: SecretInput = False, own_key: OwnKey = False, as_json: AsJson = False
) -> None:
    """Use another secret or key from now on: the provider must know it first, or know both for a while."""
    output = Output(as_json=as_json)
    secret, key_id, public = _proof(secret_stdin=secret_stdin, own_key=own_key)
    with open_place() as place, place.database.tenant(place.tenant(tenant).id) as session:
        replace_secret(session, open_keys(session, place.key_encryption), name, secret, key_id)
        record_change(session, "provider.new-secret", f"provider/{name}")
    output.say(f"Changed. Our public key (JWKS): {json.dumps(public)}" if public else "Changed.")
    output.document({"provider": name, "jwks": public})


@app.command("list")
def list_(tenant: Tenant, *, as_json: AsJson = False) -> None:
    """List a tenant's providers."""
    output = Output(as_json=as_json)
    with open_place() as place, place.database.tenant(place.tenant(tenant).id) as session:
        rows = [(row.name, row.title, row.kind, row.issuer, row.enabled) for row in list_providers(session)]
    columns = ("provider", "title", "kind", "issuer", "enabled")
    output.table(f"Providers of {tenant}", columns, rows)
    output.document([dict(zip(columns, row, strict=True)) for row in rows])


@app.command()
def check(tenant: Tenant, name: Name, *, as_json: AsJson = False) -> None:
    """Ask a provider what it publishes, as a sign-in would."""
    output = Output(as_json=as_json)
    with open_place() as place:
        with place.database.tenant(place.tenant(tenant).id) as session:
            provider = open_provider(session, open_keys(session, place.key_encryption), name)
        network = ProviderNetwork(loopback=place.settings.demo)
        keys = len(network.keys(provider).current())
    output.say(f"{provider.title} answers, names the issuer that is set here, and publishes {keys} keys.")
    output.document({"provider": name, "keys": keys})


@app.command()
def enable(tenant: Tenant, name: Name, *, as_json: AsJson = False) -> None:
    """Let people sign in by a provider. Accounts with passwords let nobody in any more."""
    _set(tenant, name, enabled=True, as_json=as_json)


@app.command()
def disable(tenant: Tenant, name: Name, *, as_json: AsJson = False) -> None:
    """Let nobody sign in by a provider. Sessions that it opened stay until they end."""
    _set(tenant, name, enabled=False, as_json=as_json)


def _set(tenant: str, name: str, *, enabled: bool, as_json: bool) -> None:
    output = Output(as_json=as_json)
    with open_place() as place, place.database.tenant(place.tenant(tenant).id) as session:
        set_enabled(session, name, enabled=enabled)
        record_change(session, "provider.enable" if enabled else "provider.disable", f"provider/{name}")
    output.say(f"{name} is {'enabled' if enabled else 'disabled'}.")
    output.document({"provider": name, "enabled": enabled})
