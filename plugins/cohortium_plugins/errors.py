"""What can go wrong with a definition.

    PackError               anything wrong with a pack; carries advice
    ├── DefinitionError     a rule cannot be written so (types, names, windows)
    ├── CodelistError       a codelist file is missing or malformed
    ├── GoldenError         a file of golden patients is malformed
    └── MalformedPack       a serialised pack does not follow the schema

Each says what is wrong and then what to write instead.
"""

from __future__ import annotations

__all__ = ["CodelistError", "DefinitionError", "GoldenError", "MalformedPack", "PackError"]


class PackError(Exception):
    """Something is wrong with a pack. `advice` is what to do about it."""

    def __init__(self, message: str, advice: str = "") -> None:
        self.message, self.advice = message, advice
        super().__init__(f"{message} {advice}".strip())


class DefinitionError(PackError):
    """A rule cannot be written so."""


class CodelistError(PackError):
    """A codelist file is missing or malformed."""


class GoldenError(PackError):
    """A file of golden patients is malformed; the message names the file, the patient and the key."""


class MalformedPack(PackError):  # noqa: N818 - the name says what is wrong
    """A serialised pack does not follow the schema."""
