"""The security documents name what exists, and compute what they say.

Here: every test and file that `docs/security` names is there; the checklist's rows are well formed and in order; every
score of the hazard log follows from its severity and likelihood.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

FOLDER = "docs/security"
PAGES = ("asvs.md", "threat-model.md", "hazard-log.md")
HOLDS = {"met", "not met", "not applicable"}
# Severity by likelihood from very low to very high: DCB0129's matrix as NHS suppliers use it.
LIKELIHOODS = ("very low", "low", "medium", "high", "very high")
MATRIX = {
    "catastrophic": (3, 4, 5, 5, 5),
    "major": (2, 3, 4, 5, 5),
    "considerable": (2, 3, 3, 4, 5),
    "significant": (1, 2, 3, 3, 4),
    "minor": (1, 1, 2, 2, 3),
}
STATES = {"open", "controlled", "accepted", "closed"}
_NAMED = re.compile(r"`((?:[\w.-]+/)+[\w.-]*|Makefile|README\.md)(?:::(\w+))?`")
_SCORED = re.compile(r"(\w+) × ([\w ]+) = (\d)")


def rows(text: str, columns: int) -> list[list[str]]:
    """The rows of a page's tables that have so many columns, without their heads."""
    found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")] if line.startswith("| ") else []
        if len(cells) == columns and not set(cells[0]) <= {"-", " "}:
            found.append(cells)
    return found


def missing(root: Path, text: str) -> list[str]:
    """What a page names in code marks that is not there: files, folders, and tests in them."""
    absent = []
    for path, test in _NAMED.findall(text):
        file = root / path
        if not file.exists():
            absent.append(path)
        elif test and test not in _functions(file):
            absent.append(f"{path}::{test}")
    return absent


def _functions(file: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef)}


def misscored(text: str) -> list[str]:
    """Scores that the matrix does not give."""
    found = _SCORED.findall(text)
    return [
        f"{severity} × {likelihood} = {score}"
        for severity, likelihood, score in found
        if likelihood not in LIKELIHOODS or MATRIX[severity][LIKELIHOODS.index(likelihood)] != int(score)
    ]


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_names_is_there(root: Path, page: str) -> None:
    text = (root / FOLDER / page).read_text()
    assert _NAMED.search(text)
    assert missing(root, text) == []


def test_each_requirement_is_met_by_something_or_has_its_reason(root: Path) -> None:
    found = [row for row in rows((root / FOLDER / "asvs.md").read_text(), 4) if row[0] != "no."]
    numbers = [tuple(int(part) for part in row[0].split(".")) for row in found]
    assert numbers == sorted(set(numbers))
    assert {number[0] for number in numbers} == set(range(1, 15))
    assert len(found) > 200
    for number, asked, holds, shown in found:
        assert asked, number
        assert holds in HOLDS, number
        assert len(shown) > 5, f"{number} needs a test or a reason"


def test_each_hazard_is_whole(root: Path) -> None:
    hazards = [row for row in rows((root / FOLDER / "hazard-log.md").read_text(), 12) if row[0] != "id"]
    assert len(hazards) >= 12
    assert [row[0] for row in hazards] == [f"H{number:02}" for number in range(1, len(hazards) + 1)]
    for row in hazards:
        initial, residual = row[7], row[9]
        scores = [_SCORED.fullmatch(score) for score in (initial, residual)]
        assert all(scores), row[0]
        assert all(row), f"{row[0]} has an empty cell"
        assert _NAMED.search(row[6]), f"{row[0]} names no evidence"
        assert row[11] in STATES, row[0]
        before, after = (int(score[3]) for score in scores if score)
        assert after <= before, f"{row[0]} is worse after its controls"
        assert after < 4 or row[11] == "open", f"{row[0]} may not be closed with a score of {after}"


def test_every_score_follows_from_the_matrix(root: Path) -> None:
    text = (root / FOLDER / "hazard-log.md").read_text()
    assert len(_SCORED.findall(text)) >= 24
    assert misscored(text) == []
    table = {row[0]: tuple(int(score) for score in row[1:]) for row in rows(text, 6) if row[0] in MATRIX}
    assert table == MATRIX


def test_a_wrong_score_a_missing_test_and_a_missing_file_are_seen(root: Path) -> None:
    assert misscored("major × low = 3, minor × very high = 4") == ["minor × very high = 4"]
    assert misscored("major × often = 3") == ["major × often = 3"]
    here = "tests/lint/test_security_docs.py"
    assert missing(root, f"`{here}::test_nothing` `{here}::rows` `docs/nowhere.md`") == [
        f"{here}::test_nothing",
        "docs/nowhere.md",
    ]
