"""Hooks are called in one module, which gives them types, and each stands in the page for whoever implements one."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

from cohortium_plugins import hookspecs, installed

FACADE = "plugins/cohortium_plugins/installed.py"
PAGE = "docs/pack-developer/plugins.md"
HOOKS = [name for name, found in vars(hookspecs).items() if hasattr(found, "cohortium_spec")]


def calls_of_hooks(text: str) -> Iterator[int]:
    """Lines that reach for hooks: a manager's `hook`, or a manager made anew."""
    for node in ast.walk(ast.parse(text)):
        reached = isinstance(node, ast.Attribute) and node.attr in {"hook", "PluginManager"}
        if reached or (isinstance(node, ast.ImportFrom) and node.module == "pluggy"):
            yield node.lineno


def test_nothing_but_the_facade_calls_a_hook(root: Path, modules: list[Path]) -> None:
    found = {
        f"{file.relative_to(root)}:{line}"
        for file in modules
        if str(file.relative_to(root)) != FACADE
        for line in calls_of_hooks(file.read_text())
    }
    assert found == set(), "ask cohortium_plugins.installed"
    called = {
        node.func.attr
        for node in ast.walk(ast.parse((root / FACADE).read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert set(HOOKS) <= called


@pytest.mark.parametrize(
    "text",
    ["pm.hook.importers()", "manager = pluggy.PluginManager('x')", "from pluggy import PluginManager"],
)
def test_the_guard_finds_what_it_looks_for(text: str) -> None:
    assert list(calls_of_hooks(text)) == [1]


@pytest.mark.parametrize("name", HOOKS)
def test_each_hook_stands_on_the_page_with_its_signature_and_what_it_means(root: Path, name: str) -> None:
    hook = getattr(hookspecs, name)
    page = (root / PAGE).read_text()
    assert f"def {name}{inspect.signature(hook)}:".replace("'", "") in page
    assert f'"""{inspect.getdoc(hook)}"""' in page


def test_the_contract_is_what_it_offers() -> None:
    assert sorted([*HOOKS, "hookimpl", "hookspec"]) == sorted(hookspecs.__all__)
    assert [name for name in installed.__all__ if name.startswith("installed_")] == [
        "installed_exporters", "installed_importers", "installed_packs",
    ]  # fmt: skip
