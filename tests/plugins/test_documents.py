"""The clinicians' page of a pack."""

from __future__ import annotations

from pathlib import Path

from cohortium_pack_cancer_care import pack
from cohortium_plugins.documents import clinician_page

PAGE = Path(__file__).parents[2] / "docs" / "clinician" / "cancer-care.md"
COMMAND = "python -m cohortium_plugins.documents cohortium_pack_cancer_care > docs/clinician/cancer-care.md"


def test_the_page_in_the_docs_is_that_of_the_pack() -> None:
    assert PAGE.read_text(encoding="utf-8") == clinician_page(pack), f"run: {COMMAND}"


def test_the_page_says_every_measure_every_open_question_and_every_list_without_codes() -> None:
    page = clinician_page(pack)
    for indicator in pack.definition.indicators:
        assert f"### {indicator.title}\n" in page
        assert indicator.unsure in page
    for codelist in pack.definition.codelists.values():
        assert (f"- {codelist.title} (`{codelist.name}`)" in page) is not bool(codelist.codes)
