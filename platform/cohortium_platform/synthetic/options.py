"""What can be asked of the generator.

Here: the options of a synthetic population and their checks. Not here: what the profiles mean in numbers (`places.py`)
and the known course (`targets.py`).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from cohortium_platform.errors import BadInput
from cohortium_platform.synthetic.targets import Course

__all__ = [
    "SUPPORT_DISCUSSED",
    "Ages",
    "Deprivation",
    "Ethnicity",
    "Only",
    "Setting",
    "SyntheticOptions",
    "SyntheticPractice",
]

FEWEST, MOST = 1_000, 2_000_000
SUPPORT_DISCUSSED = "cancer-support-discussed"
_FIRST_RECORDS_TO = date(2018, 1, 1)


class Ages(enum.StrEnum):
    """Age structure of a practice's list."""

    YOUNG = "young"
    MIXED = "mixed"
    OLD = "old"


class Ethnicity(enum.StrEnum):
    """Ethnic mix of a practice's list."""

    DIVERSE = "diverse"
    MIXED = "mixed"
    MOSTLY_WHITE = "mostly-white"


class Deprivation(enum.StrEnum):
    """Where a practice's patients live by Index of Multiple Deprivation."""

    MORE = "more"
    AVERAGE = "average"
    LESS = "less"


class Setting(enum.StrEnum):
    """Town or country: people move more often in towns."""

    URBAN = "urban"
    RURAL = "rural"


class Only(enum.StrEnum):
    """How much to write: everything, or only cancer patients with what their cancer care left (quick, for tests)."""

    ALL = "all"
    CANCER = "cancer"


@dataclass(frozen=True, slots=True)
class SyntheticPractice:
    """One practice: its (fictitious) ODS code, its place, and who lives there. `size` is relative to the others."""

    code: str
    place: str
    name: str = ""
    size: float = 1.0
    ages: Ages = Ages.MIXED
    ethnicity: Ethnicity = Ethnicity.MIXED
    deprivation: Deprivation = Deprivation.AVERAGE
    setting: Setting = Setting.URBAN


@dataclass(frozen=True, slots=True)
class SyntheticOptions:
    """A population to make. The same options give the same bytes, whatever the number of workers.

    `people` are those registered and alive on `records_to`; the dead and the departed of the last three years come on
    top (about a tenth more). `density` is the mean number of events a person; the codes of `local_codes` are the
    tenant's own and stand outside SNOMED CT. `nhs_numbers_from` keeps tenants apart: give the second tenant the first
    one's `nhs_numbers_used(...)`.
    """

    people: int
    practices: tuple[SyntheticPractice, ...]
    seed: int = 1
    records_to: date = date(2025, 11, 30)
    density: float = 150.0
    cancer_prevalence: float = 0.028
    course: Course | None = None
    local_codes: Mapping[str, int] = field(default_factory=dict)
    trust: str | None = None
    only: Only = Only.ALL
    workers: int = 1
    nhs_numbers_from: int = 0

    def check(self) -> None:
        """Refuse options that make no sense.

        Raises:
            BadInput: says which option, and what it may be.
        """
        codes = [practice.code for practice in self.practices]
        wrong = [
            (not FEWEST <= self.people <= MOST, f"people must be from {FEWEST:,} to {MOST:,}."),
            (not codes, "practices: at least one is needed."),
            (len(set(codes)) < len(codes), "practices: a code stands there twice."),
            (any(practice.size <= 0 for practice in self.practices), "practices: every size must be above zero."),
            (not 1 <= self.density <= 1_000, "density must be from 1 to 1000 events a person."),
            (not 0 < self.cancer_prevalence <= 0.06, "cancer_prevalence must be above 0, at most 0.06."),
            (self.records_to < _FIRST_RECORDS_TO, f"records_to must be {_FIRST_RECORDS_TO} or later."),
            (self.workers < 1, "workers must be at least 1."),
            (self.seed < 0 or self.nhs_numbers_from < 0, "seed and nhs_numbers_from must not be negative."),
        ]
        self._refuse(wrong + self._wrong_local_codes())

    def _wrong_local_codes(self) -> list[tuple[bool, str]]:
        unknown = set(self.local_codes) - {SUPPORT_DISCUSSED}
        local = self.local_codes.get(SUPPORT_DISCUSSED)
        return [
            (bool(unknown), f"local_codes: only {SUPPORT_DISCUSSED} is known here."),
            (local is not None and not 0 < local < 10**18, "local_codes: a code is a positive number of 18 digits."),
            (
                self.course is not None and local is None,
                f"course: it runs through the tenant's own code, so local_codes must give {SUPPORT_DISCUSSED}.",
            ),
        ]

    @staticmethod
    def _refuse(wrong: list[tuple[bool, str]]) -> None:
        reasons = [reason for is_wrong, reason in wrong if is_wrong]
        if reasons:
            raise BadInput("The population cannot be made: " + " ".join(reasons), "Change these options.")
