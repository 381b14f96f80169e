"""Programs: registered, found, ended. Not here: how they prove who they are (`assertions`), their `tokens`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey, import_key
from sqlmodel import Session, col, select

from cohortium_auth.login.oidc.providers import may_be_asked
from cohortium_auth.login.programs.models import Program
from cohortium_auth.login.programs.scopes import Scope, read_scopes
from cohortium_platform.database import tenant_of
from cohortium_platform.errors import BadInput, NotFound

__all__ = ["NewProgram", "SignedInProgram", "add_program", "end_program", "find_program", "list_programs"]

_LEAST_RSA_BITS = 2048
_BITS_A_LETTER = 6
"""Of Base64url, in which a key is written."""
_CURVE = "P-384"
_PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "k", "oth"}


@dataclass(frozen=True, slots=True)
class NewProgram:
    """A program to register: `keys` is its JWKS, or else `keys_url` is where it publishes one."""

    name: str
    organisation: str
    scopes: str
    keys: Sequence[Mapping[str, object]] = ()
    keys_url: str = ""


@dataclass(frozen=True, slots=True)
class SignedInProgram:
    """A program that has proved who it is, and what it was given."""

    id: UUID
    tenant_id: UUID
    name: str
    organisation: str
    scopes: tuple[Scope, ...]


def add_program(session: Session, new: NewProgram, *, by: str, loopback: bool = False) -> str:
    """Register a program; gives its client id. Raises `BadInput` when keys, scopes or name cannot be right."""
    if not new.name.strip() or bool(new.keys) == bool(new.keys_url):
        raise BadInput("A program needs a name, and either keys or the address of its keys.", "Give one of the two.")
    if new.keys_url and not may_be_asked(new.keys_url, loopback=loopback):
        raise BadInput("The address of its keys must begin with https://.", "Correct it and try again.")
    scopes = [str(scope) for scope in read_scopes(new.scopes)]
    row = Program(
        tenant_id=tenant_of(session),
        name=new.name.strip(),
        organisation=new.organisation,
        scopes=scopes,
        keys=[_public(key) for key in new.keys],
        keys_url=new.keys_url,
        registered=datetime.now(UTC),
        registered_by=by,
    )
    session.add(row)
    session.flush()
    return client_id(row)


def client_id(program: Program) -> str:
    """How a program names itself: its tenant, and itself."""
    return f"{program.tenant_id.hex}.{program.id.hex}"


def list_programs(session: Session) -> Sequence[Program]:
    """Every program of the tenant, also those that were ended, by name."""
    return session.exec(select(Program).order_by(col(Program.name), col(Program.registered))).all()


def find_program(session: Session, program_id: UUID) -> Program | None:
    """A program that has not been ended."""
    found = session.get(Program, (tenant_of(session), program_id))
    return None if found is None or found.ended is not None else found


def end_program(session: Session, program_id: UUID) -> None:
    """Let a program in no more; the tokens that it holds stop working as well. Raises `NotFound`."""
    found = find_program(session, program_id)
    if found is None:
        raise NotFound("There is no such program.", "`cohortium program list` shows those there are.")
    found.ended = datetime.now(UTC)
    session.add(found)


def _public(key: Mapping[str, object]) -> dict[str, str | list[str]]:
    """The key when it can be used. Raises `BadInput`, also when its private half was given."""
    if _PRIVATE & set(key):
        raise BadInput("That is a private key.", "Give the public half alone, and make a new pair: this one was shown.")
    if not isinstance(key.get("kid"), str) or not key["kid"]:
        raise BadInput("A key has no `kid`.", "Give each key a name of its own.")
    plain = {name: value for name, value in key.items() if isinstance(value, str | list)}
    if plain.get("kty") == "RSA" and len(str(plain.get("n", ""))) * _BITS_A_LETTER < _LEAST_RSA_BITS:
        raise BadInput("An RSA key is too short.", f"Use one of {_LEAST_RSA_BITS} bits at least.")
    try:
        read = import_key(plain)
    except (JoseError, ValueError, TypeError) as wrong:
        raise BadInput("A key cannot be read.", "Give a JSON Web Key of type RSA or EC.") from wrong
    if not isinstance(read, RSAKey) and not (isinstance(read, ECKey) and plain.get("crv") == _CURVE):
        raise BadInput("A key is of another kind.", f"Use RSA of {_LEAST_RSA_BITS} bits or EC {_CURVE}.")
    return plain
