"""What can go wrong with a definition.

    PackError               anything wrong with a pack; carries advice
    ├── DefinitionError     a rule cannot be written so (types, names, windows); carries the author's line
    │   └── UnknownWord     no such word: a misspelt method or column
    ├── CodelistError       a codelist file is missing or malformed
    ├── GoldenError         a file of golden patients is malformed
    ├── TemplateError       a template is malformed, or an answer does not fit it
    └── MalformedPack       a serialised pack does not follow the schema, or is larger than one may be

Each says what is wrong and then what to write instead.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable
from typing import ParamSpec, TypeVar

from cohortium_plugins import places
from cohortium_plugins.places import Place

__all__ = [
    "CodelistError",
    "DefinitionError",
    "GoldenError",
    "MalformedPack",
    "PackError",
    "TemplateError",
    "UnknownWord",
    "known_arguments",
    "nearest",
]

MOST_LISTED = 40


class PackError(Exception):
    """Something is wrong with a pack. `advice` is what to do about it, `place` the author's line where it is known."""

    def __init__(self, message: str, advice: str = "", place: Place | None = None) -> None:
        self.message, self.advice, self.place = message, advice, place
        where = "" if place is None else f"{place}: "
        super().__init__(f"{where}{message} {advice}".strip())


class DefinitionError(PackError):
    """A rule cannot be written so."""

    def __init__(self, message: str, advice: str = "", place: Place | None = None) -> None:
        super().__init__(message, advice, place or places.here())


class UnknownWord(DefinitionError, AttributeError):  # noqa: N818 - the name says what is wrong
    """There is no such method or column."""


class CodelistError(PackError):
    """A codelist file is missing or malformed."""


class GoldenError(PackError):
    """A file of golden patients is malformed; the message names the file, the patient and the key."""


class TemplateError(PackError):
    """A template is malformed, or an answer does not fit it; the message names the file, the item and the key."""


class MalformedPack(PackError):  # noqa: N818 - the name says what is wrong
    """A serialised pack does not follow the schema, or is larger than one may be."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Advise on a word that is not known: the nearest that is, or all of them."""
    options = sorted(known)
    near = difflib.get_close_matches(word, options, 1)
    listed = ", ".join(options[:MOST_LISTED]) + (", ..." if len(options) > MOST_LISTED else "")
    return f"Did you mean {near[0]}?" if near else f"There are: {listed or 'none'}."


P = ParamSpec("P")
R = TypeVar("R")


def known_arguments(function: Callable[P, R]) -> Callable[P, R]:
    """Turn what Python says of a misspelt or missing argument into a DefinitionError with the nearest word."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: P.args, **named: P.kwargs) -> R:
        for name in named:
            if name not in signature.parameters:
                raise DefinitionError(f"{function.__name__} takes no {name}.", nearest(name, signature.parameters))
        try:
            signature.bind(*args, **named)
        except TypeError as error:
            takes = ", ".join(signature.parameters)
            raise DefinitionError(f"{function.__name__}: {error}.", f"It takes {takes}.") from None
        return function(*args, **named)

    return call
