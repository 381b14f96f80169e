"""The dependency audit says nothing is known only where somebody answered for every package."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def audit(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("deploy_audit", root / "deploy" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


CLEAN = {"dependencies": [{"name": "a", "version": "1", "vulns": []}], "fixes": []}
WEAK = {"dependencies": [{"name": "a", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}]}]}
SKIPPED = {"dependencies": [{"name": "a", "skip_reason": "Dependency not found and could not be audited: a (1)"}]}
NPM_CLEAN = {"vulnerabilities": {}, "metadata": {"dependencies": {"total": 40}}}
NPM_WEAK = {"vulnerabilities": {"x": {"severity": "high"}}, "metadata": {"dependencies": {"total": 40}}}
NPM_REFUSED = {"message": "405 Method Not Allowed", "statusCode": 405, "error": {"summary": "", "detail": ""}}


@pytest.mark.parametrize(
    ("python", "npm", "code"),
    [
        (CLEAN, NPM_CLEAN, 0),
        (WEAK, NPM_CLEAN, 1),
        (CLEAN, NPM_WEAK, 1),
        (WEAK, NPM_REFUSED, 1),
        (SKIPPED, NPM_CLEAN, 3),
        (CLEAN, NPM_REFUSED, 3),
        ({"dependencies": []}, NPM_CLEAN, 3),
        ({}, NPM_CLEAN, 3),
        ([], NPM_CLEAN, 3),
        (CLEAN, {}, 3),
    ],
)
def test_what_was_not_answered_is_never_clean(audit: ModuleType, python: object, npm: object, code: int) -> None:
    found = {"python": audit.of_pip_audit(json.dumps(python)), "npm": audit.of_npm(json.dumps(npm))}
    assert audit.outcome(found) == code


def test_no_words_at_all_are_no_answer(audit: ModuleType) -> None:
    assert audit.outcome({"python": audit.of_pip_audit(""), "npm": audit.of_npm("<html>")}) == 3
    assert audit.outcome({}) == 3


def test_a_weakness_is_told_with_what_mends_it(audit: ModuleType) -> None:
    assert audit.of_pip_audit(json.dumps(WEAK)).weak == ["a 1: PYSEC-1, mended in 2"]


def test_every_lock_is_asked_about(audit: ModuleType, root: Path) -> None:
    assert {f"deploy/{lock.name}" for lock in (root / "deploy").glob("requirements*.txt")} == set(audit.LOCKS)


def test_the_audit_is_no_part_of_what_a_change_must_pass(root: Path) -> None:
    text = (root / "Makefile").read_text()
    targets = dict(re.findall(r"^(check|test|audit):(.*(?:\n\t.*)*)", text, re.MULTILINE))
    assert "audit" not in targets["check"]
    assert "audit" not in targets["test"]
    assert "deploy/audit.py" in targets["audit"]
