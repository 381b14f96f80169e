"""The tree of errors that Cohortium tells people and programs about.

Here: the root and its branches, each with the HTTP status it becomes at the edge. Not here: how one is shown (web), and
errors of the SDK, which knows nothing of the platform.

    CohortiumError              500  a fault of ours
    |-- BadInput                400  what was sent cannot be read or makes no sense
    |   `-- BadSettings         500  the environment is wrong: the service does not start
    |-- Unauthenticated         401  nobody has signed in
    |-- Forbidden               403  a person known to the tenant may not do this (strangers get NotFound)
    |-- NotFound                404  no such thing, or none that this person may know of
    |-- Conflict                409  it clashes with what is there already
    |-- Cancelled               409  someone asked for this to stop
    `-- Unavailable             503  a database, queue or store does not answer; trying again may help

A message says what is wrong and where; the advice says what to do next. Neither ever holds the content of a record, an
NHS number, a password or a key.
"""
# ruff: noqa: N818 - an error is named for what happened, which is how people read it

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "BadInput",
    "BadSettings",
    "Cancelled",
    "CohortiumError",
    "Conflict",
    "Forbidden",
    "NotFound",
    "Unauthenticated",
    "Unavailable",
]


class CohortiumError(Exception):
    """The root. `message` says what is wrong, `advice` what to do about it; both may be shown to anyone."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong in Cohortium"

    def __init__(self, message: str, advice: str = "") -> None:
        self.message, self.advice = message, advice
        super().__init__(f"{message} {advice}".rstrip())

    def __reduce__(self) -> tuple[type[CohortiumError], tuple[str, str]]:
        """Let an error cross from a job's child process with both its parts."""
        return type(self), (self.message, self.advice)


class BadInput(CohortiumError):
    """What was sent cannot be read or makes no sense."""

    status = 400
    title = "That could not be read"


class BadSettings(BadInput):
    """The environment is wrong. Raised at the start only; names every variable that must change."""

    status = 500
    title = "Cohortium is not set up"


class Unauthenticated(CohortiumError):
    """Nobody has signed in, or the session has ended."""

    status = 401
    title = "Sign in"


class Forbidden(CohortiumError):
    """A person known to the tenant may not do this. For someone who must not even know of it, raise `NotFound`."""

    status = 403
    title = "Not permitted"


class NotFound(CohortiumError):
    """There is no such thing, or none that this person may know of."""

    status = 404
    title = "Not found"


class Conflict(CohortiumError):
    """It clashes with what is there already."""

    status = 409
    title = "That clashes with something"


class ReadOnly(CohortiumError):
    """The tenant is in a read-only period, before it leaves."""

    status = 409
    title = "Nothing can be changed now"


class Cancelled(CohortiumError):
    """Someone asked for the work to stop, and it stopped at a safe place."""

    status = 409
    title = "Cancelled"


class Unavailable(CohortiumError):
    """A database, queue or store does not answer."""

    status = 503
    title = "Not available at the moment"
