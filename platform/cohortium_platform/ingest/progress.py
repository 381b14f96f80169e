"""How far a load has come, told in steps.

Here: the steps, in their order, and the share of the whole that each takes. Not here: showing it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TypeAlias

__all__ = ["Step", "Tell", "Teller"]

Tell: TypeAlias = Callable[[float, str], None]
"""Hears the fraction done (0 to 1) and what is being done. It may raise `Cancelled`: the load then changes nothing."""


class Step(enum.Enum):
    """A step of a load: the fraction at which it ends, and its words."""

    READING = (0.10, "reading the delivery")
    PATIENTS = (0.15, "checking patients")
    ROWS = (0.60, "checking rows")
    WRITING = (0.80, "writing identities and record files")
    FINISHING = (0.95, "finishing record files")
    COMMITTING = (0.99, "making it visible")
    DONE = (1.0, "done")

    @property
    def ends(self) -> float:
        """The fraction done when the step ends."""
        return float(self.value[0])

    @property
    def begins(self) -> float:
        """The fraction done when the step begins."""
        steps = list(Step)
        at = steps.index(self)
        return steps[at - 1].ends if at else 0.0


class Teller:
    """Turns progress within a step into progress of the whole."""

    def __init__(self, tell: Tell | None) -> None:
        self._tell = tell

    def __call__(self, step: Step, done: float = 0.0, detail: str = "") -> None:
        """Tell that a step has come to `done` of itself."""
        if self._tell is not None:
            fraction = step.begins + (step.ends - step.begins) * min(max(done, 0.0), 1.0)
            words: str = step.value[1]
            self._tell(fraction, f"{words}: {detail}" if detail else words)
