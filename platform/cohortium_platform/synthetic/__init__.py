"""Synthetic populations: invented people with lifelike records, for tests, demonstrations and measurements.

Here: the generator. Not here: loading what it wrote, which is an ordinary extract for the ordinary importer.
"""

from cohortium_platform.synthetic.generate import Progress, Synthesised, synthesise
from cohortium_platform.synthetic.options import (
    SUPPORT_DISCUSSED,
    Ages,
    Deprivation,
    Ethnicity,
    Only,
    Setting,
    SyntheticOptions,
    SyntheticPractice,
)
from cohortium_platform.synthetic.places import rural_practices, urban_practices
from cohortium_platform.synthetic.plan import nhs_numbers_used
from cohortium_platform.synthetic.targets import QOF_RETIREMENT, Course, Month

__all__ = [
    "QOF_RETIREMENT",
    "SUPPORT_DISCUSSED",
    "Ages",
    "Course",
    "Deprivation",
    "Ethnicity",
    "Month",
    "Only",
    "Progress",
    "Setting",
    "Synthesised",
    "SyntheticOptions",
    "SyntheticPractice",
    "nhs_numbers_used",
    "rural_practices",
    "synthesise",
    "urban_practices",
]
