"""The known truth: how two cancer indicators ran after their funding ended.

Here: the measured monthly rates that a tenant can be made to follow. Not here: how records are made to follow them
(`course.py`).

The figures are those of a real integrated care board's population, November 2024 to November 2025. From 1 April 2025
both indicators were no longer paid for under the Quality and Outcomes Framework. February and March 2025 were not
published; the generator runs smoothly between their neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["QOF_RETIREMENT", "Course", "Month"]


@dataclass(frozen=True, slots=True)
class Month:
    """What a month's last day must show, in per cent of met + overdue.

    `support` is CAN005, support discussed within 93 days of diagnosis; `review` is CAN004, cancer care review within
    12 months of diagnosis.
    """

    year: int
    month: int
    support: float
    review: float


@dataclass(frozen=True, slots=True)
class Course:
    """A named run of months, oldest first. Before the first the rates are about `before`; after the last they stay.

    `ended` is the year and month from which practices did only the share `after` of what they used to.
    """

    name: str
    months: tuple[Month, ...]
    before: float = 80.0
    ended: tuple[int, int] = (2025, 4)
    after: float = 0.5


QOF_RETIREMENT = Course(
    name="qof-retirement",
    months=(
        Month(2024, 11, 80.4, 80.0),
        Month(2024, 12, 82.7, 81.9),
        Month(2025, 1, 85.6, 86.9),
        Month(2025, 4, 82.7, 81.7),
        Month(2025, 5, 79.0, 75.4),
        Month(2025, 6, 74.3, 68.9),
        Month(2025, 7, 72.3, 66.0),
        Month(2025, 8, 68.2, 62.3),
        Month(2025, 9, 64.6, 58.7),
        Month(2025, 10, 60.4, 54.2),
        Month(2025, 11, 56.9, 51.2),
    ),
)
