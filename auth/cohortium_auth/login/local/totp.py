"""Time-based one-time codes (RFC 6238 over RFC 4226), as apps make them: SHA-1, six digits, 30 seconds."""

from __future__ import annotations

import base64
import hmac
import secrets
from dataclasses import dataclass, field
from urllib.parse import quote

__all__ = ["STEP_SECONDS", "TotpSecret", "code_at"]

STEP_SECONDS = 30
_SECRET_BYTES = 20
_DIGITS = 6
_DRIFT = 1
"""Steps before and after now that are accepted: clocks differ, and people type slowly."""
_ISSUER = "Cohortium"


def code_at(secret: bytes, step: int, digits: int = _DIGITS) -> str:
    """The code of a time step."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**digits:0{digits}d}"


@dataclass(frozen=True, slots=True)
class TotpSecret:
    """What an authenticator app and we share."""

    key: bytes = field(repr=False)

    @classmethod
    def random(cls) -> TotpSecret:
        """A new one, of 160 bits."""
        return cls(secrets.token_bytes(_SECRET_BYTES))

    @property
    def text(self) -> str:
        """As an app takes it by hand: Base32."""
        return base64.b32encode(self.key).decode()

    @classmethod
    def of(cls, text: str) -> TotpSecret:
        """One from its text."""
        return cls(base64.b32decode(text))

    def address(self, tenant: str, name: str) -> str:
        """As an app reads it from a square."""
        label = quote(f"{_ISSUER}:{name}, {tenant}", safe="")
        return f"otpauth://totp/{label}?secret={self.text}&issuer={_ISSUER}"

    def accepted_step(self, code: str, now: float, after: int) -> int | None:
        """The time step whose code this is, now or nearly, and later than one accepted before; None when it is none."""
        typed = "".join(code.split())
        this = int(now) // STEP_SECONDS
        found = None
        for step in range(this - _DRIFT, this + _DRIFT + 1):
            same = hmac.compare_digest(code_at(self.key, step).encode(), typed.encode())
            if same and step > after:
                found = step
        return found
