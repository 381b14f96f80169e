"""Scopes of programs: `system/Group.r` and the like (SMART App Launch 2, scopes of backend services).

Here: reading and comparing them. Not here: what a scope lets one see, which the policies say as for anybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from cohortium_platform.errors import BadInput

__all__ = ["Scope", "covers", "read_scopes"]

_SCOPE = re.compile(r"system/(\*|[A-Z][A-Za-z]*)\.(c?r?u?d?s?)")


@dataclass(frozen=True, slots=True)
class Scope:
    """What kind of resource, `*` for any, and what may be done: of create, read, update, delete, search."""

    resource: str
    letters: str

    @classmethod
    def of(cls, text: str) -> Scope:
        """Read one. Raises `BadInput`."""
        found = _SCOPE.fullmatch(text)
        if found is None or not found[2]:
            raise BadInput("That is not a program's scope.", "Write them like system/Group.r or system/Patient.rs.")
        return cls(found[1], found[2])

    def __str__(self) -> str:
        return f"system/{self.resource}.{self.letters}"

    def includes(self, other: Scope) -> bool:
        """Whether this one permits all that another asks for."""
        return self.resource in {"*", other.resource} and set(other.letters) <= set(self.letters)


def read_scopes(text: str) -> tuple[Scope, ...]:
    """Read several, set apart by spaces. Raises `BadInput`, also when there is none."""
    scopes = tuple(Scope.of(part) for part in text.split())
    if not scopes:
        raise BadInput("No scope was named.", "Write them like system/Group.r, set apart by spaces.")
    return scopes


def covers(held: Iterable[Scope], asked: Scope) -> bool:
    """Whether one of the scopes held permits what is asked."""
    return any(scope.includes(asked) for scope in held)
