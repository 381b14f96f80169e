"""Cancer care: people living with and beyond cancer, and what good care looks like for them.

Here: the pack put together. The cohort is in `cohort`, indicators in the modules named for their group on the registry,
stratifiers in `stratifiers`; codelists, golden patients and templates in the folders of those names.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from cohortium_pack_cancer_care import admin, cancer_care, lifestyle, mental_health, qof, screening, vaccination
from cohortium_pack_cancer_care.cohort import cancer_cohort
from cohortium_pack_cancer_care.stratifiers import STRATIFIERS
from cohortium_plugins.hookspecs import hookimpl
from cohortium_plugins.pack import Pack, load_codelists, load_templates

__all__ = ["indicator_packs", "pack"]

_folder = files(__name__)

pack = Pack.build(
    id="cancer-care",
    version="0.1.0",
    title="Cancer care",
    publisher="Cohortium",
    description="People living with and beyond cancer: reviews, plans, screening, lifestyle and vaccination.",
    codelists=load_codelists(_folder / "codelists"),
    cohorts=[cancer_cohort],
    indicators=[
        *qof.INDICATORS,
        *admin.INDICATORS,
        *cancer_care.INDICATORS,
        *screening.INDICATORS,
        *lifestyle.INDICATORS,
        *vaccination.INDICATORS,
        *mental_health.INDICATORS,
    ],
    stratifiers=STRATIFIERS,
    templates=load_templates(_folder / "templates"),
    golden={
        file.name: file.read_text(encoding="utf-8")
        for file in sorted((_folder / "golden").iterdir(), key=lambda file: file.name)
        if file.name.endswith(".toml")
    },
)


@hookimpl
def indicator_packs() -> Sequence[Pack]:
    """Give the pack."""
    return (pack,)
