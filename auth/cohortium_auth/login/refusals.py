"""Why somebody was not let in. Not here: how it is shown (cohortium_web), what is counted against whom (`limits`)."""
# ruff: noqa: N818 - named as the errors of the tree are

from __future__ import annotations

from uuid import UUID

from cohortium_platform.errors import CohortiumError

__all__ = ["NotBegunHere", "SignInRefused", "TooManyTries"]


class SignInRefused(CohortiumError):
    """A sign-in that proved nothing, or not enough.

    `why` is one short word for the audit (`audience`, `unknown-key`); the person at the screen learns no more than
    message and advice say. `person_id` is whom it would have been, where that much is known.
    """

    status = 403
    title = "You are not signed in"

    def __init__(
        self,
        why: str,
        message: str = "What your sign-in service sent could not be trusted.",
        advice: str = "Try again. If it happens again, tell your administrator the number below.",
        *,
        person_id: UUID | None = None,
    ) -> None:
        super().__init__(message, advice)
        self.why, self.person_id = why, person_id


class NotBegunHere(SignInRefused):
    """An answer to a sign-in that this browser did not begin, or began too long ago, or has finished already."""

    status = 400
    title = "That sign-in cannot go on"

    def __init__(self) -> None:
        super().__init__(
            "state",
            "This sign-in was not begun in this browser, or too long ago.",
            "Begin again from the sign-in page.",
        )


class TooManyTries(CohortiumError):
    """More tries than somebody who means well needs. `first` is true once in a flood, so that it is recorded once."""

    status = 429
    title = "Too many tries"

    def __init__(self, *, first: bool = False) -> None:
        super().__init__("There were too many tries to sign in from here.", "Wait a quarter of an hour and try again.")
        self.first = first
