"""Multimorbidity review: people with several long-term conditions, and one yearly review of all of them.

Here: the pack put together. Registers of conditions are in `conditions`, who is a member in `cohorts`, indicators in
the modules named for their group on the registry, stratifiers in `stratifiers`, codelists and golden patients in the
folders of those names.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from cohortium_pack_multimorbidity_review import (
    checks_and_tests,
    frailty,
    lifestyle,
    medicines,
    mental_health,
    person,
    registers,
    reviews,
    vaccination,
    yearly_review,
)
from cohortium_pack_multimorbidity_review.cohorts import COHORTS
from cohortium_pack_multimorbidity_review.stratifiers import STRATIFIERS
from cohortium_plugins.hookspecs import hookimpl
from cohortium_plugins.pack import Pack, load_codelists, load_templates

__all__ = ["indicator_packs", "pack"]

_folder = files(__name__)

pack = Pack.build(
    id="multimorbidity-review",
    version="0.1.0",
    title="Multimorbidity review",
    publisher="Cohortium",
    description="People with several long-term conditions, and one yearly review of all of them.",
    codelists=load_codelists(_folder / "codelists"),
    cohorts=COHORTS,
    indicators=[
        *yearly_review.INDICATORS,
        *reviews.INDICATORS,
        *medicines.INDICATORS,
        *checks_and_tests.INDICATORS,
        *lifestyle.INDICATORS,
        *mental_health.INDICATORS,
        *frailty.INDICATORS,
        *person.INDICATORS,
        *vaccination.INDICATORS,
        *registers.INDICATORS,
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
