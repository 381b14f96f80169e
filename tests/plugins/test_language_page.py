"""The page that shows the language at a glance names all of it, and nothing else."""

import re
from pathlib import Path

from cohortium_plugins import authoring, composing, language, seasons
from cohortium_plugins.language import Frame, Pick, patient
from cohortium_plugins.seasons import Season

PAGE = (Path(__file__).parents[2] / "docs" / "pack-developer" / "language.md").read_text(encoding="utf-8")
WORDS = set(re.findall(r"\w+", PAGE))
OURS = {"wrap"}
"""What is exported for other modules of the kit."""


def public(thing):
    return {name for name in dir(thing) if not name.startswith("_") and name != "node"}


def test_every_word_of_the_language_is_on_the_page():
    spoken = {name for name in language.__all__ if not name.endswith("Series")} - OURS - {"Frame", "Pick"}
    spoken |= {*authoring.__all__, *composing.__all__, *seasons.__all__}
    for thing in (Frame, Pick, type(patient)):
        spoken |= public(thing)
    assert spoken - WORDS == set()


def test_no_word_on_the_page_is_unknown():
    asked = set(re.findall(r"`\.(\w+)", PAGE))
    known = public(Frame) | public(Pick) | public(type(patient)) | public(language.DateSeries) | public(Season)
    assert asked - known == set()


def test_the_example_on_units_can_be_written():
    code = PAGE.partition("hba1c = Measure")[2].partition("```")[0]
    names = dict(vars(language))
    exec("hba1c = Measure" + code, names)  # noqa: S102 - our own page
    assert names["latest"].value.node is not None
