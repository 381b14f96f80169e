"""A pytest plug-in that runs a pack's golden patients.

Every TOML file in a folder called `golden` inside an import package that gives packs is collected: one test a patient,
date and engine. Engines are named in the setting `cohortium_engines`, one `module:callable` a line; `interpreter` is
the reference and the default. Not here: reading and running golden patients (`golden`).
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from cohortium_plugins.golden import Case, Difference, Engine, GoldenFile, check, interpret, read_file
from cohortium_plugins.golden.reading import SHARED
from cohortium_plugins.pack import Pack

__all__ = ["pytest_addoption", "pytest_collect_file"]

SETTING = "cohortium_engines"
REFERENCE = "interpreter"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the setting that names engines."""
    parser.addini(SETTING, "engines that golden patients run on, as module:callable", "linelist", [REFERENCE])


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.File | None:
    """Collect files of golden patients."""
    if file_path.suffix == ".toml" and file_path.parent.name == "golden" and file_path.name != SHARED:
        return _File.from_parent(parent, path=file_path)
    return None


def load_engine(name: str) -> Engine:
    """Give the engine that a line of the setting names."""
    if name == REFERENCE:
        return interpret
    module, _, attribute = name.partition(":")
    return cast("Engine", getattr(importlib.import_module(module), attribute))


def load_pack(folder: Path) -> Pack:
    """Give the pack that a folder of golden patients lies in."""
    module = importlib.import_module(folder.parent.name)
    return cast("Pack", module.indicator_packs()[0])


class _File(pytest.File):
    """A file of golden patients, each evaluated once an engine however many dates it is looked at."""

    def collect(self) -> Iterator[pytest.Item]:
        folder = self.path.parent
        shared = folder / SHARED
        base = read_file(SHARED, shared.read_text(encoding="utf-8")) if shared.exists() else None
        self.golden: GoldenFile = read_file(self.path.name, self.path.read_text(encoding="utf-8"), base)
        self.found: dict[str, dict[str, list[Difference]]] = {}
        engines = self.config.getini(SETTING)
        for engine in engines:
            for case in self.golden.cases:
                label = case.label if len(engines) == 1 else f"{case.label} {engine}"
                yield _Item.from_parent(self, name=label, case=case, engine=engine)

    def differences(self, case: Case, engine: str) -> list[Difference]:
        """Give what differs in a case; the whole file is evaluated when its first case is asked for."""
        if engine not in self.found:
            by_case: dict[str, list[Difference]] = {}
            for difference in check(load_pack(self.path.parent).definition, self.golden.cases, load_engine(engine)):
                by_case.setdefault(difference.case.label, []).append(difference)
            self.found[engine] = by_case
        return self.found[engine].get(case.label, [])


class _Wrong(Exception):  # noqa: N818 - not an error of the program
    """A golden patient is not as expected."""


class _Item(pytest.Item):
    """One golden patient at one date on one engine."""

    def __init__(self, name: str, parent: pytest.Collector, *, case: Case, engine: str) -> None:
        super().__init__(name, parent)
        self.case, self.engine = case, engine

    def runtest(self) -> None:
        found = cast("_File", self.parent).differences(self.case, self.engine)
        if found:
            raise _Wrong("\n".join(f"  {difference}" for difference in found))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> str:  # noqa: ARG002 - pytest passes it
        if not isinstance(excinfo.value, _Wrong):
            return str(super().repr_failure(excinfo))
        case = self.case
        return f"{case.file}: {case.label}, on {self.engine}\n  why: {case.why}\n{excinfo.value}"

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, self.name
