"""What a check finds. Data only."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from cohortium_plugins.pack import Pack
from cohortium_plugins.places import Place

__all__ = ["Finding", "Severity", "place_of"]


class Severity(enum.StrEnum):
    """How bad it is: an `error` makes results wrong or none; a `warning` probably does; `advice` is worth a look."""

    ERROR = "error"
    WARNING = "warning"
    ADVICE = "advice"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a pack. `check` is the check's name as the documentation has it; `subject` what it
    is about, as kind and name.
    """

    severity: Severity
    check: str
    subject: tuple[str, str]
    message: str
    advice: str = ""
    place: Place | None = None


def place_of(pack: Pack, kind: str, name: str) -> Place | None:
    """Give the author's line of a part of a pack, where it is known."""
    return pack.places.get((kind, name))
