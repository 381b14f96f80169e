"""The clinicians' page of a pack."""

from __future__ import annotations

from pathlib import Path

import pytest

from cohortium_pack_cancer_care import pack as cancer_care
from cohortium_pack_multimorbidity_review import pack as multimorbidity_review
from cohortium_plugins.documents import clinician_page
from cohortium_plugins.pack import Pack

FOLDER = Path(__file__).parents[2] / "docs" / "clinician"
PACKS = pytest.mark.parametrize("pack", [cancer_care, multimorbidity_review], ids=lambda pack: pack.id)


@PACKS
def test_the_page_in_the_docs_is_that_of_the_pack(pack: Pack) -> None:
    page = FOLDER / f"{pack.id}.md"
    package = f"cohortium_pack_{pack.id.replace('-', '_')}"
    command = f"python -m cohortium_plugins.documents {package} > docs/clinician/{pack.id}.md"
    assert page.read_text(encoding="utf-8") == clinician_page(pack), f"run: {command}"


@PACKS
def test_the_page_says_every_measure_every_open_question_and_every_list_without_codes(pack: Pack) -> None:
    page = clinician_page(pack)
    for indicator in pack.definition.indicators:
        assert f"### {indicator.title}\n" in page
        assert indicator.unsure in page
    for codelist in pack.definition.codelists.values():
        assert (f"- {codelist.title} (`{codelist.name}`)" in page) is not bool(codelist.codes)


@PACKS
def test_a_cohort_without_a_reference_promises_none(pack: Pack) -> None:
    said = clinician_page(pack).count("- Should agree with: ")
    assert said == sum(1 for cohort in pack.definition.cohorts if cohort.reference)
