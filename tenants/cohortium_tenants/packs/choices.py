"""What a tenant chooses of a pack, or considers: a version, parameters, and codes of its own; as values and as JSON.

Not here: whether a choice may be made (`service`), and making it (`pinning`, `switching`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import cast

from cohortium_plugins.model import Scalar
from cohortium_plugins.model.serialise import Json, scalar_from_json, scalar_to_json
from cohortium_tenants.packs.models import LocalCode

__all__ = ["Choice", "OwnCode", "described", "own_code", "own_code_of"]


@dataclass(frozen=True, slots=True)
class OwnCode:
    """A code of the tenant's own system for a codelist, for a reason. It counts in every record, as the list's do."""

    codelist: str
    code: int
    term: str
    reason: str
    category: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """What a tenant chooses, or considers: a version, parameters as JSON, and all its own codes with it."""

    pack: str
    version: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    codes: Sequence[OwnCode] = ()

    @staticmethod
    def of(pack: str, version: str, parameters: Mapping[str, Scalar], codes: Iterable[OwnCode]) -> Choice:
        """The same from values."""
        as_json = {name: cast("object", scalar_to_json(value)) for name, value in sorted(parameters.items())}
        return Choice(pack, version, as_json, sorted(codes, key=lambda code: (code.codelist, code.code)))

    @property
    def scalars(self) -> Mapping[str, Scalar]:
        """The parameters' values."""
        return {name: scalar_from_json(cast("Json", value)) for name, value in self.parameters.items()}


def own_code_of(row: LocalCode) -> OwnCode:
    """A code as the tenant has it now."""
    return OwnCode(row.codelist, row.code, row.term, row.reason, row.category)


def own_code(of: Mapping[str, object]) -> OwnCode:
    """A code as an `Enablement` keeps it."""
    return OwnCode(**of)  # type: ignore[arg-type]


def described(code: OwnCode) -> dict[str, object]:
    """The same the other way round."""
    return asdict(code)
