"""The house: folders, who may import whom, how long a module may be."""

from __future__ import annotations

import ast
import importlib
import re
from importlib.metadata import entry_points
from pathlib import Path

import grimp
import pytest

FOLDERS = ["plugins", "platform", "tenants", "auth", "web"]
CORE = ["cohortium_platform", "cohortium_tenants", "cohortium_auth", "cohortium_web"]
PACKS = sorted(
    {entry.value.partition(":")[0].partition(".")[0] for entry in entry_points(group="cohortium.indicator_packs")}
)
LONGEST = 400
REASON = re.compile(r"[Ll]onger than \d+ lines because")


def test_no_top_level_folder_and_no_tests_folder_is_a_package(root: Path, all_files: list[Path]) -> None:
    inits = [file.relative_to(root) for file in all_files if file.name == "__init__.py"]
    assert [str(file) for file in inits if len(file.parts) <= 2 or "tests" in file.parts] == []


def test_each_folder_holds_the_one_package_of_its_name(root: Path) -> None:
    for folder in FOLDERS:
        held = [path.name for path in (root / folder).iterdir() if path.is_dir() and path.name.isidentifier()]
        assert [name for name in held if name != "__pycache__"] == [f"cohortium_{folder}"]
        assert list((root / folder).glob("*.py")) == []


def test_the_standard_library_is_not_shadowed(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    import platform  # noqa: PLC0415 - the point

    monkeypatch.syspath_prepend(str(root))
    assert importlib.reload(platform).system()


def test_the_installed_packs_are_those_of_the_folder(root: Path) -> None:
    folders = sorted(path.parent.name for path in (root / "indicator_packs").glob("*/pyproject.toml"))
    assert [f"cohortium_pack_{name}" for name in folders] == PACKS


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("cohortium_plugins", *CORE, *PACKS, cache_dir=None)


@pytest.mark.parametrize("pack", PACKS)
def test_a_pack_imports_only_the_sdk(graph: grimp.ImportGraph, pack: str) -> None:
    others = [other for other in PACKS if other != pack]
    for forbidden in [*CORE, *others]:
        assert not graph.find_shortest_chains(pack, forbidden, as_packages=True)


def test_a_long_module_says_why(root: Path, modules: list[Path]) -> None:
    silent = []
    for file in modules:
        lines = file.read_text().splitlines()
        if len(lines) > LONGEST and not REASON.search("\n".join(lines[:30])):
            silent.append(f"{file.relative_to(root)}: {len(lines)} lines")
    assert silent == [], "split it, or say near the top: Longer than 400 lines because ..."


def test_every_module_opens_by_saying_what_lives_there(root: Path, modules: list[Path]) -> None:
    silent = [
        file for file in modules if file.read_text().strip() and not ast.get_docstring(ast.parse(file.read_text()))
    ]
    assert [str(file.relative_to(root)) for file in silent] == []


def test_every_name_a_module_offers_exists(root: Path, modules: list[Path]) -> None:
    missing = []
    for file in modules:
        tree = ast.parse(file.read_text())
        offered = [name for node in tree.body for name in _offered(node)]
        bound = {name for node in ast.walk(tree) for name in _bound(node)}
        missing += [f"{file.relative_to(root)}: {name}" for name in offered if name not in bound]
        assert len(set(offered)) == len(offered), f"{file.relative_to(root)} offers a name twice"
    assert missing == []


def _offered(node: ast.stmt) -> list[str]:
    """Names in an assignment to `__all__`."""
    targets = node.targets if isinstance(node, ast.Assign) else []
    if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
        return list(ast.literal_eval(node.value))
    return []


def _bound(node: ast.AST) -> list[str]:
    """Names that a node binds."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name for alias in node.names]
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return [node.id]
    return []
